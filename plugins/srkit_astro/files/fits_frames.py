"""FITS images larger than memory: read by rows and written by windows."""

from __future__ import annotations

import io
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from astropy.io import fits
from torch import Tensor

from srkit.errors import DataError
from srkit.functional import Values
from srkit.images import StoredArray, chunks
from srkit.interfaces import Image, ImageSource
from srkit_astro.files.cards import sound
from srkit_astro.files.checksums import encoded, sum_words
from srkit_astro.files.fits_io import (
    BLOCK,
    CARD,
    FIX,
    check_kind,
    check_structure,
    damage_as_error,
    damaged,
    to_hdus,
    widened,
)
from srkit_astro.files.noise_cards import describe, middle_of
from srkit_astro.files.planes import (
    Planes,
    check_plane,
    find_planes,
    plane_shape,
    stripped,
    without_data,
)
from srkit_astro.files.stored_values import (
    converted,
    flag_type,
    flags,
    scaled,
    survey,
)
from srkit_astro.files.unusable import check_share, flagged, saturation

#: Number of cards that may be added to the header after the pixels are written.
SPARE = 4
#: Values that are read at once to survey a frame.
_READ = 2**24


def open_source(path: Path, extension: str | None = None) -> ImageSource | None:
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
            source = _source(path, file, extension)
    finally:
        if source is None:
            file.close()
    return source


def _source(path: Path, file: BinaryIO, extension: str | None) -> FitsSource | None:
    start = file.read(8)
    if start.startswith(b"\x1f\x8b"):
        return None
    check_kind(path, start)
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    if check_structure(path, file, length) < length:
        return None  # blank blocks follow, which astropy takes for damage
    hdus = fits.open(file, memmap=False, do_not_scale_image_data=True)
    found = find_planes(path, hdus, extension)
    if any(isinstance(hdu, fits.CompImageHDU) for hdu in found[:4]):
        return None
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
        self._hdus = hdus
        self._surveyed = False
        self._level: float | None = None
        self._flagged = False
        shape = plane_shape(path, planes.science.shape)
        metadata = dict(planes.metadata)
        if planes.mask is not None:
            mask_shape = check_plane(path, planes.mask, shape)
            kind = torch.from_numpy(np.empty(0, flag_type(planes.mask.header))).dtype
            metadata["mask"] = torch.empty(mask_shape, dtype=kind, device="meta")
            metadata["mask_header"] = stripped(sound(planes.mask.header)[0])
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
        with damage_as_error(self._path):
            if not self._surveyed:
                self._survey()
            values, mask = self._values(start, stop), self._planes.mask
            metadata = dict(self.outline.metadata)
            if mask is not None:
                metadata["mask"] = torch.from_numpy(self._flags(start, stop))
            if "unusable" in metadata:
                bad = self._unusable(values, metadata.get("mask"))
                metadata["unusable"] = torch.from_numpy(bad)
        return Image(torch.from_numpy(values), metadata=metadata)

    def _survey(self) -> None:
        """Verify the checksums of the file, and find the marks of missing data in the image."""
        for hdu in self._hdus:
            _verify(self._path, hdu, self._file)
        science = self._planes.science
        channels, height, width = plane_shape(self._path, science.shape)
        step = max(1, _READ // (channels * width))
        spans = [(top, min(top + step, height)) for top in range(0, height, step)]
        parts = (scaled(science.header, _rows(science, *span)) for span in spans)
        found = survey(self._path, science.header, parts)
        weight = self._planes.weight
        for span in spans if weight is not None else ():
            _, more = without_data(np.zeros((), np.float32), self._weights(*span), weight)
            found += [note for note in more if note not in found]
        notes = [*self.outline.metadata["notes"], *found]
        metadata = {**self.outline.metadata, "notes": notes}
        metadata["unusable_notes"] = self._survey_unusable(spans)
        if self._level is not None or self._flagged:
            metadata["unusable"] = torch.empty(self.outline.pixels.shape, dtype=torch.bool)
            metadata["unusable"] = metadata["unusable"].to("meta")
        self.outline = replace(self.outline, metadata=metadata)
        self._surveyed = True

    def _survey_unusable(self, spans: list[tuple[int, int]]) -> list[str]:
        """Find whether values are saturated or flagged, and return messages on it."""
        header, mask = self._planes.science.header, self._planes.mask
        self._level, notes = saturation(header, lambda: (self._values(*span) for span in spans))
        if mask is not None:
            count = sum(int(self._flagged_in(self._flags(*span)).sum()) for span in spans)
            self._flagged, more = check_share(count, math.prod(mask.shape))
            notes += more
        return notes

    def _values(self, start: int, stop: int) -> Values:
        science, weight = self._planes.science, self._planes.weight
        stored = scaled(science.header, _rows(science, start, stop))
        values = converted(self._path, science.header, stored)
        if weight is None:
            return values
        return without_data(values, self._weights(start, stop), weight)[0]

    def _flags(self, start: int, stop: int) -> Values:
        mask = self._planes.mask
        return flags(mask.header, _rows(mask, start, stop))

    def _flagged_in(self, marks: Values) -> Values:
        metadata = self.outline.metadata
        return flagged(marks, metadata["header"], metadata["mask_header"])

    def _unusable(self, values: Values, mask: Tensor | None) -> Values:
        bad: Values = values >= (np.inf if self._level is None else self._level)
        if self._flagged and mask is not None:
            bad = bad | self._flagged_in(mask.numpy())
        return bad

    def _weights(self, start: int, stop: int) -> Values:
        weight = self._planes.weight
        return scaled(weight.header, _rows(weight, start, stop))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _rows(hdu: Any, start: int, stop: int) -> Values:
    """Read rows of all planes of an extension."""
    extra = len(hdu.shape) - 2
    values = hdu.section[(*[slice(None)] * extra, slice(start, stop), slice(None))]
    stored: Values = values.reshape(-1, stop - start, hdu.shape[-1])
    return stored


def _verify(path: Path, hdu: Any, file: BinaryIO) -> None:
    """Compare the data of an extension with the checksum in its header."""
    stated = hdu.header.get("DATASUM")
    if stated is None:
        return
    start = hdu.fileinfo()["datLoc"]
    try:
        # The padding does not contribute, and may be missing.
        found = sum_words(chunks(file, start, start + hdu.size))
        sound_data = found == int(stated)
    except (EOFError, ValueError):  # the file is truncated, or the checksum is not a number
        sound_data = False
    if not sound_data:
        raise DataError(damaged(path, f"Datasum verification failed for {hdu.name}"))


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
        hdus, _ = _laid_out(path, outline)
        for hdu in hdus:
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
        names = ("mask", "variance", "spread")
        planes = [part.pixels, *(part.metadata.get(name) for name in names)]
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
        """Write the headers, with the noise of the image and checksums of the data."""
        self._file.truncate(self._end)
        hdus, tables = _laid_out(self._path, outline)
        _, height, width, _ = self._arrays[0].shape
        rows, columns = middle_of(height), middle_of(width)
        pixels = self._arrays[0].read(rows.start, rows.stop)[:, :, columns, 0]
        describe(hdus[0].header, pixels)
        layout = zip(hdus, self._headers, self._arrays, strict=True)
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
        self._file.seek(self._end)
        self._file.write(tables)
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _laid_out(path: Path, outline: Image) -> tuple[list[Any], bytes]:
    """Return the extensions of an image, and the content of those that follow with tables."""
    hdus = to_hdus(path, outline)
    hdus.update_extend()
    hdus.verify(FIX)
    count = len(hdus) - len(outline.metadata.get("wcs_tables", ()))
    for hdu in hdus[:count]:
        hdu.header["CHECKSUM"] = ("0" * 16, "HDU checksum")
        hdu.header["DATASUM"] = ("0", "data unit checksum")
    tables = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), *hdus[count:]]).writeto(tables, checksum=True)
    return hdus[:count], tables.getvalue()[BLOCK:]


def _card_images(header: fits.Header, spare: int, room: int = 0) -> bytes:
    """Encode a header in whole blocks, with `spare` cards of space, or in exactly `room` bytes."""
    text: str = header.tostring(endcard=False, padding=False)
    needed = len(text) + (spare + 1) * CARD
    size = room or -(-needed // BLOCK) * BLOCK
    blocks = -(-(len(text) + CARD) // BLOCK)
    # Unneeded blocks are filled with blank cards, since no block may follow END.
    blank = (size // BLOCK - blocks) * BLOCK
    return (text + " " * blank + "END").ljust(size).encode("ascii")
