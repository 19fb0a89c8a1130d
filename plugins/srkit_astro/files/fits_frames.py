"""FITS images larger than the memory: read by rows, written by windows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from astropy.io import fits

from srkit.errors import DataError
from srkit.images import StoredArray, chunks
from srkit.interfaces import Image, ImageSource
from srkit_astro.files.checksums import encoded, sum_words
from srkit_astro.files.fits_io import (
    Planes,
    Values,
    as_planes,
    check_beside,
    flag_type,
    plane_shape,
    planes_of,
    range_between,
    reading,
    stripped,
    to_hdus,
)

#: What a header is filled up to, in bytes, and the size of its cards.
BLOCK, CARD = 2880, 80
#: Lines that the header may gain once all pixels are restored.
SPARE = 4


def open_source(path: Path) -> ImageSource | None:
    """Open a file by rows; None of one that is compressed, as a whole or its images.

    Raises
    ------
    DataError
        If the file is damaged, or holds no image.
    """
    file = path.open("rb")
    source = None
    try:
        with reading(path):
            source = _source(path, file)
    finally:
        if source is None:
            file.close()
    return source


def _source(path: Path, file: BinaryIO) -> FitsSource | None:
    if file.read(2) == b"\x1f\x8b":
        return None
    file.seek(0)
    hdus = fits.open(file, memmap=False)
    found = planes_of(path, hdus)
    if any(isinstance(hdu, fits.CompImageHDU) for hdu in found[:3]):
        return None
    for hdu in hdus:
        _check_length(path, hdu, file)
    return FitsSource(path, file, hdus, found)


class FitsSource:
    """Rows of a FITS image and its mask, scaled as its header says.

    Parameters
    ----------
    path
        The file.
    file
        Closed in the end.
    hdus
        All that the file holds; their checksums are verified before the first rows are read.
    planes
        Where it has what.
    """

    def __init__(self, path: Path, file: BinaryIO, hdus: fits.HDUList, planes: Planes) -> None:
        self._path, self._file, self._planes = path, file, planes
        self._unverified = list(hdus)
        shape = plane_shape(path, planes.science.shape)
        metadata = dict(planes.metadata)
        if planes.mask is not None:
            of_mask = check_beside(path, planes.mask, shape)
            self._flags = flag_type(planes.mask)
            kind = torch.from_numpy(np.empty(0, self._flags)).dtype
            metadata["mask"] = torch.empty(of_mask, dtype=kind, device="meta")
            metadata["mask_header"] = stripped(planes.mask.header)
        if planes.noise is not None:
            # Not read, for SR has none of it; but whoever enlarges tells so.
            beside = check_beside(path, planes.noise, shape)
            metadata["variance"] = torch.empty(beside, device="meta")
        self.outline = Image(torch.empty(shape, device="meta"), metadata=metadata)

    def data_range(self, low: float, high: float) -> tuple[float, float]:
        """Give black and white: the ends of the finite values."""
        return range_between(low, high)

    def rows(self, start: int, stop: int) -> Image:
        """Read rows of the image and of its mask.

        Raises
        ------
        DataError
            If the file is damaged, or they do not fit in float32.
        """
        while self._unverified:
            _verify(self._path, self._unverified.pop(0), self._file)
        with reading(self._path):
            values = as_planes(self._path, _rows(self._planes.science, start, stop), np.float32)
            metadata = dict(self.outline.metadata)
            if self._planes.mask is not None:
                flags = as_planes(self._path, _rows(self._planes.mask, start, stop), self._flags)
                metadata["mask"] = torch.from_numpy(flags)
        return Image(torch.from_numpy(values), metadata=metadata)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _rows(hdu: Any, start: int, stop: int) -> Values:
    """Read rows of all planes of an extension."""
    extra = len(hdu.shape) - 2
    values = hdu.section[(*[slice(None)] * extra, slice(start, stop), slice(None))]
    stored: Values = values.reshape(-1, stop - start, hdu.shape[-1])
    return stored


def _check_length(path: Path, hdu: Any, file: BinaryIO) -> None:
    """Refuse a file that ends before the data of an extension do."""
    if hdu.fileinfo()["datLoc"] + hdu.size > file.seek(0, os.SEEK_END):
        raise DataError(
            f"{path}: cannot be read as FITS (it ends before {hdu.name or 'its image'} does); "
            "it may be damaged or incomplete: copy it again, or remove it"
        )


def _verify(path: Path, hdu: Any, file: BinaryIO) -> None:
    """Compare the data of an extension with the checksum that its header states."""
    stated = hdu.header.get("DATASUM")
    if stated is None:
        return
    place = hdu.fileinfo()
    try:
        found = sum_words(chunks(file, place["datLoc"], place["datLoc"] + place["datSpan"]))
        sound = found == int(stated)
    except (EOFError, ValueError):  # it ends early, or states no number
        sound = False
    if not sound:
        raise DataError(
            f"{path}: cannot be read as FITS (Datasum verification failed for {hdu.name}); it may "
            "be damaged or incomplete: copy it again, or remove it"
        )


class FitsSink:
    """A FITS file that is written by windows: the image, its mask and its variance.

    Parameters
    ----------
    path
        The file.
    outline
        The image without its values.
    fresh
        Begin it; else go on with it.
    """

    def __init__(self, path: Path, outline: Image, *, fresh: bool) -> None:
        self._path = path
        self._file = path.open("w+b" if fresh else "r+b", buffering=0)
        self._headers: list[int] = []
        self._arrays: list[StoredArray] = []
        end = 0
        for hdu in _laid_out(path, outline):
            room = len(_card_images(hdu.header, SPARE))
            values = hdu.data.reshape((-1, *hdu.data.shape[-2:], 1)).shape
            kind = hdu.data.dtype.newbyteorder(">")
            array = StoredArray(self._file, end + room, values, kind)
            self._headers.append(end)
            self._arrays.append(array)
            end = array.offset + -(-(array.end - array.offset) // BLOCK) * BLOCK
        self._end = end

    def write(self, top: int, left: int, part: Image) -> None:
        """Write a window of the image and its planes."""
        planes = [part.pixels, part.metadata.get("mask"), part.metadata.get("variance")]
        given = [plane for plane in planes if plane is not None]
        for array, plane in zip(self._arrays, given, strict=True):
            array.write(top, left, plane.detach().cpu().numpy()[..., None])

    def digest(self, start: int, stop: int) -> str:
        """Give a checksum of rows of the image and its planes."""
        found = 0
        for array in self._arrays:
            found = array.digest(start, stop, found)
        return f"{found:08x}"

    def finish(self, outline: Image) -> None:
        """Write the headers, with checksums of what the file holds."""
        self._file.truncate(self._end)
        layout = zip(_laid_out(self._path, outline), self._headers, self._arrays, strict=True)
        for hdu, start, array in layout:
            end = array.offset + -(-(array.end - array.offset) // BLOCK) * BLOCK
            data = sum_words(chunks(self._file, array.offset, end))
            header = hdu.header
            header["CHECKSUM"] = ("0" * 16, "HDU checksum")
            header["DATASUM"] = (str(data), "data unit checksum")
            room = array.offset - start
            text = _card_images(header, 0, room)
            header["CHECKSUM"] = encoded(sum_words([text], data))
            self._file.seek(start)
            self._file.write(_card_images(header, 0, room))
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _laid_out(path: Path, outline: Image) -> fits.HDUList:
    hdus = to_hdus(path, outline)
    hdus.update_extend()
    hdus.verify("exception")
    for hdu in hdus:
        hdu.header["CHECKSUM"] = ("0" * 16, "HDU checksum")
        hdu.header["DATASUM"] = ("0", "data unit checksum")
    return hdus


def _card_images(header: fits.Header, spare: int, room: int = 0) -> bytes:
    """Write a header to whole blocks, with room for more cards, or up to so many bytes."""
    text: str = header.tostring(endcard=False, padding=False)
    needed = len(text) + (spare + 1) * CARD
    size = room or -(-needed // BLOCK) * BLOCK
    blocks = -(-(len(text) + CARD) // BLOCK)
    # Blank cards fill whole blocks that are not needed, since nothing may follow END.
    blank = (size // BLOCK - blocks) * BLOCK
    return (text + " " * blank + "END").ljust(size).encode("ascii")
