"""Artefacts of adversarial networks: texture that a network without a GAN loss does not have.

DeSRA (Xie et al. 2023, arXiv:2307.02457) compares the local standard deviations of the SR of a GAN
and of a network trained with squared error, which does not invent texture. This implementation
differs in two points. The local mean of each image is subtracted first, since the steep profile of
a galaxy would otherwise hide a checkerboard on it. And texture that noise in LR could cause is
allowed: its level replaces the constant C of DeSRA.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import torch
from kornia.morphology import closing, opening
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor
from torch.nn import functional as F

from srkit.functional import SSIM_WINDOW, check_equal_shapes, ssim_blur, to_hr_grid
from srkit.interfaces import Batch, OpenNetwork, TrainedNetwork, View
from srkit_astro.metrics.consistency import noise_variance

Threshold = Annotated[float, Field(gt=0, lt=1)]


def texture_similarity(first: Tensor, second: Tensor, allowed: Tensor) -> Tensor:
    """Compare the local texture of two images: 1 if it is equal, close to 0 if it is different.

    ``(2 s1 s2 + c) / (s1**2 + s2**2 + c)``, equation 7 of DeSRA: s are the local standard
    deviations under a Gaussian window of 11 x 11 pixels, after subtraction of the local means; c is
    the square of `allowed`.

    Parameters
    ----------
    first, second
        Images ``(N, C, H, W)`` in flux.
    allowed
        Standard deviation of texture to ignore, of the same shape.

    Returns
    -------
    Tensor
        ``(N, 1, H, W)``, the mean over the channels.
    """
    # With autocast, convolutions in bfloat16 are too inaccurate for differences of squares.
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
    """Find the pixels in which a GAN differs from an L2 network by more than noise allows.

    Parameters
    ----------
    gan, l2
        SR of the two networks for the same LR, ``(N, C, H, W)`` in flux.
    noise
        Standard deviation of the noise of LR on the grid of SR, of the same shape.
    allowance
        Standard deviation that texture may have where L2 has none, in units of the noise.
    threshold
        Similarity of texture below which a pixel is an artefact. Far above the noise, the 0.7 of
        DeSRA corresponds to a ratio of the local standard deviations of 2.4, and 0.9 to 1.6.
    smallest
        Odd number of pixels: narrower artefacts are removed, and narrower gaps closed.

    Returns
    -------
    Tensor
        ``(N, 1, H, W)``, True in artefacts.
    """
    # Where L2 has no texture, the threshold is reached at `allowance` times the noise.
    allowed = allowance * noise * math.sqrt(threshold / (1 - threshold))
    different = texture_similarity(gan, l2, allowed) < threshold
    square = torch.ones(smallest, smallest, device=gan.device)
    found: Tensor = closing(opening(different.float(), square), square) > 0
    return found


class ArtefactDetector:
    """Finds where SR differs from the SR of a trained network.

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
            raise ValueError(f"smallest is {smallest}; expected an odd number of pixels")
        self.reference = reference
        self.allowance, self.threshold, self.smallest = allowance, threshold, smallest

    def find(self, sr: Tensor, l2: Tensor, batch: Batch) -> Tensor:
        """Return the artefact map of SR, ``(N, 1, H, W)`` bool; images are in flux."""
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
    """Squared difference from the SR of an L2 network in artefacts, averaged over all pixels.

    The method follows the fine-tuning of DeSRA (Xie et al. 2023, arXiv:2307.02457). Where the
    trained network differs from `reference` by more than noise allows, the reference is the target;
    elsewhere this loss is 0. Artefacts are detected in flux, again in each step; the difference is
    that of stretched images.

    Parameters
    ----------
    reference
        The L2 network: a run folder such as ``needs.l2``, a checkpoint, or the name of published
        weights such as ``sky_x2``.
    allowance
        Standard deviation that texture may have where the reference has none, in units of the noise
        of LR.
    threshold
        Similarity of texture below which a pixel is an artefact; 1 is equal texture. Far above the
        noise, the 0.7 of DeSRA corresponds to a ratio of the local standard deviations of 2.4.
    smallest
        Odd number of pixels: narrower artefacts are removed, and narrower gaps closed.
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
        self.detector = ArtefactDetector(open_network(reference), allowance, threshold, smallest)

    def __call__(self, sr: Tensor, view: View) -> Tensor:
        """Compare stretched ``(N, C, H, W)`` images with the reference: a scalar."""
        sr = sr.float()
        with torch.no_grad():
            l2 = self.detector.reference.restore(view.flux)
            artefacts = self.detector.find(view.to_flux(sr), l2, view.flux)
        return (artefacts * (sr - view.to_stretched(l2)).square()).mean()


class ArtefactShare:
    """Fraction of the pixels in which SR differs from an L2 network by more than noise allows.

    The map is that of :func:`artefact_map`, which follows DeSRA (Xie et al. 2023,
    arXiv:2307.02457). HR itself has such pixels, too, since no network can predict all of its
    texture, such as its noise. Their fraction is shown in the row of HR in the table.

    Parameters
    ----------
    reference
        The L2 network: a run folder such as ``needs.l2``, a checkpoint, or the name of published
        weights such as ``sky_x2``.
    allowance
        Standard deviation that texture may have where the reference has none, in units of the noise
        of LR.
    threshold
        Similarity of texture below which a pixel is an artefact; 1 is equal texture. Far above the
        noise, the 0.7 of DeSRA corresponds to a ratio of the local standard deviations of 2.4.
    smallest
        Odd number of pixels: narrower artefacts are removed, and narrower gaps closed.
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
        self.detector = ArtefactDetector(open_network(reference), allowance, threshold, smallest)
        self.protocol = (
            f"fraction of pixels whose texture has a similarity below {threshold:g} to that of "
            f"{self.detector.reference.name}; {allowance:g} times the noise of LR allowed, "
            f"nothing narrower than {smallest} pixels"
        )

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Measure ``(N, C, H, W)`` images: shape ``(N,)``; NaN for SR that is not finite."""
        fraction = self.map(sr, batch).mean((1, 2, 3))
        return torch.where(sr.isfinite().flatten(1).all(1), fraction, math.nan)

    def map(self, sr: Tensor, batch: Batch) -> Tensor:
        """Return the artefact map, ``(N, 1, H, W)``: 1 in artefacts, else 0."""
        check_equal_shapes(sr, batch.hr)
        return self.detector.find(sr, self.detector.reference.restore(batch), batch).float()


def _detail(images: Tensor) -> Tensor:
    """Return the local variance of images after subtraction of their local means."""
    detail = images - _local_mean(images)
    return (_local_mean(detail**2) - _local_mean(detail) ** 2).clamp_min(0)


def _local_mean(images: Tensor) -> Tensor:
    return ssim_blur(F.pad(images, (SSIM_WINDOW // 2,) * 4, mode="replicate"))
