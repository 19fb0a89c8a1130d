"""Tiny ImageNet: 200 of ImageNet's classes in pictures of 64 pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from srkit.data import Choice, choose_classes
from srkit.errors import DataError
from srkit.images import Formats, find_pictures
from srkit.interfaces import Sample, Sizes
from srkit_photos.datasets.photos import Entry, Photos, Unreadable, only_of, pick
from srkit_photos.datasets.reading import centre_square


class EnlargedPhotos(Photos):
    """Pictures without HR: LR is the picture, HR the picture enlarged.

    Parameters
    ----------
    side
        Side of HR in pixels.
    photos
        As in :class:`srkit_photos.datasets.photos.Photos`.
    """

    def __init__(self, *, side: int, **photos: Any) -> None:
        self._side = side
        super().__init__(**photos)

    def __getitem__(self, index: int) -> Sample:
        return enlarged(super().__getitem__(index), self._side)

    def sizes(self) -> Sizes:
        """Return the sizes of all samples, of which LR is read from files."""
        found = super().sizes()
        return replace(found, hr=np.full_like(found.hr, self._side), lr=found.hr)


def enlarged(sample: Sample, side: int) -> Sample:
    """Return a picture as LR and its enlargement as HR (bicubic, clipped to the data range)."""
    hr = centre_square(Path(sample.name), sample.hr, side, enlarge=True)
    return replace(sample, lr=sample.hr, hr=hr.clamp(*sample.data_range))


def tiny_imagenet(
    *,
    formats: Formats,
    split: Literal["train", "validation", "test"],
    root: Path = Path("data/TinyImageNet"),
    enlarge_to: Annotated[int, Field(gt=0)] | None = None,
    classes: Choice | None = None,
    fraction: Annotated[float, Field(gt=0, le=1)] | None = None,
    seed: int = 0,
    unreadable: Unreadable = "error",
) -> Photos:
    """Tiny ImageNet: 100,000 training and 10,000 validation pictures of 200 classes, 64 x 64.

    The classes are numbered by their sorted WordNet IDs, which is their order among ImageNet's
    1000 classes: an ImageNet teacher with ``classes: ROOT/wnids.txt`` uses the same numbers.

    Parameters
    ----------
    split
        ``validation`` and ``test`` are fixed halves of every class of ``val``; the original test
        pictures have no published labels.
    root
        Folder created by ``srkit data get tiny_imagenet``.
    enlarge_to
        Side in pixels: LR is the picture, and HR the picture enlarged to this side (bicubic). By
        default the picture is HR, and the recipe's degradation creates LR.
    classes
        Use only these classes: indices, WordNet IDs, names, or a file that lists them.
    fraction
        Use this share of the split, evenly over the classes, chosen by the seed.
    seed
        Seed of the choice by `fraction`.
    unreadable
        ``error`` stops at a damaged picture; ``skip`` decodes every picture once at the start and
        skips damaged ones, with a note.

    Raises
    ------
    DataError
        If the folder does not have the layout of the archive, or a picture cannot be used.

    References
    ----------
    .. [1] Y. Le and X. Yang, Tiny ImageNet Visual Recognition Challenge, Stanford CS 231N, 2015.
    """
    called = class_names(root)
    known = sorted(called)
    entries = _train(root, known, formats) if split == "train" else _val(root, known)
    if split != "train":
        half = pick(entries, 0.5, seed=0)
        chosen = set(half)
        entries = half if split == "validation" else [e for e in entries if e not in chosen]
    if classes is not None:
        indices = choose_classes(classes, [(wnid, *called[wnid]) for wnid in known])
        entries = only_of(entries, indices)
        known = [known[index] for index in indices]
    if fraction is not None:
        entries = pick(entries, fraction, seed)
    given: dict[str, Any] = {
        "formats": formats,
        "root": root,
        "entries": entries,
        "size": None,
        "classes": [called[wnid][0] for wnid in known],
        "unreadable": unreadable,
    }
    return Photos(**given) if enlarge_to is None else EnlargedPhotos(side=enlarge_to, **given)


def class_names(root: Path) -> dict[str, list[str]]:
    """Read the names of each class by its WordNet ID, which is appended to ambiguous names."""
    wnids = [line.strip() for line in _lines(root, "wnids.txt") if line.strip()]
    described = dict(line.rstrip("\n").split("\t", 1) for line in _lines(root, "words.txt")
                     if "\t" in line)  # fmt: skip
    missing = [wnid for wnid in wnids if wnid not in described]
    if missing:
        raise DataError(f"{root / 'words.txt'}: has no name for {missing[0]}")
    names = {wnid: described[wnid].split(", ") for wnid in wnids}
    first = [called[0] for called in names.values()]
    return {
        wnid: [f"{called[0]} ({wnid})", *called] if first.count(called[0]) > 1 else called
        for wnid, called in names.items()
    }


def _train(root: Path, wnids: Sequence[str], formats: Formats) -> list[Entry]:
    """List the training pictures, which are in one folder per class."""
    numbers = {wnid: number for number, wnid in enumerate(wnids)}
    entries = []
    for name in find_pictures(_folder(root, "train"), formats.suffixes):
        wnid = name.partition("/")[0]
        if wnid not in numbers:
            raise DataError(f"{root / 'train' / name}: '{wnid}' is not in {root / 'wnids.txt'}")
        entries.append(Entry(f"train/{name}", numbers[wnid]))
    return entries


def _val(root: Path, wnids: Sequence[str]) -> list[Entry]:
    """List the validation pictures, whose classes are in a file."""
    folder, path = _folder(root, "val/images"), root / "val/val_annotations.txt"
    present = {file.name for file in folder.iterdir()}
    numbers = {wnid: number for number, wnid in enumerate(wnids)}
    entries = []
    for place, line in enumerate(_lines(root, "val/val_annotations.txt"), start=1):
        name, _, rest = line.rstrip("\n").partition("\t")
        wnid = rest.partition("\t")[0]
        if not name:
            continue
        if name not in present:
            raise DataError(f"{path}, line {place}: no picture '{name}' in {folder}")
        if wnid not in numbers:
            raise DataError(f"{path}, line {place}: '{wnid}' is not in {root / 'wnids.txt'}")
        entries.append(Entry(f"val/images/{name}", numbers[wnid]))
    if not entries:
        raise DataError(f"{path}: lists no pictures")
    return entries


def _folder(root: Path, name: str) -> Path:
    if not (root / name).is_dir():
        raise DataError(f"{root / name}: no such folder; {_remedy(root)}")
    return root / name


def _lines(root: Path, name: str) -> list[str]:
    try:
        return (root / name).read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise DataError(f"{root / name}: no such file; {_remedy(root)}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{root / name}: not a text file ({error}); {_remedy(root)}") from error


def _remedy(root: Path) -> str:
    command = "srkit data get tiny_imagenet"
    if root.name != "TinyImageNet":
        return f"run: {command}; then set root to data/TinyImageNet"
    out = "" if root.parent == Path("data") else f" --out {root.parent}"
    return f"run: {command}{out}"
