"""World coordinates of images whose pixels are subdivided."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.io.fits import Header
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS
from astropy.wcs.utils import pixel_to_skycoord, proj_plane_pixel_area

from srkit.errors import DataError
from srkit.functional import resized_side

#: How far a position may move through rounding, in pixels of the given image.
TOLERANCE = 1e-6
#: Distortion by tables in further extensions, or by records: what a header alone cannot carry.
TABLES = re.compile(r"(CPDIS|CQDIS|D2IMDIS)\d+[A-Z]?|AXISCORR|WCSDVARR")

_SIP = re.compile(r"(?:A|B|AP|BP)_(\d)_(\d)")
#: Keywords that state the side and the area of a pixel beside the WCS.
_SIDES = ("PIXSCALE", "PIXSCAL1", "PIXSCAL2", "SECPIX", "SECPIX1", "SECPIX2", "D001SCAL")
_AREAS = ("PIXAR_A2", "PIXAR_SR")


def subdivided(header: Header, scale: float) -> Header:
    """Give the header of an image whose pixels are divided into ``scale`` x ``scale``.

    Pixel (x, y), counted from 1 at the centre of the first, becomes (x - 0.5) ``scale`` + 0.5.
    All WCS of the header follow: ``CRPIX`` as a position, ``CD`` or ``CDELT`` over the scale,
    ``PC`` as it is; SIP polynomials (Shupe et al. 2005), whose term of order n is multiplied by
    ``scale**(1 - n)``; IRAF's ``LTV`` and ``LTM``; keywords of pixel side and area. Distortions
    that act behind the linear transformation, such as TPV, hold as they are.

    Parameters
    ----------
    header
        Of the image, with the axes x and y first; it is left as it was.
    scale
        New pixels for each old one along a side; not only whole numbers.

    Raises
    ------
    DataError
        If the header names distortion tables, couples the image with another axis, or the sky
        would move by more than 1e-6 pixel.
    """
    table = next((key for key in header if TABLES.fullmatch(key)), None)
    if table is not None:
        raise DataError(
            f"the WCS has a distortion by table or record ({table}), which belongs to the pixels "
            "as they were; drizzle or reproject the image first"
        )
    result = header.copy()
    for version in _versions(header):
        _scale_linear(result, version, scale)
    _scale_sip(result, scale)
    _scale_physical(result, scale)
    for keys, divisor in ((_SIDES, scale), (_AREAS, scale**2)):
        for key in keys:
            if isinstance(result.get(key), int | float):
                result[key] /= divisor
    for key in ("NAXIS1", "NAXIS2"):
        if key in result:
            result[key] = resized_side(result[key], scale)
    _verify(header, result, scale)
    return result


def celestial(header: Header) -> WCS | None:
    """Give the part of a header's WCS that is on the sky, or None if it has none.

    Raises
    ------
    DataError
        If the keywords contradict each other.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            wcs = WCS(header)
            return wcs.celestial if wcs.has_celestial else None
    except Exception as error:  # wcslib raises many kinds
        reason = " ".join(str(error).split())
        raise DataError(f"the WCS cannot be read ({type(error).__name__}: {reason})") from error


def pixel_side(header: Header) -> float | None:
    """Give the side of a pixel on the sky in arcsec, at the reference point; None without a WCS."""
    wcs = celestial(header)
    return None if wcs is None else 3600 * math.sqrt(float(proj_plane_pixel_area(wcs)))


def radec(
    header: Header, points: Sequence[tuple[float, float]]
) -> list[tuple[float, float]] | None:
    """Give positions on the sky, ICRS in degrees, of pixels (x, y) counted from 0.

    None without a WCS in equatorial or galactic coordinates.

    Raises
    ------
    DataError
        If the keywords contradict each other.
    """
    wcs = celestial(header)
    if wcs is None or wcs.wcs.lngtyp not in ("RA", "GLON"):  # such as of the Sun or a planet
        return None
    x, y = np.array(points, float).reshape(-1, 2).T
    sky = pixel_to_skycoord(x, y, wcs).icrs
    return [(float(ra), float(dec)) for ra, dec in zip(sky.ra.deg, sky.dec.deg, strict=True)]


def _versions(header: Header) -> list[str]:
    """List the WCS of a header by their letter; the first has none."""
    found = re.findall(r"(?m)^(?:CTYPE|CRPIX|CRVAL|CDELT)[12]([A-Z]?)$", "\n".join(header.keys()))
    return sorted(set(found))


def _scale_linear(header: Header, version: str, scale: float) -> None:
    for axis in (1, 2):
        key = f"CRPIX{axis}{version}"
        header[key] = (header.get(key, 0.0) - 0.5) * scale + 0.5
    matrix = [key for key in header if re.fullmatch(rf"CD\d_[12]{version}", key)]
    for key in matrix:
        header[key] /= scale
    if any(re.fullmatch(rf"PC(\d_[12]|[12]_\d){version}", key) for key in header):
        _refuse_coupling(header, version)
    for axis in (1, 2):
        key = f"CDELT{axis}{version}"
        if key in header or not matrix:
            header[key] = header.get(key, 1.0) / scale


def _refuse_coupling(header: Header, version: str) -> None:
    """Refuse a PC matrix that mixes an axis of the image with another: CDELT cannot scale it."""
    for key in header:
        found = re.fullmatch(rf"PC(\d)_(\d){version}", key)
        if found and (found[1] in "12") != (found[2] in "12") and header[key] != 0:
            raise DataError(
                f"the WCS couples the image with another axis ({key} = {header[key]:g}); "
                "write the transformation as a CD matrix"
            )


def _scale_sip(header: Header, scale: float) -> None:
    for key in list(header):
        found = _SIP.fullmatch(key)
        if found:
            header[key] *= float(scale) ** (1 - int(found[1]) - int(found[2]))
        elif key in ("A_DMAX", "B_DMAX"):
            header[key] *= scale


def _scale_physical(header: Header, scale: float) -> None:
    """Scale IRAF's way back to the pixels of the detector: pixel = LTM physical + LTV."""
    if not any(re.fullmatch(r"LTV[12]|LTM[12]_[12]", key) for key in header):
        return
    for axis in (1, 2):
        offset, diagonal = f"LTV{axis}", f"LTM{axis}_{axis}"
        header[offset] = (header.get(offset, 0.0) - 0.5) * scale + 0.5
        header[diagonal] = header.get(diagonal, 1.0) * scale
        other = f"LTM{axis}_{3 - axis}"
        if other in header:
            header[other] *= scale


def _verify(before: Header, after: Header, scale: float) -> None:
    """Compare both WCS at points of a field, so that no keyword unknown here goes wrong."""
    old, new = celestial(before), celestial(after)
    if old is None or new is None:
        return
    x, y = (axis.ravel() for axis in np.meshgrid(*_field(before)))
    there = [(axis + 0.5) * scale - 0.5 for axis in (x, y)]
    positions = [_positions(wcs, *points) for wcs, points in ((old, (x, y)), (new, there))]
    moved = np.abs(positions[0] - positions[1]).max()
    side = math.sqrt(float(proj_plane_pixel_area(old)))
    if not moved <= TOLERANCE * side * math.pi / 180:
        raise DataError(
            f"the WCS does not scale: positions would move by {moved * 180 / math.pi / side:.2g} "
            "pixels; reproject the image to a plain projection first"
        )


def _field(header: Header) -> list[Any]:
    """Choose pixel positions, from 0, along each axis: over the image, or around the reference."""
    return [
        np.linspace(-0.5, header[f"NAXIS{axis}"] - 0.5, 5)
        if header.get(f"NAXIS{axis}", 0) > 0
        else header.get(f"CRPIX{axis}", 0.0) - 1 + np.linspace(-20, 20, 5)
        for axis in (1, 2)
    ]


def _positions(wcs: WCS, x: Any, y: Any) -> Any:
    """Give unit vectors on the sky, which are even at the poles."""
    first, second = (np.radians(angle) for angle in wcs.all_pix2world(x, y, 0))
    lon, lat = (first, second) if wcs.wcs.lng == 0 else (second, first)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
