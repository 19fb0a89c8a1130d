"""Degradations, stretches and constraints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, Self, runtime_checkable

from torch import Tensor

from srkit.interfaces.samples import Batch


@runtime_checkable
class Degradation(Protocol):
    """Computes low-resolution images from batches of high-resolution ones, on their device.

    If it adds noise, it can have a method ``variance(lr, seeds)`` that returns the variance of the
    noise in LR images that were computed with these seeds, or None if there is no noise, and a
    method ``expected(hr, seeds)`` that returns LR without noise, with which `srkit upscale --check`
    degrades SR. If it depends on the size of pixels, it has the attribute ``pixel_scale``, that of
    HR in arcsec.

    Attributes
    ----------
    factor
        Side of the LR image over the side of the HR image; 1 / scale for most.
    """

    factor: float

    def __call__(self, hr: Tensor, seeds: Sequence[int], /) -> Tensor:
        """Degrade ``(N, C, H, W)`` images; all randomness of sample i comes from ``seeds[i]``."""
        ...


@runtime_checkable
class Stretch(Protocol):
    """An invertible map from flux to the input of generators, teachers and losses; not of metrics.

    Parameters that vary from image to image are measured on LR, the only image that is available
    when a model is used, and apply to its HR and SR, too. Nothing is clipped.

    Attributes
    ----------
    unitless
        Whether the result does not depend on the unit, since everything is measured on the image;
        then files that state no zero point can be restored.
    """

    unitless: bool

    def fit(self, images: Tensor, /) -> Tensor:
        """Measure ``(N, C, H, W)`` images: return ``(N, K)`` parameters of the map."""
        ...

    def __call__(self, flux: Tensor, fitted: Tensor, /) -> Tensor:
        """Map flux, ``(N, C, H, W)``, to values most of which are in [0, 1]."""
        ...

    def inverse(self, stretched: Tensor, fitted: Tensor, /) -> Tensor:
        """Map back to flux, with an error of at most 1e-6 of the peak."""
        ...


@runtime_checkable
class FrameStretch(Protocol):
    """A stretch that can also measure images larger than the memory."""

    def fit_parts(self, parts: Callable[[], Iterable[Tensor]], /) -> Tensor:
        """Measure images in parts, ``(N, C, h, W)`` from top to bottom, as :meth:`Stretch.fit`.

        Each call of `parts` iterates over them from the start.
        """
        ...


@runtime_checkable
class Constraint(Protocol):
    """The last step of restoration: changes SR, in flux, so that it is consistent with LR."""

    def __call__(self, sr: Tensor, batch: Batch, /) -> Tensor:
        """Change ``(N, C, H, W)`` images, given ``batch.lr``, differentiably."""
        ...


class Observation(Protocol):
    """How SR is observed as LR without noise: its PSF is converted to that of LR, and averaged."""

    @property
    def name(self) -> str:
        """A short description, such as of the PSFs."""
        ...

    def __call__(self, sr: Tensor, scale: int, pixel_scale: float | None, /) -> Tensor:
        """Convert ``(N, C, H, W)`` images to the grid of LR, which is `scale` times coarser.

        `pixel_scale` is the side of a pixel of SR in arcsec, if it is known.

        Raises
        ------
        ValueError
            If the PSF does not fit the pixels, or their size has to be known.
        """
        ...


@runtime_checkable
class Observing(Protocol):
    """A constraint or metric with the option `psf`, which states how LR was observed."""

    @property
    def observation(self) -> Observation | None:
        """How `srkit upscale --check` observes SR; None without a PSF."""
        ...


@runtime_checkable
class ObservingMetric(Observing, Protocol):
    """A metric whose PSF `srkit eval --psf` replaces."""

    def observed_by(self, observation: Observation, /) -> Self:
        """Return the same metric for SR that is observed in this way."""
        ...
