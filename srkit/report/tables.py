"""Tables in the terminal and in files."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from textwrap import fill
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from srkit.report.metric_info import MetricInfo

#: Most classes in a table or figure that names them.
NAMED = 12


def print_columns(title: str, names: Column, columns: Iterable[Column], console: Console) -> None:
    """Print a table; columns that do not fit beside the others go on in a further block of rows.

    Parameters
    ----------
    title
        What stands above it.
    names
        The first column, which every block has.
    columns
        The others.
    console
        Where to print it.
    """
    room = console.width - names.width
    for number, block in enumerate(_blocks(columns, room)):
        table = Table(
            title=None if number else Text(title), box=SIMPLE_HEAD, padding=0, show_edge=False
        )
        table.add_column(names.heading, no_wrap=True)
        # Headings give way on a narrow terminal, numbers never.
        broken = sum(1 + max(column.width, len(column.heading)) for column in block) > room
        for column in block:
            text = fill(column.heading, column.width) if broken else column.heading
            table.add_column(Text(text), justify="right", no_wrap=True)
        for row in zip(names.cells, *(column.cells for column in block), strict=True):
            table.add_row(*row)
        if number:
            console.print()
        console.print(table)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the printed table: its heading, which may be broken at spaces, and its cells."""

    heading: str
    cells: list[Text]

    @property
    def width(self) -> int:
        """Fewest characters that hold the numbers and every word of the heading."""
        longest = max(map(len, [*self.heading.split(" "), *(cell.plain for cell in self.cells)]))
        return max(8, longest)


def printed_heading(metric: MetricInfo) -> str:
    """Head a printed column: lines may end at its spaces, but the arrow keeps its 0."""
    return heading(metric).replace("_", " ").replace("→ ", "→\N{NO-BREAK SPACE}")


def _blocks(columns: Iterable[Column], width: int) -> list[list[Column]]:
    """Divide columns, each with a space before it, into blocks of a width."""
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
    """Head a metric's column: name, unit, and an arrow towards the better values."""
    if metric.signed:
        return f"{label(metric)} → 0"
    return f"{label(metric)} {'↑' if metric.higher_is_better else '↓'}"


def label(metric: MetricInfo) -> str:
    """Name a metric with its unit."""
    return f"{metric.name} [{metric.unit}]" if metric.unit else metric.name


def format_value(metric: MetricInfo, value: float) -> str:
    """Round as the metric deserves: 2 decimals for dB, 4 for others, 3 digits when tiny.

    A dash stands for NaN: nothing could be measured.
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if metric.unit == "dB":
        return f"{value:.2f}"
    return f"{value:.2e}" if 0 < abs(value) < 0.001 else f"{value:.4f}"


def short_number(value: float) -> str:
    """Write a number with three digits and K, M, G or T."""
    for letter, unit in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if value >= 0.9995 * unit:
            return f"{value / unit:.3g} {letter}"
    return f"{value:.3g}"


def style_of(name: str, best: set[str]) -> str:
    """Give the style of a table cell: bold for the best."""
    return "bold" if name in best else ""


def csv_text(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Write a table as CSV."""
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
