"""The world coordinate system (WCS) of images, also of images whose pixels are subdivided."""

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

#: Largest change of a position through rounding, in pixels of the original image.
TOLERANCE = 1e-6
#: Distortions by tables in further extensions, or by records, which a header alone cannot hold.
TABLES = re.compile(r"(CPDIS|CQDIS|D2IMDIS)\d+[A-Z]?|AXISCORR|WCSDVARR")

_SIP = re.compile(r"(?:A|B|AP|BP)_(\d)_(\d)")
#: Keywords beside the WCS that state the side and the area of a pixel.
_SIDES = ("PIXSCALE", "PIXSCAL1", "PIXSCAL2", "SECPIX", "SECPIX1", "SECPIX2", "D001SCAL")
_AREAS = ("PIXAR_A2", "PIXAR_SR")


def subdivided(header: Header, scale: float) -> Header:
    """Return the header of an image whose pixels are each divided into ``scale`` x ``scale``.

    A pixel position x, counted from 1 at the centre of the first pixel, becomes
    (x - 0.5) ``scale`` + 0.5. All WCS of the header are converted: ``CRPIX`` as a position, ``CD``
    or ``CDELT`` divided by the scale, ``PC`` unchanged; SIP polynomials (Shupe et al. 2005), whose
    terms of order n are multiplied by ``scale**(1 - n)``; IRAF's ``LTV`` and ``LTM``; keywords for
    the side and the area of a pixel. Distortions that are applied after the linear transformation,
    such as TPV, remain valid. (:meth:`astropy.wcs.WCS.slice` can only merge pixels, and would drop
    the other keywords.)

    Parameters
    ----------
    header
        The header of the image, with the axes x and y first; it is not changed.
    scale
        New pixels per old pixel along a side; need not be an integer.

    Raises
    ------
    DataError
        If the header refers to distortion tables or couples the image with another axis, or if
        the sky would shift by more than 1e-6 pixel.
    """
    table = next((key for key in header if TABLES.fullmatch(key)), None)
    if table is not None:
        raise DataError(
            f"the WCS has a distortion by table or record ({table}), which is only valid for the "
            "original pixels; drizzle or reproject the image first"
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
    """Return the celestial part of a header's WCS, or None if there is none.

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


def pixel_scale_of(wcs: WCS) -> float:
    """Return the side of a pixel in arcsec at the reference point: the square root of its area."""
    return 3600 * math.sqrt(float(proj_plane_pixel_area(wcs)))


def pixel_scale(header: Header) -> float | None:
    """Return the side of a pixel in arcsec at the reference point; None without a WCS."""
    wcs = celestial(header)
    return None if wcs is None else pixel_scale_of(wcs)


def radec(
    header: Header, points: Sequence[tuple[float, float]]
) -> list[tuple[float, float]] | None:
    """Return the ICRS coordinates in degrees of pixel positions (x, y), counted from 0.

    None without a WCS in equatorial or galactic coordinates.

    Raises
    ------
    DataError
        If the keywords contradict each other.
    """
    wcs = celestial(header)
    if wcs is None or wcs.wcs.lngtyp not in ("RA", "GLON"):  # such as the Sun or a planet
        return None
    x, y = np.array(points, float).reshape(-1, 2).T
    sky = pixel_to_skycoord(x, y, wcs).icrs
    return [(float(ra), float(dec)) for ra, dec in zip(sky.ra.deg, sky.dec.deg, strict=True)]


def _versions(header: Header) -> list[str]:
    """List the letters of the WCS of a header; that of the primary WCS is empty."""
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
    """Refuse a PC matrix that couples an image axis with another: CDELT cannot scale it."""
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
    """Scale IRAF's transformation to detector pixels: pixel = LTM physical + LTV."""
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
    """Compare both WCS on a grid of positions, in case a keyword was not converted."""
    old, new = celestial(before), celestial(after)
    if old is None or new is None:
        return
    x, y = (axis.ravel() for axis in np.meshgrid(*_field(before)))
    finer = [(axis + 0.5) * scale - 0.5 for axis in (x, y)]
    positions = [_positions(wcs, *points) for wcs, points in ((old, (x, y)), (new, finer))]
    moved = np.abs(positions[0] - positions[1]).max()
    moved /= math.radians(pixel_scale_of(old) / 3600)
    if not moved <= TOLERANCE:
        raise DataError(
            f"the WCS cannot be scaled: positions would shift by {moved:.2g} pixels; reproject the "
            "image to a simple projection first"
        )


def _field(header: Header) -> list[Any]:
    """Return pixel positions, from 0, along each axis: over the image, or near the reference."""
    return [
        np.linspace(-0.5, header[f"NAXIS{axis}"] - 0.5, 5)
        if header.get(f"NAXIS{axis}", 0) > 0
        else header.get(f"CRPIX{axis}", 0.0) - 1 + np.linspace(-20, 20, 5)
        for axis in (1, 2)
    ]


def _positions(wcs: WCS, x: Any, y: Any) -> Any:
    """Return unit vectors on the sky; unlike angles, they are continuous at the poles."""
    first, second = (np.radians(angle) for angle in wcs.all_pix2world(x, y, 0))
    lon, lat = (first, second) if wcs.wcs.lng == 0 else (second, first)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
