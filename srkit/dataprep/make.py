"""`srkit data make`: a recipe's data set, degraded, written to disk."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from astropy.io import fits
from rich.console import Console
from torch import Tensor

from srkit import __version__
from srkit.assembly.build import complete
from srkit.assembly.chain import join
from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.data.crops import Draws
from srkit.errors import DataError, RecipeError, SrkitError
from srkit.images.formats import Formats
from srkit.interfaces import Dataset, Degradation, Sample
from srkit.recipe.recipe import Recipe
from srkit.report.plotting import png
from srkit.report.sheets import pair_sheet
from srkit.system.files import write_file
from srkit.system.folders import claimed
from srkit.system.processes.workers import map_in_workers
from srkit.system.progress import progress_bars

FileFormat = Literal["npy", "fits"]
Split = Literal["train", "validation", "test"]

#: Pairs on the picture sheet.
SHOWN = 12
VALUES = (
    "surface brightness on one scale for LR and HR, so that a flat image has the same value in "
    "both; with a unit, flux per area of an LR pixel, in FITS flux per pixel"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A pair that is on disk: its place in the data set, its name, and its label if it has one."""

    index: int
    name: str
    label: int | None


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes pairs and writes them; runs in worker processes.

    Parameters
    ----------
    draws
        The whole images, and the seed of each.
    degradation
        Makes LR; None where the data set has it.
    quantity
        Unit, pixel scale and data range that every pair has.
    folder, file_format
        Where the files go, and of which kind they are.
    """

    draws: Draws
    degradation: Degradation | None
    quantity: Mapping[str, Any]
    folder: Path
    file_format: FileFormat

    def write(self, index: int) -> Row:
        """Make a pair, as an evaluation of the recipe would see it, and write its files."""
        drawn = self.draws.draw(0, index)
        sample, lr = drawn.sample, drawn.sample.lr
        found = quantity(sample)
        if found != self.quantity:
            raise DataError(
                f"{sample.name}: its {found} differ from the first pair's {dict(self.quantity)}; "
                "make one folder for each kind"
            )
        if lr is None:
            assert self.degradation is not None
            lr = self.degradation(sample.hr[None], [drawn.seed])[0]
        for part, image in (("hr", sample.hr), ("lr", lr), ("variance", sample.variance)):
            if image is not None:
                unit = f"({sample.unit})2" if part == "variance" and sample.unit else sample.unit
                if part == "hr":
                    image = image / area_of_file(self.file_format, unit, self.draws.scale)
                content = encode(image, self.file_format, unit)
                write_file(locate(self.folder, part, sample.name, self.file_format), content)
        return Row(index, sample.name, sample.label)


def make(
    recipe: Recipe,
    registry: Registry,
    folder: Path,
    *,
    source: str,
    console: Console,
    split: Split = "train",
    file_format: FileFormat = "npy",
    workers: int = 2,
) -> int:
    """Write every pair of a recipe's data set; those that are there already are kept.

    Writes ``hr/NAME``, ``lr/NAME`` and, where the noise is known, ``variance/NAME``;
    ``labels.csv`` (path, class_index) for labelled data; ``pairs.csv``, which tells what is done;
    ``pairs.json``, which tells what the values are and how they were made; and ``sheet.png``.

    Parameters
    ----------
    recipe, registry
        What to make, from which components.
    folder
        Where to.
    source
        Names the recipe in errors.
    console
        Where to show progress and the data set's notes.
    split
        Which of the recipe's data sets; whole images, neither cropped nor augmented.
    file_format
        ``npy`` holds (C, H, W) float32; ``fits`` the same, with a unit flux per pixel of the file.
    workers
        Processes; 0 makes the pairs in this one.

    Returns
    -------
    int
        Pairs in the folder.

    Raises
    ------
    RecipeError
        If the recipe has no such data, or no degradation where the data have no LR.
    DataError
        If a pair cannot be made, two have one name, or the folder holds pairs of another recipe.
    OutputError
        If a file cannot be written; what was written is kept.
    """
    recipe, dataset, degradation, _ = build_data(recipe, registry, split, source)
    for note in dataset.notes:
        console.print(note, markup=False, highlight=False)
    first = dataset[0]
    if first.lr is None and degradation is None:
        raise missing_degradation(source, split)
    maker = Maker(
        Draws(dataset, recipe.seed, None, (), recipe.scales[0]),
        degradation if first.lr is None else None,
        quantity(first),
        folder,
        file_format,
    )
    made = _describe(recipe, split, file_format, dataset, first)
    with claimed(folder, folder / "pairs.json", made, "srkit data make"):
        rows = _complete(maker, len(dataset), workers, console)
        if dataset.classes is not None:
            lines = [(f"{row.name}.{file_format}", row.label) for row in rows]
            write_file(folder / "labels.csv", _csv([("path", "class_index"), *lines]))
        samples = [read_pair(folder, row, maker.quantity, file_format) for row in rows[:SHOWN]]
        write_file(folder / "sheet.png", png(pair_sheet(samples)))
    return len(rows)


def missing_degradation(source: str, split: Split) -> RecipeError:
    """Word that there is nothing to make LR with."""
    problem = f"degradation: missing; the data set of data.{split} has no LR images"
    return RecipeError(source, [problem])


class Built(NamedTuple):
    """What `srkit data` builds of a recipe, whose defaults are stated.

    Parameters
    ----------
    recipe
        With every default stated.
    dataset, degradation
        Of one scale; no degradation where the recipe has none.
    mixed
        What `mix` draws from; None without.
    """

    recipe: Recipe
    dataset: Dataset
    degradation: Degradation | None
    mixed: Dataset | None


def build_data(recipe: Recipe, registry: Registry, split: Split, source: str) -> Built:
    """Build the data sets of a split and the degradation, and nothing else of the recipe.

    Raises
    ------
    RecipeError
        If something is wrong with them, there is no such data, or the recipe has several scales.
    """
    recipe, components = complete(recipe, registry, source)
    chosen = getattr(recipe.data, split)
    if chosen is None:
        there = [name for name in ("train", "validation", "test") if getattr(recipe.data, name)]
        raise RecipeError(
            source, [f"data.{split}: missing; the recipe has {', '.join(there) or 'no data'}"]
        )
    if len(recipe.scales) > 1:
        one = recipe.scales[0]
        raise RecipeError(
            source, [f"scale: got {recipe.scale}; pairs are of one; choose it with scale={one}"]
        )
    supplied = {
        "scale": recipe.scales[0],
        "channels": recipe.channels,
        "formats": Formats.of(registry),
    }
    own, mixed = f"data.{split}.dataset", f"data.{split}.mix.dataset"
    wanted = {own: chosen.dataset, **dict(recipe.degradation_steps())}
    if chosen.mix is not None:
        wanted[mixed] = chosen.mix.dataset
    built: dict[str, Any] = {}
    problems = []
    for path, spec in wanted.items():
        try:
            built[path] = build(components[path].factory, spec.options, **supplied)
        except (ValueError, SrkitError) as error:
            problems.append(f"{path}: {error}")
    if problems:
        raise RecipeError(source, problems)
    dataset, among = built.pop(own), built.pop(mixed, None)
    return Built(recipe, dataset, join(list(built.values())) if built else None, among)


def quantity(sample: Sample) -> dict[str, Any]:
    """Give what a folder of arrays states once: unit, pixel scale and data range."""
    return {
        "unit": sample.unit,
        "pixel_scale": sample.pixel_scale,
        "data_range": list(sample.data_range),
    }


def _describe(
    recipe: Recipe, split: Split, file_format: FileFormat, dataset: Dataset, first: Sample
) -> dict[str, Any]:
    """Tell what the files hold and how they were made."""
    dumped = recipe.dump()
    made = first.lr is None
    return {
        "values": VALUES,
        **quantity(first),
        "pixel_scale_of": "HR, arcsec",
        "classes": None if dataset.classes is None else list(dataset.classes),
        "pairs": len(dataset),
        "format": file_format,
        "recipe": recipe.name,
        "split": split,
        "seed": recipe.seed,
        "scale": recipe.scales[0],
        "dataset": dumped["data"][split]["dataset"],
        "degradation": dumped.get("degradation") if made else None,
        "srkit": __version__,
    }


def _complete(maker: Maker, count: int, workers: int, console: Console) -> list[Row]:
    """Make the pairs that are missing, recording each as it is done; all rows, in order."""
    record = maker.folder / "pairs.csv"
    rows = {row.index: row for row in _recorded(maker)}
    names = {row.name for row in rows.values()}
    missing = [index for index in range(count) if index not in rows]
    # Rewritten, since a run that was killed may have left half a line.
    write_file(record, _csv([("index", "name", "label"), *map(_cells, rows.values())]))
    with progress_bars(console) as bars, record.open("a", newline="", encoding="utf-8") as file:
        task = bars.add_task("making pairs", total=count, completed=len(rows))
        for row in map_in_workers(maker.write, missing, workers):
            if isinstance(row, SrkitError):
                raise row
            if row.name in names:
                raise DataError(
                    f"{row.name}: two images of the data set have this name; rename one, since a "
                    "name is a file"
                )
            names.add(row.name)
            rows[row.index] = row
            file.write(_csv([_cells(row)]))
            file.flush()
            bars.advance(task)
    return [rows[index] for index in range(count)]


def _recorded(maker: Maker) -> Iterator[Row]:
    """Read which pairs were made and are still there."""
    path = maker.folder / "pairs.csv"
    if not path.is_file():
        return
    for line in path.read_text("utf-8").splitlines(keepends=True)[1:]:
        cells = next(csv.reader([line]))
        if line.endswith("\n") and len(cells) == 3:
            row = Row(int(cells[0]), cells[1], int(cells[2]) if cells[2] else None)
            if all(
                locate(maker.folder, part, row.name, maker.file_format).is_file()
                for part in ("hr", "lr")
            ):
                yield row


def locate(folder: Path, part: str, name: str, file_format: FileFormat) -> Path:
    """Give the file of a pair's part: ``FOLDER/PART/NAME.FORMAT``.

    Raises
    ------
    DataError
        If the name would lead out of the folder.
    """
    inside = PurePosixPath(name)
    if inside.is_absolute() or ".." in inside.parts:
        raise DataError(f"{name}: is no name of a file inside a folder")
    return folder / part / f"{name}.{file_format}"


def area_of_file(file_format: FileFormat, unit: str, scale: int) -> int:
    """Give by what HR is divided in a file: FITS in a physical unit holds flux per pixel."""
    return scale**2 if file_format == "fits" and unit else 1


def encode(image: Tensor, file_format: FileFormat, unit: str) -> bytes:
    """Encode ``(C, H, W)`` float32 values as a file; FITS states the unit as BUNIT."""
    data = io.BytesIO()
    values = np.ascontiguousarray(image.numpy())
    if file_format == "npy":
        np.save(data, values)
    else:
        hdu = fits.PrimaryHDU(values)
        if unit:
            hdu.header["BUNIT"] = (unit, "flux per pixel")
        hdu.writeto(data)
    return data.getvalue()


def read_pair(folder: Path, row: Row, stated: Mapping[str, Any], file_format: FileFormat) -> Sample:
    """Read a pair that was made."""
    hr, lr = (_decode(locate(folder, part, row.name, file_format)) for part in ("hr", "lr"))
    return Sample(
        row.name,
        hr * area_of_file(file_format, stated["unit"], round(hr.shape[-1] / lr.shape[-1])),
        lr,
        row.label,
        tuple(stated["data_range"]),
        stated["unit"],
        stated["pixel_scale"],
    )


def _decode(path: Path) -> Tensor:
    if path.suffix == ".npy":
        values = np.load(path, allow_pickle=False)
    else:
        values = fits.getdata(path).astype(np.float32)
    return torch.from_numpy(values)


def _cells(row: Row) -> tuple[str, str, str]:
    return str(row.index), row.name, "" if row.label is None else str(row.label)


def _csv(rows: list[tuple[Any, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
