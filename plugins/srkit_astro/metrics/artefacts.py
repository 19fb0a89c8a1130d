"""Artefacts of adversarial networks: where SR has another texture than a network without a game.

DeSRA (Xie et al. 2023, arXiv:2307.02457) compares the local standard deviations of a GAN's SR and
of that of a network trained by squared error, which invents nothing. Two things differ here.
Galaxies are steep where photographs are flat, so each image first loses its local mean: else the
slope would hide a checkerboard on it. And what the noise of LR could have done is allowed for: it
stands in the place of DeSRA's constant C.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor
from torch.nn import functional as F

from srkit.functional import SSIM_WINDOW, check_equal_shapes, ssim_blur, to_hr_grid
from srkit.interfaces import Batch, OpenNetwork, TrainedNetwork, View
from srkit_astro.metrics.consistency import noise_variance

Threshold = Annotated[float, Field(gt=0, lt=1)]


def texture_likeness(first: Tensor, second: Tensor, allowed: Tensor) -> Tensor:
    """Compare the local texture of two images: 1 where it is the same, towards 0 where it differs.

    ``(2 s1 s2 + c) / (s1**2 + s2**2 + c)``, equation 7 of DeSRA: s are the standard deviations
    under a Gaussian window of 11 x 11 pixels, of the images less their means under it; c is the
    square of `allowed`.

    Parameters
    ----------
    first, second
        Images ``(N, C, H, W)`` in flux.
    allowed
        Standard deviation of texture that is not to count, of the same shape.

    Returns
    -------
    Tensor
        ``(N, 1, H, W)``, the mean over the channels.
    """
    # Autocast would run the convolutions in bfloat16, too coarse for differences of squares.
    with torch.autocast(first.device.type, enabled=False):
        s1, s2 = _detail(first.float()), _detail(second.float())
    c = allowed.float() ** 2
    return ((2 * (s1 * s2).sqrt() + c) / (s1 + s2 + c)).mean(1, keepdim=True)


def artefact_map(
    gan: Tensor,
    l2: Tensor,
    noise: Tensor,
    *,
    allowance: float = 1.0,
    threshold: float = 0.7,
    smallest: int = 3,
) -> Tensor:
    """Find where a GAN departs from an L2 network beyond what the noise allows.

    Parameters
    ----------
    gan, l2
        What the two networks made of the same LR, ``(N, C, H, W)`` in flux.
    noise
        Standard deviation of the noise of LR on the grid of SR, of the same shape.
    allowance
        Standard deviation that texture may have where L2 has none, in units of the noise.
    threshold
        Likeness of texture below which a pixel counts. Far above the noise, DeSRA's 0.7 is a ratio
        of the local standard deviations of 2.4, and 0.9 one of 1.6.
    smallest
        Odd number of pixels: what is narrower is no artefact, and narrower gaps are closed.

    Returns
    -------
    Tensor
        ``(N, 1, H, W)``, True in artefacts.
    """
    # So that, where L2 has no texture, the threshold is passed at `allowance` times the noise.
    allowed = allowance * noise * math.sqrt(threshold / (1 - threshold))
    unlike = texture_likeness(gan, l2, allowed) < threshold
    opened = _widen(_narrow(unlike.float(), smallest), smallest)
    return _narrow(_widen(opened, smallest), smallest) > 0


class Detector:
    """Finds where SR departs from the SR of a network that a run has trained.

    Parameters
    ----------
    reference
        The network.
    allowance, threshold, smallest
        See :func:`artefact_map`.

    Raises
    ------
    ValueError
        If `smallest` is even.
    """

    def __init__(
        self, reference: TrainedNetwork, allowance: float, threshold: float, smallest: int
    ) -> None:
        if smallest % 2 == 0:
            raise ValueError(f"smallest: got {smallest}; expected an odd number of pixels")
        self.reference = reference
        self.allowance, self.threshold, self.smallest = allowance, threshold, smallest

    def find(self, sr: Tensor, l2: Tensor, batch: Batch) -> Tensor:
        """Give the artefacts of SR, ``(N, 1, H, W)``, True where there are; all in flux."""
        noise = to_hr_grid(noise_variance(batch).sqrt().float(), batch, "nearest")
        return artefact_map(
            sr,
            l2,
            noise.expand_as(sr),
            allowance=self.allowance,
            threshold=self.threshold,
            smallest=self.smallest,
        )


class ArtefactLoss:
    """Squared difference from the L2 network's SR in artefacts, averaged over all pixels.

    In the manner of DeSRA's fine-tuning (Xie et al. 2023, arXiv:2307.02457): where the network that
    is trained departs from `reference` beyond what the noise allows, that is its target; elsewhere
    this loss is 0, and the others decide. The artefacts are found in flux and anew in each step;
    the difference is that of what networks see.

    Parameters
    ----------
    reference
        Run folder or checkpoint of the L2 network, such as ``needs.l2``.
    allowance
        Standard deviation that texture may have where the reference has none, in units of LR's
        noise.
    threshold
        Likeness of texture below which a pixel counts: 1 is the same; far above the noise, DeSRA's
        0.7 is a ratio of the local standard deviations of 2.4.
    smallest
        Odd number of pixels: what is narrower is no artefact, and narrower gaps are closed.
    """

    needs_view = True

    def __init__(
        self,
        *,
        open_network: OpenNetwork,
        reference: Path,
        allowance: NonNegativeFloat = 1.0,
        threshold: Threshold = 0.7,
        smallest: PositiveInt = 3,
    ) -> None:
        self.detector = Detector(open_network(reference), allowance, threshold, smallest)

    def __call__(self, sr: Tensor, view: View) -> Tensor:
        """Compare ``(N, C, H, W)`` images, as networks see them, with the reference: a scalar."""
        sr = sr.float()
        with torch.no_grad():
            l2 = self.detector.reference.restore(view.flux)
            artefacts = self.detector.find(view.to_flux(sr), l2, view.flux)
        return (artefacts * (sr - view.to_seen(l2)).square()).mean()


class ArtefactShare:
    """Share of the pixels where SR departs from an L2 network's beyond what the noise allows.

    The map is that of :func:`artefact_map`, in the manner of DeSRA (Xie et al. 2023,
    arXiv:2307.02457). HR itself has such pixels too, its own noise among them: what no network can
    know. Its row in the table tells how many.

    Parameters
    ----------
    reference
        Run folder or checkpoint of the L2 network, such as ``needs.l2``.
    allowance
        Standard deviation that texture may have where the reference has none, in units of LR's
        noise.
    threshold
        Likeness of texture below which a pixel counts: 1 is the same; far above the noise, DeSRA's
        0.7 is a ratio of the local standard deviations of 2.4.
    smallest
        Odd number of pixels: what is narrower is no artefact, and narrower gaps are closed.
    """

    higher_is_better = False
    unit = ""

    def __init__(
        self,
        *,
        open_network: OpenNetwork,
        reference: Path,
        allowance: NonNegativeFloat = 1.0,
        threshold: Threshold = 0.7,
        smallest: PositiveInt = 3,
    ) -> None:
        self.detector = Detector(open_network(reference), allowance, threshold, smallest)
        self.protocol = (
            f"share of pixels whose texture is less than {threshold:g} alike to that of "
            f"{self.detector.reference.name}; {allowance:g} times LR's noise allowed, "
            f"nothing narrower than {smallest} pixels"
        )

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Measure ``(N, C, H, W)`` images: shape ``(N,)``; NaN for SR that is not finite."""
        share = self.map(sr, batch).mean((1, 2, 3))
        return torch.where(sr.isfinite().flatten(1).all(1), share, math.nan)

    def map(self, sr: Tensor, batch: Batch) -> Tensor:
        """Give ``(N, 1, H, W)``: 1 in artefacts, else 0."""
        check_equal_shapes(sr, batch.hr)
        return self.detector.find(sr, self.detector.reference.restore(batch), batch).float()


def _detail(images: Tensor) -> Tensor:
    """Give the local variance of what is left of images without their local means."""
    detail = images - _local_mean(images)
    return (_local_mean(detail**2) - _local_mean(detail) ** 2).clamp_min(0)


def _local_mean(images: Tensor) -> Tensor:
    return ssim_blur(F.pad(images, (SSIM_WINDOW // 2,) * 4, mode="replicate"))


def _widen(mask: Tensor, side: int) -> Tensor:
    """Dilate by a square."""
    return F.max_pool2d(mask, side, 1, side // 2)


def _narrow(mask: Tensor, side: int) -> Tensor:
    """Erode by a square; beyond the borders there is more of the same."""
    return -F.max_pool2d(-mask, side, 1, side // 2)
