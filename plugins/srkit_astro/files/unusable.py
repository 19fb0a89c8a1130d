"""Pixels whose values are not to be used: flagged, or saturated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from astropy.io.fits import Header

from srkit.functional import Values

#: Planes of a bit mask (``MP_name = bit`` in its header, as written by the HSC and LSST pipelines)
#: that flag values that are not to be used. Those of EDGE and SUSPECT are valid.
PLANES = ("BAD", "CR", "NO_DATA", "SAT", "UNMASKEDNAN", "SRINTRP")
#: Bits of such flags where the header does not name them, by telescope or instrument: JWST and
#: Roman (DO_NOT_USE, SATURATED), Hubble (all but CTE tails and warm pixels), DECam (all but those
#: of repaired and nearby pixels). Any flag counts elsewhere.
BITS = {"JWST": 0b11, "ROMAN": 0b11, "HST": 0xFFFF & ~(32 | 64), "DECAM": 0x45DB}
#: Keywords for the level of saturation.
LEVELS = ("SATURATE", "SATLEVEL", "SATUR_LV")
#: Largest shares of the pixels that may be flagged, and saturated; more are not interpolated.
MOST, SATURATED = 0.3, 0.05
#: Smallest number of neighbouring pairs of pixels of the largest value that are a clipped source,
#: and their largest share of the pixels.
PAIRS, CLIPPED = 3, 0.01
_DONE = "interpolated for the network, and marked in MASK (SRINTRP; SRNEAR around them)"


def flagged(
    flags: Values,
    header: Mapping[str, Any],
    mask_header: Mapping[str, Any],
    planes: Sequence[str] = PLANES,
) -> Values:
    """Return which pixels are flagged as not to be used.

    Parameters
    ----------
    flags
        Flags as stored.
    header
        The header of the image, which names the telescope.
    mask_header
        The header of the flags, which may name their bits.
    planes
        The names of the bits that count.
    """
    if any(key.startswith("MP_") for key in mask_header):
        keys = [f"MP_{name}" for name in planes if f"MP_{name}" in mask_header]
        bits = sum(1 << int(mask_header[key]) for key in keys)
        return (flags.astype(np.int64) & bits) != 0
    names = {str(header.get(key, "")).strip().upper() for key in ("TELESCOP", "INSTRUME")}
    known = [bits for name, bits in BITS.items() if name in names]
    found: Values = (flags.astype(np.int64) & known[0] if known else flags) != 0
    return found


def check_share(count: int, total: int) -> tuple[bool, list[str]]:
    """Return whether flagged pixels are interpolated, and a message on their number."""
    if not count:
        return False, []
    if count > MOST * total:
        share = f"{count / total:.0%} of the pixels are flagged"
        return False, [f"{share}, which are used all the same: so many cannot be interpolated"]
    return True, [f"{_pixels(count)} flagged; {_DONE}"]


def _pixels(count: int) -> str:
    return "1 pixel is" if count == 1 else f"{count} pixels are"


def saturation(
    header: Header, parts: Callable[[], Iterable[Values]]
) -> tuple[float | None, list[str]]:
    """Return the level from which on values are saturated, if any are, and messages.

    It is that of the header; or else the largest value, if several neighbouring pixels have it and
    others come near to it, as in a clipped source.

    Parameters
    ----------
    header
        The header.
    parts
        Returns the values in parts; it is called up to twice.
    """
    stated = next((float(header[key]) for key in LEVELS if _is_level(header.get(key))), np.inf)
    most, pairs, beyond, total = -np.inf, 0, 0, 0
    for part in parts():
        top = float(np.max(part, where=np.isfinite(part), initial=-np.inf))
        if top > most:
            most, pairs = top, 0
        at = part == most
        pairs += int((at[..., 1:] & at[..., :-1]).sum())
        beyond += int((part >= stated).sum())
        total += part.size
    if 0 < beyond <= SATURATED * total:
        return stated, [f"{_pixels(beyond)} saturated, {stated:g} or more; {_DONE}"]
    notes = []
    if beyond:
        share = f"{beyond / total:.0%} of the pixels are beyond the saturation of the header"
        notes = [f"{share}, {stated:g}, which is not in the unit of the values and is ignored"]
    if pairs >= PAIRS and most > 0:
        count, wings = 0, 0
        for part in parts():
            count += int((part == most).sum())
            wings += int(((part > most / 2) & (part < most)).sum())
        if count <= CLIPPED * total and wings >= PAIRS:
            clipped = f"{_pixels(count)} saturated: all have the largest value, {most:g}; {_DONE}"
            return most, [*notes, clipped]
    return None, notes


def _is_level(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
