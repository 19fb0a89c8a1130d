"""One picture from standard input, or to standard output."""

from __future__ import annotations

import sys
from pathlib import Path

from srkit.errors import DataError, OutputError
from srkit.images.formats import Formats
from srkit.upscaling.files import Job

#: What stands for standard input and standard output.
STREAM = "-"
_INPUT = "standard input"


def plan_stream(
    source: str, out: Path | None, formats: Formats, suffix: str | None, folder: Path
) -> Job:
    """Prepare the restoring of one picture that comes from a stream or goes to one.

    Parameters
    ----------
    source
        A file, or `STREAM`, which is read now; its content tells the format.
    out
        A file; `STREAM` or None is standard output.
    formats
        What can be read and written.
    suffix
        Ending of the output, in place of that of the input.
    folder
        For files on the way; a file in it is for :func:`send`.

    Raises
    ------
    DataError
        If the input is missing, empty or of no known format, or the output's format is unknown.
    OutputError
        If standard output is a terminal.
    """
    path = _receive(folder, formats) if source == STREAM else Path(source)
    if not path.is_file():
        raise DataError(f"{path}: no such file; a stream takes one picture")
    ending = f".{suffix.lstrip('.')}" if suffix else formats.suffix_of(path.name) or path.suffix
    if out is None or str(out) == STREAM:
        if sys.stdout.isatty():
            raise OutputError("standard output is a terminal; redirect it: -o - > FILE")
        out = folder / f"output{ending}"
    formats.of_path(out)
    return Job(path, out, _INPUT if source == STREAM else str(path))


def _receive(folder: Path, formats: Formats) -> Path:
    content = sys.stdin.buffer.read()
    if not content:
        raise DataError(f"{_INPUT} is empty; expected a picture")
    suffix = formats.recognise(content)
    if suffix is None:
        raise DataError(
            f"{_INPUT} is of no format that is known by its content; known: "
            f"{', '.join(formats.suffixes)}"
        )
    path = folder / f"input{suffix}"
    path.write_bytes(content)
    return path


def send(path: Path) -> None:
    """Write a file to standard output.

    Raises
    ------
    OutputError
        If nobody reads on.
    """
    try:
        sys.stdout.buffer.write(path.read_bytes())
        sys.stdout.buffer.flush()
    except OSError as error:
        raise OutputError(f"standard output: cannot be written ({error.strerror})") from error
