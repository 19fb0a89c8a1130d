"""Units of pixel values, in any case and spelling."""

from __future__ import annotations

import re
import warnings
from typing import Literal, NamedTuple

import astropy.units as u

#: Spellings in lower case of the units that astropy does not recognise in any case. Where they
#: take prefixes, these are written out below.
_WORDS = {
    **dict.fromkeys(("adu", "adus"), "adu"),
    **dict.fromkeys(("dn", "dns"), "DN"),
    **dict.fromkeys(("ct", "cts", "cnt", "cnts", "count", "counts"), "ct"),
    **dict.fromkeys(("e", "e-", "el", "ele", "elec", "electron", "electrons"), "electron"),
    **dict.fromkeys(("ph", "phot", "photon", "photons"), "photon"),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("h", "hr", "hour", "hours"), "h"),
    **dict.fromkeys(("px", "pix", "pixel", "pixels"), "pix"),
    **dict.fromkeys(("beam", "beams", "bm"), "beam"),
    **dict.fromkeys(("sr", "str", "ster", "steradian", "steradians"), "sr"),
    **dict.fromkeys(("rad", "rads", "radian", "radians"), "rad"),
    **dict.fromkeys(("deg", "degree", "degrees"), "deg"),
    **dict.fromkeys(("arcmin", "arcmins", "amin", "arcminute", "arcminutes"), "arcmin"),
    **dict.fromkeys(("arcsec", "arcsecs", "asec", "arcsecond", "arcseconds"), "arcsec"),
    **dict.fromkeys(("a", "aa", "ang", "angstrom", "angstroms"), "Angstrom"),
    **dict.fromkeys(("micron", "microns", "um"), "um"),
    **dict.fromkeys(("cm", "mm", "m", "km", "nm", "pc", "kpc", "au"), ""),
    **dict.fromkeys(("kms", "kmps"), "km s**-1"),
    **dict.fromkeys(("g", "gauss", "gs"), "G"),
    **dict.fromkeys(("mx", "maxwell", "maxwells"), "1e-8 Wb"),
    **dict.fromkeys(("tesla",), "T"),
    **dict.fromkeys(("hz", "hertz"), "Hz"),
    **dict.fromkeys(("erg", "ergs"), "erg"),
    **dict.fromkeys(("w", "watt", "watts"), "W"),
    **dict.fromkeys(("j", "joule", "joules"), "J"),
    **dict.fromkeys(("r", "rayleigh", "rayleighs"), "R"),
    **dict.fromkeys(("k", "kelvin", "kelvins", "degk"), "K"),
    **dict.fromkeys(("jy", "jansky", "janskys", "janskies"), "Jy"),
    **dict.fromkeys(("mgy", "maggy", "maggies", "maggys"), "mgy"),
    **dict.fromkeys(("nmgy", "nanomaggy", "nanomaggies", "nanomaggys"), "nmgy"),
    **dict.fromkeys(("msun", "m_sun", "solmass"), "solMass"),
    **dict.fromkeys(("lsun", "l_sun", "sollum"), "solLum"),
    **dict.fromkeys(("atom", "atoms", "particles", "molecules"), "1"),
    **dict.fromkeys(("percent", "fraction", "ratio"), "1"),
    **dict.fromkeys(("cps",), "ct s**-1"),
}
_PREFIXED = ("Jy", "K", "G", "Hz", "R")
_PREFIXES = {"n": "n", "u": "u", "µ": "u", "μ": "u", "micro": "u", "milli": "m", "mega": "M"}

#: What a value may measure per pixel so that the pixels that divide it share it.
_EXTENSIVE = (
    *(u.Jy, u.mgy, u.W / u.m**3, u.W / u.m**2, u.J / u.m**2, u.W, u.J, u.W / u.Hz, u.W / u.m),
    *(u.Jy * u.km / u.s, u.J / u.m**2 / u.Hz, u.J / u.m**3),
)
_COUNTED = (u.ct, u.adu, u.DN, u.electron, u.photon)

Kind = Literal["flux", "surface_brightness"]


class Meaning(NamedTuple):
    """A unit and whether its spelling leaves no doubt about its size, such as ``MJY`` does."""

    unit: u.UnitBase
    certain: bool = True


def parse(text: str) -> Meaning | None:
    """Parse a unit in any case and spelling; None if it is not understood.

    ``ADU/S``, ``JY/BEAM``, ``e-/sec``, ``K (Tmb)`` and ``10^-20 erg/s/cm^2/A`` are examples that
    astropy refuses or misreads, as the siemens for ``S``.
    """
    text = text.strip()
    if not text:
        return None
    if text != text.upper() or len(text) == 1:
        unit = _unit(text)
        if unit is not None and not {u.A, u.S} & set(unit.bases):  # ampere and siemens
            return Meaning(unit)
    return _spelled(text) or (None if (unit := _unit(text)) is None else Meaning(unit))


def _unit(text: str) -> u.UnitBase | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about forms that the FITS standard discourages
        try:
            unit = u.Unit(text, parse_strict="silent")
        except (ValueError, TypeError):  # such as a division by zero
            return None
    return None if isinstance(unit, u.UnrecognizedUnit) else unit


def _spelled(text: str) -> Meaning | None:
    """Parse a unit after spelling each of its words as astropy does."""
    # Kinds of temperature: of the main beam, of the antenna, thermodynamic.
    plain = re.sub(
        r"(?i)\b([nuµμm]?k)(elvin)?[ _]*\(?(t_?mb|t_?a\*?|t_?r\*?|t_?b|mb|cmb|rj)\)?(?![a-z])",
        r"\1",
        text,
    )
    plain = re.sub(r"(?i)(?<![a-z])e-(?![0-9])", "electron", plain)
    certain = True

    def respell(match: re.Match[str]) -> str:
        nonlocal certain
        word, doubtful = _word(match[0])
        certain = certain and not doubtful
        return word

    # An exponent of a number, as in 1e-20, is not a word.
    plain = re.sub(
        r"(?<![0-9.])[A-Za-zµμ_]+|(?<=[0-9])[A-DF-Za-df-zµμ][A-Za-zµμ_]*", respell, plain
    )
    plain = re.sub(r"(?<=[0-9])E(?=[-+0-9])", "e", plain)
    for form in (plain, re.sub(r"\^", "**", plain), re.sub(r"[\[\]]", "", plain)):
        unit = _unit(form)
        if unit is not None:
            return Meaning(unit, certain)
    return None


def _word(word: str) -> tuple[str, bool]:
    """Return a word in astropy's spelling, and whether its prefix could be milli or mega."""
    lowered = word.lower()
    if lowered in _WORDS:
        return _WORDS[lowered] or lowered, False
    for name in sorted(_WORDS, key=len, reverse=True):
        prefix = lowered.removesuffix(name)
        if _WORDS[name] not in _PREFIXED or prefix == lowered:
            continue
        if prefix in _PREFIXES:
            return _PREFIXES[prefix] + _WORDS[name], False
        if prefix in ("m", "k", "g"):
            own = {"m": word[0], "k": "k", "g": "G"}[prefix]
            return own + _WORDS[name], prefix == "m" and word.isupper()
    return word, False


def kind_of(text: str) -> Kind | None:
    """Return whether values in a unit are divided among smaller pixels or keep their level.

    Values per solid angle or beam, temperatures, velocities, angles, fields, column densities and
    numbers without a unit keep their level. Counts, flux densities, energies and their like, with
    or without ``/ pixel``, are flux per pixel. None if the unit is not understood.
    """
    meaning = parse(text)
    if meaning is None:
        if re.search(r"(?i)(/|\bper) ?(beam|bm|sr|ster|arcsec|asec|deg)|(beam|sr) ?\^?\**-1", text):
            return "surface_brightness"
        return "flux" if re.search(r"(?i)(/|\bper) ?pix(el)?s?\b", text) else None
    basic = meaning.unit.decompose()
    powers = dict(zip(basic.bases, basic.powers, strict=True))
    if any(powers.get(base, 0) < 0 for base in (u.rad, u.beam)):
        return "surface_brightness"
    if powers.get(u.pix, 0) < 0:
        return "flux"
    if any(powers.get(base, 0) == 1 for base in _COUNTED):
        return "surface_brightness" if powers.get(u.m, 0) <= -3 and u.s not in powers else "flux"
    if any(meaning.unit.is_equivalent(each) for each in _EXTENSIVE):
        return "flux"
    # The mass of a pixel would be shared; whether it is meant is unknown.
    return None if basic.bases == [u.kg] else "surface_brightness"
