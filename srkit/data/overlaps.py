"""Images of different splits that show the same part of a scene."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from srkit.interfaces import Dataset, PlacedDataset


@dataclass(frozen=True, slots=True)
class Overlap:
    """The images of two data sets that overlap.

    Parameters
    ----------
    first, second
        Names of the data sets, such as ``train`` and ``test``.
    count
        Number of images of `second`.
    found
        Indices of an image of `first` and of `second`, and the share of the area of the smaller one
        that is also in the other.
    """

    first: str
    second: str
    count: int
    found: list[tuple[int, int, float]]

    def __str__(self) -> str:
        concerned = len({index for _, index, _ in self.found})
        largest = max(share for *_, share in self.found)
        return (
            f"{concerned} of {self.count} images of {self.second} overlap images of {self.first}, "
            f"by up to {100 * largest:.2g} % of their area"
        )


def overlaps(data: Mapping[str, Dataset]) -> Iterator[Overlap]:
    """Find the images that overlap those of another split, by data sets that know their places.

    Parameters
    ----------
    data
        By split, such as ``train``; what is mixed into a split is named ``train.mix``.
    """
    for (first, one), (second, other) in combinations(data.items(), 2):
        if first.partition(".")[0] == second.partition(".")[0]:
            continue
        found = list(one.overlaps(other)) if isinstance(one, PlacedDataset) else []
        if found:
            yield Overlap(first, second, len(other), found)
