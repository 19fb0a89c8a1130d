"""From LR to SR on the grid of HR."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from srkit.assembly.restore import restore
from srkit.interfaces import Batch
from srkit.interfaces.view import View


def test_restoring_runs_the_generator_and_resizes_its_output() -> None:
    hr = torch.rand(4, 3, 32, 32)
    batch = Batch(["a", "b", "c", "d"], hr, [0, 1, 2, 3], lr=F.avg_pool2d(hr, 2), factor=0.5)
    seen: list[Tensor] = []

    def generator(lr: Tensor) -> Tensor:
        seen.append(lr)
        return F.interpolate(lr, scale_factor=4).bfloat16()

    sr = restore(generator, View.of(batch))
    assert seen[0] is batch.lr
    assert sr.shape == batch.hr.shape
    assert sr.dtype == torch.float32
