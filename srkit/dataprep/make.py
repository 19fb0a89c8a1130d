"""`srkit data make`: write the pairs of a recipe to disk."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from torch import Tensor

from srkit import __version__
from srkit.components.crashes import explained
from srkit.components.registry import Registry
from srkit.data.crops import Draws
from srkit.dataprep.pairs import Pairs, build_pairs
from srkit.errors import DataError, SrkitError
from srkit.images.formats import Formats
from srkit.interfaces import Image, Sample
from srkit.recipe.recipe import Recipe
from srkit.report.plotting import png
from srkit.report.sheets import pair_sheet
from srkit.report.writer import ReportWriter
from srkit.system.files import atomic, write_file
from srkit.system.folders import output_folder
from srkit.system.processes.workers import map_in_workers
from srkit.system.progress import progress_bars
from srkit.system.untrusted import inside

FileFormat = Literal["npy", "fits", "png"]

#: Pairs on the picture sheet.
SHOWN = 12
VALUES = (
    "surface brightness on one scale for LR and HR, so that a flat image has the same value in "
    "both; with a unit, flux per area of an LR pixel, in FITS flux per pixel"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A pair on disk: its index in the data set, its name, and its label if it has one."""

    index: int
    name: str
    label: int | None


@dataclass(frozen=True, slots=True)
class PairWriter:
    """Draw pairs and write them to files; works in worker processes.

    Parameters
    ----------
    pairs
        The data set and the degradation.
    quantity
        Unit, pixel scale and data range of every pair.
    folder
        Output folder.
    file_format
        Extension of the files.
    formats
        The image formats.
    """

    pairs: Pairs
    quantity: Mapping[str, Any]
    folder: Path
    file_format: FileFormat
    formats: Formats

    def draw(self, index: int) -> Sample:
        """Draw a pair, as an evaluation of the recipe does.

        Raises
        ------
        DataError
            If its quantity differs from that of the other pairs.
        """
        recipe = self.pairs.recipe
        draws = Draws(self.pairs.dataset, recipe.seed, None, (), recipe.scales[0])
        sample = self.pairs.complete(draws.draw(0, index))
        found = quantity_of(sample)
        if found != self.quantity:
            raise DataError(
                f"{sample.name}: its unit, pixel scale or data range {found} differs from that of "
                f"the first pair {dict(self.quantity)}; write the two groups to different folders"
            )
        return sample

    def write(self, index: int) -> Row:
        """Draw a pair and write its files."""
        with explained():
            sample = self.draw(index)
        assert sample.lr is not None
        unit = sample.unit
        # In a physical unit, FITS holds flux per pixel.
        area = self.pairs.recipe.scales[0] ** 2 if self.file_format == "fits" and unit else 1
        self._write_image("hr", sample.name, sample.hr / area, unit)
        self._write_image("lr", sample.name, sample.lr, unit)
        if sample.variance is not None:
            self._write_image("variance", sample.name, sample.variance, unit and f"({unit})2")
        return Row(index, sample.name, sample.label)

    def _write_image(self, part: str, name: str, pixels: Tensor, unit: str) -> None:
        path = locate(self.folder, part, name, self.file_format)
        bits = 8 if self.file_format == "png" else 32
        image = Image(pixels, metadata={"bits": bits, "channel_axis": 0, "unit": unit})
        with atomic(path) as partial:
            self.formats.of_path(path).write(partial, image)


def locate(folder: Path, part: str, name: str, file_format: FileFormat) -> Path:
    """Return the file of one image of a pair: ``FOLDER/PART/NAME.FORMAT``.

    Raises
    ------
    DataError
        If the name leads out of the folder.
    """
    try:
        return inside(folder / part, f"{name}.{file_format}")
    except ValueError as error:
        raise DataError(f"image of the data set: {error}") from None


def make(
    recipe: Recipe,
    registry: Registry,
    folder: Path,
    *,
    source: str,
    console: Console,
    split: str = "train",
    file_format: FileFormat = "npy",
    workers: int = 2,
) -> int:
    """Write every pair of a recipe's data set; existing pairs are kept.

    Writes ``hr/NAME``, ``lr/NAME`` and, if the noise is known, ``variance/NAME``; for labelled data
    ``labels.csv`` (path, class_index); ``pairs.csv``, the list of finished pairs; ``pairs.json``,
    which describes the values and how they were made; and ``sheet.png``.

    Parameters
    ----------
    recipe, registry
        The recipe, and its components.
    folder
        Output folder.
    source
        Name of the recipe in errors.
    console
        Where progress and the notes of the data set are shown.
    split
        The recipe's data set; its images are neither cropped nor augmented.
    file_format
        ``npy`` holds (C, H, W) float32; ``fits`` has the unit in its header, and with a unit, the
        values are flux per pixel of the file; ``png`` holds pictures in [0, 1], rounded to 8 bits.
    workers
        Worker processes; 0 makes the pairs in this process.

    Returns
    -------
    int
        Number of pairs in the folder.

    Raises
    ------
    RecipeError
        If the recipe has no such data, or no degradation although the data have no LR.
    DataError
        If a pair cannot be made or PNG cannot hold it, two have the same name, or the folder
        has other contents.
    OutputError
        If a file cannot be written; finished pairs are kept.
    """
    pairs = build_pairs(recipe, registry, split, source)
    for note in pairs.dataset.notes:
        console.print(note, markup=False, highlight=False)
    first = pairs.dataset[0]
    pairs.check(first)
    if file_format == "png":
        _check_picture(first)
    writer = PairWriter(pairs, quantity_of(first), folder, file_format, Formats.of(registry))
    made = _describe(pairs, file_format, first)
    with output_folder(folder, folder / "pairs.json", made, "srkit data make"):
        rows = _write_missing(writer, len(pairs.dataset), workers, console)
        if pairs.dataset.classes is not None:
            labels = [(f"{row.name}.{file_format}", row.label) for row in rows]
            ReportWriter(folder).csv("labels.csv", ("path", "class_index"), labels)
        sheet = pair_sheet([writer.draw(row.index) for row in rows[:SHOWN]])
        write_file(folder / "sheet.png", png(sheet))
    return len(rows)


def _check_picture(sample: Sample) -> None:
    """Raise a `DataError` if 8-bit pictures cannot hold a pair."""
    levels = not sample.unit and sample.data_range == (0.0, 1.0)
    if not levels or sample.variance is not None or len(sample.hr) not in (1, 3):
        raise DataError(
            f"{sample.name}: PNG holds grey or RGB pictures in [0, 1], without unit and variance; "
            "use --format npy or fits"
        )


def quantity_of(sample: Sample) -> dict[str, Any]:
    """Return what all pairs of a folder have in common: unit, pixel scale and data range."""
    return {
        "unit": sample.unit,
        "pixel_scale": sample.pixel_scale,
        "data_range": list(sample.data_range),
    }


def _describe(pairs: Pairs, file_format: FileFormat, first: Sample) -> dict[str, Any]:
    """Describe the files and how they are made."""
    recipe, dataset = pairs.recipe.dump(), pairs.dataset
    source = pairs.recipe.data.sources()[pairs.split]
    return {
        "values": VALUES,
        **quantity_of(first),
        "pixel_scale_of": "HR, arcsec",
        "classes": None if dataset.classes is None else list(dataset.classes),
        "pairs": len(dataset),
        "format": file_format,
        "recipe": pairs.recipe.name,
        "split": pairs.split,
        "seed": pairs.recipe.seed,
        "scale": pairs.recipe.scales[0],
        "dataset": source.dataset.model_dump(mode="json", exclude_none=True),
        "degradation": recipe.get("degradation") if first.lr is None else None,
        "srkit": __version__,
    }


def _write_missing(writer: PairWriter, count: int, workers: int, console: Console) -> list[Row]:
    """Write the pairs that are missing and record each; return the rows of all, in order."""
    rows = {row.index: row for row in _recorded(writer)}
    names = {row.name.casefold() for row in rows.values()}
    missing = [index for index in range(count) if index not in rows]
    # A killed process may have left half a line.
    header = ("index", "name", "label")
    record = ReportWriter(writer.folder).csv("pairs.csv", header, map(astuple, rows.values()))
    with (
        progress_bars(console) as bars,
        record.open("a", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        lines = csv.writer(file, lineterminator="\n")
        task = bars.add_task("making pairs", total=count, completed=len(rows))
        for row in map_in_workers(writer.write, missing, workers):
            if isinstance(row, SrkitError):
                raise row
            if row.name.casefold() in names:
                raise DataError(
                    f"{row.name}: two images of the data set have this name, in upper or lower "
                    "case; names must be unique, since each becomes a file name"
                )
            names.add(row.name.casefold())
            rows[row.index] = row
            lines.writerow(astuple(row))
            file.flush()
            bars.advance(task)
    return [rows[index] for index in range(count)]


def _recorded(writer: PairWriter) -> Iterator[Row]:
    """Read the recorded pairs whose files still exist."""
    path = writer.folder / "pairs.csv"
    if not path.is_file():
        return
    for line in path.read_text("utf-8", "surrogateescape").splitlines(keepends=True)[1:]:
        cells = next(csv.reader([line]))
        if line.endswith("\n") and len(cells) == 3:
            row = Row(int(cells[0]), cells[1], int(cells[2]) if cells[2] else None)
            paths = (
                locate(writer.folder, part, row.name, writer.file_format) for part in ("hr", "lr")
            )
            if all(file.is_file() for file in paths):
                yield row
