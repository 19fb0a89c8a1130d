"""NumPy files larger than memory: read by rows, written by windows."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

from srkit.images import StoredArray, array_of_image, channel_axis, image_of_values, outline_of
from srkit.interfaces import Image
from srkit_photos.formats.array_windows import ArraySink, ArraySource, laid_out, stored_shape
from srkit_photos.formats.arrays import damaged, naming
from srkit_photos.formats.npy_header import read_header


def open_source(path: Path) -> ArraySource | None:
    """Open a file for reading by rows; None if its rows are not contiguous.

    Raises
    ------
    DataError
        If it is damaged, or does not contain an array that is an image.
    """
    file = path.open("rb", buffering=0)
    try:
        source = _source(path, file)
    except BaseException:
        file.close()
        raise
    if source is None:
        file.close()
    return source


def _source(path: Path, file: BinaryIO) -> ArraySource | None:
    try:
        shape, of_fortran, dtype = read_header(file)
    except Exception as error:  # ValueError, EOFError and more
        raise damaged(path, error) from error
    with naming(path):
        axis = channel_axis(shape)
    if of_fortran or dtype.hasobject:
        return None
    array = StoredArray(file, file.tell(), stored_shape(shape, axis), dtype)

    def read(start: int, stop: int) -> Image:
        with naming(path):
            return image_of_values(laid_out(array.read(start, stop), axis), axis)

    outline = outline_of(read(0, 1), *array.shape[1:3])
    return ArraySource(path, file, read, outline)


class NpySink(ArraySink):
    """A ``.npy`` file that is written by windows.

    Parameters
    ----------
    path
        The file.
    outline
        The image without its values.
    fresh
        Whether to begin the file instead of resuming it.
    """

    def __init__(self, path: Path, outline: Image, *, fresh: bool) -> None:
        height, width = outline.pixels.shape[-2:]
        axis = outline.metadata.get("channel_axis", -1 if len(outline.pixels) > 1 else None)
        bits = outline.metadata.get("bits")
        dtype = np.dtype({8: np.uint8, 16: np.uint16}.get(bits or 0, np.float32))
        channels = len(outline.pixels) + ("alpha" in outline.metadata)
        if axis is None and channels > 1:
            axis = -1
        shapes = {None: (height, width), 0: (channels, height, width)}
        shape = shapes.get(axis, (height, width, channels))
        file = path.open("w+b" if fresh else "r+b", buffering=0)
        try:
            if fresh:
                header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
            elif read_header(file) != (shape, False, dtype):
                raise ValueError("another array")
        except BaseException:
            file.close()
            raise

        def values(part: Image) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
            with naming(path):
                return array_of_image(part)

        super().__init__(StoredArray(file, file.tell(), stored_shape(shape, axis), dtype), values)
