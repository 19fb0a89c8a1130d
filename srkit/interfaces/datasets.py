"""Data sets and downloads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from srkit.interfaces.samples import Extent, Image, Sample, Window


@runtime_checkable
class Dataset(Protocol):
    """A sequence of samples; it can also satisfy other protocols, such as `WindowedDataset`.

    Attributes
    ----------
    channels
        Number of channels of every image.
    classes
        Class names by class index, or None for unlabelled data.
    notes
        Messages for the user, such as how many files were skipped and why.
    """

    channels: int
    classes: Sequence[str] | None
    notes: Sequence[str]

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def __getitem__(self, index: int, /) -> Sample:
        """Read a sample; an index always returns the same sample."""
        ...


@runtime_checkable
class WindowedDataset(Protocol):
    """A data set that can read a part of a sample; training reads its crops this way."""

    def extent(self, index: int, /) -> Extent:
        """Return the size of a sample without reading it."""
        ...

    def window(self, index: int, window: Window, /) -> Sample:
        """Read part of a sample, equal to ``window.cut(self[index])``."""
        ...


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of all samples of a data set.

    Parameters
    ----------
    hr
        ``(N, 2)``: height and width of HR.
    lr
        ``(N, 2)``: height and width of LR; None if the samples have no LR.
    unreadable
        Why samples cannot be read, by index. Their sizes are ignored.
    """

    hr: NDArray[np.int64]
    lr: NDArray[np.int64] | None = None
    unreadable: Mapping[int, str] = field(default_factory=dict)


@runtime_checkable
class SizedDataset(Protocol):
    """A data set that finds the sizes of its samples without reading them whole.

    Runs and `srkit recipe check` compare them with the crop and the scale before the first step.
    """

    def sizes(self) -> Sizes:
        """Return the sizes of all samples, such as by the headers of files."""
        ...

    def name(self, index: int, /) -> str:
        """Return the name of a sample without reading it."""
        ...


@runtime_checkable
class GroupedDataset(Protocol):
    """A data set with groups of samples that are cheaper to read one after the other.

    Attributes
    ----------
    groups
        Number of samples of each group; the indices of a group are consecutive.
    together
        Number of groups whose samples training shuffles together.
    local
        Whether all groups are on this machine; otherwise reading a sample can download its group.
    """

    groups: Sequence[int]
    together: int
    local: bool

    def expect(self, groups: Sequence[int], /) -> None:
        """Prepare groups, given by their positions, that will be read soon."""
        ...


@runtime_checkable
class StoredDataset(Protocol):
    """A data set that converts its images, and can also read them as they are stored.

    `srkit data check` reads shards this way, to find several kinds of images in them.
    """

    def stored(self, index: int, /) -> tuple[Sample, Image]:
        """Read a sample with the pixels of its file, and the image of the file."""
        ...


@runtime_checkable
class PlacedDataset(Protocol):
    """A data set that knows where its images lie in a larger scene, such as on the sky.

    Runs and `srkit data check` report the images that overlap those of another split.
    """

    def overlaps(self, other: Dataset, /) -> Sequence[tuple[int, int, float]]:
        """Find the images that overlap images of another data set.

        Returns
        -------
        sequence of tuple of int, int and float
            Indices here and there, and the share of the area of the smaller image that is also in
            the other. Empty if `other` lies in another scene or its place is unknown.
        """
        ...


@runtime_checkable
class FingerprintedDataset(Protocol):
    """A data set whose files could change between the start of a run and its resumption."""

    def fingerprint(self) -> str:
        """Return a digest of the data, such as :func:`srkit.system.digest_of_states`."""
        ...


@dataclass(frozen=True, slots=True)
class Archive:
    """One file of a download.

    Parameters
    ----------
    url
        Address of a zip or tar archive, http or https.
    size
        Number of bytes, if published.
    checksum
        Published checksum with its algorithm, ``sha256:9d0b...`` or ``md5:5d3f...``. Without one,
        that of the first download is recorded.
    strip
        Number of leading folders that are removed from the paths of its members.
    """

    url: str
    size: int | None = None
    checksum: str | None = None
    strip: int = 0

    @property
    def name(self) -> str:
        """The file name of the archive."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Download:
    """A data set that `srkit data get` downloads and unpacks.

    Parameters
    ----------
    title
        Name of the data set and of the part that is downloaded.
    homepage
        Address at which its authors describe it.
    licence
        Its terms as its authors state them, or that they state none.
    folder
        Where it is stored, relative to the folder of all data.
    archives
        Its files, unpacked in this order.
    notes
        Messages for the user before the download.
    """

    title: str
    homepage: str
    licence: str
    folder: str
    archives: Sequence[Archive]
    notes: Sequence[str] = ()
