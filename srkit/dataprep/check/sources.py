"""Images to be checked: those of a data set, or the files of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from srkit.images.formats import Formats
from srkit.interfaces import Dataset, Image, Sample


class Images(Protocol):
    """The images of a split, by index."""

    @property
    def classes(self) -> int | None:
        """Number of classes; None if the images have no labels."""
        ...

    @property
    def scale(self) -> int | None:
        """Ratio of the sides of HR and LR; None if there are no pairs."""
        ...

    def __len__(self) -> int: ...

    def read(self, index: int) -> tuple[Sample, str]:
        """Read an image and the type of its stored values, such as ``8 bits``, if known."""
        ...


@dataclass(frozen=True, slots=True)
class DatasetImages:
    """The images of a data set."""

    dataset: Dataset
    scale: int | None

    @property
    def classes(self) -> int | None:
        """Number of classes; None if the images have no labels."""
        return None if self.dataset.classes is None else len(self.dataset.classes)

    def __len__(self) -> int:
        return len(self.dataset)

    def read(self, index: int) -> tuple[Sample, str]:
        """Read an image; a data set does not say how its values are stored."""
        return self.dataset[index], ""


@dataclass(frozen=True, slots=True)
class FolderImages:
    """Image files of a folder, named by their relative paths."""

    files: Sequence[Path]
    folder: Path
    formats: Formats
    classes: int | None = None
    scale: int | None = None

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> tuple[Sample, str]:
        """Read an image and the type of its stored values."""
        path = self.files[index]
        image = self.formats.read(path)
        name = path.relative_to(self.folder).as_posix()
        return Sample(name, image.pixels, data_range=image.data_range), _value_type(image)


def _value_type(image: Image) -> str:
    bits = image.metadata.get("bits")
    opacity = ", opacity" if "alpha" in image.metadata else ""
    return "" if bits is None else f"{bits} bits{opacity}"
