"""Which extension of a FITS file is the image, and which describe its pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits

from srkit.errors import DataError
from srkit.functional import Values
from srkit_astro.files.cards import sound
from srkit_astro.files.stored_values import NO_DATA
from srkit_astro.files.wcs import tables_of

#: Names of the extension with the image; otherwise it is the first image that is not in `PLANES`.
SCIENCE = ("SCI", "SCIENCE", "IMAGE", "DATA", "FLUX")
#: Names of extensions with the flags of pixels.
MASKS = ("MASK", "DQ", "FLAGS", "MSK", "FLAG", "FLG", "BPM", "QUALITY")
#: Names of extensions with the noise of pixels, and its type, which `UTYPE` overrides.
NOISE = {
    "VARIANCE": "variance",
    "VAR": "variance",
    "UNCERTAINTY": "std",
    "UNCERT": "std",
    "ERR": "std",
    "ERROR": "std",
    "SIGMA": "std",
    "STD": "std",
    "STDDEV": "std",
    "RMS": "std",
    "STAT": "variance",
    "WGT": "inverse",
    "IVAR": "inverse",
    "INVVAR": "inverse",
}
#: Values of `UTYPE`, as written by NDData of astropy.
UTYPES = {
    "VarianceUncertainty": "variance",
    "StdDevUncertainty": "std",
    "InverseVariance": "inverse",
}
#: Names of extensions with weights; where they are 0, there are no data.
WEIGHTS = ("WHT", "WEIGHT", "WGT", "IVAR", "INVVAR")
#: Names of images other than the science image.
PLANES = (
    *(*MASKS, *NOISE, *WEIGHTS, "CTX", "CON", "COVERAGE", "PSF", "NPIXELSINSAMPLE", "AREA"),
    *("VAR_POISSON", "VAR_RNOISE", "VAR_FLAT", "WCSDVARR", "D2IMARR"),
)
#: How another image is chosen, where the message on a guess does not say otherwise.
CHOOSE = "choose with --hdu NAME or FILE[NAME]"
#: Largest number of extensions that a message lists.
LISTED = 12
#: Keywords that describe how values are stored, which do not apply once they are read.
_STORAGE = (
    *("BSCALE", "BZERO", "BLANK", "DATAMIN", "DATAMAX", "CHECKSUM", "DATASUM", "INHERIT"),
    *NO_DATA,
)


class Planes(NamedTuple):
    """The image, its mask, noise and weights, if there are any, and the metadata of the image."""

    science: Any
    mask: Any
    noise: Any
    weight: Any
    metadata: dict[str, Any]


def find_planes(path: Path, hdus: fits.HDUList, wanted: str | None = None) -> Planes:
    """Find the extension with the image, and those that describe it.

    Several images in a file differ in ``EXTVER`` (``SCI,2``) or in the first part of their names,
    as in ``3-4.SCI`` of Euclid; planes belong to the image with the same.

    Parameters
    ----------
    path
        For errors.
    hdus
        The contents of the file.
    wanted
        Name or number of the extension with the image, such as ``SCI,2`` or ``4``; by default the
        first with a name in `SCIENCE`, or else the first image.

    Raises
    ------
    DataError
        If there is no image, or no such extension.
    """
    pictures = [hdu for hdu in hdus if _is_picture(hdu)]
    science = chosen(path, hdus, wanted) if wanted else None
    guess = None
    if science is None:
        science, guess = _first_image(path, hdus, pictures)
    own = [hdu for hdu in pictures if _place(hdu) == _place(science) and hdu is not science]
    # An image of the noise or of the weights has no noise.
    own = [] if wanted and _role(science)[1] in PLANES else own
    mask, noise, weight = (_first(own, names) for names in (MASKS, NOISE, WEIGHTS))
    if weight is not None and plane_shape(path, weight.shape)[1:] != science.shape[-2:]:
        weight = None
    header, notes = _header(science, hdus[0])
    metadata = {"frame": True, "header": header, "bits": 32, "notes": notes}
    tables = tables_of(header, hdus)
    if tables:
        metadata["wcs_tables"] = [table.copy() for table in tables]
    if guess is not None:
        metadata["guesses"] = [guess]
        notes.append(guess)
    rest = [hdu for hdu in hdus if hdu not in (science, mask, noise, weight, *tables) and hdu.size]
    if weight is not None and weight is not noise:
        notes.append(f"{_name(hdus, weight)} only shows where there are no data; SR has no weights")
    if rest:
        notes.append(f"ignored extensions: {_listed(hdus, rest)}")
    return Planes(science, mask, noise, weight, metadata)


def _first_image(path: Path, hdus: fits.HDUList, pictures: Sequence[Any]) -> tuple[Any, str | None]:
    """Return the image that is read by default, and a message if there is a choice.

    Raises
    ------
    DataError
        If there is none.
    """
    named = _first(pictures, SCIENCE)
    if named is not None:
        same = [hdu for hdu in pictures if _role(hdu)[1] == _role(named)[1]]
        if len(same) == 1:
            return named, None
        which = f"one of {len(same)} images ({_listed(hdus, same)})"
        return named, f"{_name(hdus, named)} is read, {which}; {CHOOSE}"
    others = [hdu for hdu in pictures if _role(hdu)[1] not in PLANES]
    if not others:
        found = ", ".join(f"{hdu.name} {getattr(hdu, 'shape', '(a table)')}" for hdu in hdus)
        raise DataError(f"{path}: contains no image with at least two axes; found {found}")
    guess = (
        f"no extension is named {', '.join(SCIENCE[:-1])} or {SCIENCE[-1]}: "
        f"{_name(hdus, others[0])} is read; {CHOOSE}"
    )
    return others[0], guess if len(others) > 1 else None


def chosen(path: Path, hdus: fits.HDUList, wanted: str) -> Any:
    """Return the extension of a name (``SCI``), a name and version (``SCI,2``) or a number.

    Raises
    ------
    DataError
        If there is none, or it is not an image; the message lists the extensions.
    """
    name, comma, version = (part.strip().upper() for part in wanted.partition(","))
    if name.isdecimal() and not comma:
        matching = [hdus[int(name)]] if int(name) < len(hdus) else []
    else:
        matching = [
            hdu
            for hdu in hdus
            if _title(hdu).upper() == name and (not comma or version == str(hdu.ver))
        ]
    if matching and _is_picture(matching[0]):
        return matching[0]
    found = "; ".join(_described(hdus, hdu) for hdu in hdus[:LISTED])
    more = f"; and {len(hdus) - LISTED} more" if len(hdus) > LISTED else ""
    what = f"the extension '{wanted}' is not an image" if matching else f"no extension '{wanted}'"
    raise DataError(f"{path}: {what}; expected a number or a name of: {found}{more}")


def _is_picture(hdu: Any) -> bool:
    return bool(hdu.is_image) and len(hdu.shape) >= 2


def _title(hdu: Any) -> str:
    """Return the name of an extension: ``EXTNAME`` or, in files of HSC, ``EXTTYPE``."""
    return str(hdu.name or hdu.header.get("EXTTYPE", ""))


def _role(hdu: Any) -> tuple[str, str]:
    """Return the parts of a name before and after its last dot, such as ``3-4`` and ``SCI``."""
    name = _title(hdu).upper()
    group, dot, role = name.rpartition(".")
    return (group, role) if dot and role in (*SCIENCE, *PLANES) else ("", name)


def _place(hdu: Any) -> tuple[str, int]:
    return _role(hdu)[0], hdu.ver


def _first(pictures: Iterable[Any], names: Iterable[str]) -> Any:
    """Return the extension with the first name that exists."""
    by_role: dict[str, Any] = {}
    for hdu in pictures:
        by_role.setdefault(_role(hdu)[1], hdu)
    return next((by_role[name] for name in names if name in by_role), None)


def _name(hdus: fits.HDUList, hdu: Any) -> str:
    """Return a name that is unique in its file, by which ``--hdu`` finds the extension."""
    title = _title(hdu)
    same = [each for each in hdus if _title(each) == title]
    if not title:
        return "(unnamed)" if len(same) == 1 else f"(unnamed, {hdus.index(hdu)})"
    return title if len(same) == 1 else f"{title},{hdu.ver}"


def _listed(hdus: fits.HDUList, some: Sequence[Any]) -> str:
    more = [f"and {len(some) - LISTED} more"] if len(some) > LISTED else []
    return ", ".join([*(_name(hdus, hdu) for hdu in some[:LISTED]), *more])


def _described(hdus: fits.HDUList, hdu: Any) -> str:
    if not hdu.is_image:
        what = "a table"
    else:
        what = " x ".join(map(str, hdu.shape[::-1])) if hdu.shape else "empty"
    return f"{hdus.index(hdu)} {_name(hdus, hdu)} ({what})"


def without_data(values: Values, weights: Values, hdu: Any) -> tuple[Values, list[str]]:
    """Replace values without a positive weight by NaN, and return a message if there are any."""
    missing = ~(weights > 0)
    if not missing.any():
        return values, []
    found: Values = np.where(missing, np.float32(np.nan), values)
    return found, [f"pixels whose {_title(hdu)} is 0 have no value"]


def plane_shape(path: Path, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Convert the shape of an extension to ``(C, H, W)``.

    Raises
    ------
    DataError
        If it has more axes, or no pixels.
    """
    stored = shape
    while len(stored) > 3 and stored[0] == 1:
        stored = stored[1:]  # such as the polarisation axis of radio images
    if len(stored) > 3:
        raise DataError(
            f"{path}: the image has the shape {stored}; expected (H, W) or (channels, H, W)"
        )
    if 0 in stored:
        raise DataError(f"{path}: the image has the shape {stored}, and so no pixels")
    return (1, *stored)[-3:]


def check_plane(path: Path, hdu: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape ``(C, H, W)`` of a mask or noise plane of an image of some shape.

    Raises
    ------
    DataError
        If the plane does not have the size of the image.
    """
    found = plane_shape(path, hdu.shape)
    if found not in (shape, (1, *shape[1:])):
        raise DataError(
            f"{path}: {hdu.name} has the shape {found}, the image {shape}; expected the same size"
        )
    return found


def variance_of(path: Path, plane: Values, hdu: Any) -> Values:
    """Convert a plane of noise to float32 variances; those too small for it become 0."""
    kind = UTYPES.get(hdu.header.get("UTYPE", ""), NOISE[_role(hdu)[1]])
    with np.errstate(all="ignore"):
        if kind == "std":
            plane = plane.astype(np.float64) ** 2
        elif kind == "inverse":
            plane = 1 / plane.astype(np.float64)  # a weight of 0 is an infinite variance
        variance: Values = np.ascontiguousarray(plane, np.float32)
    if (np.isinf(variance) & np.isfinite(plane)).any():
        raise DataError(
            f"{path}: {hdu.name} holds variances up to {np.nanmax(plane):.3g}, which do not fit in "
            "float32; convert the file to another unit"
        )
    return variance


def _header(science: Any, primary: Any) -> tuple[fits.Header, list[str]]:
    """Return the header of an image, and messages on cards that break the standard."""
    header, notes = sound(science.header)
    header = stripped(header)
    if science is not primary and not primary.shape:
        # Keywords for the whole file are in an empty primary header (EXPTIME, FLUXMAG0).
        inherited, more = sound(primary.header)
        header.extend(stripped(inherited), unique=True)
        notes += more
    return header, list(dict.fromkeys(notes))


def stripped(header: fits.Header) -> fits.Header:
    """Copy a header without the keywords that describe how values are stored."""
    kept = header.copy(strip=True)
    for key in (*_STORAGE, "EXTNAME", "EXTVER", "EXTEND", "NEXTEND"):
        kept.remove(key, ignore_missing=True)
    return kept
