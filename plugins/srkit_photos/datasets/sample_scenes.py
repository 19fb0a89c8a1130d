"""A small labelled data set without download: ten photographs, one class each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from srkit.functional import resize_short_side
from srkit.images import Formats
from srkit.interfaces import Sample
from srkit_photos.datasets.samples import SPLITS, locate
from srkit_photos.datasets.tiny_imagenet import enlarged

#: One class each.
SCENES = sorted(
    picture for split in SPLITS.values() for picture in split if "grace_hopper" not in picture
)
#: Crops along the short side of a photograph.
ROWS = 5


class SampleScenes:
    """Small crops of ten photographs shipped with scikit-image and scikit-learn, one class each.

    Every photograph is resized to a short side of five crops and cut into adjacent squares without
    overlap: three of five for training, one for validation, one for testing. The task is to
    recognise the photograph of a crop.

    Parameters
    ----------
    split
        Crops to use.
    size
        Side of the crops in pixels.
    enlarge_to
        As in ``tiny_imagenet``: LR is the crop, HR the crop enlarged to this side; by default the
        crop is HR.

    Raises
    ------
    DataError
        If a package is not installed.
    """

    channels = 3
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        formats: Formats,
        split: Literal["train", "validation", "test"],
        size: Annotated[int, Field(gt=0, le=100)] = 64,
        enlarge_to: Annotated[int, Field(gt=0)] | None = None,
    ) -> None:
        self.classes = [Path(picture).stem for picture in SCENES]
        self._side = enlarge_to
        self._samples = [
            Sample(f"{name}_{place}", pixels, label=label)
            for label, (name, picture) in enumerate(zip(self.classes, SCENES, strict=True))
            for place, pixels in _crops(picture, formats, size, split)
        ]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        sample = self._samples[index]
        return sample if self._side is None else enlarged(sample, self._side)


def _crops(picture: str, formats: Formats, size: int, split: str) -> list[tuple[str, Tensor]]:
    """Return the names and crops of a photograph in a split."""
    pixels = resize_short_side(formats.read(locate(picture)).pixels, ROWS * size).clamp(0, 1)
    rows, columns = (side // size for side in pixels.shape[-2:])
    return [
        (
            f"{row + 1}_{column + 1}",
            pixels[:, row * size : (row + 1) * size, column * size : (column + 1) * size].clone(),
        )
        for row in range(rows)
        for column in range(columns)
        if _split_of(row, column) == split
    ]


def _split_of(row: int, column: int) -> str:
    """Assign the squares so that every split has some of each row and column."""
    return {0: "validation", 1: "test"}.get((row + 2 * column) % 5, "train")
