"""Reports and their tables in a notebook."""

from __future__ import annotations

import csv
import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from srkit.errors import DataError


@dataclass(frozen=True, slots=True)
class ReportTable:
    """A table of a report; a notebook shows it with rounded numbers.

    Parameters
    ----------
    header
        Names of the columns.
    rows
        The cells as they are in the file.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def column(self, name: str) -> list[str]:
        """Return the cells of a column.

        Raises
        ------
        ValueError
            If there is none of this name.
        """
        if name not in self.header:
            raise ValueError(f"unknown column '{name}'; the columns are {', '.join(self.header)}")
        return [row[self.header.index(name)] for row in self.rows]

    def _repr_html_(self) -> str:
        heading = "".join(f"<th>{html.escape(name)}</th>" for name in self.header)
        rows = (
            "".join(f"<td>{html.escape(_rounded(cell))}</td>" for cell in row) for row in self.rows
        )
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><thead><tr>{heading}</tr></thead><tbody>{body}</tbody></table>"


class Report:
    """A report that srkit wrote; a notebook shows its page.

    Parameters
    ----------
    path
        The page, or a folder that contains a single one, such as a run folder after its evaluation
        or the output folder of a sweep.
    height
        Height of the page in a notebook, in CSS pixels.

    Attributes
    ----------
    page
        The HTML file.
    tables
        The CSV files beside the page, by name without ``.csv``.

    Raises
    ------
    DataError
        If there is no page, or more than one.
    """

    def __init__(self, path: str | Path, *, height: int = 600) -> None:
        self.page, self.height = _page(Path(path)), height
        self.tables: Mapping[str, ReportTable] = {
            file.stem: _table(file) for file in sorted(self.page.parent.glob("*.csv"))
        }

    def __repr__(self) -> str:
        return f"Report('{self.page}')"

    def _repr_html_(self) -> str:
        page = html.escape(self.page.read_text("utf-8"), quote=True)
        style = f"width:100%;height:{self.height}px;border:1px solid #8884"
        return f'<iframe srcdoc="{page}" style="{style}"></iframe>'


def _page(path: Path) -> Path:
    if path.is_file() and path.suffix == ".html":
        return path
    pages = sorted(path.glob("*.html")) or sorted(path.glob("*/*.html"))
    if len(pages) == 1:
        return pages[0]
    if not pages:
        raise DataError(f"{path}: contains no report; expected a page or the folder of one")
    names = ", ".join(str(page) for page in pages)
    raise DataError(f"{path}: contains several reports; choose one of {names}")


def _table(path: Path) -> ReportTable:
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = [*csv.reader(file)] or [[]]
    return ReportTable(header, rows)


def _rounded(cell: str) -> str:
    """Round a number to four digits; whole numbers and text stay as they are."""
    try:
        value = float(cell)
    except ValueError:
        return cell
    return cell if cell.lstrip("-").isdigit() or not math.isfinite(value) else f"{value:.4g}"
