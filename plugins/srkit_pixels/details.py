"""Losses on edges and artefacts, and against LR or another network, in float32."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from srkit.functional import difference
from srkit.interfaces import Batch, OpenNetwork, View

#: Side in pixels of the window in which LDL measures the variance.
WINDOW = 7
#: Smallest variance whose fifth root LDL takes: the root of 0 has no gradient.
SMALLEST = 1e-12


class Edge:
    """Mean absolute difference of the edges of SR and HR. Computed by kornia.

    Parameters
    ----------
    operator
        ``sobel``: horizontal and vertical derivatives, weights 1, 2, 1 over 8; ``laplacian``: the
        pixel against its 8 neighbours, over 16. Borders are replicated or reflected.
    """

    def __init__(self, *, operator: Literal["sobel", "laplacian"] = "sobel") -> None:
        self.operator = operator

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: a scalar."""
        from kornia.filters import laplacian, spatial_gradient

        error = difference(sr, batch.hr)  # the operators are linear
        with torch.autocast(error.device.type, enabled=False):
            edges: Tensor = (
                spatial_gradient(error) if self.operator == "sobel" else laplacian(error, 3)
            )
        return edges.abs().mean()


class LDL:
    """Absolute difference where SR has artefacts (locally discriminative learning).

    The mean of w |SR - HR| (Liang et al. 2022). With the residual |SR - HR|,
    summed over the channels, w is its variance in a window of 7 x 7 pixels, times the fifth root of
    its variance in the image; it is 0 where the residual of the averaged generator is larger. As in
    the authors' code, gradients also pass through w. Differences are in units of the data range.

    It is used together with an adversarial loss, and needs ``training.ema``.

    References
    ----------
    Liang, Zeng & Zhang, "Details or artifacts: a locally discriminative learning approach to
    realistic image super-resolution", CVPR 2022.
    """

    needs_view = True
    requires: Sequence[str] = ("training.ema",)

    def __call__(self, sr: Tensor, view: View) -> Tensor:
        """Compare ``(N, C, H, W)`` images with HR and the averaged generator's SR: a scalar."""
        batch = view.stretched
        error = difference(sr, batch.hr) / batch.span
        residual = error.abs().sum(1, keepdim=True)
        averaged = (difference(view.average(), batch.hr) / batch.span).abs().sum(1, keepdim=True)
        of_image = residual.var((1, 2, 3), keepdim=True).clamp_min(SMALLEST) ** 0.2
        weights = (of_image * local_variance(residual)).where(residual >= averaged, 0)
        return (weights * error).abs().mean()


def local_variance(images: Tensor) -> Tensor:
    """Return the unbiased variance in a window around each pixel; borders are reflected."""
    padded = F.pad(images, [WINDOW // 2] * 4, mode="reflect")
    windows = padded.unfold(-2, WINDOW, 1).unfold(-2, WINDOW, 1)
    return windows.var((-2, -1))


class Consistency:
    """Mean absolute difference of LR and the LR of SR.

    SR is degraded by the recipe's degradation with the seeds of the batch, without noise if the
    degradation can omit it. Guo et al. 2020 train a network instead ("Closed-loop matters: dual
    regression networks for single image super-resolution", CVPR 2020).
    """

    needs_view = True
    requires: Sequence[str] = ("degradation",)

    def __call__(self, sr: Tensor, view: View) -> Tensor:
        """Compare the LR of ``(N, C, H, W)`` images with ``view.stretched.lr``: a scalar."""
        assert view.stretched.lr is not None
        return difference(view.degrade(sr), view.stretched.lr).abs().mean()


class Distillation:
    """Mean absolute difference from the SR of a trained network (Gao et al. 2018).

    A small network learns what a large one restores. The difference is that of stretched images.

    Parameters
    ----------
    reference
        The trained network: a run folder or a checkpoint of srkit, of the recipe's scale.

    References
    ----------
    Gao, Zhao, Li & Tong, "Image super-resolution using knowledge distillation", ACCV 2018.
    """

    needs_view = True

    def __init__(self, *, reference: Path, open_network: OpenNetwork) -> None:
        self.reference = open_network(reference)

    def __call__(self, sr: Tensor, view: View) -> Tensor:
        """Compare ``(N, C, H, W)`` images with those of the trained network: a scalar."""
        target = view.to_stretched(self.reference.restore(view.flux))
        return difference(sr, target).abs().mean()
