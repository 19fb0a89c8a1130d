"""The data set of every collection of picture files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from srkit.errors import DataError
from srkit.images import Formats
from srkit.interfaces import Sample, Sizes
from srkit.system import digest_of_states
from srkit_photos.datasets.reading import Mode, PhotoReader
from srkit_photos.datasets.sizes import measure

Unreadable = Literal["error", "skip"]

#: Maximum number of skipped pictures in a note.
NAMED = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture file: its POSIX path relative to the root, and its class index."""

    name: str
    label: int | None = None


class Photos:
    """Picture files as samples, read on access; can be pickled.

    Parameters
    ----------
    formats
        Image formats that read the files.
    root
        Folder to which the names are relative.
    entries
        The pictures, in order.
    size
        Side of the square samples in pixels; None keeps pictures unchanged.
    enlarge
        Whether smaller pictures are enlarged; otherwise they are errors.
    mode
        Colours of the samples.
    classes
        Class names, or None for unlabelled pictures.
    unreadable
        With ``skip``, every picture is decoded once at the start; those that cannot be used are
        skipped with a note.
    least_side
        Side below which ``skip`` skips a picture, since training crops squares of this side.
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
        self._reader = PhotoReader(formats, size, enlarge=enlarge, mode=mode)
        self._root = root
        self._entries = list(entries)
        if unreadable == "skip":
            self._skip_unusable(least_side)
        if not self._entries:
            raise DataError(f"{root}: none of {len(entries)} pictures can be used")

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Sample:
        entry = self._entries[index]
        path = self._root / entry.name
        pixels, data_range = self._reader.read(path)
        return Sample(entry.name, pixels, label=entry.label, data_range=data_range)

    def fingerprint(self) -> str:
        """Return a digest of the names, sizes and modification times of the files."""
        return digest_of_states(self._root / entry.name for entry in self._entries)

    def sizes(self) -> Sizes:
        """Return the sizes of all samples, by the headers of the files."""
        settings = self._reader.settings
        sides, problems = measure(self._root, self._names(), self._reader.size, settings)
        return Sizes(sides, unreadable=problems)

    def name(self, index: int) -> str:
        """Return the name of a sample."""
        return self._entries[index].name

    def _names(self) -> list[str]:
        return [entry.name for entry in self._entries]

    def _skip_unusable(self, least_side: int) -> None:
        names, reader = self._names(), self._reader
        settings = f"decoded {reader.settings}"
        sides, problems = measure(self._root, names, reader.decoded_size, settings)
        for index in np.flatnonzero(sides.min(1) < least_side).tolist():
            problems.setdefault(
                index, too_small(self._root / names[index], sides[index], least_side)
            )
        if problems:
            self.notes.append(note_on_skipped(problems, len(names)))
        self._entries = [e for index, e in enumerate(self._entries) if index not in problems]


def too_small(path: Path, sides: NDArray[np.int64], crop: int) -> str:
    """Say that a picture is smaller than the crop."""
    height, width = sides
    return f"{path}: {width}x{height} pixels are too small for a crop of {crop}"


def note_on_skipped(problems: Mapping[int, str], total: int) -> str:
    """Say how many pictures are skipped, and why the first of them are."""
    listed = [problems[index] for index in sorted(problems)]
    more = [f"and {len(listed) - NAMED} more"] if len(listed) > NAMED else []
    return "\n  ".join([f"skipped {len(listed)} of {total} pictures:", *listed[:NAMED], *more])


def pick(entries: Sequence[Entry], fraction: float, seed: int) -> list[Entry]:
    """Choose a fraction of the entries, as evenly over the classes as possible.

    The choice depends on a hash of seed and name, not on a random generator: adding a picture
    displaces hardly any other, and every version of every library chooses the same. The order is
    kept.
    """

    def draw(entry: Entry) -> bytes:
        text = f"{seed}/{entry.name}".encode("utf-8", "surrogateescape")
        return blake2b(text, digest_size=8).digest()

    by_class: dict[int | None, list[Entry]] = {}
    for entry in sorted(entries, key=draw):
        by_class.setdefault(entry.label, []).append(entry)
    # The first half of every class precedes the second half of any class.
    ranked = [
        ((rank + 0.5) / len(members), draw(entry), entry)
        for members in by_class.values()
        for rank, entry in enumerate(members)
    ]
    ranked.sort(key=lambda row: row[:2])
    chosen = {entry for _, _, entry in ranked[: round(fraction * len(entries))]}
    return [entry for entry in entries if entry in chosen]


def only_of(entries: Sequence[Entry], indices: Sequence[int]) -> list[Entry]:
    """Select the entries of some classes and renumber these classes."""
    places = {index: place for place, index in enumerate(indices)}
    return [
        Entry(entry.name, places[entry.label])
        for entry in entries
        if entry.label is not None and entry.label in places
    ]
