"""Real photographs without download, from the wheels of scikit-image, scikit-learn, matplotlib."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from srkit.errors import DataError
from srkit.functional import resize_short_side
from srkit.images import Formats
from srkit.interfaces import Sample

_SKIMAGE = "skimage/data"
_SKLEARN = "sklearn/datasets/images"
_MATPLOTLIB = "matplotlib/mpl-data/sample_data"

#: The pictures of each split; no scene is in two splits. Those for testing show classes of
#: ImageNet, which a classifier recognises.
SPLITS = {
    "train": (
        f"{_SKIMAGE}/astronaut.png",
        f"{_SKLEARN}/china.jpg",
        f"{_SKIMAGE}/hubble_deep_field.jpg",
        f"{_SKIMAGE}/ihc.png",
        f"{_SKIMAGE}/retina.jpg",
        f"{_SKIMAGE}/rocket.jpg",
    ),
    "validation": (f"{_SKLEARN}/flower.jpg",),
    "test": (
        f"{_SKIMAGE}/chelsea.png",
        f"{_SKIMAGE}/coffee.png",
        f"{_MATPLOTLIB}/grace_hopper.jpg",
        f"{_SKIMAGE}/motorcycle_left.png",
    ),
}


class SamplePhotos:
    """Unlabelled crops of the photographs shipped with scikit-image, scikit-learn and matplotlib.

    Each picture is reduced to short sides that are multiples of `size`, unless it is smaller, and
    cut into evenly spaced squares. They are kept in memory.

    Train: astronaut, china, hubble_deep_field, ihc, retina, rocket. Validation: flower. Test:
    chelsea, coffee, grace_hopper, motorcycle_left.

    Parameters
    ----------
    split
        Pictures to use; no scene is in two splits.
    size
        Side of the crops in pixels, at most 300.
    zooms
        Short sides of the pictures in crops; with 1, objects are whole.
    overlap
        Part of a side that neighbouring crops may share.

    Raises
    ------
    DataError
        If a package is not installed.
    """

    channels = 3
    classes = None
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        formats: Formats,
        split: Literal["train", "validation", "test"],
        size: Annotated[int, Field(gt=0, le=300)] = 256,
        zooms: Sequence[Annotated[float, Field(ge=1)]] = (1, 2),
        overlap: Annotated[float, Field(ge=0, le=0.9)] = 0,
    ) -> None:
        self._samples = [
            Sample(f"{Path(picture).stem}_{name}", pixels)
            for picture in SPLITS[split]
            for name, pixels in _crops(picture, formats, size, zooms, overlap)
        ]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]


def _crops(
    picture: str, formats: Formats, size: int, zooms: Sequence[float], overlap: float
) -> Iterator[tuple[str, Tensor]]:
    """Return the names and crops of a picture."""
    pixels = formats.read(locate(picture)).pixels
    shortest = min(pixels.shape[-2:])
    for side in sorted({min(round(size * zoom), shortest) for zoom in zooms}):
        reduced = resize_short_side(pixels, side).clamp(0, 1)
        rows, columns = (_places(length, size, overlap) for length in reduced.shape[-2:])
        for row, top in enumerate(rows, start=1):
            for column, left in enumerate(columns, start=1):
                crop = reduced[:, top : top + size, left : left + size]
                yield f"{side}_{row}_{column}", crop.contiguous()


def _places(length: int, size: int, overlap: float) -> list[int]:
    """Return where the crops along a side begin; a single one is central."""
    steps = int((length - size) / (size * (1 - overlap)))
    first = 0 if steps else (length - size) // 2
    return [first + (length - size) * step // max(steps, 1) for step in range(steps + 1)]


def locate(picture: str) -> Path:
    """Return the path of a picture in an installed package: ``skimage/data/coffee.png``."""
    package, _, inside = picture.partition("/")
    spec = find_spec(package)  # importing the package would take a second
    if spec is None or spec.origin is None:
        raise DataError(
            f"{picture}: the package that ships it is not installed; install srkit[sample]"
        )
    return Path(spec.origin).parent / inside
