"""Real photographs without download, from the wheels of scikit-image and scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from srkit.errors import DataError
from srkit.functional import resize_short_side
from srkit.images import Formats
from srkit.interfaces import Sample
from srkit_photos.datasets.reading import centre_square

_SKIMAGE = "skimage/data"
_SKLEARN = "sklearn/datasets/images"

#: The pictures of each split; no scene is in two splits.
SPLITS = {
    "train": (
        f"{_SKIMAGE}/astronaut.png",
        f"{_SKLEARN}/china.jpg",
        f"{_SKIMAGE}/hubble_deep_field.jpg",
        f"{_SKIMAGE}/ihc.png",
        f"{_SKIMAGE}/motorcycle_left.png",
        f"{_SKIMAGE}/motorcycle_right.png",
        f"{_SKIMAGE}/retina.jpg",
        f"{_SKIMAGE}/rocket.jpg",
    ),
    "validation": (f"{_SKIMAGE}/coffee.png",),
    "test": (f"{_SKIMAGE}/chelsea.png", f"{_SKLEARN}/flower.jpg"),
}


class SamplePhotos:
    """Unlabelled crops of the colour photographs shipped with scikit-image and scikit-learn.

    Each picture gives its central square, resized to `size` so that objects are whole, and all
    adjacent crops of the picture resized to a short side of at most twice `size`. They are kept in
    memory.

    Train: astronaut, china, hubble_deep_field, ihc, motorcycle_left, motorcycle_right, retina,
    rocket. Validation: coffee. Test: chelsea, flower.

    Parameters
    ----------
    split
        Pictures to use; no scene is in two splits.
    size
        Side of the crops in pixels, at most 300.

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
    ) -> None:
        self._samples = [
            Sample(f"{Path(picture).stem}_{name}", pixels)
            for picture in SPLITS[split]
            for name, pixels in _crops(picture, formats, size)
        ]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]


def _crops(picture: str, formats: Formats, size: int) -> Iterator[tuple[str, Tensor]]:
    """Return the names and crops of a picture."""
    path = locate(picture)
    pixels = formats.read(path).pixels
    yield "whole", centre_square(path, pixels, size).clamp(0, 1)
    closer = resize_short_side(pixels, min(2 * size, *pixels.shape[-2:])).clamp(0, 1)
    rows, columns = (side // size for side in closer.shape[-2:])
    for row in range(rows):
        for column in range(columns):
            top, left = row * size, column * size
            crop = closer[:, top : top + size, left : left + size]
            yield f"{row + 1}_{column + 1}", crop.contiguous()


def locate(picture: str) -> Path:
    """Return the path of a picture in an installed package: ``skimage/data/coffee.png``."""
    package, _, inside = picture.partition("/")
    spec = find_spec(package)  # importing the package would take a second
    if spec is None or spec.origin is None:
        raise DataError(
            f"{picture}: the package that ships it is not installed; install srkit[sample]"
        )
    return Path(spec.origin).parent / inside
