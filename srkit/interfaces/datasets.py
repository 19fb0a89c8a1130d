"""Data sets, and what can be downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from srkit.interfaces.samples import Extent, Sample, Window

if TYPE_CHECKING:
    pass


@runtime_checkable
class Dataset(Protocol):
    """A sequence of samples; one that reads parts cheaply is a :class:`WindowedDataset`, too.

    Attributes
    ----------
    channels
        Channels of every image.
    classes
        Class names by class index, or None for unlabelled data.
    notes
        Lines that the user must see, such as how many files were skipped and why.
    """

    channels: int
    classes: Sequence[str] | None
    notes: Sequence[str]

    def __len__(self) -> int:
        """Count the samples."""
        ...

    def __getitem__(self, index: int, /) -> Sample:
        """Read a sample; the same index always gives the same sample."""
        ...


@runtime_checkable
class WindowedDataset(Protocol):
    """A data set that reads part of a sample more cheaply than all of it: crops are read so."""

    def extent(self, index: int, /) -> Extent:
        """Tell how large a sample is, without reading it."""
        ...

    def window(self, index: int, window: Window, /) -> Sample:
        """Read part of a sample: equal to ``window.cut(self[index])``."""
        ...


@runtime_checkable
class GroupedDataset(Protocol):
    """A data set whose samples lie in groups that are cheaper to read one after the other.

    Attributes
    ----------
    groups
        Samples of each group; their indices follow one another, from the first group on.
    together
        Groups whose samples training shuffles together.
    local
        Whether all of them are here; otherwise to read a sample may be to fetch its group.
    """

    groups: Sequence[int]
    together: int
    local: bool

    def expect(self, groups: Sequence[int], /) -> None:
        """Prepare groups, by their positions, that will be read soon."""
        ...


@dataclass(frozen=True, slots=True)
class Archive:
    """One file of a download.

    Parameters
    ----------
    url
        A zip or tar archive, by http or https.
    size
        Bytes, where published.
    checksum
        Published checksum with its algorithm, ``sha256:9d0b...`` or ``md5:5d3f...``. Where none is
        known, that of the first download is recorded: never invent one.
    strip
        Leading folders of its members' paths that are dropped when it is unpacked.
    """

    url: str
    size: int | None = None
    checksum: str | None = None
    strip: int = 0

    @property
    def name(self) -> str:
        """Its file name."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Download:
    """What `srkit data get` downloads and unpacks.

    Parameters
    ----------
    title
        The data set's name and what this part of it is.
    homepage
        Where its makers describe it.
    licence
        Its terms as its makers state them, or that they state none.
    folder
        Where it goes, below the folder of all data.
    archives
        Its files, unpacked one after the other.
    notes
        What else the user should know before.
    """

    title: str
    homepage: str
    licence: str
    folder: str
    archives: Sequence[Archive]
    notes: Sequence[str] = ()
