"""Restore files and folders: what was done is kept, what fails is named."""

from __future__ import annotations

import glob
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.markup import escape

from srkit.components.crashes import describe, wants_traceback
from srkit.errors import DataError, OutputError, SrkitError
from srkit.functional.resizing import resized_side
from srkit.images.fidelity import check_size, check_values, what_is_lost
from srkit.images.formats import Formats
from srkit.interfaces import Image
from srkit.system.files import atomic
from srkit.system.progress import progress_bars
from srkit.upscaling.frames.files import (
    PARTIAL,
    WAY_OUT,
    FrameJob,
    RestoreWindows,
    check_memory,
    one_by_one,
    open_large,
    upscale_frame,
)
from srkit.upscaling.images import upscale_images
from srkit.upscaling.sizing import Sized
from srkit.upscaling.tiling import out_of_memory
from srkit.upscaling.upscaler import TOGETHER, ImageUpscaler

#: Told what is being restored, and its LR pixels done and in all.
Report = Callable[[str, int, int | None], None]


def _untold(what: str, done: int, total: int | None) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class Job:
    """One file to restore.

    Parameters
    ----------
    source
        The file.
    target
        Where its SR goes.
    name
        What the user knows the file by; its path by default.
    """

    source: Path
    target: Path
    name: str = ""

    def __str__(self) -> str:
        return self.name or str(self.source)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of a file.

    Parameters
    ----------
    skipped
        Whether it was there already.
    model
        Name of the model that restored it.
    notes
        What the user should know of how it was made.
    failure
        What went wrong, with the file's name; empty if nothing did.
    """

    skipped: bool = False
    model: str = ""
    notes: Sequence[str] = ()
    failure: str = ""


@dataclass(slots=True)
class Outcome:
    """What became of the files.

    Parameters
    ----------
    done, skipped
        Written now, and found written before.
    failed
        What went wrong, a line for each file.
    models
        By which models, each once.
    output
        What was written, where there was only one file to do.
    """

    done: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list, compare=False)
    output: Path | None = field(default=None, compare=False)

    def add(self, job: Job, found: Attempt, console: Console) -> None:
        """Count a file, and print what there is to say of it."""
        if found.failure:
            self.failed.append(found.failure)
            console.print(f"[red]failed[/] {escape(found.failure)}", soft_wrap=True)
        elif found.skipped:
            self.skipped += 1
        else:
            self.done += 1
            self.output = job.target
            self.models += [found.model] if found.model not in self.models else []
        for note in found.notes:
            console.print(escape(f"{job}: {note}"), highlight=False, soft_wrap=True)

    def __str__(self) -> str:
        alone = self.done == 1 and not self.skipped and not self.failed
        restored = f"{self.done} restored" + (
            f" by {' and '.join(self.models)}" if self.models else ""
        )
        parts = [f"{restored}: {self.output}" if alone and self.output is not None else restored]
        parts += [f"{self.skipped} there already"] if self.skipped else []
        parts += [f"{len(self.failed)} failed"] if self.failed else []
        return ", ".join(parts)


def plan(
    inputs: Sequence[str], out: Path | None, formats: Formats, label: str, suffix: str | None
) -> list[Job]:
    """Decide which files are restored, and where each goes.

    A folder is searched with all below it, and mirrored. Without `out`, SR goes beside its LR as
    ``NAME_x4.png``.

    Parameters
    ----------
    inputs
        Files, folders, and patterns such as ``*.png``.
    out
        A file for a single input, where it has the ending of a format; else a folder.
    formats
        What can be read and written.
    label
        What tells the size in names beside the inputs, such as ``x4``.
    suffix
        Ending of the outputs, in place of that of the inputs.

    Raises
    ------
    DataError
        If an input is missing or unreadable, a folder holds no image, two outputs would be one
        file, or an output would replace an input.
    """
    found = [pair for given in inputs for pair in _found(given, formats)]
    if out is None:
        found = _without_outputs(found, formats, label, suffix)
    elif not (len(found) == 1 and formats.knows(out)) and _is_no_folder(out):
        if len(found) == 1:
            raise DataError(f"{out}: is no folder, and its name tells no format; choose another")
        raise DataError(f"{out}: is no folder; choose another output for {len(found)} files")
    single = len(found) == 1 and not Path(inputs[0]).is_dir()
    if out is not None and not single and formats.knows(out) and not out.is_dir():
        raise DataError(f"{out}: is the name of a file; give a folder for several inputs")
    jobs = []
    for source, relative in found:
        name = relative if suffix is None else _renamed(relative, suffix, formats)
        if out is None:
            target = _beside(source, name, formats, label)
        elif single and formats.knows(out) and not out.is_dir():
            target = out
            _check_ending(out, suffix)
        else:
            target = out / name
        jobs.append(Job(source, target))
    for job in jobs[:1]:
        formats.of_path(job.target)  # before anything is restored
    _check_targets(jobs)
    return jobs


def _beside(source: Path, name: Path, formats: Formats, label: str) -> Path:
    stem, ending = split(name.name, formats)
    return source.with_name(f"{stem}_{label}{ending}")


def _without_outputs(
    found: Sequence[tuple[Path, Path]], formats: Formats, label: str, suffix: str | None
) -> list[tuple[Path, Path]]:
    """Leave out what an earlier run wrote beside its inputs, of which it would be a second one."""
    written = {
        _beside(
            source,
            relative if suffix is None else _renamed(relative, suffix, formats),
            formats,
            label,
        )
        for source, relative in found
    }
    return [(source, relative) for source, relative in found if source not in written]


def _is_no_folder(path: Path) -> bool:
    """Tell whether a path is or leads through something else, such as a file or a device."""
    return any(each.exists() and not each.is_dir() for each in (path, *path.parents))


def _check_ending(out: Path, suffix: str | None) -> None:
    if suffix is not None and not out.name.lower().endswith(f".{suffix.lstrip('.').lower()}"):
        raise DataError(f"{out}: is to be {suffix} by its format; give one ending or the other")


def _found(given: str, formats: Formats) -> list[tuple[Path, Path]]:
    """Give each file of an input, and its path relative to that input."""
    path = Path(given)
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and formats.knows(p))
        files = [file for file in files if not file.name.startswith(PARTIAL)]
        if not files:
            known = ", ".join(formats.suffixes)
            raise DataError(f"{path}: holds no image; known endings: {known}")
        return [(file, file.relative_to(path)) for file in files]
    if path.is_file():
        return [(path, Path(path.name))]
    matches = sorted(glob.glob(given, recursive=True))  # noqa: PTH207 - may be absolute
    if not matches:
        raise DataError(f"{given}: no such file or folder")
    return [pair for match in matches if Path(match) != path for pair in _found(match, formats)]


def _renamed(path: Path, suffix: str, formats: Formats) -> Path:
    return path.with_name(f"{split(path.name, formats)[0]}.{suffix.lstrip('.')}")


def split(name: str, formats: Formats) -> tuple[str, str]:
    """Split a file name before the ending that its format knows, such as ``.fits.gz``."""
    ending = formats.suffix_of(name)
    return (name.removesuffix(ending), ending) if ending else (Path(name).stem, Path(name).suffix)


def _check_targets(jobs: Iterable[Job]) -> None:
    sources = {job.source.resolve() for job in jobs}
    seen: dict[Path, Path] = {}
    for job in jobs:
        target = job.target.resolve()
        if target in sources:
            raise DataError(f"{job.target}: is an input; choose another output")
        if target in seen:
            raise DataError(
                f"{job.target}: both {seen[target]} and {job.source} would go there; restore them "
                "one after the other, or into folders"
            )
        seen[target] = job.source


def upscale_files(
    jobs: Sequence[Job],
    upscalers: Sized,
    formats: Formats,
    console: Console,
    *,
    overwrite: bool = False,
    metadata: Mapping[str, Any] = MappingProxyType({}),
    windows: RestoreWindows = one_by_one,
) -> Outcome:
    """Restore files in their order, small ones together; go on where one fails.

    Parameters
    ----------
    jobs
        From :func:`plan`.
    upscalers
        What restores: an :class:`ImageUpscaler`, or one for images of each size.
    formats
        What reads and writes.
    console
        Where to show progress, notes and failures.
    overwrite
        Replace outputs that are there; else they are skipped, so that a stopped run goes on.
    metadata
        What the user says of all images in place of their files, such as ``zero_point``.
    windows
        What restores the windows of frames that are too large to be restored whole.
    """
    outcome = Outcome()
    with progress_bars(console) as bars:
        whole = bars.add_task("files", total=len(jobs), visible=len(jobs) > 1)
        part = bars.add_task("", total=None)

        def report(what: str, done: int, total: int | None) -> None:
            bars.update(part, description=what, completed=done, total=total)

        given = Given(upscalers, formats, overwrite, metadata, windows)
        finished = attempts(jobs, given, report)
        for job in jobs:
            try:
                found = next(finished)
            except KeyboardInterrupt:
                console.print(escape(f"{job}: stopped; the same command goes on"), soft_wrap=True)
                raise
            outcome.add(job, found, console)
            bars.advance(whole)
    return outcome


@dataclass(frozen=True, slots=True)
class Given:
    """How files are restored; see :func:`upscale_files`."""

    upscalers: Sized
    formats: Formats
    overwrite: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    windows: RestoreWindows = one_by_one


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that was read, each page with what restores it."""

    job: Job
    pages: Sequence[tuple[Image, ImageUpscaler]]
    notes: Sequence[str]

    @property
    def size(self) -> int:
        """LR pixels."""
        return sum(math.prod(page.pixels.shape[-2:]) for page, _ in self.pages)


def attempts(jobs: Iterable[Job], given: Given, report: Report = _untold) -> Iterator[Attempt]:
    """Restore files in their order, small ones together; an error becomes a part of the answer.

    Parameters
    ----------
    jobs, given
        What is to be restored, and how.
    report
        Called with what is being restored, and its LR pixels done and in all.
    """
    held: list[Opened] = []
    for job in jobs:
        found = _begin(job, given, report)
        if isinstance(found, Opened) and found.size <= TOGETHER:
            held.append(found)
            if sum(each.size for each in held) >= TOGETHER:
                yield from _finish(held, given, report)
                held = []
            continue
        yield from _finish(held, given, report)
        held = []
        yield found if isinstance(found, Attempt) else _finish([found], given, report)[0]
    yield from _finish(held, given, report)


def _begin(job: Job, given: Given, report: Report) -> Attempt | Opened:
    """Read a file unless its output is there; restore it where it is too large to be read."""
    try:
        if _is_there(job.target, given.overwrite):
            return Attempt(skipped=True)
        report(job.source.name, 0, None)
        paths = job.source, job.target
        with open_large(*paths, given.formats, given.upscalers) as frame:
            if frame is not None:
                upscaler = given.upscalers.for_image(frame.outline)
                opened = FrameJob(
                    frame, paths, given.formats, upscaler, given.metadata, given.windows
                )
                notes = upscale_frame(opened, partial(report, job.source.name))
                return Attempt(model=upscaler.model.name, notes=notes)
        return _read(job, given)
    except Exception as error:
        return Attempt(failure=name_error(job, error))


def _finish(held: Sequence[Opened], given: Given, report: Report) -> list[Attempt]:
    """Restore files that were read, and write them; where one fails, each is tried alone."""
    if not held:
        return []
    what = held[0].job.source.name if len(held) == 1 else f"{len(held)} small files"
    try:
        restored = _restore(held, given, partial(report, what))
    except Exception as error:
        if len(held) > 1:
            return [found for each in held for found in _finish([each], given, report)]
        return [Attempt(failure=name_error(held[0].job, error))]
    return [_write(each, pages, given) for each, pages in zip(held, restored, strict=True)]


def _is_there(target: Path, overwrite: bool) -> bool:
    """Tell whether an output was written before and stays; refuse one that can never be written.

    Raises
    ------
    OutputError
        If it is a folder or protected.
    """
    if target.is_dir():
        raise OutputError(f"{target}: cannot be written (it is a folder); choose another name")
    if not target.exists():
        return False
    # The file is replaced rather than opened, which its protection would not prevent.
    if overwrite and not target.stat().st_mode & 0o222:
        raise OutputError(f"{target}: cannot be written (it is read-only); choose another name")
    return not overwrite


def name_error(job: Job, error: Exception) -> str:
    """Begin an error with the file, unless it names one itself."""
    if not isinstance(error, SrkitError):
        if out_of_memory(error):
            return f"{job}: does not fit into memory; {WAY_OUT}"
        if wants_traceback():
            raise error
        return f"{job}: {describe(error)}"
    text = str(error).replace(str(job.source), str(job))
    return text if text.startswith(str(job)) or ": cannot be" in text else f"{job}: {text}"


def _read(job: Job, given: Given) -> Opened:
    """Read a file, and find what restores its pages.

    Raises
    ------
    DataError
        If it cannot be read, or its SR could not be written.
    """
    formats = given.formats
    pages, notes = formats.read_pages(job.source), []
    writer, suffix = formats.of_path(job.target), formats.suffix_of(job.target.name) or ""
    if len(pages) > 1 and not formats.has_pages(job.target):
        notes.append(f"the first of {len(pages)} pages: a {suffix} file holds one")
        pages = pages[:1]
    upscalers = [given.upscalers.for_image(page) for page in pages]
    for page, upscaler in zip(pages, upscalers, strict=True):
        height, width = (resized_side(side, upscaler.scale) for side in page.pixels.shape[-2:])
        check_size(height, width, writer, suffix)
        check_values(page, writer, suffix)
        check_memory(tuple(page.pixels.shape), upscaler.scale)
    return Opened(job, list(zip(pages, upscalers, strict=True)), notes)


def _restore(
    held: Sequence[Opened], given: Given, report: Callable[[int, int], None]
) -> list[list[tuple[Image, list[str]]]]:
    """Restore the pages of files; those of one format that one upscaler restores, together."""
    alike: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    for file, each in enumerate(held):
        reader = given.formats.of_path(each.job.source)
        for number, (_, upscaler) in enumerate(each.pages):
            key = id(reader), id(upscaler.model), upscaler.scale
            alike.setdefault(key, []).append((file, number))
    found: dict[tuple[int, int], tuple[Image, list[str]]] = {}
    for places in alike.values():
        pages = [held[file].pages[number] for file, number in places]
        reader, upscaler = given.formats.of_path(held[places[0][0]].job.source), pages[0][1]
        images = [page for page, _ in pages]
        restored = upscale_images(images, reader, upscaler, given.metadata, report)
        found |= dict(zip(places, restored, strict=True))
    return [[found[file, n] for n in range(len(each.pages))] for file, each in enumerate(held)]


def _write(opened: Opened, pages: Sequence[tuple[Image, list[str]]], given: Given) -> Attempt:
    """Write SR of a file; an error becomes a part of the answer."""
    job, formats, notes = opened.job, given.formats, list(opened.notes)
    writer, suffix = formats.of_path(job.target), formats.suffix_of(job.target.name) or ""
    try:
        for sr, told in pages:
            lost = what_is_lost(sr, writer, suffix)
            notes += told if lost is None else [*told, lost]
        write_whole(job.target, [sr for sr, _ in pages], formats)
    except Exception as error:
        return Attempt(failure=name_error(job, error))
    models = dict.fromkeys(upscaler.model.name for _, upscaler in opened.pages)
    return Attempt(model=" and ".join(models), notes=list(dict.fromkeys(notes)))


def write_whole(path: Path, images: Sequence[Image], formats: Formats) -> None:
    """Write the pages of an image file atomically.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with atomic(path) as partial:
        try:
            formats.write_pages(partial, images)
        except SrkitError as error:
            raise type(error)(str(error).replace(str(partial), str(path))) from error
