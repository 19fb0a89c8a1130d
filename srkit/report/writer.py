"""The files of a report, in one folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srkit.report._tables import csv_text, strict
from srkit.report.pages import Picture, render_page
from srkit.report.plotting import DPI, png
from srkit.system.files import write_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ReportWriter:
    """Write the tables, the figures and the page of a report to one folder.

    Every method writes one file, whole or not at all, and raises an
    :class:`~srkit.errors.OutputError` if that is not possible.

    Parameters
    ----------
    folder
        The output folder; it is created with the first file.

    Attributes
    ----------
    pictures
        The figures written so far, which the page shows in this order.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pictures: list[Picture] = []

    def csv(self, name: str, header: Iterable[str], rows: Iterable[Iterable[Any]]) -> Path:
        """Write a table; infinite and undefined values are written as ``inf`` and ``nan``."""
        return write_file(self.folder / name, csv_text(header, rows))

    def json(self, name: str, tree: Any) -> None:
        """Write plain data as strict JSON; NaN becomes null, infinite values become text."""
        text = json.dumps(strict(tree), indent=2, ensure_ascii=False, allow_nan=False)
        # A lone surrogate, as in a file name that is not UTF-8, is written as JSON escapes it.
        write_file(self.folder / name, (text + "\n").encode("utf-8", "backslashreplace"))

    def figure(self, name: str, figure: Figure, title: str, caption: str, dpi: float = DPI) -> None:
        """Write a figure as PNG and add it to the pictures of the page.

        Parameters
        ----------
        name
            Name of the file.
        figure
            The figure.
        title, caption
            What it shows, in a few words and in a sentence or two.
        dpi
            Resolution in pixels per inch.
        """
        path = write_file(self.folder / name, png(figure, dpi))
        self.pictures.append(Picture(path, title, caption))

    def page(self, name: str, template: str, /, *, package: str, **values: Any) -> Path:
        """Write a page that shows `values` and, as ``pictures``, the figures written so far.

        Parameters
        ----------
        name
            Name of the file.
        template, package, values
            As for :func:`~srkit.report.render_page`.
        """
        text = render_page(template, package=package, pictures=self.pictures, **values)
        return write_file(self.folder / name, text)
