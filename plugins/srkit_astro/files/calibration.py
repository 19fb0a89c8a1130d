"""What pixel values mean: flux per pixel or surface brightness, and their zero point."""

from __future__ import annotations

import math
import re
import warnings
from typing import Literal

import astropy.units as u
from astropy.io.fits import Header
from torch import Tensor

from srkit.errors import DataError

#: ``flux``: of the whole pixel; ``surface_brightness``: per area, so that a flat sky has the same
#: value in pixels of any size.
Values = Literal["flux", "surface_brightness"]

#: Keywords of the AB magnitude of one unit per second, most trusted first.
ZERO_POINTS = ("MAGZERO", "MAGZPT", "MAGZP", "PHOTZP", "ZEROPNT", "ZP")


def values_of(header: Header) -> Values | None:
    """Say what the pixel values of a file are, by its ``BUNIT``; None if it does not tell.

    Per solid angle or beam, and brightness temperature, are surface brightness; anything else is
    flux per pixel, also where the unit says ``/ pixel``.

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


def per_lr_area(values: Values, scale: float) -> float:
    """Give the factor from HR values of a file to flux per area of an LR pixel."""
    return scale**2 if values == "flux" else 1


def to_file_values(sr: Tensor, header: Header, values: Values, scale: float) -> Tensor:
    """Bring SR from the LR file's scale back to what the values of the file mean.

    The sum of flux per pixel, or the integral of surface brightness over the sky, stays that of
    the LR image. The header says so in its ``HISTORY``.

    Parameters
    ----------
    sr
        ``(..., H, W)``, in flux per area of an LR pixel.
    header
        Of the file that SR goes to; a line is added.
    values
        What the values of the LR file are.
    scale
        SR pixels for each LR pixel along a side.
    """
    if values == "flux":
        header.add_history(f"Flux per pixel: {scale:g}x{scale:g} pixels share what one held.")
        return sr / scale**2
    header.add_history("Surface brightness: values of finer pixels keep their level.")
    return sr


def zero_point(header: Header) -> float | None:
    """Find the AB magnitude that one unit of the values has; None if the header does not tell.

    In this order: a keyword of `ZERO_POINTS`; ``FLUXMAG0`` (the flux of magnitude 0, of the HSC
    pipeline); ``PHOTFLAM`` and ``PHOTPLAM`` of Hubble, ``-2.5 log10(PHOTFLAM) - 5 log10(PHOTPLAM)
    - 2.408`` (ACS Data Handbook, section 5.1.1), where values that are not per second also need
    ``EXPTIME``; a ``BUNIT`` of flux density, such as nJy, or of AB maggies.

    Raises
    ------
    DataError
        If a keyword has a value that no zero point has.
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
            f"BUNIT is '{header['BUNIT']}', and PHOTFLAM holds for values per second; "
            "expected EXPTIME"
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
    """Parse ``BUNIT``, also as ``ELECTRONS/S``; None where it is missing or unknown."""
    text = str(header.get("BUNIT", "")).strip()
    if re.search(r"mag\b", text, re.IGNORECASE):
        raise DataError(f"BUNIT is '{text}'; expected a linear unit, not magnitudes")
    plain = re.sub(r"\be-", "electron", text.lower()).replace("cps", "count/s")
    plain = re.sub(r"\b(electron|count|photon)s\b", r"\1", plain)
    for form in (text, plain) if text else ():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # forms that the FITS standard discourages
            unit = u.Unit(form, parse_strict="silent")
        if not isinstance(unit, u.UnrecognizedUnit):
            return unit
    return None
