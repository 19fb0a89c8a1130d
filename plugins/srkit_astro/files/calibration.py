"""Photometric calibration: flux per pixel or surface brightness, and zero points."""

from __future__ import annotations

import math
import re

import astropy.units as u
from astropy.io.fits import Header
from torch import Tensor

from srkit.errors import DataError
from srkit.interfaces import Image
from srkit_astro.files.units import Kind, Meaning, kind_of, parse

#: Pixel values are either the ``flux`` of a pixel or, like ``surface_brightness``, a level that for
#: a uniform sky does not depend on the size of pixels.
PhysicalType = Kind

#: Keywords for the AB magnitude of one unit, in order of preference.
ZERO_POINTS = ("MAGZERO", "MAGZPT", "MAGZP", "PHOTZP", "ZEROPNT", "ZP")
_ZERO_POINTS = (*ZERO_POINTS, "FLUXMAG0", "PHOTFLAM")


def physical_type(header: Header) -> PhysicalType | None:
    """Return the physical type of the pixel values according to ``BUNIT``; None if it is unknown.

    See also :func:`srkit_astro.files.units.kind_of`.

    Raises
    ------
    DataError
        If the values are magnitudes.
    """
    return kind_of(_unit_text(header))


def type_of_values(image: Image) -> tuple[PhysicalType, str | None]:
    """Return the physical type of the values of an image, and a message if it is assumed.

    Only what is known to be flux per pixel is divided among the pixels of SR: if the user says so
    (``values`` among the metadata), according to ``BUNIT``, or without it if the header or the user
    state a zero point.

    Raises
    ------
    DataError
        If the values are magnitudes.
    """
    header = image.metadata.get("header", Header())
    known = physical_type(header)
    known = image.metadata.get("values", known)
    if known is not None:
        return known, None
    text = _unit_text(header)
    stated = ("zero_point" in image.metadata, *(key in header for key in _ZERO_POINTS))
    if not text and any(stated):
        return "flux", None
    what = f"the unit '{text}' is unknown" if text else "no unit is stated (BUNIT)"
    return "surface_brightness", (
        f"{what}; values are taken as a level that does not depend on the size of pixels; if they "
        "are flux per pixel, set BUNIT, such as 'adu'"
    )


def per_lr_area(values: PhysicalType, scale: float) -> float:
    """Return the factor from the HR values of a file to flux per area of an LR pixel."""
    return scale**2 if values == "flux" else 1


def to_file_values(sr: Tensor, header: Header, values: PhysicalType, scale: float) -> Tensor:
    """Convert SR from flux per area of an LR pixel to the physical type of the file.

    The sum of flux per pixel, or the integral of surface brightness over the sky, remains that of
    the LR image.

    Parameters
    ----------
    sr
        ``(..., H, W)``, in flux per area of an LR pixel.
    header
        The header of the SR file; a line is added to its ``HISTORY``.
    values
        The physical type of the values of the file.
    scale
        SR pixels per LR pixel along a side.
    """
    if values == "flux":
        header.add_history(f"Flux per pixel: {scale:g}x{scale:g} pixels share the flux of one.")
        return sr / scale**2
    header.add_history("Surface brightness: values do not depend on the pixel size.")
    return sr


def zero_point(header: Header) -> float | None:
    """Return the AB magnitude of one unit of the values; None if the header does not state it.

    In this order: a keyword of `ZERO_POINTS`; ``FLUXMAG0`` (the flux of magnitude 0, of the HSC
    pipeline); ``PHOTFLAM`` and ``PHOTPLAM`` of Hubble, ``-2.5 log10(PHOTFLAM) - 5 log10(PHOTPLAM)
    - 2.408`` (ACS Data Handbook, section 5.1.1), which for values that are not per second also need
    ``EXPTIME``; a ``BUNIT`` of flux density, such as nJy, or of AB maggies.

    Raises
    ------
    DataError
        If the value of a keyword is invalid.
    """
    for key in ZERO_POINTS:
        if key in header:
            return _number(header, key)
    if "FLUXMAG0" in header:
        return 2.5 * math.log10(_positive(header, "FLUXMAG0"))
    if "PHOTFLAM" in header and "PHOTPLAM" in header:
        return _hubble(header)
    meaning = _unit(header)
    if meaning is None or not meaning.certain:
        return None
    for flux in (meaning.unit, meaning.unit * u.pix):
        if flux.is_equivalent(u.Jy):
            return float((1 * flux).to_value(u.ABmag))
        if flux.is_equivalent(u.mgy):
            return -2.5 * math.log10(flux.to(u.mgy))
    return None


def pixel_area(header: Header, side: float | None) -> u.Quantity | None:
    """Return the solid angle of a pixel; None if it is unknown.

    Parameters
    ----------
    header
        The header; ``PIXAR_SR`` or ``PIXAR_A2`` state the area.
    side
        The side of a pixel in arcsec, if the header does not state the area.
    """
    for key, unit in (("PIXAR_SR", u.sr), ("PIXAR_A2", u.arcsec**2)):
        if key in header:
            return _positive(header, key) * unit
    return None if side is None else side**2 * u.arcsec**2


def zero_point_of_pixels(header: Header, area: u.Quantity | None) -> float | None:
    """Return the AB magnitude of the flux in an area whose surface brightness is one unit.

    None if the area is unknown, or the unit is not one of flux density per solid angle, such as
    MJy / sr.
    """
    meaning = _unit(header)
    if meaning is None or area is None or not (meaning.unit * u.sr).is_equivalent(u.Jy):
        return None
    return float((meaning.unit * area).to_value(u.ABmag))


def electrons_per_unit(header: Header) -> float | None:
    """Return the number of electrons, or photons, in one unit of the values.

    It is 1 for a ``BUNIT`` of electrons or photons, and ``EGAIN`` or ``GAIN`` for counts, ADU or
    DN; both are multiplied by ``EXPTIME`` for values per second. None if that is not stated.
    """
    meaning = _unit(header)
    if meaning is None:
        return None
    gain = _stated(header, "EGAIN") or _stated(header, "GAIN")
    exposure = _stated(header, "EXPTIME")
    for quantum in (u.electron, u.photon, u.ct, u.adu, u.DN):
        electrons = 1.0 if quantum in (u.electron, u.photon) else gain
        for values in (meaning.unit / quantum, meaning.unit * u.pix / quantum):
            if values.is_equivalent(u.one) and electrons:
                return float(electrons * values.to(u.one))
            if values.is_equivalent(u.Hz) and electrons and exposure:
                return float(electrons * exposure * values.to(u.Hz))
    return None


def _stated(header: Header, key: str) -> float | None:
    """Return a positive number; None if it is missing, or a placeholder such as 0."""
    value = header.get(key)
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if usable and 0 < value < math.inf else None


def _hubble(header: Header) -> float:
    flam, plam = (_positive(header, key) for key in ("PHOTFLAM", "PHOTPLAM"))
    per_second = -2.5 * math.log10(flam) - 5 * math.log10(plam) - 21.10 + 18.6921
    meaning = _unit(header)
    if meaning is None or u.s in meaning.unit.decompose().bases:
        return per_second
    if "EXPTIME" not in header:
        raise DataError(
            f"BUNIT is '{header['BUNIT']}', but PHOTFLAM is for values per second; EXPTIME is "
            "needed to convert them"
        )
    return per_second + 2.5 * math.log10(_positive(header, "EXPTIME"))


def _number(header: Header, key: str) -> float:
    value = header[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DataError(f"{key} is {value!r}; expected a number")
    return float(value)


def _positive(header: Header, key: str) -> float:
    value = _number(header, key)
    if value <= 0:
        raise DataError(f"{key} is {value:g}; expected a positive number")
    return value


def _unit_text(header: Header) -> str:
    text = str(header.get("BUNIT", "")).strip()
    if re.search(r"mag\b", text, re.IGNORECASE):
        raise DataError(f"BUNIT is '{text}'; expected a linear unit, not magnitudes")
    return text


def _unit(header: Header) -> Meaning | None:
    """Parse ``BUNIT``; None if it is missing or not understood."""
    return parse(_unit_text(header))
