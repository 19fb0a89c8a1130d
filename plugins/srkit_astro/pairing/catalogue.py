"""The catalogue of `srkit data pair`: positions on the sky, from a CSV file."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from srkit.errors import DataError
from srkit.system import is_file_name
from srkit_astro.pairing.results import Position


def read_catalogue(path: Path) -> list[Position]:
    """Read positions from a CSV file with the columns ra, dec and, optionally, name.

    Raises
    ------
    DataError
        If columns are missing, there are no rows, or a position or a name is invalid.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such catalogue")
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        columns = [name.strip().lower() for name in rows.fieldnames or []]
        if not {"ra", "dec"} <= set(columns):
            raise DataError(
                f"{path}: found the columns {', '.join(columns) or '(none)'}; expected ra and dec "
                "in degrees and, optionally, name"
            )
        rows.fieldnames = columns
        positions = [
            _position(f"{path}, line {rows.line_num}", row, i) for i, row in enumerate(rows)
        ]
    if not positions:
        raise DataError(f"{path}: has no rows; expected one position per row")
    seen: set[str] = set()
    for position in positions:
        if position.name.casefold() in seen:
            raise DataError(
                f"{path}: two rows are named '{position.name}', in upper or lower case; names must "
                "be unique, since each becomes a file name"
            )
        seen.add(position.name.casefold())
    return positions


def _position(where: str, row: dict[str, str | None], index: int) -> Position:
    try:
        ra, dec = (float(row[key] or "") for key in ("ra", "dec"))
    except ValueError:
        ra = dec = math.nan
    if not (-360 <= ra <= 360 and -90 <= dec <= 90):
        given = [row[key] or "" for key in ("ra", "dec")]
        raise DataError(
            f"{where}: ra is '{given[0]}' and dec is '{given[1]}'; expected degrees, with dec from "
            "-90 to 90"
        )
    name = (row.get("name") or "").strip() or f"{index:05d}"
    if not is_file_name(name) or name.startswith("."):
        raise DataError(
            f"{where}: the name '{name}' cannot be that of a file on every system; use another, "
            "such as one of letters, digits, _ . -"
        )
    return Position(name, ra, dec)
