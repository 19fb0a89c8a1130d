"""Header cards that break the FITS standard."""

from __future__ import annotations

import re

from astropy.io.fits import Card, Header, VerifyError

#: Keywords of the WCS and of IRAF's transformation whose values have to be numbers.
NUMBERS = re.compile(
    r"(CRPIX|CRVAL|CDELT|CROTA)\d+[A-Z]?|(CD|PC|PV)\d+_\d+[A-Z]?|(A|B|AP|BP)_(\d+_\d+|ORDER|DMAX)"
    r"|(LONPOLE|LATPOLE|WCSAXES)[A-Z]?|LTV\d|LTM\d_\d"
)


def sound(header: Header) -> tuple[Header, list[str]]:
    """Copy a header, with cards that break the standard fixed or, if they cannot be, left out.

    Numbers of the WCS that are written as text are converted.

    Returns
    -------
    header
        The copy.
    notes
        Messages for the user that name the cards.
    """
    kept: list[Card] = []
    fixed: list[str] = []
    dropped: list[str] = []
    for card in header.cards:
        try:
            changed = _fix(card)
        except (VerifyError, ValueError):
            dropped.append(card.keyword)
            continue
        kept.append(card)
        fixed += [card.keyword] if changed else []
    notes = []
    for what, keys in (("fixed", fixed), ("left out", dropped)):
        if keys:
            listed = ", ".join(dict.fromkeys(keys))
            notes.append(f"header cards that break the FITS standard are {what}: {listed}")
    return Header(kept), notes


def _fix(card: Card) -> bool:
    """Fix a card, and return whether that was needed.

    Raises
    ------
    VerifyError, ValueError
        If it cannot be fixed.
    """
    try:
        before = card.value
    except VerifyError:
        before = None
    card.verify("silentfix+exception")
    if isinstance(card.value, str) and NUMBERS.fullmatch(card.keyword):
        try:
            card.value = float(card.value)
        except ValueError:
            return before is None
        return True
    return before is None
