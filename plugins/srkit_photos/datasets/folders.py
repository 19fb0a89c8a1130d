"""Any tree of pictures, with or without labels."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from srkit.errors import DataError
from srkit.images import Formats, find_pictures
from srkit_photos.datasets.photos import Entry, Photos, Unreadable, pick
from srkit_photos.datasets.reading import Mode

#: How to obtain the pictures.
REMEDY = "copy pictures there, or set root to a folder of yours"
#: Digits of a class index, at most: every class has a name in memory.
DIGITS = 6


def image_folder(
    *,
    formats: Formats,
    root: Path,
    labels: Path | None = None,
    classes: Annotated[int, Field(gt=0, lt=10**DIGITS)] | Literal["imagenet"] | None = None,
    size: Annotated[int, Field(gt=0)] | None = None,
    enlarge: bool = False,
    mode: Mode = "rgb",
    start: int | None = None,
    stop: int | None = None,
    fraction: Annotated[float, Field(gt=0, le=1)] | None = None,
    seed: int = 0,
    unreadable: Unreadable = "error",
    least_side: int = 0,
) -> Photos:
    """Pictures in a folder and all its subfolders, sorted by path; labels are optional.

    Parameters
    ----------
    root
        The folder. Hidden files and opacity are ignored.
    labels
        CSV file with the columns ``path``, relative to the root, and ``class_index``, from 0, with
        one row per picture. Other columns are ignored.
    classes
        Number of classes, which must exceed every label, or ``imagenet`` for its 1000 classes with
        their names; by default the largest label determines it.
    size
        Resize the short side to this many pixels (bicubic, antialiased, clipped to the data
        range) and crop the central square; by default pictures are not changed.
    enlarge
        Enlarge pictures whose short side is below `size` instead of raising an error.
    mode
        ``rgb`` repeats grey three times; ``grey`` converts colours to luma (BT.601).
    start, stop
        Use the pictures from position `start` of the sorted list to before `stop`; negative
        positions count from the end: ``stop: 600`` is the first 600, ``start: -100`` the last 100.
    fraction
        Use this share of them, evenly over the classes, chosen by the seed.
    seed
        Seed of the choice by `fraction`.
    unreadable
        ``error`` stops at a picture that is damaged or too small for the size or the crop;
        ``skip`` decodes every picture once at the start and skips such pictures, with a note.

    Raises
    ------
    DataError
        If the folder, a picture or a label cannot be used.
    """
    if classes is not None and labels is None:
        raise ValueError("classes requires labels; add a labels file")
    names = find_pictures(root, formats.suffixes, REMEDY)
    entries = [Entry(name) for name in names]
    class_names = None
    if labels is not None:
        known = read_labels(labels, names)
        entries = [Entry(name, known[name]) for name in names]
        class_names = _class_names(labels, entries, classes)
    entries = entries[start:stop]
    if not entries:
        raise ValueError(f"start {start} and stop {stop} select none of {len(names)} pictures")
    if fraction is not None:
        entries = pick(entries, fraction, seed)
    return Photos(
        formats=formats,
        root=root,
        entries=entries,
        size=size,
        enlarge=enlarge,
        mode=mode,
        classes=class_names,
        unreadable=unreadable,
        least_side=least_side,
    )


def read_labels(path: Path, names: Sequence[str]) -> dict[str, int]:
    """Read the class index of every picture.

    Raises
    ------
    DataError
        If a line is invalid, names a missing picture or a picture twice, or a picture has no line.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such labels file")
    present, labels = set(names), dict[str, int]()
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = csv.DictReader(file)
        columns = rows.fieldnames or []
        if not {"path", "class_index"} <= set(columns):
            raise DataError(
                f"{path}: has the columns {', '.join(columns)}; expected path and class_index"
            )
        for row in rows:
            where = f"{path}, line {rows.line_num}"
            name, index = row["path"], row["class_index"] or ""
            if name not in present:
                raise DataError(f"{where}: no such picture '{name}'")
            if name in labels:
                raise DataError(f"{where}: '{name}' already has a label")
            if not (index.isascii() and index.isdigit() and len(index) <= DIGITS):
                raise DataError(
                    f"{where}: the class index is '{index[:20]}'; expected 0, 1, 2, ..."
                )
            labels[name] = int(index)
    missing = [name for name in names if name not in labels]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} pictures have no label, for example '{missing[0]}'"
        )
    return labels


def _class_names(
    labels: Path, entries: Sequence[Entry], classes: int | Literal["imagenet"] | None
) -> list[str]:
    if classes == "imagenet":
        from srkit_photos.datasets.imagenet import class_names  # it imports timm

        names = class_names()
    else:
        largest = max(entry.label or 0 for entry in entries)
        names = [str(index) for index in range(classes or largest + 1)]
    for entry in entries:
        if entry.label is not None and entry.label >= len(names):
            raise DataError(
                f"{labels}: '{entry.name}' has class {entry.label}; the last of {len(names)} "
                f"classes is {len(names) - 1}"
            )
    return names
