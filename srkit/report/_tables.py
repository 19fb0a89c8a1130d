"""Tables in the terminal and in files."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from textwrap import fill
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from srkit.report._metric_info import MetricInfo

#: Most classes that a table or figure lists by name.
NAMED = 12


class Column:
    """A column of a printed table.

    Parameters
    ----------
    heading
        May be broken at spaces; underscores are shown as spaces.
    cells
        Strings are printed as they are, without markup.
    """

    def __init__(self, heading: str, cells: Iterable[str | Text]) -> None:
        # An arrow stays on the line of its 0.
        self.heading = heading.replace("_", " ").replace("→ ", "→\N{NO-BREAK SPACE}")
        self.cells = [Text(cell) if isinstance(cell, str) else cell for cell in cells]

    @property
    def width(self) -> int:
        """Fewest characters that hold the numbers and every word of the heading."""
        longest = max(map(len, [*self.heading.split(" "), *(cell.plain for cell in self.cells)]))
        return max(8, longest)


def print_columns(
    title: str | None, names: Column, columns: Iterable[Column], console: Console
) -> None:
    """Print a table; columns that do not fit are continued in further blocks of rows.

    Parameters
    ----------
    title
        Printed above the table.
    names
        The first column, repeated in every block.
    columns
        The other columns.
    console
        Where to print it.
    """
    room = console.width - names.width
    for number, block in enumerate(_blocks(columns, room)):
        shown = None if number or title is None else Text(title)
        table = Table(title=shown, box=SIMPLE_HEAD, padding=0, show_edge=False)
        table.add_column(names.heading, no_wrap=True)
        # On a narrow terminal the headings are broken, never the numbers.
        broken = sum(1 + max(column.width, len(column.heading)) for column in block) > room
        for column in block:
            text = fill(column.heading, column.width) if broken else column.heading
            table.add_column(Text(text), justify="right", no_wrap=True, min_width=8)
        for row in zip(names.cells, *(column.cells for column in block), strict=True):
            table.add_row(*row)
        if number:
            console.print()
        console.print(table)


def _blocks(columns: Iterable[Column], width: int) -> list[list[Column]]:
    """Divide columns, each preceded by a space, into blocks of at most this width."""
    blocks: list[list[Column]] = [[]]
    left = width
    for column in columns:
        if blocks[-1] and column.width + 1 > left:
            blocks.append([])
            left = width
        blocks[-1].append(column)
        left -= column.width + 1
    return blocks


def heading(metric: MetricInfo) -> str:
    """Return the heading of a metric's column: name, unit, an arrow towards better values."""
    if metric.signed:
        return f"{label(metric)} → 0"
    return f"{label(metric)} {'↑' if metric.higher_is_better else '↓'}"


def label(metric: MetricInfo) -> str:
    """Return the name of a metric with its unit."""
    return f"{metric.name} [{metric.unit}]" if metric.unit else metric.name


def format_value(metric: MetricInfo, value: float) -> str:
    """Return a rounded value: 2 decimals for dB, otherwise 4, or 3 digits if tiny.

    NaN, a value that could not be measured, is shown as a dash.
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if metric.unit == "dB":
        return f"{value:.2f}"
    return f"{value:.2e}" if 0 < abs(value) < 0.001 else f"{value:.4f}"


def short_number(value: float) -> str:
    """Return a number with three digits and K, M, G or T."""
    for letter, unit in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if value >= 0.9995 * unit:
            return f"{value / unit:.3g} {letter}"
    return f"{value:.3g}"


def csv_text(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a table as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def strict(tree: Any) -> Any:
    """Replace the numbers that strict JSON cannot hold, at any depth of lists and mappings.

    NaN, a value that could not be measured, becomes null; infinite values become the strings
    ``"inf"`` and ``"-inf"``.
    """
    if isinstance(tree, Mapping):
        return {key: strict(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [strict(value) for value in tree]
    if not isinstance(tree, float) or math.isfinite(tree):
        return tree
    return None if math.isnan(tree) else str(tree)
