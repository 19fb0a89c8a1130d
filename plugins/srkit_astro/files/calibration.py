"""Photometric calibration: flux per pixel or surface brightness, and zero points."""

from __future__ import annotations

import math
import re
import warnings
from typing import Literal

import astropy.units as u
from astropy.io.fits import Header
from torch import Tensor

from srkit.errors import DataError

#: Pixel values are either the ``flux`` of a pixel or ``surface_brightness``, which for a uniform
#: sky does not depend on the size of pixels.
PhysicalType = Literal["flux", "surface_brightness"]

#: Keywords for the AB magnitude of one unit, in order of preference.
ZERO_POINTS = ("MAGZERO", "MAGZPT", "MAGZP", "PHOTZP", "ZEROPNT", "ZP")


def physical_type(header: Header) -> PhysicalType | None:
    """Return the physical type of the pixel values according to ``BUNIT``; None if it is unknown.

    Values per solid angle or beam and brightness temperatures are surface brightness; all others
    are flux per pixel, with or without ``/ pixel`` in the unit.

    Raises
    ------
    DataError
        If the values are magnitudes.
    """
    unit = _unit(header)
    if unit is None:
        return None
    basic = unit.decompose()
    powers = dict(zip(basic.bases, basic.powers, strict=True))
    per_area = any(powers.get(base, 0) < 0 for base in (u.rad, u.beam))
    return "surface_brightness" if per_area or basic.bases == [u.K] else "flux"


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
    unit = _unit(header)
    for flux in () if unit is None else (unit, unit * u.pix):
        if flux.is_equivalent(u.Jy):
            return float((1 * flux).to_value(u.ABmag))
        if flux.is_equivalent(u.mgy):
            return -2.5 * math.log10(flux.to(u.mgy))
    return None


def _hubble(header: Header) -> float:
    flam, plam = (_positive(header, key) for key in ("PHOTFLAM", "PHOTPLAM"))
    per_second = -2.5 * math.log10(flam) - 5 * math.log10(plam) - 21.10 + 18.6921
    unit = _unit(header)
    if unit is None or u.s in unit.decompose().bases:
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


def _unit(header: Header) -> u.UnitBase | None:
    """Parse ``BUNIT``, also in forms such as ``ELECTRONS/S``; None if it is missing or unknown."""
    text = str(header.get("BUNIT", "")).strip()
    if re.search(r"mag\b", text, re.IGNORECASE):
        raise DataError(f"BUNIT is '{text}'; expected a linear unit, not magnitudes")
    plain = re.sub(r"\be-", "electron", text.lower()).replace("cps", "count/s")
    plain = re.sub(r"\b(electron|count|photon)s\b", r"\1", plain)
    for form in (text, plain) if text else ():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about forms that the FITS standard discourages
            unit = u.Unit(form, parse_strict="silent")
        if not isinstance(unit, u.UnrecognizedUnit):
            return unit
    return None
