"""Losses on images, on teachers' answers and on predicted variance."""

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
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: a scalar."""
        ...


@runtime_checkable
class TeacherLoss(Protocol):
    """A loss on a teacher's answers; the core asks the teacher once for all such losses.

    It suits classifiers, unless its attribute ``tasks`` lists others of :data:`Task`.

    Attributes
    ----------
    stages
        The feature maps it reads, or patterns of their names such as ``fpn.*``; empty when the
        logits suffice.
    """

    stages: Sequence[str]

    def __call__(self, answer: Answer, target: Answer, batch: Batch, /) -> Tensor:
        """Compare the answer on SR with the one on HR: a scalar."""
        ...


@runtime_checkable
class ViewLoss(Protocol):
    """A loss that also looks at the data's own values, such as the noise of LR.

    Attributes
    ----------
    needs_view
        True.
    """

    needs_view: bool

    def __call__(self, sr: Tensor, view: View, /) -> Tensor:
        """Compare ``(N, C, H, W)`` images, as networks see them, with the view's HR: a scalar."""
        ...


@runtime_checkable
class VarianceLoss(Protocol):
    """A loss on images and the variance that is predicted of them, by `uncertainty` in a recipe.

    Attributes
    ----------
    needs_variance
        True.
    """

    needs_variance: bool

    def __call__(self, sr: Tensor, log_variance: Tensor, batch: Batch, /) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: a scalar.

        The log variance has the shape of SR: natural logarithm, in the unit of SR squared.
        """
        ...


Loss = PixelLoss | TeacherLoss | ViewLoss | VarianceLoss
