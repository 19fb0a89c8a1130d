"""A data set of random pairs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from srkit.errors import DataError
from srkit.interfaces import Sample


def enlarge(images: Tensor, scale: int) -> Tensor:
    """Repeat each pixel, so that an LR pixel can be recognised in HR."""
    return images.repeat_interleave(scale, -2).repeat_interleave(scale, -1)


class Pictures:
    """Random pictures of the given LR shapes; HR repeats their pixels."""

    channels = 3
    classes: Sequence[str] | None = None
    notes: Sequence[str] = ()

    def __init__(
        self, shapes: Sequence[tuple[int, int]], scale: int = 2, broken: int | None = None
    ) -> None:
        self.shapes, self.scale, self.broken = shapes, scale, broken

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, index: int) -> Sample:
        if index == self.broken:
            raise DataError(f"{index}.png: damaged; leave it out")
        chance = torch.Generator().manual_seed(index)
        lr = torch.rand(3, *self.shapes[index], generator=chance)
        return Sample(f"{index}.png", enlarge(lr, self.scale), lr, label=index)
