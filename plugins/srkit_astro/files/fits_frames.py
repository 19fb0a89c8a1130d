"""FITS images larger than memory: read by rows and written by windows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from astropy.io import fits

from srkit.errors import DataError
from srkit.functional import Values
from srkit.images import StoredArray, chunks
from srkit.interfaces import Image, ImageSource
from srkit_astro.files.checksums import encoded, sum_words
from srkit_astro.files.fits_io import (
    Planes,
    check_plane,
    convert,
    damage_as_error,
    find_planes,
    flag_type,
    plane_shape,
    stripped,
    to_hdus,
    widened,
)

#: Size of the blocks of a file, and of the cards of a header, in bytes.
BLOCK, CARD = 2880, 80
#: Number of cards that may be added to the header after the pixels are written.
SPARE = 4


def open_source(path: Path) -> ImageSource | None:
    """Open a file to be read by rows; return None if the file or its images are compressed.

    Raises
    ------
    DataError
        If the file is damaged, or contains no image.
    """
    file = path.open("rb")
    source = None
    try:
        with damage_as_error(path):
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
    found = find_planes(path, hdus)
    if any(isinstance(hdu, fits.CompImageHDU) for hdu in found[:3]):
        return None
    for hdu in hdus:
        _check_length(path, hdu, file)
    return FitsSource(path, file, hdus, found)


class FitsSource:
    """The rows of a FITS image and its mask, scaled according to its header.

    Parameters
    ----------
    path
        The path of the file.
    file
        The open file; :meth:`close` closes it.
    hdus
        All HDUs of the file; their checksums are verified before the first rows are read.
    planes
        The extensions of the image.
    """

    def __init__(self, path: Path, file: BinaryIO, hdus: fits.HDUList, planes: Planes) -> None:
        self._path, self._file, self._planes = path, file, planes
        self._unverified = list(hdus)
        shape = plane_shape(path, planes.science.shape)
        metadata = dict(planes.metadata)
        if planes.mask is not None:
            mask_shape = check_plane(path, planes.mask, shape)
            self._flags = flag_type(planes.mask)
            kind = torch.from_numpy(np.empty(0, self._flags)).dtype
            metadata["mask"] = torch.empty(mask_shape, dtype=kind, device="meta")
            metadata["mask_header"] = stripped(planes.mask.header)
        if planes.noise is not None:
            # It is not read, since it does not apply to SR, but users get a note that it exists.
            noise_shape = check_plane(path, planes.noise, shape)
            metadata["variance"] = torch.empty(noise_shape, device="meta")
        self.outline = Image(torch.empty(shape, device="meta"), metadata=metadata)

    def data_range(self, low: float, high: float) -> tuple[float, float]:
        """Return black and white: the smallest and the largest finite value."""
        return widened(low, high)

    def rows(self, start: int, stop: int) -> Image:
        """Read rows of the image and of its mask.

        Raises
        ------
        DataError
            If the file is damaged, or values do not fit in float32.
        """
        while self._unverified:
            _verify(self._path, self._unverified.pop(0), self._file)
        with damage_as_error(self._path):
            values = convert(self._path, _rows(self._planes.science, start, stop), np.float32)
            metadata = dict(self.outline.metadata)
            if self._planes.mask is not None:
                flags = convert(self._path, _rows(self._planes.mask, start, stop), self._flags)
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
    """Refuse a file that ends before the end of the data of an extension."""
    if hdu.fileinfo()["datLoc"] + hdu.size > file.seek(0, os.SEEK_END):
        raise DataError(
            f"{path}: cannot be read as FITS ({hdu.name or 'its image'} is truncated); it may be "
            "damaged or incomplete; copy it again or remove it"
        )


def _verify(path: Path, hdu: Any, file: BinaryIO) -> None:
    """Compare the data of an extension with the checksum in its header."""
    stated = hdu.header.get("DATASUM")
    if stated is None:
        return
    place = hdu.fileinfo()
    try:
        found = sum_words(chunks(file, place["datLoc"], place["datLoc"] + place["datSpan"]))
        sound = found == int(stated)
    except (EOFError, ValueError):  # the file is truncated, or the checksum is not a number
        sound = False
    if not sound:
        raise DataError(
            f"{path}: cannot be read as FITS (Datasum verification failed for {hdu.name}); it may "
            "be damaged or incomplete; copy it again or remove it"
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
        Whether to write a new file; otherwise an incomplete file is continued.
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
        """Return a checksum of rows of the image and its planes."""
        found = 0
        for array in self._arrays:
            found = array.digest(start, stop, found)
        return f"{found:08x}"

    def finish(self, outline: Image) -> None:
        """Write the headers, with checksums of the data."""
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
    """Encode a header in whole blocks, with `spare` cards of space, or in exactly `room` bytes."""
    text: str = header.tostring(endcard=False, padding=False)
    needed = len(text) + (spare + 1) * CARD
    size = room or -(-needed // BLOCK) * BLOCK
    blocks = -(-(len(text) + CARD) // BLOCK)
    # Unneeded blocks are filled with blank cards, since no block may follow END.
    blank = (size // BLOCK - blocks) * BLOCK
    return (text + " " * blank + "END").ljust(size).encode("ascii")
