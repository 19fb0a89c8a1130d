"""Where images to be checked come from: data sets, or a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from srkit.images.formats import Formats
from srkit.interfaces import Dataset, Image, Sample


class Images(Protocol):
    """Images by number, in one split."""

    @property
    def classes(self) -> int | None:
        """Number of classes, where they are labelled."""
        ...

    @property
    def scale(self) -> int | None:
        """Side of HR over LR, where there are pairs."""
        ...

    def __len__(self) -> int: ...

    def read(self, index: int) -> tuple[Sample, str]:
        """Give an image, and what its values are, such as ``8 bits``, where that is known."""
        ...


@dataclass(frozen=True, slots=True)
class OfDataset:
    """The images of a recipe's data set."""

    dataset: Dataset
    scale: int | None

    @property
    def classes(self) -> int | None:
        """Number of classes, where they are labelled."""
        return None if self.dataset.classes is None else len(self.dataset.classes)

    def __len__(self) -> int:
        return len(self.dataset)

    def read(self, index: int) -> tuple[Sample, str]:
        """Give an image; nothing tells what its values were in a file."""
        return self.dataset[index], ""


@dataclass(frozen=True, slots=True)
class OfFolder:
    """Image files of a folder, named by their paths below it."""

    files: Sequence[Path]
    folder: Path
    formats: Formats
    classes: int | None = None
    scale: int | None = None

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> tuple[Sample, str]:
        """Give an image, and the depth of its values."""
        path = self.files[index]
        image = self.formats.read(path)
        name = path.relative_to(self.folder).as_posix()
        return Sample(name, image.pixels, data_range=image.data_range), _depth(image)


def _depth(image: Image) -> str:
    """Say what the values of an image were in its file, where that is known."""
    bits = image.metadata.get("bits")
    opacity = ", opacity" if "alpha" in image.metadata else ""
    return "" if bits is None else f"{bits} bits{opacity}"
