"""Decide which files are restored, and where their SR is written."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from srkit.errors import DataError
from srkit.images.formats import Formats, ImageFile, split_selection
from srkit.interfaces import ReadOnlyFormat
from srkit.system.files import is_partial

#: Stems of outputs beside their inputs, and of the residuals of `--check` beside those.
_OUTPUT = re.compile(r"(.+)_(x[\d.]+|w\d+|h\d+|[\d.]+mp)(_residual.*)?")


@dataclass(frozen=True, slots=True)
class Job:
    """A file to restore.

    Parameters
    ----------
    source, target
        Files of LR and of SR.
    name
        What messages call the job; the path of its source by default.
    """

    source: ImageFile
    target: ImageFile
    name: str = ""

    @classmethod
    def of(
        cls,
        source: Path,
        target: Path,
        formats: Formats,
        name: str = "",
        extension: str | None = None,
    ) -> Job:
        """Find the formats of two files, that of the source by its content.

        Parameters
        ----------
        source, target, name
            As the class has them; ``FILE[EXTENSION]`` is one of the images of a file.
        extension
            The image that is read, if `source` names none.

        Raises
        ------
        DataError
            If the source cannot be read, the format of one is unknown, or that of the target is
            only read.
        """
        found, written = formats.source(source, extension), _writable(target, formats)
        return cls(found, written, name or str(source))

    def __str__(self) -> str:
        return self.name or str(self.source.path)


@dataclass(slots=True)
class Plan:
    """What is restored.

    Parameters
    ----------
    jobs
        The files whose formats are known.
    failures
        One error for each other file.
    ignored
        Numbers of files in folders that are not images, by extension.
    outputs
        Number of inputs that are left out, since they are outputs of another input.
    """

    jobs: list[Job] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    outputs: int = 0


def check_inputs(inputs: Sequence[str]) -> None:
    """Check that every input of :func:`plan` exists, before a model for them is downloaded.

    Raises
    ------
    DataError
        If there is no such file or folder.
    """
    for given in inputs:
        names = given, str(split_selection(given)[0])
        if not any(Path(n).exists() or glob.glob(n, recursive=True) for n in names):  # noqa: PTH207 - may be absolute
            raise DataError(f"{names[1]}: no such file or folder")


def check_names(
    inputs: Sequence[str], out: Path | None, suffix: str | None, formats: Formats
) -> None:
    """Check a single input and the names of outputs, before a model for them is downloaded.

    Parameters
    ----------
    inputs, out, suffix, formats
        As :func:`plan` has them; the only input may be ``-``.

    Raises
    ------
    DataError
        If the input is not an image, or files of such names cannot be written.
    """
    if suffix is not None:
        _writable(Path(f"*.{suffix.lstrip('.')}"), formats)
    if len(inputs) == 1 and Path(inputs[0]).is_file():
        formats.source(Path(inputs[0]))
    _check_out(inputs, out, formats)


def _check_out(inputs: Sequence[str], out: Path | None, formats: Formats) -> None:
    """Check that an output that looks like a file name can be written."""
    if out is None or out.is_dir() or not out.suffix:
        return
    if formats.knows(out):
        _writable(out, formats)
    elif inputs[0] == "-" or (len(inputs) == 1 and Path(inputs[0]).is_file()):
        try:
            formats.file(out)
        except DataError as error:
            raise DataError(f"{error}; to write into a folder, create it first") from None


def plan(
    inputs: Sequence[str],
    out: Path | None,
    formats: Formats,
    label: str,
    suffix: str | None,
    extension: str | None = None,
) -> Plan:
    """List the files to restore.

    A folder is searched recursively, without what is hidden, and mirrored. Without `out`, SR is
    written beside its LR as ``NAME_x4.png``, or ``NAME_SCI_x4.fits`` of an image of a file.

    Parameters
    ----------
    inputs
        Files, folders, and patterns such as ``*.png``; ``FILE[EXTENSION]`` is one of the images of
        a file.
    out
        A file name with a known extension for a single input; else a folder.
    formats
        The image formats.
    label
        Label of the size in default output names, such as ``x4``.
    suffix
        Extension of the outputs, in place of that of the inputs.
    extension
        The image of each file, if it is not named.

    Raises
    ------
    DataError
        If an input is missing, no format is known, a folder contains no images, two outputs would
        be the same file, or an output would replace an input.
    """
    check_inputs(inputs)
    _check_out(inputs, out, formats)
    made = Plan()
    found = [pair for given in inputs for pair in _find(given, formats, made.ignored)]
    if suffix is not None:
        ending = f".{suffix.lstrip('.')}"
        found = [(s, name.with_name(formats.split(name.name)[0] + ending)) for s, name in found]
    else:
        found = [(s, writable_name(s, name, formats)) for s, name in found]
    if out is None:
        if extension is not None:
            label = f"{_word(extension)}_{label}"
        pairs = [(source, _beside(source, name, formats, label)) for source, name in found]
        targets = {target for _, target in pairs}  # perhaps of an earlier run
        pairs = [(source, target) for source, target in pairs if source not in targets]
        stems = {_stem(source, formats) for source, _ in pairs}
        inputs_alone = [p for p in pairs if not _is_output(_stem(p[0], formats), stems)]
        made.outputs, pairs = len(pairs) - len(inputs_alone), inputs_alone
    elif formats.knows(out) and not out.is_dir():
        if len(found) > 1 or Path(inputs[0]).is_dir():
            raise DataError(f"{out}: is a file name; give a folder for several inputs")
        if suffix is not None and not out.name.lower().endswith(ending.lower()):
            raise DataError(
                f"{out}: --format {suffix} contradicts the extension of the output; drop one of "
                "them"
            )
        pairs = [(source, out) for source, _ in found]
    else:
        _check_folder(out, len(found))
        pairs = [(source, out / name) for source, name in found]
    for source, target in pairs:
        try:
            made.jobs.append(Job.of(source, target, formats, extension=extension))
        except DataError as error:
            made.failures.append(str(error))
    if len(made.failures) == len(pairs) == 1:
        raise DataError(made.failures[0])
    _check_targets(made.jobs)
    return made


def _find(given: str, formats: Formats, ignored: Counter[str]) -> list[tuple[Path, Path]]:
    """List the files of an input, each with its path relative to that input."""
    path = Path(given)
    if path.is_dir():
        files = []
        for file in sorted(path.rglob("*")):
            hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
            if hidden or not file.is_file() or is_partial(file):
                continue
            if formats.knows(file):
                files.append(file)
            else:
                ignored[file.suffix.lower() or "without extension"] += 1
        if not files:
            known = ", ".join(formats.suffixes)
            raise DataError(f"{path}: contains no images; known extensions: {known}")
        return [(file, file.relative_to(path)) for file in files]
    if path.is_file():
        return [(path, Path(path.name))]
    matches = sorted(glob.glob(given, recursive=True))  # noqa: PTH207 - may be absolute
    base, extension = split_selection(given)
    if not matches and extension is not None:
        return [
            (Path(f"{source}[{extension}]"), _labelled(name, _word(extension), formats))
            for source, name in _find(str(base), formats, ignored)
        ]
    return [
        pair for match in matches if Path(match) != path for pair in _find(match, formats, ignored)
    ]


def _word(extension: str) -> str:
    """Return the name of an image of a file as a part of file names."""
    return re.sub(r"\W+", "_", extension)


def _stem(path: Path, formats: Formats) -> Path:
    return path.with_name(formats.split(path.name)[0])


def _is_output(stem: Path, stems: Collection[Path]) -> bool:
    """Return whether a file is, by its name, SR of one of `stems` in whatever size."""
    found = _OUTPUT.fullmatch(stem.name)
    return found is not None and stem.with_name(found[1]) in stems


def _writable(target: Path, formats: Formats) -> ImageFile:
    """Find the format of an output.

    Raises
    ------
    DataError
        If it is unknown or only read.
    """
    written = formats.file(target)
    if isinstance(written.format, ReadOnlyFormat):
        raise DataError(
            f"{target}: {written.suffix} files are only read; write {written.format.sr_suffix}"
        )
    return written


def _labelled(name: Path, label: str, formats: Formats) -> Path:
    stem, ending = formats.split(name.name)
    return name.with_name(f"{stem}_{label}{ending}")


def writable_name(source: Path, name: Path, formats: Formats) -> Path:
    """Return the name of SR, whose extension is that of LR if files of it can be written."""
    stem, ending = formats.split(name.name)
    if formats.knows(name):
        image_format = formats.of_path(name)
    else:
        try:
            image_format = formats.source(source).format
        except DataError:  # reported with the job
            return name
        ending = image_format.suffixes[0]
    if isinstance(image_format, ReadOnlyFormat):
        ending = image_format.sr_suffix
    return name.with_name(stem + ending)


def _beside(source: Path, name: Path, formats: Formats, label: str) -> Path:
    return source.parent / _labelled(name, label, formats).name


def _check_folder(out: Path, count: int) -> None:
    """Check that outputs can be written to a folder, which need not exist."""
    if not any(each.exists() and not each.is_dir() for each in (out, *out.parents)):
        return
    if count == 1:
        raise DataError(
            f"{out}: is neither a folder nor a file name with a known extension; choose another "
            "output"
        )
    raise DataError(f"{out}: is not a folder; choose another output for {count} files")


def _check_targets(jobs: Iterable[Job]) -> None:
    sources = {job.source.path.resolve() for job in jobs}
    seen: dict[Path, Job] = {}
    for job in jobs:
        target = job.target.path.resolve()
        if target in sources:
            raise DataError(f"{job.target.path}: is an input; choose another output")
        if target in seen:
            raise DataError(
                f"{job.target.path}: both {seen[target]} and {job} would be written to it; restore "
                "them one by one, or into separate folders"
            )
        seen[target] = job
