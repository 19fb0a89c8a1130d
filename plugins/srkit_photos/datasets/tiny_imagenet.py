"""Tiny ImageNet: 200 of ImageNet's classes, in pictures of 64 pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from srkit.data import Choice, choose_classes
from srkit.errors import DataError
from srkit.images import Formats, find_pictures
from srkit.interfaces import Sample
from srkit_photos.datasets.photos import Entry, Photos, Unreadable, only_of, pick
from srkit_photos.datasets.reading import centre_square


class EnlargedPhotos(Photos):
    """Pictures of which there is no HR: LR is the picture, HR the picture enlarged.

    Parameters
    ----------
    side
        Side of HR in pixels.
    photos
        As :class:`srkit_photos.datasets.photos.Photos` takes them.
    """

    def __init__(self, *, side: int, **photos: Any) -> None:
        self._side = side
        super().__init__(**photos)

    def __getitem__(self, index: int) -> Sample:
        return enlarged(super().__getitem__(index), self._side)


def enlarged(sample: Sample, side: int) -> Sample:
    """Make LR of a picture and HR of the same, enlarged (bicubic, clipped to the data range)."""
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
    """Tiny ImageNet: 100,000 pictures of 200 classes to train on, 10,000 to validate, 64 x 64.

    The classes are numbered by their sorted wnids, which is their order among ImageNet's 1000: a
    teacher of these with ``classes: ROOT/wnids.txt`` numbers them alike.

    Parameters
    ----------
    split
        ``validation`` and ``test`` are the two halves of every class of ``val``, always the same;
        its makers' own test pictures have no published labels.
    root
        Folder that ``srkit data get tiny_imagenet`` fills.
    enlarge_to
        Side in pixels: LR is the picture itself, and HR the picture enlarged to this (bicubic),
        since there is none; by default the picture is HR, and the recipe's degradation makes LR.
    classes
        Take these classes only: indices, wnids, names, or a file that lists them.
    fraction
        Take this share of the split, evenly over the classes, chosen by the seed.
    seed
        Decides which pictures the fraction takes.
    unreadable
        ``error`` stops at a picture that is damaged; ``skip`` decodes every picture once at the
        start and leaves such out, with a note.

    Raises
    ------
    DataError
        If the folder is not laid out as the archive is, or a picture cannot be used.

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
    """Read the names of each class, by its wnid; a name that several have gets the wnid."""
    wnids = [line.strip() for line in _lines(root, "wnids.txt") if line.strip()]
    described = dict(line.rstrip("\n").split("\t", 1) for line in _lines(root, "words.txt")
                     if "\t" in line)  # fmt: skip
    missing = [wnid for wnid in wnids if wnid not in described]
    if missing:
        raise DataError(f"{root / 'words.txt'}: does not tell what {missing[0]} is")
    names = {wnid: described[wnid].split(", ") for wnid in wnids}
    first = [called[0] for called in names.values()]
    return {
        wnid: [f"{called[0]} ({wnid})", *called] if first.count(called[0]) > 1 else called
        for wnid, called in names.items()
    }


def _train(root: Path, wnids: Sequence[str], formats: Formats) -> list[Entry]:
    """List the training pictures, each in the folder of its class."""
    numbers = {wnid: number for number, wnid in enumerate(wnids)}
    entries = []
    for name in find_pictures(_folder(root, "train"), formats.suffixes):
        wnid = name.partition("/")[0]
        if wnid not in numbers:
            raise DataError(f"{root / 'train' / name}: '{wnid}' is none of {root / 'wnids.txt'}")
        entries.append(Entry(f"train/{name}", numbers[wnid]))
    return entries


def _val(root: Path, wnids: Sequence[str]) -> list[Entry]:
    """List the validation pictures, whose classes a file tells."""
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
            raise DataError(f"{path}, line {place}: there is no picture '{name}' in {folder}")
        if wnid not in numbers:
            raise DataError(f"{path}, line {place}: '{wnid}' is none of {root / 'wnids.txt'}")
        entries.append(Entry(f"val/images/{name}", numbers[wnid]))
    if not entries:
        raise DataError(f"{path}: lists no picture")
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
        raise DataError(f"{root / name}: no text ({error}); {_remedy(root)}") from error


def _remedy(root: Path) -> str:
    command = "srkit data get tiny_imagenet"
    if root.name != "TinyImageNet":
        return f"run: {command}; then set root to data/TinyImageNet"
    out = "" if root.parent == Path("data") else f" --out {root.parent}"
    return f"fill it by: {command}{out}"
