"""Any tree of pictures, with or without labels."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from srkit.errors import DataError
from srkit.images import Formats, find_pictures
from srkit_photos.datasets.pairs import (
    CachedPairs,
    Pair,
    PicturePairs,
    only_usable,
    picture_pairs,
)
from srkit_photos.datasets.partners import Partners, find_partners
from srkit_photos.datasets.photos import Entry, Photos, Unreadable, pick
from srkit_photos.datasets.reading import Mode, PhotoReader

#: How to obtain the pictures.
REMEDY = "copy pictures there, or set root to a folder of yours"
#: Digits of a class index, at most: every class has a name in memory.
DIGITS = 6


def image_folder(
    *,
    formats: Formats,
    root: Path | list[Path],
    scale: int = 1,
    lr: Path | list[Path] | None = None,
    lr_suffix: str | None = None,
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
    cache: Path | None = None,
    least_side: int = 0,
) -> Photos | PicturePairs | CachedPairs:
    """Pictures in folders and all their subfolders, sorted by path; LR and labels are optional.

    Parameters
    ----------
    root
        The folder, or a list of folders, whose pictures follow one another. Hidden files and
        opacity are ignored.
    lr
        Folder of the LR pictures, or a list with one for each root. They have the relative paths of
        HR, with any extension, and the sides of HR divided by the scale. ``{scale}`` is replaced by
        the scale. By default, the recipe's degradation creates LR.
    lr_suffix
        What follows the name in those of LR, such as ``x2`` in ``0001x2.png``, or nothing (``""``).
        By default, ``x`` and the scale if there are such files.
    labels
        CSV file with the columns ``path``, relative to the root, and ``class_index``, from 0, with
        one row per picture. Other columns are ignored. With several roots, each path begins with
        its root.
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
        ``skip`` decodes every picture once at the start and skips such pictures and pairs, with a
        note.
    cache
        Folder for decoded pictures: crops are read from it without decoding whole pictures. It
        takes 3 bytes per pixel and is filled when the data set is opened for the first time.

    Raises
    ------
    DataError
        If the folder, a picture or a label cannot be used.
    """
    if classes is not None and labels is None:
        raise ValueError("classes requires labels; add a labels file")
    if lr_suffix is not None and lr is None:
        raise ValueError("lr_suffix requires lr; add the folder of the LR pictures")
    if enlarge and size is None:
        raise ValueError("enlarge requires size; add it, or remove enlarge")
    paired = lr is not None or cache is not None
    if paired and size is not None:
        raise ValueError("size cannot be combined with lr and cache; remove one")
    roots = root if isinstance(root, list) else [root]
    listed = _find(formats, roots)
    names = [name for part in listed for name in part]
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
    if paired:
        partners = _find_partners(formats, roots, lr, lr_suffix, scale, listed)
        pairs, notes = _pair_up(formats, roots, listed, partners, entries)
        if unreadable == "skip":
            reader = PhotoReader(formats, None, enlarge=False, mode=mode)
            pairs, skipped = only_usable(pairs, reader, least_side)
            notes += skipped
        return picture_pairs(
            formats, pairs, scale=scale, mode=mode, cache=cache, classes=class_names, notes=notes
        )
    return Photos(
        formats=formats,
        root=roots[0] if len(roots) == 1 else Path(),
        entries=entries,
        size=size,
        enlarge=enlarge,
        mode=mode,
        classes=class_names,
        unreadable=unreadable,
        least_side=least_side,
    )


def _find(formats: Formats, roots: Sequence[Path]) -> list[list[str]]:
    """Return the names of the pictures in each folder, see :func:`_prefix`."""
    listed = [
        [_prefix(root, roots) + name for name in find_pictures(root, formats.suffixes, REMEDY)]
        for root in roots
    ]
    if len(roots) != 1 and len({name for part in listed for name in part}) < sum(map(len, listed)):
        raise ValueError("root contains a folder twice, or one inside another; remove one of them")
    return listed


def _prefix(root: Path, roots: Sequence[Path]) -> str:
    """Return what precedes the names of a folder's pictures, if there are several folders."""
    return "" if len(roots) == 1 else (root / "x").as_posix()[:-1]


def _find_partners(
    formats: Formats,
    roots: Sequence[Path],
    lr: Path | list[Path] | None,
    suffix: str | None,
    scale: int,
    listed: Sequence[Sequence[str]],
) -> list[Partners]:
    """Find the LR pictures of each folder; none without `lr`."""
    if lr is None:
        return []
    folders = lr if isinstance(lr, list) else [lr]
    if len(folders) != len(roots):
        raise ValueError(f"lr has {len(folders)} folders, but root {len(roots)}; list one for each")
    return [
        find_partners(
            formats, folder, suffix, scale, [n.removeprefix(_prefix(root, roots)) for n in names]
        )
        for root, folder, names in zip(roots, folders, listed, strict=True)
    ]


def _pair_up(
    formats: Formats,
    roots: Sequence[Path],
    listed: Sequence[Sequence[str]],
    partners: Sequence[Partners],
    entries: Sequence[Entry],
) -> tuple[list[Pair], list[str]]:
    """Return the chosen pictures with their LR files, and notes on LR files without HR."""
    chosen = {entry.name: entry.label for entry in entries}
    pairs, notes = list[Pair](), list[str]()
    for place, (root, names) in enumerate(zip(roots, listed, strict=True)):
        prefix = _prefix(root, roots)
        inside = {name: name.removeprefix(prefix) for name in names}
        if partners:
            notes += partners[place].note(formats, root, [*inside.values()])
        for name in names:
            if name in chosen:
                hr = root / inside[name]
                lr = partners[place].of(formats, hr, inside[name]) if partners else None
                pairs.append(Pair(name, hr, lr, chosen[name]))
    return pairs, notes


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
