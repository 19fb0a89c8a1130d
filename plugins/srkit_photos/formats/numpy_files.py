"""NumPy files as pictures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar
from zipfile import ZipFile

import numpy as np

from srkit.errors import DataError
from srkit.images import array_of_image, check_pixels, image_of_array
from srkit.interfaces import FormatLimits, Image, ImageSink, ImageSource
from srkit_photos.formats.arrays import damaged, naming
from srkit_photos.formats.metadata import Describing
from srkit_photos.formats.npy_header import read_header

#: Name of the picture in a file with several arrays.
PICTURE = "image"

#: Arrays of such a file that an error names.
NAMED = 8


class Npy(Describing):
    """One array, ``(H, W)``, ``(H, W, C)`` or ``(C, H, W)``; SR is written in the same layout.

    The channel axis is the first or the last if it is shorter than both others, otherwise the last
    with up to 4 entries. Unsigned integers of 8 and 16 bits are levels from black to white; four
    channels of them along the last axis are RGB and opacity. All other numbers are values of any
    range, including NaN, which are read and written as float32.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".npy",)
    signature = rb"\x93NUMPY"
    windowed: ClassVar[tuple[str, ...]] = (".npy",)
    limits = FormatLimits((8, 16, 32), frozenset({"alpha"}))

    def read(self, path: Path) -> Image:
        """Read a file.

        Raises
        ------
        DataError
            If it is damaged, or does not contain an array that is an image.
        """
        try:
            with path.open("rb") as file:
                _check_numbers(path, read_header(file)[2])
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except DataError:
            raise
        except Exception as error:  # ValueError, EOFError, OSError and more
            raise damaged(path, error) from error
        with naming(path):
            return image_of_array(array)

    def write(self, path: Path, image: Image) -> None:
        """Write floats unchanged, or integers if the metadata have ``bits: 8`` or 16."""
        with naming(path):
            np.save(path, array_of_image(image))

    def open_source(self, path: Path) -> ImageSource | None:
        """Open a file for reading by rows; None if its rows are not contiguous."""
        from srkit_photos.formats.numpy_frames import open_source

        return open_source(path)

    def open_sink(self, path: Path, outline: Image, *, fresh: bool) -> ImageSink:
        """Begin or resume a file that is written by windows."""
        from srkit_photos.formats.numpy_frames import NpySink

        return NpySink(path, outline, fresh=fresh)


class Npz(Npy):
    """An archive of arrays: the only array, or the array named ``image``.

    The layout is that of a ``.npy`` file; the variance of SR is the array ``variance``,
    and its spread over flips and rotations the array ``spread``.
    """

    suffixes = (".npz",)
    signature = rb"PK\x03\x04"
    windowed: ClassVar[tuple[str, ...]] = ()
    limits = FormatLimits((8, 16, 32), frozenset({"alpha", "variance", "spread"}))

    def read(self, path: Path) -> Image:
        """Read a file.

        Raises
        ------
        DataError
            If it is damaged, or does not contain an array that is an image.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                names = arrays.files
                name = names[0] if len(names) == 1 else PICTURE
                if name in names:
                    _check_size(path, arrays.zip, name)
                array = arrays[name] if name in names else None
        except DataError:
            raise
        except Exception as error:  # zipfile and zlib raise many kinds
            raise damaged(path, error) from error
        if array is None:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            listed = f"{', '.join(names[:NAMED])}{more}" or "(none)"
            raise DataError(
                f"{path}: contains the arrays {listed}; expected one array, "
                f"or one named '{PICTURE}'"
            )
        with naming(path):
            return image_of_array(array)

    def open_source(self, path: Path) -> ImageSource | None:
        """Return None: compressed files cannot be read by rows."""
        return None

    def write(self, path: Path, image: Image) -> None:
        """Write the picture and, if the metadata contain it, its variance or spread."""
        with naming(path):
            arrays: dict[str, Any] = {PICTURE: array_of_image(image)}
        for name in ("variance", "spread"):
            if name in image.metadata:
                values = Image(image.metadata[name], metadata=_layout(image))
                arrays[name] = array_of_image(values)
        np.savez_compressed(path, **arrays)


def _check_numbers(path: Path, dtype: np.dtype[Any]) -> None:
    """Check that an array has no objects, which could run code when they are loaded."""
    if dtype.hasobject:
        raise DataError(
            f"{path}: contains Python objects, which are not loaded; expected an array of numbers"
        )


def _check_size(path: Path, archive: ZipFile, name: str) -> None:
    """Check that an array is not too large to be decompressed, and has no objects."""
    with archive.open(f"{name}.npy") as file:
        shape, _, dtype = read_header(file)
    _check_numbers(path, dtype)
    *others, last = shape or (1,)
    check_pixels(path, math.prod(others), last)


def _layout(image: Image) -> dict[str, int | None]:
    return {key: value for key, value in image.metadata.items() if key == "channel_axis"}
