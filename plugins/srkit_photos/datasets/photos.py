"""The data set of every collection of picture files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from srkit.errors import DataError
from srkit.images import Formats
from srkit.interfaces import Sample
from srkit.system import digest_of_states
from srkit_photos.datasets.reading import Mode, PhotoReader

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

    def _skip_unusable(self, least_side: int) -> None:
        usable, problems = [], []
        for index, entry in enumerate(self._entries):
            try:
                height, width = self[index].hr.shape[-2:]
                if min(height, width) < least_side:
                    raise DataError(
                        f"{self._root / entry.name}: {width}x{height} pixels are too small for a "
                        f"crop of {least_side}"
                    )
            except DataError as error:
                problems.append(str(error))
            else:
                usable.append(entry)
        if problems:
            more = [f"and {len(problems) - NAMED} more"] if len(problems) > NAMED else []
            count = f"skipped {len(problems)} of {len(self._entries)} pictures:"
            self.notes.append("\n  ".join([count, *problems[:NAMED], *more]))
        self._entries = usable


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
