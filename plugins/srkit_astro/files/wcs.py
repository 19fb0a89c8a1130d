"""The world coordinate system (WCS) of images, also of images whose pixels are subdivided."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.io.fits import BinTableHDU, HDUList, Header, ImageHDU, PrimaryHDU
from astropy.wcs import WCS
from astropy.wcs.utils import pixel_to_skycoord, proj_plane_pixel_area

from srkit.errors import DataError
from srkit.functional import resized_side
from srkit_astro.files.cards import NUMBERS
from srkit_astro.files.quiet import fenced

#: Largest change of a position through rounding, in pixels of the original image.
TOLERANCE = 1e-6
#: Extensions with the tables of a distortion or of the ``-TAB`` algorithm.
Tables = Sequence[BinTableHDU | ImageHDU]

#: Distortions by tables that astropy does not apply, or by records.
_UNKNOWN = re.compile(r"CQDIS\d+[A-Z]?|AXISCORR|(CPDIS|CQDIS|D2IMDIS)\d+[A-Z]")
#: Keywords of distortions by tables, and the names of the extensions with these.
_DISTORTIONS = {"CPDIS": "WCSDVARR", "D2IMDIS": "D2IMARR"}
_WCS = re.compile(
    r"(WCSAXES|WCSNAME|LONPOLE|LATPOLE|RADESYS|EQUINOX|SPECSYS|SSYSOBS)[A-Z]?|RADECSYS"
    r"|(CTYPE|CUNIT|CRPIX|CRVAL|CDELT|CROTA|CRDER|CSYER|CNAME)\d+[A-Z]?|(CD|PC|PV|PS)\d+_\d+[A-Z]?"
    r"|(A|B|AP|BP)_(\d+_\d+|ORDER|DMAX)|(CPDIS|CPERR|D2IMDIS|D2IMERR)\d+|(DP|D2IM)\d+(\..*)?"
    r"|LTV\d|LTM\d_\d"
)
_SIP = re.compile(r"(?:A|B|AP|BP)_(\d)_(\d)")
#: Highest order of SIP polynomials, and largest number of axes.
_LARGEST = 9


def subdivided(header: Header, scale: float, tables: Tables = ()) -> Header:
    """Return the header of an image whose pixels are each divided into ``scale`` x ``scale``.

    A pixel position x, counted from 1 at the centre of the first pixel, becomes
    (x - 0.5) ``scale`` + 0.5. All WCS of the header are converted: ``CRPIX`` as a position, ``CD``
    or ``CDELT`` divided by the scale, ``PC`` unchanged; SIP polynomials (Shupe et al. 2005), whose
    terms of order n are multiplied by ``scale**(1 - n)``; and IRAF's ``LTV`` and ``LTM``.
    Distortions that are applied after the linear transformation, such as TPV, remain valid; tables
    of distortions are converted by :func:`subdivided_tables`. For other keywords see
    :func:`srkit_astro.files.keywords.update`. (:meth:`astropy.wcs.WCS.slice` can only merge pixels,
    and would drop the other keywords.)

    Parameters
    ----------
    header
        The header of the image, with the axes x and y first; it is not changed.
    scale
        New pixels per old pixel along a side; need not be an integer.
    tables
        The tables to which the header refers.

    Raises
    ------
    DataError
        If the WCS couples the image with another axis, or has a distortion that astropy does not
        apply, or if the sky would shift by more than 1e-6 pixel.
    """
    _check_numbers(header)
    table = missing_table(header, tables)
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
    for key in ("NAXIS1", "NAXIS2"):
        if key in result:
            result[key] = resized_side(result[key], scale)
    _verify((header, tables), (result, subdivided_tables(tables, scale)), scale)
    return result


def with_wcs_of(image: Header, plane: Header) -> Header:
    """Copy the header of a plane that describes an image, with the WCS of the image."""
    result = plane.copy()
    for key in [key for key in plane if _WCS.fullmatch(key)]:
        result.remove(key, ignore_missing=True, remove_all=True)
    result.extend([card for card in image.cards if _WCS.fullmatch(card.keyword)])
    return result


def cut_out(header: Header, left: int, top: int) -> Header:
    """Return the header of the part of an image whose first pixel is in these column and row.

    Every WCS of the header is shifted, and IRAF's ``LTV``.
    """
    result = header.copy()
    shifts = (("1", left), ("2", top))
    for version in _versions(header):
        for axis, shift in shifts:
            key = f"CRPIX{axis}{version}"
            result[key] = result.get(key, 0.0) - shift
    if any(re.fullmatch(r"LTV[12]|LTM[12]_[12]", key) for key in header):
        for axis, shift in shifts:
            result[f"LTV{axis}"] = result.get(f"LTV{axis}", 0.0) - shift
    return result


def primary_only(header: Header) -> Header:
    """Copy a header with its primary WCS alone, without alternatives and detector pixels."""
    result = header.copy()
    for key in [key for key in header if _WCS.fullmatch(key)]:
        alternative = key[-1].isalpha() and "." not in key and _WCS.fullmatch(key[:-1])
        if alternative or key.startswith("LT"):
            result.remove(key, ignore_missing=True, remove_all=True)
    return result


def missing_table(header: Header, tables: Tables) -> str | None:
    """Return the keyword of a distortion that astropy cannot apply, as without its table."""
    names = {table.name for table in tables}
    for key in header:
        needed = next((n for start, n in _DISTORTIONS.items() if key.startswith(start)), None)
        if _UNKNOWN.fullmatch(key) or (needed is not None and needed not in names):
            return str(key)
    return None


def tables_of(header: Header, hdus: HDUList) -> list[BinTableHDU | ImageHDU]:
    """Return the extensions with the tables to which the WCS of a header refers."""
    names = {str(header[key]) for key in header if re.fullmatch(r"PS\d+_0[A-Z]?", key)}
    for start, name in _DISTORTIONS.items():
        names |= {name} if any(key.startswith(start) for key in header) else set()
    return [hdu for hdu in hdus if hdu.name in names]


def subdivided_tables(tables: Tables, scale: float) -> list[BinTableHDU | ImageHDU]:
    """Convert the tables of distortions, which hold offsets in pixels at positions in pixels.

    Tables of ``-TAB`` do not depend on the size of pixels.
    """
    result = []
    for table in tables:
        if table.name in _DISTORTIONS.values():
            with fenced(f"the distortion table {table.name} cannot be used"):
                header = table.header.copy()
                for axis in (1, 2):
                    place, step = f"CRVAL{axis}", f"CDELT{axis}"
                    header[place] = (header.get(place, 0.0) - 0.5) * scale + 0.5
                    header[step] = header.get(step, 1.0) * scale
                table = ImageHDU((table.data * float(scale)).astype(np.float32), header)
        result.append(table)
    return result


def celestial(header: Header, tables: Tables = ()) -> WCS | None:
    """Return the celestial part of a header's WCS, or None if there is none.

    Parameters
    ----------
    header
        The header.
    tables
        The tables to which it refers, see :func:`tables_of`.

    Raises
    ------
    DataError
        If the keywords contradict each other or are not numbers, or if the axes of the sky are not
        those of the image.
    """
    _check_numbers(header)
    with fenced("the WCS cannot be read"):
        wcs = WCS(header, HDUList([PrimaryHDU(), *tables]) if tables else None)
        if not wcs.has_celestial:
            return None
        if {wcs.wcs.lng, wcs.wcs.lat} == {0, 1}:
            return wcs.celestial
        kinds = [str(header.get(f"CTYPE{axis + 1}", "")) for axis in range(wcs.naxis)]
    first = next(axis for axis in (0, 1) if axis not in (wcs.wcs.lng, wcs.wcs.lat))
    raise DataError(
        f"axis {first + 1} is {kinds[first]} (of {', '.join(kinds)}), but the axes of the sky have "
        "to be the first two; reorder them, as SpectralCube.read(FILE).write(NEW) does"
    )


def _check_numbers(header: Header) -> None:
    """Check that the values of the WCS are numbers, and its sizes within reason.

    Raises
    ------
    DataError
        If they are not.
    """
    for key in header:
        if not NUMBERS.fullmatch(key):
            continue
        value = header[key]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DataError(f"{key} is {value!r}; expected a number; correct or remove it")
        if re.fullmatch(r"(A|B|AP|BP)_ORDER|WCSAXES[A-Z]?", key) and not 0 <= value <= _LARGEST:
            raise DataError(f"{key} is {value}; expected 0 to {_LARGEST}; correct or remove it")


def pixel_scale_of(wcs: WCS) -> float:
    """Return the side of a pixel in arcsec at the reference point: the square root of its area."""
    return 3600 * math.sqrt(float(proj_plane_pixel_area(wcs)))


def pixel_scale(header: Header, tables: Tables = ()) -> float | None:
    """Return the side of a pixel in arcsec at the reference point; None without a WCS."""
    wcs = celestial(header, tables)
    return None if wcs is None else pixel_scale_of(wcs)


def radec(
    header: Header, points: Sequence[tuple[float, float]], tables: Tables = ()
) -> list[tuple[float, float]] | None:
    """Return the ICRS coordinates in degrees of pixel positions (x, y), counted from 0.

    None without a WCS in equatorial or galactic coordinates.

    Raises
    ------
    DataError
        If the keywords contradict each other.
    """
    wcs = celestial(header, tables)
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


def _verify(before: tuple[Header, Tables], after: tuple[Header, Tables], scale: float) -> None:
    """Compare both WCS on a grid of positions, in case a keyword was not converted."""
    old, new = celestial(*before), celestial(*after)
    if old is None or new is None:
        return
    x, y = (axis.ravel() for axis in np.meshgrid(*_field(before[0])))
    finer = [(axis + 0.5) * scale - 0.5 for axis in (x, y)]
    with fenced("the WCS cannot be read"):
        positions = [_positions(wcs, *points) for wcs, points in ((old, (x, y)), (new, finer))]
    distances = np.abs(positions[0] - positions[1]).max(0)
    distances /= math.radians(pixel_scale_of(old) / 3600)
    on_sky = np.isfinite(distances)  # an image of the whole sky has corners without a position
    moved = distances[on_sky].max(initial=0.0)
    if not moved <= TOLERANCE or not (on_sky.any() or np.isnan(positions[0]).any(0).all()):
        raise DataError(
            f"the WCS cannot be scaled: positions would shift by {moved:.2g} pixels; reproject the "
            "image to a simple projection first"
        )


def _field(header: Header) -> list[Any]:
    """Return pixel positions, from 0, along each axis: over the image, or near the reference."""
    return [
        np.linspace(-0.5, header[f"NAXIS{axis}"] - 0.5, 9)
        if header.get(f"NAXIS{axis}", 0) > 0
        else header.get(f"CRPIX{axis}", 0.0) - 1 + np.linspace(-20, 20, 9)
        for axis in (1, 2)
    ]


def _positions(wcs: WCS, x: Any, y: Any) -> Any:
    """Return unit vectors on the sky; unlike angles, they are continuous at the poles."""
    first, second = (np.radians(angle) for angle in wcs.all_pix2world(x, y, 0))
    lon, lat = (first, second) if wcs.wcs.lng == 0 else (second, first)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
