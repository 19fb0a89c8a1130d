"""Restore files: existing outputs are kept, and a file that fails does not stop the others."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.markup import escape

from srkit.components.crashes import describe, wants_traceback
from srkit.errors import OutputError, SrkitError
from srkit.functional.resizing import resized_side
from srkit.images._fidelity import check_size, check_values, what_is_lost
from srkit.interfaces import Image, ImageFormat, PagedFormat
from srkit.system.files import check_length
from srkit.system.progress import progress_bars
from srkit.upscaling.frames.files import (
    NO_LIMIT,
    RestoreWindows,
    check_memory,
    one_by_one,
    open_large,
    remove_left,
    upscale_frame,
)
from srkit.upscaling.frames.windows import FrameUpscaler
from srkit.upscaling.groups import map_groups
from srkit.upscaling.images import upscale_images
from srkit.upscaling.jobs import Job
from srkit.upscaling.tiling import out_of_memory
from srkit.upscaling.upscaler import TOGETHER, ImageUpscaler
from srkit.upscaling.upscalers import AnyUpscaler

#: Extensions of files that are not images, of which at most so many are listed.
MOST = 5
#: Receives what is being restored, and its LR pixels done and in total.
Report = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class FileResult:
    """The result of a job.

    Parameters
    ----------
    skipped
        Whether the output already existed.
    model
        Name of the model that restored the file.
    notes
        Messages for the user.
    failure
        The error, with the name of the file; empty if there is none.
    """

    skipped: bool = False
    model: str = ""
    notes: Sequence[str] = ()
    failure: str = ""


@dataclass(slots=True)
class Summary:
    """The results of all jobs.

    Parameters
    ----------
    done, skipped
        Numbers of files that were restored, and that already existed.
    failed
        The errors, one line per file.
    models
        Names of the models, each once.
    output
        The last file that was written.
    ignored
        Numbers of files in the folders that are not images, by extension.
    outputs
        Number of inputs that were left out, since they are outputs of another input.
    """

    done: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list, compare=False)
    output: Path | None = field(default=None, compare=False)
    ignored: Counter[str] = field(default_factory=Counter, compare=False)
    outputs: int = field(default=0, compare=False)
    _notes: Counter[str] = field(default_factory=Counter, compare=False)

    def add(self, job: Job, result: FileResult, console: Console) -> None:
        """Count a file, and print its messages, each for the first file only."""
        if result.failure:
            self.fail(result.failure, console)
        elif result.skipped:
            self.skipped += 1
        else:
            self.done += 1
            self.output = job.target.path
            self.models += [result.model] if result.model not in self.models else []
        for note in result.notes:
            if not self._notes[note]:
                console.print(escape(f"{job}: {note}"), highlight=False, soft_wrap=True)
        self._notes.update(result.notes)

    def print_repeated(self, console: Console) -> None:
        """Print how many files the messages apply to that several have in common."""
        for note, count in self._notes.items():
            if count > 1:
                text = escape(f"{count} files: {note}")
                console.print(text, highlight=False, soft_wrap=True)

    def fail(self, failure: str, console: Console) -> None:
        """Count a file that failed, and print the error."""
        self.failed.append(failure)
        console.print(f"[red]failed[/] {escape(failure)}", soft_wrap=True)

    def __str__(self) -> str:
        restored = f"{self.done} restored" + (
            f" by {' and '.join(self.models)}" if self.models else ""
        )
        alone = self.done == 1 and not self.skipped and not self.failed
        parts = [f"{restored}: {self.output}" if alone and self.output is not None else restored]
        if self.skipped:
            parts.append(f"{self.skipped} skipped (output exists; --overwrite replaces it)")
        parts += [f"{len(self.failed)} failed"] if self.failed else []
        if self.outputs:
            parts.append(f"{self.outputs} left out (outputs of earlier commands)")
        if self.ignored:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.ignored.most_common(MOST))
            more = ", ..." if len(self.ignored) > MOST else ""
            parts.append(f"{self.ignored.total()} not images ({kinds}{more})")
        return ", ".join(parts)


def upscale_files(jobs: Sequence[Job], upscaler: FileUpscaler, console: Console) -> Summary:
    """Restore files in their order, and show progress, messages and errors."""
    summary = Summary()
    with progress_bars(console) as bars:
        whole = bars.add_task("files", total=len(jobs), visible=len(jobs) > 1)
        part = bars.add_task("", total=None)

        def report(what: str, done: int, total: int | None) -> None:
            bars.update(part, description=what, completed=done, total=total)

        results = upscaler.results(jobs, report)
        for job in jobs:
            try:
                result = next(results)
            except KeyboardInterrupt:
                text = f"{job}: stopped; run the same command to resume"
                console.print(escape(text), soft_wrap=True)
                raise
            summary.add(job, result, console)
            bars.advance(whole)
    return summary


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file that was read, each page with its upscaler."""

    job: Job
    pages: Sequence[tuple[Image, ImageUpscaler]]
    notes: Sequence[str]

    @property
    def size(self) -> int:
        """LR pixels."""
        return sum(math.prod(page.pixels.shape[-2:]) for page, _ in self.pages)


class FileUpscaler:
    """Restores files.

    Parameters
    ----------
    upscalers
        Restore their images.
    overwrite
        Replace existing outputs; by default they are skipped, so that a stopped run is resumed.
    metadata
        Metadata that the user states for all images, such as ``zero_point``.
    restore_windows
        Restores the windows of frames that are too large to be restored whole.
    """

    def __init__(
        self,
        upscalers: AnyUpscaler,
        *,
        overwrite: bool = False,
        metadata: Mapping[str, Any] = MappingProxyType({}),
        restore_windows: RestoreWindows = one_by_one,
    ) -> None:
        self._upscalers, self._overwrite, self._metadata = upscalers, overwrite, metadata
        self._restore_windows = restore_windows

    def results(
        self, jobs: Iterable[Job], report: Report = lambda what, done, total: None
    ) -> Iterator[FileResult]:
        """Restore files in their order, small ones together; errors are part of the results."""
        held: list[_Opened] = []
        for job in jobs:
            found = self._begin(job, report)
            if isinstance(found, _Opened) and found.size <= TOGETHER:
                held.append(found)
                if sum(each.size for each in held) >= TOGETHER:
                    yield from self._finish(held, report)
                    held = []
                continue
            yield from self._finish(held, report)
            held = []
            yield found if isinstance(found, FileResult) else self._finish([found], report)[0]
        yield from self._finish(held, report)

    def _begin(self, job: Job, report: Report) -> FileResult | _Opened:
        """Read a file unless its output exists; restore it if it is too large to be read."""
        try:
            if _exists(job.target.path, self._overwrite):
                remove_left(job.target.path)
                return FileResult(skipped=True)
            report(job.source.path.name, 0, None)
            with open_large(job, self._upscalers) as source:
                if source is None:
                    return self._read(job)
                upscaler = self._upscalers.for_image(source.outline)
                frame = FrameUpscaler(upscaler, source, job.source.format, self._metadata)
                report_rows = partial(report, job.source.path.name)
                notes = upscale_frame(job, frame, self._restore_windows, report_rows)
                return FileResult(model=upscaler.model.name, notes=notes)
        except Exception as error:
            return FileResult(failure=describe_failure(job, error))

    def _read(self, job: Job) -> _Opened:
        """Read a file, and choose the upscalers of its pages.

        Raises
        ------
        DataError
            If it cannot be read, or its SR could not be written.
        """
        pages, target, notes = job.source.read_pages(), job.target, []
        if len(pages) > 1 and not isinstance(target.format, PagedFormat):
            notes.append(
                f"only the first of {len(pages)} pages is restored: a {target.suffix} file has one"
            )
            pages = pages[:1]
        upscalers = [self._upscalers.for_image(page) for page in pages]
        for page, upscaler in zip(pages, upscalers, strict=True):
            height, width = (resized_side(side, upscaler.scale) for side in page.pixels.shape[-2:])
            check_size(height, width, target)
            check_values(page, target)
            check_memory(tuple(page.pixels.shape), upscaler.scale)
        return _Opened(job, list(zip(pages, upscalers, strict=True)), notes)

    def _finish(self, held: Sequence[_Opened], report: Report) -> list[FileResult]:
        """Restore and write files that were read; if one fails, each is tried alone."""
        if not held:
            return []
        what = held[0].job.source.path.name if len(held) == 1 else f"{len(held)} small files"
        try:
            restored = self._restore(held, partial(report, what))
        except Exception as error:
            if len(held) > 1:
                return [result for each in held for result in self._finish([each], report)]
            return [FileResult(failure=describe_failure(held[0].job, error))]
        return [_write(each, pages) for each, pages in zip(held, restored, strict=True)]

    def _restore(
        self, held: Sequence[_Opened], report: Callable[[int, int], None]
    ) -> list[list[tuple[Image, list[str]]]]:
        """Restore the pages of files; those of one format with one upscaler, together."""

        def restore(
            group: list[tuple[ImageFormat, Image, ImageUpscaler]],
        ) -> list[tuple[Image, list[str]]]:
            image_format, _, upscaler = group[0]
            images = [image for _, image, _ in group]
            return upscale_images(images, image_format, upscaler, self._metadata, report)

        pages = [(each.job.source.format, *page) for each in held for page in each.pages]
        restored = iter(
            map_groups(restore, pages, lambda page: (id(page[0]), id(page[2].model), page[2].scale))
        )
        return [list(islice(restored, len(each.pages))) for each in held]


def _exists(target: Path, overwrite: bool) -> bool:
    """Return whether an output exists and is kept.

    Raises
    ------
    OutputError
        If it can never be written: it is a folder or read-only, or its name is too long.
    """
    check_length(target)
    if target.is_dir():
        raise OutputError(f"{target}: cannot be written (it is a folder); choose another name")
    if not target.exists():
        return False
    # The file is replaced rather than opened, which its permissions would not prevent.
    if overwrite and not target.stat().st_mode & 0o222:
        raise OutputError(f"{target}: cannot be written (it is read-only); choose another name")
    return not overwrite


def _write(opened: _Opened, pages: Sequence[tuple[Image, list[str]]]) -> FileResult:
    """Write SR of a file; an error becomes part of the result."""
    job, notes = opened.job, list(opened.notes)
    try:
        for sr, messages in pages:
            lost = what_is_lost(sr, job.target)
            notes += messages if lost is None else [*messages, lost]
        job.target.write_pages([sr for sr, _ in pages])
    except Exception as error:
        return FileResult(failure=describe_failure(job, error))
    models = dict.fromkeys(upscaler.model.name for _, upscaler in opened.pages)
    return FileResult(model=" and ".join(models), notes=list(dict.fromkeys(notes)))


def describe_failure(job: Job, error: Exception) -> str:
    """Describe an error in a line that begins with the file, unless it names another one."""
    if not isinstance(error, SrkitError):
        if out_of_memory(error):
            return f"{job}: does not fit into memory; {NO_LIMIT}"
        if wants_traceback():
            raise error
        return f"{job}: {describe(error)}"
    text = str(error).replace(str(job.source.path), str(job))
    return text if text.startswith(str(job)) or ": cannot be" in text else f"{job}: {text}"
