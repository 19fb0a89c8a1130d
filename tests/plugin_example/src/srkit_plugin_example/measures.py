"""A loss, a metric and an adversarial game."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

from srkit.interfaces import Batch


class LogCosh:
    """Mean logarithm of the hyperbolic cosine of the difference: smooth, asymptotically linear."""

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: return a scalar."""
        difference = sr.float() - batch.hr
        # ln cosh x = x + ln(1 + exp(-2x)) - ln 2, which does not overflow.
        return (difference + F.softplus(-2 * difference) - math.log(2)).mean()


class LargestError:
    """Largest absolute difference."""

    higher_is_better = False
    unit = ""
    protocol = "largest absolute difference over all channels and pixels, in the data's unit"

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: return ``(N,)``."""
        return (sr.float() - batch.hr).abs().flatten(1).amax(1)


class Duel:
    """Cross-entropy of real and restored images (Goodfellow et al. 2014)."""

    relative = False

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the generator minimises: the logits of SR have to be large."""
        return F.softplus(-fake).mean()

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the discriminator minimises."""
        return (F.softplus(-real) + F.softplus(fake)).mean()
