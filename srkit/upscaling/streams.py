"""One image from standard input, or to standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import BinaryIO

from srkit.errors import DataError, OutputError
from srkit.images._contents import START, kind_of_content
from srkit.images.formats import Formats, split_selection
from srkit.upscaling.jobs import Job, writable_name

#: The name of standard input and standard output.
STREAM = "-"


def plan_stream(
    source: str,
    out: Path | None,
    formats: Formats,
    suffix: str | None,
    folder: Path,
    extension: str | None = None,
) -> Job:
    """Prepare to restore an image from standard input, or to standard output.

    Parameters
    ----------
    source
        A file, or `STREAM`, which is read at once; its content determines the format.
    out
        A file; `STREAM` or None is standard output.
    formats
        The image formats.
    suffix
        Extension of the output, in place of that of the input.
    folder
        For temporary files; the output is a file in it for :func:`send`.
    extension
        The image of the file, if it is not named.

    Raises
    ------
    DataError
        If the input is missing or empty, or a format is unknown.
    """
    given = _receive(folder, formats) if source == STREAM else Path(source)
    path = split_selection(given)[0]
    if not path.is_file():
        raise DataError(f"{path}: no such file; with '{STREAM}', the input is one file")
    name = writable_name(path, Path(path.name), formats).name
    ending = f".{suffix.lstrip('.')}" if suffix else formats.split(name)[1]
    if out is None or str(out) == STREAM:
        out = folder / f"output{ending}"
    name = "standard input" if source == STREAM else source
    return Job.of(given, out, formats, name, extension)


def _receive(folder: Path, formats: Formats) -> Path:
    content = sys.stdin.buffer.read()
    if not content:
        raise DataError("standard input is empty; expected an image")
    suffix = formats.recognise(content)
    if suffix is None:
        kind = kind_of_content(content[:START])
        if kind is not None:
            raise DataError(f"standard input is {kind}; expected an image")
        raise DataError(
            f"unknown image format of standard input; known: {', '.join(formats.suffixes)}"
        )
    path = folder / f"input{suffix}"
    path.write_bytes(content)
    return path


@contextmanager
def reserved_output() -> Iterator[BinaryIO]:
    """Keep standard output for a file: what libraries print meanwhile goes to standard error.

    Raises
    ------
    OutputError
        If standard output is a terminal.
    """
    if sys.stdout.isatty():
        raise OutputError("standard output is a terminal; redirect it: -o - > FILE")
    sys.stdout.flush()
    output = sys.stdout.buffer
    with redirect_stdout(sys.stderr):
        try:
            number = output.fileno()
        except OSError:  # not a file, as in a notebook
            yield output
            return
        with os.fdopen(os.dup(number), "wb", buffering=0) as stream:
            os.dup2(2, number)  # for libraries in C, and for processes that are started
            try:
                yield stream
            finally:
                os.dup2(stream.fileno(), number)


def send(path: Path, output: BinaryIO) -> None:
    """Write a file to standard output.

    Raises
    ------
    OutputError
        If standard output has been closed.
    """
    rest = memoryview(path.read_bytes())
    try:
        while rest:
            rest = rest[output.write(rest) :]
        output.flush()
    except OSError as error:
        raise OutputError(f"standard output: cannot be written ({error.strerror})") from error
