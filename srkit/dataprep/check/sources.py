"""Images to be checked: those of a data set, or the files of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from srkit.images.formats import Formats
from srkit.interfaces import Dataset, Image, Sample, StoredDataset


@dataclass(frozen=True, slots=True)
class DatasetImages:
    """The images of a data set.

    Parameters
    ----------
    dataset
        The data set.
    scale
        Ratio of the sides of HR and LR; None if there are no pairs.
    stored
        Whether to read the images as they are stored, if the data set can do that.
    crop
        Side of the crop in training, in HR pixels; None if images stay whole.
    """

    dataset: Dataset
    scale: int | None = None
    stored: bool = False
    crop: int | None = None

    @property
    def classes(self) -> int | None:
        """Number of classes; None if the images have no labels."""
        return None if self.dataset.classes is None else len(self.dataset.classes)

    def __len__(self) -> int:
        return len(self.dataset)

    def read(self, index: int) -> tuple[Sample, str]:
        """Read an image and the type of its stored values; empty if that is not known."""
        if self.stored and isinstance(self.dataset, StoredDataset):
            sample, image = self.dataset.stored(index)
            return sample, _value_type(image)
        return self.dataset[index], ""


@dataclass(frozen=True, slots=True)
class FolderImages:
    """Image files of a folder, named by their relative paths.

    Parameters
    ----------
    files, folder
        The files and their folder.
    formats
        The image formats.
    classes, scale, crop
        As of :class:`DatasetImages`.
    """

    files: Sequence[Path]
    folder: Path
    formats: Formats
    classes: None = None
    scale: None = None
    crop: None = None

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> tuple[Sample, str]:
        """Read an image and the type of its stored values, such as ``8 bits``."""
        path = self.files[index]
        image = self.formats.read(path)
        name = path.relative_to(self.folder).as_posix()
        return Sample(name, image.pixels, data_range=image.data_range), _value_type(image)


Images = DatasetImages | FolderImages


def _value_type(image: Image) -> str:
    bits = image.metadata.get("bits")
    opacity = ", opacity" if "alpha" in image.metadata else ""
    return "" if bits is None else f"{bits} bits{opacity}"
