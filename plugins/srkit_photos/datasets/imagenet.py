"""ImageNet, the classification task of ILSVRC2012."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from srkit.data import Choice, choose_classes
from srkit.errors import DataError
from srkit.images import Formats, find_pictures
from srkit_photos.datasets.photos import Entry, Photos, Unreadable, only_of, pick

#: Folder in the devkit's archive.
DEVKIT = Path("ILSVRC2012_devkit_t12/data")
#: How to obtain the pictures, which only registered users may download.
REMEDY = (
    "register at https://image-net.org/download.php, then download and unpack it there as "
    "data/imagenet/README.md describes; or set root to a copy"
)


def imagenet(
    *,
    formats: Formats,
    root: Path,
    split: Literal["train", "validation", "test"],
    size: Annotated[int, Field(gt=0)] = 256,
    classes: Choice | None = None,
    fraction: Annotated[float, Field(gt=0, le=1)] | None = None,
    seed: int = 0,
    unreadable: Unreadable = "error",
) -> Photos:
    """ImageNet (ILSVRC2012) with its 1000 classes, RGB, cropped to squares.

    Parameters
    ----------
    root
        Folder with ``train/<wnid>/`` and ``val``, see ``data/imagenet/README.md``. ``val`` has one
        folder per WordNet ID, or is flat beside ``ILSVRC2012_devkit_t12``. Classes may be missing.
    split
        ``validation`` and ``test`` are fixed halves of every class of ``val``.
    size
        Side in pixels: the short side is resized to it (bicubic, antialiased, clipped to the data
        range), and the central square is cropped. Smaller pictures are enlarged.
    fraction
        Use this share of the split, evenly over the classes, chosen by the seed.
    classes
        Use only pictures of these classes, by name, WordNet ID or index; labels are positions in
        this list.
    seed
        Seed of the choice by `fraction`.
    unreadable
        ``error`` stops at a damaged picture; ``skip`` decodes every picture once at the start and
        skips damaged ones, with a note.

    Raises
    ------
    DataError
        If the folders have another layout, or a picture cannot be used.

    References
    ----------
    O. Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", International
    Journal of Computer Vision 115 (2015) 211, arXiv:1409.0575.
    """
    folder = root / ("train" if split == "train" else "val")
    names = find_pictures(folder, formats.suffixes, REMEDY)
    flat = split != "train" and not any("/" in name for name in names)
    entries = _label_flat(root, names) if flat else _label_by_folder(folder, names)
    if split != "train":
        half = pick(entries, 0.5, seed=0)
        chosen = set(half)
        entries = half if split == "validation" else [e for e in entries if e not in chosen]
    called = class_names()
    if classes is not None:
        indices = choose_classes(classes, names_by_class())
        entries = only_of(entries, indices)
        called = [called[index] for index in indices]
        if not entries:
            raise DataError(f"{folder}: contains no picture of the {len(indices)} chosen classes")
    if fraction is not None:
        entries = pick(entries, fraction, seed)
    return Photos(
        formats=formats,
        root=folder,
        entries=entries,
        size=size,
        enlarge=True,
        classes=called,
        unreadable=unreadable,
    )


@cache
def names_by_class() -> list[tuple[str, ...]]:
    """Return the WordNet ID and the names of each of the 1000 classes, by index."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    describe = info.label_name_to_description
    return [(wnid, *describe(wnid).split(", ")) for wnid in sorted(info.label_names())]


@cache
def class_indices() -> dict[str, int]:
    """Return the class index of each WordNet ID: its position among the 1000 in sorted order."""
    return {wnid: index for index, (wnid, *_) in enumerate(names_by_class())}


def class_names() -> list[str]:
    """Return the name of each class, such as ``tench``; a name of two classes gets their index."""
    names = [name for _, name, *_ in names_by_class()]
    uses = Counter(names)
    return [f"{name} ({i})" if uses[name] > 1 else name for i, name in enumerate(names)]


def _label_by_folder(folder: Path, names: Sequence[str]) -> list[Entry]:
    entries = []
    for name in names:
        wnid = name.partition("/")[0]
        if wnid not in class_indices():
            raise DataError(
                f"{folder / name}: '{wnid}' is not a class of ILSVRC2012; expected folders such as "
                "n01440764"
            )
        entries.append(Entry(name, class_indices()[wnid]))
    return entries


def _label_flat(root: Path, names: Sequence[str]) -> list[Entry]:
    truth = _ground_truth(root)
    entries = []
    for name in names:
        found = re.fullmatch(r"ILSVRC2012_val_(\d{8})\.\w+", name)
        if found is None or not 1 <= int(found[1]) <= len(truth):
            raise DataError(
                f"{root / 'val' / name}: expected ILSVRC2012_val_00000001.JPEG to "
                f"ILSVRC2012_val_{len(truth):08d}.JPEG"
            )
        entries.append(Entry(name, truth[int(found[1]) - 1]))
    return entries


def _ground_truth(root: Path) -> list[int]:
    """Return the class index of each validation picture from the devkit's files."""
    path = root / DEVKIT / "ILSVRC2012_validation_ground_truth.txt"
    meta = path.with_name("meta.mat")
    for file in (path, meta):
        if not file.is_file():
            raise DataError(
                f"{file}: no such file; a flat val needs ILSVRC2012_devkit_t12.tar.gz unpacked in "
                f"{root}"
            )
    wnids = _devkit_wnids(meta)
    try:
        return [class_indices()[wnids[int(line)]] for line in path.read_text("utf-8").split()]
    except (KeyError, ValueError) as error:
        raise DataError(f"{path}: not the devkit's: {error} is not a class ID in {meta}") from error


def _devkit_wnids(path: Path) -> dict[int, str]:
    """Return the WordNet ID of each of the devkit's class numbers, which have another order."""
    try:
        from scipy.io import loadmat
    except ModuleNotFoundError as error:
        raise DataError(
            f"{path}: reading it requires scipy; install srkit[sample], or sort val into folders "
            "by WordNet ID"
        ) from error
    try:
        rows: Any = loadmat(path, squeeze_me=True)["synsets"]
        return {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in rows}
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise DataError(
            f"{path}: not the devkit's ({type(error).__name__}: {error}); unpack it again"
        ) from error
