"""Adversarial losses of generator and discriminator, as pure functions of logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class Game:
    """An adversarial loss, with its two sides.

    Parameters
    ----------
    generator
        ``(real, fake) -> scalar`` that the generator minimises.
    discriminator
        ``(real, fake) -> scalar`` that the discriminator minimises.
    relative
        Whether the generator's side depends on the real images, too.
    """

    generator: Callable[[Tensor, Tensor], Tensor]
    discriminator: Callable[[Tensor, Tensor], Tensor]
    relative: bool = False


def _is_real(logits: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))


def _is_fake(logits: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))


def _relative(real: Tensor, fake: Tensor) -> Tensor:
    """Penalise reals that seem less real than the mean fake, and fakes that seem more real."""
    return (_is_real(real - fake.mean()) + _is_fake(fake - real.mean())) / 2


#: By name: Goodfellow et al. 2014 (non-saturating); Mao et al. 2017 (a = 0, b = c = 1);
#: Lim & Ye 2017; the relativistic average of Jolicoeur-Martineau 2019, as in ESRGAN.
GAMES = {
    "vanilla": Game(
        generator=lambda real, fake: _is_real(fake),
        discriminator=lambda real, fake: (_is_real(real) + _is_fake(fake)) / 2,
    ),
    "least_squares": Game(
        generator=lambda real, fake: (fake - 1).square().mean(),
        discriminator=lambda real, fake: ((real - 1).square().mean() + fake.square().mean()) / 2,
    ),
    "hinge": Game(
        generator=lambda real, fake: -fake.mean(),
        discriminator=lambda real, fake: (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2,
    ),
    "relativistic": Game(
        generator=lambda real, fake: _relative(fake, real),
        discriminator=lambda real, fake: _relative(real, fake),
        relative=True,
    ),
}
