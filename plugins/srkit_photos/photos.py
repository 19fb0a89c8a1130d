"""The data set behind every collection of picture files."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from srkit.errors import DataError
from srkit.formats import Formats
from srkit.interfaces import Sample

Mode = Literal["rgb", "grey"]
Unreadable = Literal["error", "skip"]

#: Skipped pictures that a note names.
NAMED = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture file: its path relative to the root, POSIX style, and its class index."""

    name: str
    label: int | None = None


class Photos:
    """Picture files as samples; pickles, and reads a file when it is asked for.

    Parameters
    ----------
    formats
        What reads the files.
    root
        Folder that the names are relative to.
    entries
        The pictures, in order.
    size
        Side of the square samples in pixels, see :func:`centre_square`; None keeps pictures whole.
    enlarge
        Whether pictures below that size are enlarged; otherwise they cannot be used.
    mode
        Colours of the samples, see :func:`to_mode`.
    classes
        Class names, or None for unlabelled pictures.
    unreadable
        With ``skip``, every picture is decoded once now; those that cannot be used are left out
        and noted.
    least_side
        Pixels below which ``skip`` leaves a picture out, since training cuts so large a square.
    """

    def __init__(
        self,
        *,
        formats: Formats,
        root: Path,
        entries: Sequence[Entry],
        size: int | None,
        enlarge: bool = False,
        mode: Mode = "rgb",
        classes: Sequence[str] | None = None,
        unreadable: Unreadable = "error",
        least_side: int = 0,
    ) -> None:
        self.channels = 3 if mode == "rgb" else 1
        self.classes = classes
        self.notes: list[str] = []
        self._formats = formats
        self._root = root
        self._size = size
        self._enlarge = enlarge
        self._mode = mode
        self._entries = list(entries)
        if unreadable == "skip":
            self._skip_unusable(least_side)
        if not self._entries:
            raise DataError(f"{root}: no picture is left of {len(entries)}")

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Sample:
        entry = self._entries[index]
        path = self._root / entry.name
        image = self._formats.read(path)
        if not image.pixels.isfinite().all():
            raise DataError(
                f"{path}: holds values that are not finite; fill them, or leave the picture out"
            )
        pixels = to_mode(path, image.pixels, self._mode)
        if self._size is not None:
            pixels = centre_square(path, pixels, self._size, enlarge=self._enlarge)
            pixels = pixels.clamp(*image.data_range)
        return Sample(entry.name, pixels, label=entry.label, data_range=image.data_range)

    def _skip_unusable(self, least_side: int) -> None:
        usable, problems = [], []
        for index, entry in enumerate(self._entries):
            try:
                height, width = self[index].hr.shape[-2:]
                if min(height, width) < least_side:
                    raise DataError(
                        f"{self._root / entry.name}: {width}x{height} pixels are too few for a "
                        f"crop of {least_side}"
                    )
            except DataError as error:
                problems.append(str(error))
            else:
                usable.append(entry)
        if problems:
            more = [f"and {len(problems) - NAMED} more"] if len(problems) > NAMED else []
            count = f"skipped {len(problems)} of {len(self._entries)} pictures:"
            self.notes.append("\n  ".join([count, *problems[:NAMED], *more]))
        self._entries = usable


def find_pictures(root: Path, suffixes: Collection[str]) -> list[str]:
    """List the pictures under a folder: relative POSIX paths, sorted; hidden files are left out.

    Raises
    ------
    DataError
        If the folder is missing or holds no picture.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    found: list[str] = []
    endings = tuple(suffixes)
    for folder, _, files in os.walk(root, followlinks=True):
        inside = os.path.relpath(folder, root).replace(os.sep, "/")
        prefix = "" if inside == "." else f"{inside}/"
        pictures = (f for f in files if not f.startswith(".") and f.lower().endswith(endings))
        found.extend(prefix + name for name in pictures)
    if not found:
        raise DataError(f"{root}: holds no pictures; looked for {', '.join(sorted(suffixes))}")
    return sorted(found)


def to_mode(path: Path, pixels: Tensor, mode: Mode) -> Tensor:
    """Convert ``(C, H, W)`` grey or RGB pixels; grey is luma by Rec. ITU-R BT.601."""
    if len(pixels) not in (1, 3):
        raise DataError(f"{path}: it has {len(pixels)} channels; expected 1 or 3")
    if mode == "rgb":
        return pixels.expand(3, -1, -1).contiguous()
    if len(pixels) == 1:
        return pixels
    return torch.einsum("c,chw->hw", pixels.new_tensor([0.299, 0.587, 0.114]), pixels)[None]


def centre_square(path: Path, pixels: Tensor, size: int, *, enlarge: bool = False) -> Tensor:
    """Bring the short side to `size` and cut out the central square, as torchvision does.

    Parameters
    ----------
    path
        For the error.
    pixels
        ``(C, H, W)``; bicubic and antialiased, the result can leave the data range.
    size
        Side in pixels.
    enlarge
        Whether a smaller picture may be enlarged.

    Raises
    ------
    DataError
        If the picture would have to be enlarged and may not.
    """
    height, width = pixels.shape[-2:]
    if min(height, width) < size and not enlarge:
        raise DataError(
            f"{path}: {width} x {height} pixels; size {size} needs a short side of at least "
            f"{size}: lower the size, or enlarge or remove the picture"
        )
    pixels = bring_short_side(pixels, size)
    top, left = (round((side - size) / 2) for side in pixels.shape[-2:])
    return pixels[:, top : top + size, left : left + size].contiguous()


def bring_short_side(pixels: Tensor, short: int) -> Tensor:
    """Resize ``(C, H, W)`` pixels to a short side: bicubic, antialiased, overshoot kept."""
    height, width = pixels.shape[-2:]
    if min(height, width) == short:
        return pixels
    size = (short * height // min(height, width), short * width // min(height, width))
    # torch's own resizing: the same filter as srkit's and, on large pictures, far cheaper.
    return F.interpolate(pixels[None], size, mode="bicubic", antialias=True)[0]


def pick(entries: Sequence[Entry], fraction: float, seed: int) -> list[Entry]:
    """Choose a fraction of the entries, the same from every class as nearly as can be.

    A hash of seed and name decides, not a generator: adding a picture displaces hardly any other,
    and every version of every library chooses the same. The order is kept.
    """

    def draw(entry: Entry) -> bytes:
        return blake2b(f"{seed}/{entry.name}".encode(), digest_size=8).digest()

    by_class: dict[int | None, list[Entry]] = {}
    for entry in sorted(entries, key=draw):
        by_class.setdefault(entry.label, []).append(entry)
    # Each class's first half comes before any class's second half.
    ranked = [
        ((rank + 0.5) / len(members), draw(entry), entry)
        for members in by_class.values()
        for rank, entry in enumerate(members)
    ]
    ranked.sort(key=lambda row: row[:2])
    chosen = {entry for _, _, entry in ranked[: round(fraction * len(entries))]}
    return [entry for entry in entries if entry in chosen]


def only_of(entries: Sequence[Entry], indices: Sequence[int]) -> list[Entry]:
    """Take the entries of some classes, and number these classes anew."""
    places = {index: place for place, index in enumerate(indices)}
    return [
        Entry(entry.name, places[entry.label])
        for entry in entries
        if entry.label is not None and entry.label in places
    ]
