from __future__ import annotations

import re
from pathlib import Path

import pytest
from srkit_astro.pairing.catalogue import read_catalogue

from srkit.errors import DataError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ra,dec\n", "{path}: has no rows; expected one position per row"),
        (
            "",
            "{path}: found the columns (none); expected ra and dec in degrees and, optionally, "
            "name",
        ),
        (
            "RA,declination\n1,2\n",
            "{path}: found the columns ra, declination; expected ra and dec in degrees and, "
            "optionally, name",
        ),
        (
            "ra,dec\n1,2\n10:00:00,2\n",
            "{path}, line 3: ra is '10:00:00' and dec is '2'; expected degrees, with dec from -90 "
            "to 90",
        ),
        (
            "ra,dec\n1,95\n",
            "{path}, line 2: ra is '1' and dec is '95'; expected degrees, with dec from -90 to 90",
        ),
        (
            "ra,dec\n1\n",
            "{path}, line 2: ra is '1' and dec is ''; expected degrees, with dec from -90 to 90",
        ),
        (
            "ra,dec,name\n1,2,../x\n",
            "{path}, line 2: the name '../x' cannot be that of a file on every system; use "
            "another, such as one of letters, digits, _ . -",
        ),
        (
            "ra,dec,name\n1,2,NGC:1\n",
            "{path}, line 2: the name 'NGC:1' cannot be that of a file on every system; use "
            "another, such as one of letters, digits, _ . -",
        ),
        (
            "ra,dec,name\n1,2,a\n3,4,A\n",
            "{path}: two rows are named 'A', in upper or lower case; names must be unique, since "
            "each becomes a file name",
        ),
    ],
)
def test_invalid_catalogues_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=f"^{re.escape(message.format(path=path))}$"):
        read_catalogue(path)


def test_positions_without_names_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("Dec, RA\n1.5,2.5\n-3,359\n")
    assert [(p.name, p.ra, p.dec) for p in read_catalogue(path)] == [
        ("00000", 2.5, 1.5),
        ("00001", 359, -3),
    ]
