"""Degradations, stretches and constraints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from torch import Tensor

from srkit.interfaces.samples import Batch

if TYPE_CHECKING:
    pass


@runtime_checkable
class Degradation(Protocol):
    """Makes low-resolution images, batched on the device.

    One that adds noise may have a method ``variance(lr, seeds)`` that gives the variance of the
    noise in the LR images that it made with these seeds, or None where there is none, and a method
    ``expected(hr, seeds)`` that gives LR without the noise, by which `srkit upscale --check`
    degrades SR again. One that depends on the size of pixels has the attribute ``pixel_scale``, in
    arcsec of HR.

    Attributes
    ----------
    factor
        Side of the LR image over the side of the HR image; 1 / scale for most.
    """

    factor: float

    def __call__(self, hr: Tensor, seeds: Sequence[int], /) -> Tensor:
        """Degrade ``(N, C, H, W)`` images; sample i draws all its randomness from ``seeds[i]``."""
        ...


@runtime_checkable
class Stretch(Protocol):
    """An invertible map from flux to what generators, teachers and losses see; metrics see flux.

    What varies from image to image is measured on LR, which is all there is when a picture is
    restored, and holds for its HR and SR too. Nothing is clipped.

    Attributes
    ----------
    unitless
        Whether an image in another unit looks the same, since all is measured on the image: then
        files that state no zero point can be restored.
    """

    unitless: bool

    def fit(self, images: Tensor, /) -> Tensor:
        """Measure ``(N, C, H, W)`` images: ``(N, K)`` numbers that the map depends on."""
        ...

    def __call__(self, flux: Tensor, fitted: Tensor, /) -> Tensor:
        """Map flux, ``(N, C, H, W)``, to values of which most lie in [0, 1]."""
        ...

    def inverse(self, stretched: Tensor, fitted: Tensor, /) -> Tensor:
        """Map back to flux, within 1e-6 of it."""
        ...


@runtime_checkable
class FrameStretch(Protocol):
    """What a stretch has besides that can measure images larger than the memory."""

    def fit_parts(self, parts: Callable[[], Iterable[Tensor]], /) -> Tensor:
        """Measure images that come in parts, ``(N, C, h, W)`` from top to bottom.

        `parts` gives them anew each time it is called. The result is that of :meth:`Stretch.fit`.
        """
        ...


@runtime_checkable
class Constraint(Protocol):
    """The last step of restoring: changes SR, in flux, so that it keeps what LR says."""

    def __call__(self, sr: Tensor, batch: Batch, /) -> Tensor:
        """Change ``(N, C, H, W)`` images, given ``batch.lr``; gradients pass through."""
        ...
