"""DIV2K, Flickr2K, and both as DF2K."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from srkit.errors import DataError
from srkit.images import Formats
from srkit_photos.datasets.pairs import CachedPairs, Pair, PicturePairs, picture_pairs
from srkit_photos.datasets.reading import Mode

Lr = Literal["bicubic", "unknown", "none"]
Number = Annotated[int, Field(gt=0)]

#: Name in the archives, first and last picture of each split.
SPLITS = {
    "train": ("train", 1, 800),
    "validation": ("valid", 801, 900),
    "test": ("test", 901, 1000),
}
#: Pictures of Flickr2K.
FLICKR2K = 2650


def div2k(
    *,
    formats: Formats,
    scale: int,
    split: Literal["train", "validation", "test"],
    root: Path = Path("data/DIV2K"),
    lr: Lr = "none",
    first: Number | None = None,
    last: Number | None = None,
    mode: Mode = "rgb",
    cache: Path | None = None,
) -> PicturePairs | CachedPairs:
    """DIV2K: 1000 photographs in 2K resolution with the LR pictures of the NTIRE 2017 challenge.

    Parameters
    ----------
    split
        ``train`` is 1 to 800, ``validation`` 801 to 900, used as the test set in papers; ``test``
        is 901 to 1000, whose HR was never published.
    root
        Folder created by ``srkit data get div2k``, with ``DIV2K_train_HR`` and others.
    lr
        The official LR pictures of the recipe's scale, 2, 3 or 4: ``bicubic`` by MATLAB's
        imresize, or ``unknown``, with an unpublished blur kernel. With ``none``, the recipe's
        degradation creates LR.
    first, last
        First and last number of the pictures to use, such as 801 and 810.
    mode
        ``rgb`` repeats grey three times; ``grey`` converts colours to luma (BT.601).
    cache
        Folder for decoded pictures: crops are read from it without decoding whole pictures. It
        takes 3 bytes per pixel and is filled when the data set is opened for the first time.

    Raises
    ------
    DataError
        If a folder or a picture is missing; the message shows the command that downloads it.

    References
    ----------
    .. [1] E. Agustsson and R. Timofte, NTIRE 2017 Challenge on Single Image Super-Resolution:
       Dataset and Study, CVPR Workshops 2017.
    """
    pairs = _div2k_pairs(root, split, lr, scale, first, last)
    return picture_pairs(formats, pairs, scale=scale, mode=mode, cache=cache)


def flickr2k(
    *,
    formats: Formats,
    scale: int,
    root: Path = Path("data/Flickr2K"),
    lr: Lr = "none",
    first: Number | None = None,
    last: Number | None = None,
    mode: Mode = "rgb",
    cache: Path | None = None,
) -> PicturePairs | CachedPairs:
    """Flickr2K: 2650 training photographs in 2K resolution, by the authors of EDSR.

    Parameters
    ----------
    root
        Folder created by ``srkit data get flickr2k``: ``000001.png`` and so on are in it, in
        ``Flickr2K_HR`` or in ``Flickr2K``.
    lr
        The authors' LR pictures of the recipe's scale, 2, 3 or 4, which only their own archive
        contains. With ``none``, the recipe's degradation creates LR.
    first, last
        First and last number of the pictures to use.
    mode
        ``rgb`` repeats grey three times; ``grey`` converts colours to luma (BT.601).
    cache
        As in ``div2k``.

    Raises
    ------
    DataError
        If a folder or a picture is missing; the message shows the command that downloads it.

    References
    ----------
    .. [1] B. Lim et al., Enhanced Deep Residual Networks for Single Image Super-Resolution, CVPR
       Workshops 2017, arXiv:1707.02921.
    """
    pairs = _flickr2k_pairs(root, lr, scale, first, last)
    return picture_pairs(formats, pairs, scale=scale, mode=mode, cache=cache)


def df2k(
    *,
    formats: Formats,
    scale: int,
    div2k_root: Path = Path("data/DIV2K"),
    flickr2k_root: Path = Path("data/Flickr2K"),
    lr: Lr = "none",
    mode: Mode = "rgb",
    cache: Path | None = None,
) -> PicturePairs | CachedPairs:
    """DF2K: the 800 training pictures of DIV2K and the 2650 of Flickr2K.

    Parameters
    ----------
    div2k_root, flickr2k_root
        Folders of the two, as in ``div2k`` and ``flickr2k``.
    lr
        As in these two.
    mode
        ``rgb`` repeats grey three times; ``grey`` converts colours to luma (BT.601).
    cache
        As in ``div2k``.

    Raises
    ------
    DataError
        If a folder or a picture is missing; the message shows the command that downloads it.
    """
    first = _div2k_pairs(div2k_root, "train", lr, scale, None, None)
    second = _flickr2k_pairs(flickr2k_root, lr, scale, None, None)
    return picture_pairs(formats, [*first, *second], scale=scale, mode=mode, cache=cache)


def _div2k_pairs(
    root: Path, split: str, lr: Lr, scale: int, first: int | None, last: int | None
) -> list[Pair]:
    part, lowest, highest = SPLITS[split]
    numbers = _numbers(first, last, lowest, highest)
    names = [f"{number:04d}" for number in numbers]
    note = "; the HR pictures of the test split were never published; papers use validation"
    what = "div2k" if lr == "none" else f"div2k lr={lr} scale={_official(scale)}"
    command = _command(what, root, "DIV2K")
    hr_command = command + (note if split == "test" else "")
    hr = _complete(root / f"DIV2K_{part}_HR", names, "", hr_command)
    if lr == "none":
        return [Pair(path.name, path) for path in hr]
    folder = root / f"DIV2K_{part}_LR_{lr}" / f"X{scale}"
    lrs = _complete(folder, names, f"x{scale}", command)
    return [Pair(path.name, path, small) for path, small in zip(hr, lrs, strict=True)]


def _flickr2k_pairs(
    root: Path, lr: Lr, scale: int, first: int | None, last: int | None
) -> list[Pair]:
    names = [f"{number:06d}" for number in _numbers(first, last, 1, FLICKR2K)]
    places = [root / "Flickr2K_HR", root / "Flickr2K"]  # the authors' archive, the mirror's
    place = next((folder for folder in places if folder.is_dir()), root)
    hr = _complete(place, names, "", _command("flickr2k", root, "Flickr2K"))
    if lr == "none":
        return [Pair(path.name, path) for path in hr]
    folder = root / f"Flickr2K_LR_{lr}" / f"X{_official(scale)}"
    command = _command("flickr2k source=authors", root, "Flickr2K")
    lrs = _complete(folder, names, f"x{scale}", command)
    return [Pair(path.name, path, small) for path, small in zip(hr, lrs, strict=True)]


def _official(scale: int) -> int:
    if scale not in (2, 3, 4):
        raise ValueError(
            f"official LR pictures exist for the scales 2, 3 and 4, not {scale}; set lr to none "
            "and add a degradation"
        )
    return scale


def _numbers(first: int | None, last: int | None, lowest: int, highest: int) -> range:
    """Return the numbers of the pictures to use."""
    start, stop = first or lowest, last or highest
    if not lowest <= start <= stop <= highest:
        raise ValueError(
            f"first {start} and last {stop} do not fit; the pictures are {lowest} to {highest}"
        )
    return range(start, stop + 1)


def _command(what: str, root: Path, folder: str) -> str:
    """Return the command that creates a folder."""
    if root.name != folder:
        return f"run: srkit data get {what}; then set root to data/{folder}"
    out = "" if root.parent == Path("data") else f" --out {root.parent}"
    return f"run: srkit data get {what}{out}"


def _complete(folder: Path, names: list[str], ending: str, command: str) -> list[Path]:
    """List the pictures of a folder, all of which must exist."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; {command}")
    present = {path.name for path in folder.iterdir()}
    wanted = [f"{name}{ending}.png" for name in names]
    missing = [name for name in wanted if name not in present]
    if missing:
        raise DataError(
            f"{folder}: {missing[0]} is missing ({len(missing)} of {len(wanted)}); {command}"
        )
    return [folder / name for name in wanted]
