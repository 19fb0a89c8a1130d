"""The data set of pictures in shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from srkit.errors import DataError
from srkit.images import Formats
from srkit.interfaces import Extent, Image, Sample, Sizes, Window
from srkit_photos.datasets.imagenet import class_indices, class_names
from srkit_photos.datasets.pairs import all_common_sides, common_sides, cut_to_common
from srkit_photos.datasets.reading import Mode, PhotoReader
from srkit_photos.shards.format import UNLABELLED
from srkit_photos.shards.reader import ShardReader
from srkit_photos.shards.storage import REMEDY, SHARD_CACHE_BYTES, LocalShards, open_shards

#: Number of shards whose samples are shuffled together.
TOGETHER = 16
#: Unusable pictures that the notes name.
NAMED = 10


class ShardPhotos:
    """Pictures in tar shards (WebDataset), made by ``srkit data shard``; local or on a server.

    In each epoch of training, the shards are shuffled, and the samples of 16 shards at a time.

    Parameters
    ----------
    root
        Folder of the shards, or its address: ``https://host/folder``, ``s3://bucket/folder``.
    lr
        ``files`` reads the LR pictures of the shards, if they have any; ``none`` leaves LR to the
        recipe's degradation.
    size
        Resize the short side to this many pixels (bicubic, antialiased) and crop the central
        square; by default, pictures stay whole. A JPEG of 16 times the size or more is decoded at a
        quarter of its size, see docs/explanation/loading.md.
    enlarge
        Enlarge pictures whose short side is below the size; otherwise, they are an error.
    mode
        ``rgb`` repeats grey three times; ``grey`` is the luma of colours (BT.601).
    classes
        ``imagenet`` for its 1000 classes with their names; labels are its class indices, or the
        shards were made from folders named by WordNet IDs. By default, the classes of the shards.
    start, stop
        Use the samples from one position to before another; negative positions count from the
        end. Since shards are shuffled when they are made, these are a random sample.
    cache
        Folder in which shards of a server are cached; by default, ``shards`` in srkit's cache.
    cache_gb
        Maximum size of the cache in GB; with less than 32 shards, each is downloaded in every
        epoch.

    Raises
    ------
    DataError
        If shards or their index are missing or damaged or cannot be downloaded, or a picture is
        smaller than the size.

    References
    ----------
    A. Aizman, G. Maltby, T. Breuel, "High Performance I/O For Large Scale Deep Learning", IEEE Big
    Data 2019, arXiv:2001.01858.
    """

    together = TOGETHER

    def __init__(
        self,
        *,
        formats: Formats,
        root: str,
        scale: int = 1,
        lr: Literal["files", "none"] = "files",
        size: Annotated[int, Field(gt=0)] | None = None,
        enlarge: bool = False,
        mode: Mode = "rgb",
        classes: Literal["imagenet"] | None = None,
        start: int | None = None,
        stop: int | None = None,
        cache: Path | None = None,
        cache_gb: Annotated[float, Field(gt=0)] = SHARD_CACHE_BYTES / 1e9,
    ) -> None:
        if enlarge and size is None:
            raise ValueError("enlarge requires size; add it, or remove enlarge")
        files = open_shards(root, cache, int(cache_gb * 1e9))
        self._reader = ShardReader(files)
        self.local = isinstance(files, LocalShards)
        self._formats = formats
        self._photos = PhotoReader(formats, size, enlarge=enlarge, mode=mode)
        self._size, self._scale = size, scale
        self._paired = self._reader.paired and lr == "files"
        if self._paired and size is not None:
            raise ValueError("size resizes HR, but not the LR of these shards; remove it, or lr")
        self.channels = 3 if mode == "rgb" else 1
        chosen = range(len(files.index))[start:stop]
        if not chosen:
            raise ValueError(
                f"start {start} and stop {stop} select none of {len(files.index)} samples"
            )
        self._first, self._length = chosen.start, len(chosen)
        if size is not None and not enlarge:
            self._check_sides(root, chosen, size)
        shards = self._reader.rows["shard"][chosen.start : chosen.stop]
        self._shards, self.groups = (
            each.tolist() for each in np.unique(shards, return_counts=True)
        )
        bad = [f"{root}: left out: {text}" for _, text in files.index.bad]
        self.notes = [*files.notes, *bad[:NAMED]]
        if len(bad) > NAMED:
            self.notes.append(f"{root}: left out: {len(bad) - NAMED} more; see index.json")
        self.classes: Sequence[str] | None = files.index.classes
        self._labels: list[int] | None = None
        if classes == "imagenet":
            self._labels = _imagenet_labels(root, self.classes)
            self.classes = class_names()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Sample:
        return self._sample(index, None)

    def extent(self, index: int) -> Extent:
        """Return the size of a sample, from the index."""
        row = self._row(index)
        hr = (int(row["height"]), int(row["width"]))
        if self._size is not None:
            hr = (self._size, self._size)
        lr = (int(row["lr_height"]), int(row["lr_width"])) if self._paired else None
        return Extent(self.name(index), *common_sides(hr, lr, self._scale))

    def sizes(self) -> Sizes:
        """Return the sizes of all samples, from the index."""
        rows = self._reader.rows[self._first : self._first + self._length]
        hr = np.stack([rows["height"], rows["width"]], 1).astype(np.int64)
        if not self._paired:
            return Sizes(hr if self._size is None else np.full_like(hr, self._size))
        lr = np.stack([rows["lr_height"], rows["lr_width"]], 1).astype(np.int64)
        return Sizes(*all_common_sides(hr, lr, self._scale))

    def name(self, index: int) -> str:
        """Return the name of a sample, from its header in the shard."""
        self._row(index)
        return self._reader.name(self._first + index)

    def window(self, index: int, window: Window) -> Sample:
        """Read part of a sample: it is decoded whole and cropped first."""
        return self._sample(index, window)

    def stored(self, index: int) -> tuple[Sample, Image]:
        """Read a sample with the channels and values of its file, and the image of the file."""
        shard, name, content = self._read(index)
        image = self._formats.decode(shard / name, content)
        label, lr = self._label(index), None
        if self._paired:
            lr = self._formats.decode(*self._read_lr(index, shard / name)).pixels
        return Sample(name, image.pixels, lr, label=label, data_range=image.data_range), image

    def expect(self, groups: Sequence[int]) -> None:
        """Start to download shards, by their positions among those of this data set."""
        files = self._reader.files
        files.expect([files.index.shards[self._shards[group]] for group in groups])

    def fingerprint(self) -> str:
        """Return the checksum of the table of samples, which has a checksum of every picture."""
        return self._reader.files.index.rows

    def _check_sides(self, root: str, chosen: range, size: int) -> None:
        """Check the sizes of all pictures now rather than during a run."""
        rows = self._reader.rows[chosen.start : chosen.stop]
        (small,) = np.nonzero(np.minimum(rows["height"], rows["width"]) < size)
        if len(small):
            first = int(small[0])
            name = self._reader.name(chosen.start + first)
            sides = f"{rows['width'][first]} x {rows['height'][first]}"
            raise DataError(
                f"{root}: {len(small)} of {len(rows)} pictures have a short side below size "
                f"{size}, such as {name} ({sides}); lower the size or set enlarge: true"
            )

    def _sample(self, index: int, window: Window | None) -> Sample:
        shard, name, content = self._read(index)
        pixels, data_range = self._photos.read(shard / name, content, window)
        if not self._paired:
            return Sample(name, pixels, label=self._label(index), data_range=data_range)
        lr, _ = self._photos.read(*self._read_lr(index, shard / name))
        sample = Sample(name, pixels, lr, label=self._label(index), data_range=data_range)
        if window is None:
            return cut_to_common(sample, self._scale)
        return sample if window.lr is None else replace(sample, lr=lr[:, *window.lr])

    def _read_lr(self, index: int, hr: Path) -> tuple[Path, bytes]:
        """Return a path for messages, and the file of LR."""
        content = self._reader.read_lr(self._first + index)
        suffix = self._formats.recognise(content) or hr.suffix
        return hr.with_name(f"{hr.stem}.lr{suffix}"), content

    def _read(self, index: int) -> tuple[Path, str, bytes]:
        """Return the path of the shard, the name of the picture in it, and its file."""
        self._row(index)
        return self._reader.read(self._first + index)

    def _row(self, index: int) -> np.void:
        """Return the entry of a sample in the index."""
        if not 0 <= index < self._length:
            raise IndexError(index)
        row: np.void = self._reader.rows[self._first + index]
        return row

    def _label(self, index: int) -> int | None:
        label = int(self._row(index)["label"])
        if label == UNLABELLED:
            return None
        labels = self._labels or range(len(self.classes or ()))
        if not 0 <= label < len(labels):
            raise DataError(
                f"{self._reader.files.rows_path}: sample {self._first + index} has label {label}, "
                f"but there are {len(labels)} classes; {REMEDY}"
            )
        return labels[label]


def _imagenet_labels(root: str, classes: Sequence[str] | None) -> list[int]:
    """Return ImageNet's class index of each label."""
    if classes is None:
        raise DataError(f"{root}: the shards have no labels; remove the option classes")
    indices = class_indices()
    if all(name in indices for name in classes):
        return [indices[name] for name in classes]
    if len(classes) > len(indices) or list(classes) != [str(i) for i in range(len(classes))]:
        raise DataError(
            f"{root}: the classes are neither WordNet IDs such as n01440764 nor class indices "
            "below 1000; remove the option classes"
        )
    return list(range(len(classes)))
