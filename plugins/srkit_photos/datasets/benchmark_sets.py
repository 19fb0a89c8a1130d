"""The test sets of super-resolution papers."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal

from srkit.errors import DataError
from srkit.images import Formats
from srkit_photos.datasets.pairs import Pair, PicturePairs
from srkit_photos.datasets.reading import Mode

#: Number of pictures of each set.
SIZES = {"Set5": 5, "Set14": 14, "B100": 100, "Urban100": 100, "Manga109": 109}
#: Sets that ``srkit data get benchmark_set`` downloads.
OBTAINABLE = ("Set5", "Set14", "B100", "Urban100")


def benchmark_set(
    *,
    formats: Formats,
    scale: int,
    name: str,
    root: Path | None = None,
    lr: Literal["files", "none"] = "none",
    mode: Mode = "rgb",
) -> PicturePairs:
    """A test set such as Set5, Set14, B100, Urban100 or Manga109 in a folder.

    HR is cropped at the bottom and on the right to a multiple of the recipe's scale, as in papers.

    Parameters
    ----------
    name
        ``Set5``, ``Set14``, ``B100``, ``Urban100``, ``Manga109``, or the name of your own set.
    root
        The folder, ``data/NAME`` by default. HR is in ``HR``, in ``NAME_HR``, or in the folder.
    lr
        ``files`` reads LR from ``LR/X2``, ``LR_bicubic/X2`` or ``X2`` beside HR, for the recipe's
        scale; the files have the names of HR with or without the suffix ``x2``. With ``none``, the
        recipe's degradation creates LR.
    mode
        ``rgb`` repeats grey three times; ``grey`` converts colours to luma (BT.601).

    Raises
    ------
    DataError
        If a folder or a picture is missing; the message says how to obtain it.
    """
    folder = root or Path("data") / name
    hr = _pictures(_hr_folder(folder, name), formats.suffixes, _remedy(folder, name))
    pairs = [Pair(path.name, path) for path in hr]
    if lr == "files":
        small = _lr_folder(folder, scale)
        pairs = [Pair(path.name, path, _partner(path, small, scale)) for path in hr]
    expected = SIZES.get(name, len(hr))
    notes = [f"{folder}: {len(hr)} pictures; {name} has {expected}"] if len(hr) != expected else []
    return PicturePairs(
        formats=formats, pairs=pairs, scale=scale, mode=mode, multiple=scale, notes=notes
    )


def _remedy(folder: Path, name: str) -> str:
    if name not in OBTAINABLE:
        return "copy its HR pictures there"
    out = "" if folder.parent == Path("data") else f" --out {folder.parent}"
    command = f"srkit data get benchmark_set name={name}{out}"
    return f"copy its HR pictures there, or run: {command}"


def _hr_folder(folder: Path, name: str) -> Path:
    for inside in ("HR", f"{name}_HR", f"{name.replace('B100', 'BSD100')}_HR"):
        if (folder / inside).is_dir():
            return folder / inside
    return folder


def _lr_folder(folder: Path, scale: int) -> Path:
    places = [folder / inside / f"X{scale}" for inside in ("LR", "LR_bicubic", "")]
    for place in places:
        if place.is_dir():
            return place
    named = ", ".join(str(place) for place in places)
    raise DataError(
        f"{folder}: no LR pictures of scale {scale} in {named}; set lr to none and add a "
        "degradation"
    )


def _pictures(folder: Path, suffixes: Collection[str], remedy: str) -> list[Path]:
    """List the pictures in a folder, without subfolders, sorted."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; {remedy}")
    endings = tuple(suffixes)
    found = sorted(
        path
        for path in folder.iterdir()
        if path.name.lower().endswith(endings) and not path.name.startswith(".")
    )
    if not found:
        raise DataError(f"{folder}: contains no pictures; {remedy}")
    return found


def _partner(hr: Path, folder: Path, scale: int) -> Path:
    for stem in (f"{hr.stem}x{scale}", hr.stem):
        found = folder / f"{stem}{hr.suffix}"
        if found.is_file():
            return found
    raise DataError(
        f"{folder}: {hr.stem}x{scale}{hr.suffix}, the LR of {hr}, is missing; add it, or set lr to "
        "none"
    )
