"""Pictures with their LR files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from srkit.errors import DataError
from srkit.functional import Values
from srkit.images import Formats, to_image
from srkit.interfaces import Extent, Sample, Window
from srkit.system import digest_of_states
from srkit_photos.datasets.array_cache import ArrayCache
from srkit_photos.datasets.reading import Mode, to_mode


@dataclass(frozen=True, slots=True)
class Pair:
    """An HR picture, and its LR if there is one.

    Parameters
    ----------
    name
        Name of the sample.
    hr, lr
        The files.
    """

    name: str
    hr: Path
    lr: Path | None = None


def _files(pairs: Sequence[Pair]) -> list[Path]:
    return [path for pair in pairs for path in (pair.hr, pair.lr) if path is not None]


class PicturePairs:
    """Pictures that are decoded whole on access; can be pickled.

    Parameters
    ----------
    formats
        Image formats that read the files.
    pairs
        The pictures, in order.
    mode
        Colours of the samples.
    multiple
        HR is cropped at the bottom and on the right to multiples of this.
    notes
        Lines that the user must see.
    """

    classes = None

    def __init__(
        self,
        *,
        formats: Formats,
        pairs: Sequence[Pair],
        mode: Mode = "rgb",
        multiple: int = 1,
        notes: Sequence[str] = (),
    ) -> None:
        self.channels = 3 if mode == "rgb" else 1
        self.notes = list(notes)
        self._formats, self._pairs = formats, list(pairs)
        self._mode, self._multiple = mode, multiple

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Sample:
        pair = self._pairs[index]
        hr = self._read(pair.hr)
        height, width = (side - side % self._multiple for side in hr.shape[-2:])
        lr = None if pair.lr is None else self._read(pair.lr)
        return Sample(pair.name, hr[:, :height, :width], lr)

    def fingerprint(self) -> str:
        """Return a digest of the names, sizes and modification times of the files."""
        return digest_of_states(_files(self._pairs))

    def _read(self, path: Path) -> Tensor:
        image = self._formats.read(path)
        if image.data_range != (0.0, 1.0) or not image.pixels.isfinite().all():
            raise DataError(f"{path}: has values outside [0, 1]; expected a photograph")
        return to_mode(path, image.pixels, self._mode)


class CachedPairs:
    """Pictures read whole or by window from arrays on disk; can be pickled.

    Parameters
    ----------
    formats, pairs, mode
        As in :class:`PicturePairs`.
    cache
        Folder of the arrays, see :class:`~srkit_photos.datasets.array_cache.ArrayCache`.
    """

    classes = None

    def __init__(
        self, *, formats: Formats, pairs: Sequence[Pair], cache: Path, mode: Mode = "rgb"
    ) -> None:
        self.channels = 3 if mode == "rgb" else 1
        self.notes: list[str] = []
        self._pairs, self._mode = list(pairs), mode
        self._cache = ArrayCache(cache, _files(pairs), formats)
        self._extents = [self._measure(pair) for pair in pairs]

    def _measure(self, pair: Pair) -> Extent:
        def sides(path: Path) -> tuple[int, int]:
            height, width = self._cache.open(path).shape[:2]
            return height, width

        return Extent(pair.name, sides(pair.hr), None if pair.lr is None else sides(pair.lr))

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Sample:
        everything = (slice(None), slice(None))
        return self.window(index, Window(everything, everything))

    def extent(self, index: int) -> Extent:
        """Return the size of a sample, from the headers read at the start."""
        return self._extents[index]

    def window(self, index: int, window: Window) -> Sample:
        """Read part of a sample: only the necessary rows of each array."""
        pair = self._pairs[index]
        hr = self._cut(pair.hr, window.hr)
        if pair.lr is None or window.lr is None:
            return Sample(pair.name, hr)
        return Sample(pair.name, hr, self._cut(pair.lr, window.lr))

    def fingerprint(self) -> str:
        """Return a digest of the names, sizes and modification times of the files."""
        return digest_of_states(_files(self._pairs))

    def _cut(self, path: Path, place: tuple[slice, slice]) -> Tensor:
        values: Values = self._cache.open(path)[place]
        return to_mode(path, to_image(values, alpha=False).pixels, self._mode)


def picture_pairs(
    formats: Formats, pairs: Sequence[Pair], mode: Mode, cache: Path | None
) -> PicturePairs | CachedPairs:
    """Return pictures that are read through the cache, if there is one."""
    if cache is None:
        return PicturePairs(formats=formats, pairs=pairs, mode=mode)
    return CachedPairs(formats=formats, pairs=pairs, cache=cache, mode=mode)
