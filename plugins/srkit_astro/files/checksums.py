"""Checksums of FITS files (FITS standard 4.0, appendix J), computed in parts.

astropy only computes the checksum of data that are in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

#: Checksums consist of digits and letters; these ASCII characters lie between them.
_EXCLUDED = frozenset((*range(0x3A, 0x41), *range(0x5B, 0x61)))


def sum_words(parts: Iterable[bytes], before: int = 0) -> int:
    """Add big-endian 32-bit words in ones' complement.

    Parameters
    ----------
    parts
        Data in parts of any length; the end is padded with zeros to a whole word.
    before
        Sum of the preceding data, to which the words are added.
    """
    total, rest = before, b""
    for part in parts:
        part = rest + part
        whole = len(part) // 4 * 4
        rest = part[whole:]
        total += int(np.frombuffer(part[:whole], ">u4").sum(dtype=np.uint64))
    total += int.from_bytes(rest.ljust(4, b"\0"), "big")
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def encoded(total: int) -> str:
    """Encode the complement of a sum as 16 letters and digits, for ``CHECKSUM``."""
    characters = [""] * 16
    for place, byte in enumerate((~total & 0xFFFFFFFF).to_bytes(4, "big")):
        quarters = [byte // 4 + 0x30 + (byte % 4 if index == 0 else 0) for index in range(4)]
        while _EXCLUDED.intersection(quarters):
            for first in (0, 2):
                if _EXCLUDED.intersection(quarters[first : first + 2]):
                    quarters[first] += 1
                    quarters[first + 1] -= 1
        for index, quarter in enumerate(quarters):
            characters[4 * index + place] = chr(quarter)
    return "".join(characters[-1:] + characters[:-1])
