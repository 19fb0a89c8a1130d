"""From the numbers that a FITS file stores to values: scaling, blanks and marks of missing data."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from astropy.io.fits import Header

from srkit.errors import DataError
from srkit.functional import Values
from srkit.images import check_magnitude, without_sentinels

#: Types of flags, by their ``BITPIX``.
FLAGS: dict[int, type[np.generic]] = {8: np.uint8, 16: np.int16, 32: np.int32, 64: np.int64}
#: Keywords for the value of pixels without data, beside ``BLANK``.
NO_DATA = (
    *("NODATA", "NO_DATA", "NODATAVA", "NULLVAL", "MISSVAL", "BADVAL", "BADVALUE", "FILLVAL"),
    *("FILLVALU", "UNDEFVAL"),
)


def survey(path: Path, header: Header, parts: Iterable[Values]) -> list[str]:
    """Return messages on marks of missing data among the values of an image, given in parts.

    Raises
    ------
    DataError
        If all values are too small for float32.
    """
    notes: dict[str, None] = {}
    largest = [0.0]
    for part in parts:
        known, messages = _without_marks(part, header)
        notes |= dict.fromkeys(messages)
        if known.dtype.kind == "f":
            sizes = np.abs(known)
            largest.append(float(np.max(sizes, where=np.isfinite(sizes), initial=0)))
    try:
        check_magnitude(np.array(largest))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return list(notes)


def _without_marks(values: Values, header: Header) -> tuple[Values, list[str]]:
    """Replace values that mark missing data by NaN, and return messages that name them."""
    notes = []
    for mark in _stated(header):
        missing = values == mark
        if missing.any():
            values = np.where(missing, np.nan, values)
            notes.append(f"pixels of {mark:g} have no value, as the header says")
    if values.dtype.kind != "f":
        return values, notes
    known, more = without_sentinels(values)
    return known, [*notes, *more]


def _stated(header: Header) -> list[float]:
    """Return the values of pixels without data that the header states."""
    keys = NO_DATA if header["BITPIX"] > 0 else ("BLANK", *NO_DATA)  # `scaled` applies BLANK
    stated = [header.get(key) for key in keys]
    numbers = [value for value in stated if isinstance(value, int | float)]
    # As stored: -1e30 in a file of float32 is not the -1e30 of the header.
    kind = np.float32 if header["BITPIX"] == -32 else np.float64
    return [float(kind(number)) for number in numbers if not isinstance(number, bool)]


def scaled(header: Header, stored: Values) -> Values:
    """Apply ``BSCALE``, ``BZERO`` and, to integers, ``BLANK`` to stored numbers.

    astropy ignores ``BLANK`` in unsigned integers, and a ``BLANK`` of 0.
    """
    factor, offset, blank = (header.get(key) for key in ("BSCALE", "BZERO", "BLANK"))
    factor, offset = 1 if factor is None else factor, 0 if offset is None else offset
    blanks = stored == blank if stored.dtype.kind in "iu" and _is_integer(blank) else None
    values = stored
    if (factor, offset) != (1, 0):
        # 16 bits and a whole offset fit into float32.
        exact = stored.dtype.itemsize <= 2 and factor == 1 and abs(offset) == int(abs(offset)) < 2e6
        values = stored.astype(np.float32 if exact else np.float64)
        values *= factor
        values += offset
    if blanks is not None and blanks.any():
        values = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
        values[blanks] = np.nan
    return values


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def converted(path: Path, header: Header, values: Values) -> Values:
    """Convert values to float32, with NaN where they mark missing data.

    Raises
    ------
    DataError
        If a finite value would become infinite.
    """
    known, _ = _without_marks(values, header)
    with np.errstate(over="ignore", invalid="ignore"):
        result: Values = np.ascontiguousarray(known, np.float32)
    lost = np.isinf(result) & np.isfinite(known)
    if lost.any():
        raise DataError(
            f"{path}: values up to {np.abs(known[lost]).max():.3g} do not fit in float32; convert "
            "the file to another unit"
        )
    return result


def flag_type(header: Header) -> type[np.generic]:
    """Return the type that the flags of a mask are read as: as stored, unless they are scaled."""
    is_scaled = header.get("BZERO", 0) != 0 or header.get("BSCALE", 1) != 1
    return np.int64 if is_scaled else FLAGS.get(header["BITPIX"], np.int64)


def flags(header: Header, stored: Values) -> Values:
    """Convert stored numbers to flags."""
    kind = flag_type(header)
    factor, offset = header.get("BSCALE", 1), header.get("BZERO", 0)
    if stored.dtype.kind in "iu" and factor == 1 and offset == int(offset):
        whole: Values = np.ascontiguousarray(stored, kind)
        # Modulo 2**64, since the offset of unsigned 64-bit integers is 2**63.
        return whole + np.uint64(int(offset) % 2**64).astype(np.int64) if offset else whole
    with np.errstate(invalid="ignore"):
        return np.ascontiguousarray(scaled(header, stored), kind)
