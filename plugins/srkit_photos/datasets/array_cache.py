"""A cache of decoded pictures as uncompressed arrays, so that a crop reads only its rows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import numpy as np
from filelock import FileLock
from rich.console import Console

from srkit.errors import DataError
from srkit.functional import Values
from srkit.images import Formats
from srkit.system import atomic, progress_bars

#: Maximum number of decoding threads; each holds a few copies of a picture.
THREADS = 8


class ArrayCache:
    """Arrays of given pictures; missing arrays are written.

    The name of an array contains the size and modification time of its picture: a picture that
    changed is decoded again, and an interrupted run resumes. An array is ``(H, W)`` or
    ``(H, W, C)``, uint8 or uint16, in the .npy format; opacity is dropped.

    Parameters
    ----------
    folder
        Folder of the arrays; several data sets may share it.
    pictures
        The picture files.
    formats
        Image formats that read them.
    console
        Where progress is shown; by default the standard error of a terminal.

    Raises
    ------
    DataError
        If a picture cannot be read or does not have 8 or 16 bits.
    OutputError
        If an array cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        pictures: Sequence[Path],
        formats: Formats,
        console: Console | None = None,
    ) -> None:
        self._arrays = {picture: _place(folder, picture) for picture in pictures}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".lock"):  # only one process decodes
                self._fill(formats, console)
        except OSError as error:
            raise DataError(
                f"{folder}: cannot write the cache ({error}); free disk space or choose another "
                "cache"
            ) from error

    def _fill(self, formats: Formats, console: Console | None) -> None:
        missing = [item for item in self._arrays.items() if not item[1].is_file()]
        if not missing:
            return
        threads = min(THREADS, os.cpu_count() or 1)
        with ThreadPoolExecutor(threads) as pool, progress_bars(console) as bars:
            done = pool.map(lambda item: _write(item[0], item[1], formats), missing)
            for _ in bars.track(done, len(missing), description="caching pictures"):
                pass

    def open(self, picture: Path) -> Values:
        """Map a picture's array into memory, without reading it.

        Raises
        ------
        DataError
            If it is missing or damaged.
        """
        path = self._arrays[picture]
        try:
            array: Values = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path}: not the array of {picture} ({error}); delete it to recreate it"
            ) from error
        return array


def _place(folder: Path, picture: Path) -> Path:
    """Return the file name of the array of a picture in its current state."""
    try:
        state = picture.stat()
    except OSError as error:
        raise DataError(f"{picture}: cannot be read ({error.strerror})") from error
    parent = picture.parent.resolve()
    key = blake2b(os.fsencode(parent), digest_size=4).hexdigest()
    name = f"{picture.name}.{state.st_size}-{state.st_mtime_ns}.npy"
    return folder / f"{parent.name}-{key}" / name


def _write(picture: Path, place: Path, formats: Formats) -> None:
    """Decode a picture and write its array, replacing that of an earlier state."""
    image = formats.read(picture)
    bits = image.metadata.get("bits")
    if bits not in (8, 16):
        raise DataError(
            f"{picture}: the cache supports pictures of 8 or 16 bits, not {bits}; remove `cache`"
        )
    levels = (image.pixels.movedim(0, -1) * (2**bits - 1)).round().numpy()
    levels = levels.astype(np.uint8 if bits == 8 else np.uint16)
    with atomic(place) as partial:
        np.save(partial, np.ascontiguousarray(levels))
    for other in place.parent.iterdir():
        if other != place and other.name.rpartition(".npy")[0].rpartition(".")[0] == picture.name:
            with suppress(PermissionError):  # Windows removes no file that is mapped into memory
                other.unlink(missing_ok=True)
