"""Pictures with their LR files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from srkit.errors import DataError
from srkit.functional import Values
from srkit.images import Formats, to_image
from srkit.interfaces import Extent, Sample, Sizes, Window
from srkit.system import digest_of_states
from srkit_photos.datasets.array_cache import ArrayCache
from srkit_photos.datasets.photos import note_on_skipped, too_small
from srkit_photos.datasets.reading import Mode, PhotoReader, to_mode
from srkit_photos.datasets.sizes import Sides, measure


@dataclass(frozen=True, slots=True)
class Pair:
    """An HR picture, and its LR if there is one.

    Parameters
    ----------
    name
        Name of the sample.
    hr, lr
        The files.
    label
        Class index; None without labels.
    """

    name: str
    hr: Path
    lr: Path | None = None
    label: int | None = None


def _files(pairs: Sequence[Pair]) -> list[Path]:
    return [path for pair in pairs for path in (pair.hr, pair.lr) if path is not None]


def common_sides(hr: Sides, lr: Sides | None, scale: int) -> tuple[Sides, Sides | None]:
    """Return the sides of the part that HR and LR have in common, from the upper left corner.

    If HR is not a multiple of the scale, the sides of LR were rounded, up or down. A pair that does
    not fit the scale is left as it is, so that the run reports it.
    """
    if lr is None or any(abs(h - scale * s) >= scale for h, s in zip(hr, lr, strict=True)):
        return hr, lr
    rows, columns = (min(s, h // scale) for h, s in zip(hr, lr, strict=True))
    return (scale * rows, scale * columns), (rows, columns)


def all_common_sides(hr: Values, lr: Values, scale: int) -> tuple[Values, Values]:
    """Return :func:`common_sides` of many pairs, ``(N, 2)`` each."""
    fits = (abs(hr - scale * lr) < scale).all(1, keepdims=True)
    small = np.where(fits, np.minimum(lr, hr // scale), lr)
    return np.where(fits, scale * small, hr), small


def cut_to_common(sample: Sample, scale: int) -> Sample:
    """Cut HR and LR of a pair to the part that they have in common."""
    if sample.lr is None:
        return sample
    large, small = common_sides(_sides_of(sample.hr), _sides_of(sample.lr), scale)
    assert small is not None
    return Window(_whole(large), _whole(small)).cut(sample)


class PicturePairs:
    """Pictures that are decoded whole on access; can be pickled.

    Of a pair, the part that HR and LR have in common is used.

    Parameters
    ----------
    formats
        Image formats that read the files.
    pairs
        The pictures, in order: all with LR, or none.
    scale
        Ratio of the sides of HR and LR.
    mode
        Colours of the samples.
    multiple
        HR without LR is cropped at the bottom and on the right to multiples of this.
    classes
        Class names, or None for unlabelled pictures.
    notes
        Lines that the user must see.
    """

    def __init__(
        self,
        *,
        formats: Formats,
        pairs: Sequence[Pair],
        scale: int,
        mode: Mode = "rgb",
        multiple: int = 1,
        classes: Sequence[str] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.channels = 3 if mode == "rgb" else 1
        self.classes = classes
        self.notes = list(notes)
        self._reader = PhotoReader(formats, None, enlarge=False, mode=mode)
        self._pairs, self._scale, self._multiple = list(pairs), scale, multiple

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Sample:
        pair = self._pairs[index]
        hr = self._read(pair.hr)
        if pair.lr is None:
            height, width = (side - side % self._multiple for side in _sides_of(hr))
            return Sample(pair.name, hr[:, :height, :width], label=pair.label)
        sample = Sample(pair.name, hr, self._read(pair.lr), label=pair.label)
        return cut_to_common(sample, self._scale)

    def name(self, index: int) -> str:
        """Return the name of a sample."""
        return self._pairs[index].name

    def sizes(self) -> Sizes:
        """Return the sizes of all samples, by the headers of the files."""
        found = measure_pairs(self._pairs, self._reader)
        if found.lr is None:
            return replace(found, hr=found.hr - found.hr % self._multiple)
        hr, lr = all_common_sides(found.hr, found.lr, self._scale)
        return replace(found, hr=hr, lr=lr)

    def fingerprint(self) -> str:
        """Return a digest of the names, sizes and modification times of the files."""
        return digest_of_states(_files(self._pairs))

    def _read(self, path: Path) -> Tensor:
        pixels, data_range = self._reader.read(path)
        if data_range != (0.0, 1.0):
            raise DataError(f"{path}: has values outside [0, 1]; expected a photograph")
        return pixels


def _sides_of(image: Tensor) -> Sides:
    return image.shape[-2], image.shape[-1]


def measure_pairs(pairs: Sequence[Pair], reader: PhotoReader, *, decode: bool = False) -> Sizes:
    """Find the sizes of all pictures, by their headers or by decoding them."""
    examine, settings = (reader.decoded_size, "decoded") if decode else (reader.size, "")

    def measured(paths: Sequence[Path]) -> tuple[Values, dict[int, str]]:
        return measure(paths[0].parent, [str(p.absolute()) for p in paths], examine, settings)

    hr, problems = measured([pair.hr for pair in pairs])
    small = [pair.lr for pair in pairs if pair.lr is not None]
    if not small:
        return Sizes(hr, unreadable=problems)
    lr, more = measured(small)
    return Sizes(hr, lr, {**more, **problems})


def only_usable(
    pairs: Sequence[Pair], reader: PhotoReader, least_side: int
) -> tuple[list[Pair], list[str]]:
    """Decode every picture once; return the pairs without the unusable ones, and a note.

    Parameters
    ----------
    pairs
        The pairs.
    reader
        Reads the pictures.
    least_side
        Side of the crop in HR pixels.

    Raises
    ------
    DataError
        If no pair can be used.
    """
    found = measure_pairs(pairs, reader, decode=True)
    problems = dict(found.unreadable)
    for index in np.flatnonzero(found.hr.min(1) < least_side).tolist():
        problems.setdefault(index, too_small(pairs[index].hr, found.hr[index], least_side))
    if len(problems) == len(pairs):
        raise DataError(f"none of {len(pairs)} pictures can be used; {problems[0]}")
    usable = [pair for index, pair in enumerate(pairs) if index not in problems]
    return usable, [note_on_skipped(problems, len(pairs))] if problems else []


class CachedPairs:
    """Pictures read whole or by window from arrays on disk; can be pickled.

    Parameters
    ----------
    formats, pairs, scale, mode, classes, notes
        As in :class:`PicturePairs`.
    cache
        Folder of the arrays, see :class:`~srkit_photos.datasets.array_cache.ArrayCache`.
    """

    def __init__(
        self,
        *,
        formats: Formats,
        pairs: Sequence[Pair],
        scale: int,
        cache: Path,
        mode: Mode = "rgb",
        classes: Sequence[str] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.channels = 3 if mode == "rgb" else 1
        self.classes = classes
        self.notes = list(notes)
        self._pairs, self._mode = list(pairs), mode
        self._cache = ArrayCache(cache, _files(pairs), formats)
        self._extents = [self._measure(pair, scale) for pair in pairs]

    def _measure(self, pair: Pair, scale: int) -> Extent:
        def sides(path: Path) -> Sides:
            height, width = self._cache.open(path).shape[:2]
            return height, width

        small = None if pair.lr is None else sides(pair.lr)
        return Extent(pair.name, *common_sides(sides(pair.hr), small, scale))

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Sample:
        extent = self._extents[index]
        return self.window(index, Window(_whole(extent.hr), extent.lr and _whole(extent.lr)))

    def extent(self, index: int) -> Extent:
        """Return the size of a sample, from the headers read at the start."""
        return self._extents[index]

    def window(self, index: int, window: Window) -> Sample:
        """Read part of a sample: only the necessary rows of each array."""
        pair = self._pairs[index]
        hr = self._cut(pair.hr, window.hr)
        unpaired = pair.lr is None or window.lr is None
        lr = None if unpaired else self._cut(pair.lr, window.lr)
        return Sample(pair.name, hr, lr, label=pair.label)

    def fingerprint(self) -> str:
        """Return a digest of the names, sizes and modification times of the files."""
        return digest_of_states(_files(self._pairs))

    def _cut(self, path: Path, place: tuple[slice, slice]) -> Tensor:
        values: Values = self._cache.open(path)[place]
        return to_mode(path, to_image(values, alpha=False).pixels, self._mode)


def _whole(sides: Sides) -> tuple[slice, slice]:
    return slice(sides[0]), slice(sides[1])


def picture_pairs(
    formats: Formats,
    pairs: Sequence[Pair],
    *,
    scale: int,
    mode: Mode,
    cache: Path | None,
    classes: Sequence[str] | None = None,
    notes: Sequence[str] = (),
) -> PicturePairs | CachedPairs:
    """Return pictures that are read through the cache, if there is one."""
    known: dict[str, Any] = {"formats": formats, "pairs": pairs, "scale": scale, "mode": mode}
    known |= {"classes": classes, "notes": notes}
    return PicturePairs(**known) if cache is None else CachedPairs(cache=cache, **known)
