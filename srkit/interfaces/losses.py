"""Losses on images, on the outputs of teachers, and on predicted variances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from torch import Tensor

from srkit.interfaces.networks import Answer
from srkit.interfaces.samples import Batch

if TYPE_CHECKING:
    from srkit.interfaces.view import View


class PixelLoss(Protocol):
    """A loss on images."""

    def __call__(self, sr: Tensor, batch: Batch, /) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: return a scalar."""
        ...


@runtime_checkable
class TeacherLoss(Protocol):
    """A loss on the outputs of a teacher, which runs once for all such losses.

    The teacher is a classifier, unless the attribute ``tasks`` lists other values of :data:`Task`.

    Attributes
    ----------
    stages
        Names of the feature maps that it needs, or patterns such as ``fpn.*``; empty if it needs
        the logits only.
    """

    stages: Sequence[str]

    def __call__(self, answer: Answer, target: Answer, batch: Batch, /) -> Tensor:
        """Compare the output on SR with that on HR: return a scalar."""
        ...


@runtime_checkable
class ViewLoss(Protocol):
    """A loss that also needs the data before the stretch, such as the noise of LR.

    The view also gives SR of the averaged generator, the LR of SR, and the discriminator. A loss
    that reads one of them lists the keys of the recipe that it needs in the attribute ``requires``:
    ``training.ema``, ``degradation`` or ``discriminator``.

    Attributes
    ----------
    needs_view
        True.
    """

    needs_view: bool

    def __call__(self, sr: Tensor, view: View, /) -> Tensor:
        """Compare stretched ``(N, C, H, W)`` images with ``view.stretched.hr``: return a scalar."""
        ...


@runtime_checkable
class VarianceLoss(Protocol):
    """A loss on images and their predicted variance, for `uncertainty` in a recipe.

    Attributes
    ----------
    needs_variance
        True.
    """

    needs_variance: bool

    def __call__(self, sr: Tensor, log_variance: Tensor, batch: Batch, /) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: a scalar.

        `log_variance` has the shape of SR: the natural logarithm, in the unit of SR squared.
        """
        ...


Loss = PixelLoss | TeacherLoss | ViewLoss | VarianceLoss
