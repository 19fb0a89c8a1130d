"""Header keywords beside the WCS that a change of the pixel size makes wrong."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, TypeAlias

from astropy.io.fits import Header

#: What becomes of a value if pixels are divided into ``scale`` x ``scale``: the ``side`` and the
#: ``area`` of a pixel are divided; a ``position`` x, counted from 1, becomes (x - 0.5) scale + 0.5;
#: an ``offset`` in pixels is multiplied; a ``section`` covers the same area; a ``level`` of flux
#: per pixel is divided by the area, and a ``noise`` by the side; a ``width`` is multiplied if its
#: comment says that it is in pixels, kept if it says arcsec, and otherwise removed; a ``number``,
#: a ``text`` or ``any`` value that has no meaning for the new pixels is removed.
_Geometry = Literal["side", "area", "position", "offset", "section", "width"]
Change: TypeAlias = _Geometry | Literal["level", "noise", "number", "text", "any"]


class Rule(NamedTuple):
    """Keywords, as a regular expression, and what becomes of their values."""

    keys: str
    change: Change
    why: str = ""


RULES = (
    Rule(r"PIXSCALE|PIXSCAL[12XY]|PXSCAL[12]|PIXSCL|PIXELSCL|PSCALE|IDCSCALE", "side"),
    Rule(r"SECPIX[12XY]?|SCALE|D\d{3}SCAL|IM_SCALE", "side"),
    Rule(r"[XY]PIXSZ|[XY]PIXSIZE|PIXSIZE[12XY]?|PIXSZ[12XY]|[XY]PIXELSZ", "side"),
    Rule(r"D\d{3}OU(XC|YC|NX|NY)", "any", "of the drizzled image"),
    Rule(r"CDELT[XY]|CDELTM[12]|[XY]DELT|[XY]INC", "side"),
    Rule(r"PIXAR_A2|PIXAR_SR|PIXAREA", "area"),
    Rule(r"[XY]REFPIX|REFPIX[12XY]", "position"),
    Rule(r"CNPIX[12]|[XY]ORGSUBF", "offset"),
    Rule(r"(DATA|TRIM|BIAS|STAT|GOOD|USE|D|T|B)SEC[A-Z0-9]{0,2}", "section"),
    Rule(r"(CCD|DET|AMP|ORIG|RAW|CHIP|C|A)SEC[A-Z0-9]{0,2}", "text", "in pixels of the detector"),
    Rule(r"SATURAT[A-Z0-9]?|SATLEVEL|SATUR_LV|MAXLIN|LINLIMIT|NONLINEA?|MAXCOUNT|MAXGOOD", "level"),
    Rule(r"SKY(LEVEL|LEV|VAL|MED|MEAN|BKG|BACK|_?MODE|CNTS)?|MDRIZSKY|D\d{3}MDSK", "level"),
    Rule(r"BACKGR(OU)?N?D?|BKG(LEVEL|VAL|MED|MEAN)?|BGLEVEL|PEDESTAL|CBLACK|CWHITE", "level"),
    Rule(r"SKY(SIGMA|SIG|RMS|STD|NOISE)|BKG(SIGMA|SIG|RMS|STD)|BACKRMS|RMS", "noise"),
    Rule(r"RDNOIS[E0-9][A-Z0-9]?|READNOI?S?E?[A-Z0-9]?|RON[A-Z0-9]?", "noise"),
    Rule(r"\w*(FWHM|SEEING)\w*", "width", "whether in pixels or arcsec is not stated"),
    Rule(r"(DATA|GOOD|SNR|IM|IMG|IMAGE)(MIN|MAX|MEAN|MED|MEDIAN|STD|SIG)", "number", "of LR"),
    Rule(r"MEAN|MEDIAN|MODE|STDDEV|STDEV|SOFTERRS|CENTERA[12]|SIZAXIS[12]", "number", "of LR"),
    Rule(r"BAYERPAT|[XY]BAYROFF|BAYOFF[XY]|COLORTYP|CFAPAT\w*|CFA", "any", "no mosaic in SR"),
    Rule(r"(CCD)?[XY]BIN(NING)?|BINNING|BIN[XY]|CCDSUM|CCDBIN[12]", "any", "no binning in SR"),
    Rule(r"BINAXIS[12]|[HV]BIN", "any", "no binning in SR"),
)
#: What does not apply to a part of an image: places in the whole, and its statistics.
_OF_THE_WHOLE = ("position", "offset", "section", "text", "number")
_PATTERNS = [(re.compile(rule.keys), rule) for rule in RULES]
_SECTION = re.compile(r"\s*\[\s*(\d+)\s*:\s*(\d+)\s*,\s*(\d+)\s*:\s*(\d+)\s*\]\s*")


def mosaic_of(header: Header) -> str:
    """Return the pattern of a raw colour mosaic, such as RGGB; empty if the header names none."""
    for key in ("BAYERPAT", "COLORTYP"):
        pattern = str(header.get(key, "")).strip()
        if re.fullmatch(r"(?i)[RGB]{4}|bayer\w*", pattern):
            return pattern
    return ""


def update(header: Header, scale: float, *, flux: bool) -> list[str]:
    """Change the keywords of `RULES` for pixels that are divided into ``scale`` x ``scale``.

    Every change is added to the header's ``HISTORY``.

    Parameters
    ----------
    header
        The header, which is changed.
    scale
        New pixels per old pixel along a side.
    flux
        Whether the values are flux per pixel, so that levels change, too.

    Returns
    -------
    list of str
        Messages for the user on keywords that were removed.
    """
    if scale == 1:
        return []
    changed: list[str] = []
    removed: dict[str, list[str]] = {}
    for key, rule in _ruled(header):
        value = _changed(header, key, rule.change, scale, flux)
        if value is None:
            header.remove(key, remove_all=True)
            removed.setdefault(rule.why, []).append(key)
        elif value != header[key]:
            header[key] = value
            changed.append(key)
    if changed:
        header.add_history(f"Changed for the new pixels: {', '.join(changed)}.")
    if not removed:
        return []
    listed = "; ".join(f"{', '.join(keys)} ({why})" for why, keys in removed.items())
    header.add_history(f"Removed, not valid for the new pixels: {listed}.")
    return [f"header keywords that are not valid for SR are removed: {listed}"]


def convert_part(header: Header, factor: float) -> None:
    """Change the keywords of `RULES` for a part of an image whose values are multiplied.

    Levels and noise are multiplied by `factor`, too; places in the whole image and its statistics
    are removed. Every change is added to the header's ``HISTORY``.
    """
    changed, removed = [], []
    for key, rule in _ruled(header):
        number = _number(header[key])
        if rule.change in _OF_THE_WHOLE:
            header.remove(key, remove_all=True)
            removed.append(key)
        elif rule.change in ("level", "noise") and number is not None and factor != 1:
            header[key] = number * factor
            changed.append(key)
    for what, keys in (
        ("Converted to the unit", changed),
        ("Removed, of the whole image", removed),
    ):
        if keys:
            header.add_history(f"{what}: {', '.join(keys)}.")


def _ruled(header: Header) -> list[tuple[str, Rule]]:
    """List the keywords of a header that a rule applies to."""
    found = [
        (key, next((rule for pattern, rule in _PATTERNS if pattern.fullmatch(key)), None))
        for key in dict.fromkeys(header)
    ]
    return [(key, rule) for key, rule in found if rule is not None]


def _changed(header: Header, key: str, change: Change, scale: float, flux: bool) -> object:
    """Return the new value of a keyword; None if it has to be removed."""
    value = header[key]
    if change == "any":
        return None
    if change in ("section", "text"):
        if not isinstance(value, str):
            return value
        return _section(value, scale) if change == "section" else None
    number = _number(value)
    if number is None:
        return value
    if change == "number":
        return None
    if change == "width":
        comment = header.comments[key].lower()
        if re.search(r"arcs|asec|\"|deg|mas\b", comment):
            return value
        return number * scale if "pix" in comment or "PIX" in key else None
    if change == "position":
        return (number - 0.5) * scale + 0.5
    divisors = {
        "side": scale,
        "area": scale**2,
        "offset": 1 / scale,
        "level": scale**2 if flux else 1,
        "noise": scale if flux else 1,
    }
    return number / divisors[change]


def _number(value: object) -> float | None:
    """Return a number, also if it is written as text; None for others."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _section(text: str, scale: float) -> str | None:
    """Scale a section ``[x1:x2,y1:y2]``, whose ends are included; None if it is not one."""
    found = _SECTION.fullmatch(text)
    if found is None:
        return None
    x1, x2, y1, y2 = map(int, found.groups())
    (x1, x2), (y1, y2) = (
        (round((low - 1) * scale) + 1, round(high * scale)) for low, high in ((x1, x2), (y1, y2))
    )
    return f"[{x1}:{x2},{y1}:{y2}]"
