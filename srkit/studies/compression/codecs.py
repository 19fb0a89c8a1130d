"""Compress LR at a quality, and HR to the same file size."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from srkit.interfaces import Batch, Image, LossyFormat

QUALITIES = range(1, 101)


@dataclass(slots=True)
class Codec:
    """Compresses the images of batches, and records the sizes of their files.

    Parameters
    ----------
    name, format
        The image format.
    files
        Size of each file in bytes, and whether it is at most that of LR; by ``LR`` or ``HR``,
        quality of LR, and image.
    """

    name: str
    format: LossyFormat
    files: dict[tuple[str, int, str], tuple[int, bool]] = field(default_factory=dict)
    _lr: Tensor | None = None
    _decoded: dict[int, Tensor] = field(default_factory=dict)

    def compress_lr(self, batch: Batch, quality: int) -> Batch:
        """Replace LR by its compressed version."""
        assert batch.lr is not None
        if batch.lr is not self._lr:  # another batch, or another scale
            self._lr, self._decoded = batch.lr, {}
        if quality not in self._decoded:
            decoded = []
            for name, pixels in zip(batch.names, batch.lr, strict=True):
                content = self.format.compress(Image(pixels.cpu()), quality)
                self.files["LR", quality, name] = len(content), True
                decoded.append(self._decode(content, pixels))
            self._decoded[quality] = torch.stack(decoded)
        return replace(batch, lr=self._decoded[quality])

    def compress_hr(self, batch: Batch, quality: int) -> Tensor:
        """Compress HR to at most the size that LR has at a quality."""
        self.compress_lr(batch, quality)
        decoded = []
        for name, pixels in zip(batch.names, batch.hr, strict=True):
            budget = self.files["LR", quality, name][0]
            content, reached = self._fit(Image(pixels.cpu()), budget)
            self.files["HR", quality, name] = len(content), reached
            decoded.append(self._decode(content, pixels))
        return torch.stack(decoded)

    def _fit(self, image: Image, budget: int) -> tuple[bytes, bool]:
        """Compress an image as :func:`best_quality` describes."""
        files: dict[int, bytes] = {}

        def size_at(quality: int) -> int:
            files[quality] = self.format.compress(image, quality)
            return len(files[quality])

        quality, reached = best_quality(size_at, budget)
        return files[quality], reached

    def _decode(self, content: bytes, like: Tensor) -> Tensor:
        pixels = self.format.decompress(content).pixels.to(like)
        return pixels.mean(0, keepdim=True) if len(pixels) > len(like) else pixels


def best_quality(size_at: Callable[[int], int], budget: int) -> tuple[int, bool]:
    """Find the best quality whose file fits into a number of bytes, by bisection.

    Parameters
    ----------
    size_at
        Size of the file at a quality from 1 to 100, with which it increases. It is called for the
        quality that is returned, among others.
    budget
        Maximum size.

    Returns
    -------
    quality, reached
        The quality; 1 and False if even that file is larger.
    """
    count = bisect_right(QUALITIES, budget, key=size_at)
    return (QUALITIES[count - 1], True) if count else (QUALITIES[0], False)
