"""Check adversarial games."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from srkit.interfaces import Game, PenalisedGame
from srkit.interfaces._contract import require, require_component, require_loss
from srkit.testing._critic import SmallCritic
from srkit.testing._requirements import noise, require_finite, stated

#: Shapes of logits: one for an image, and a map for an image.
SHAPES = ((3, 1), (2, 1, 4, 5))


@stated
def check_game(game: Game) -> None:
    """Check an adversarial game on logits from 0 to 1, and on large ones.

    Parameters
    ----------
    game
        The game.

    Raises
    ------
    AssertionError
        If a side is not a finite scalar; the discriminator's does not raise the logits of real
        images and lower those of SR, or the generator's does not raise those of SR; `relative` is
        False but the generator's side depends on real images; or a penalty is not a finite scalar
        with a gradient for the discriminator.
    """
    require_component(game, "games")
    relative = game.relative
    require(isinstance(relative, bool), f"relative must be a bool, got {relative!r}")
    for shape in SHAPES:
        real, fake = _slopes(game.discriminator, shape, "discriminator")
        require(float(real.sum()) < 0, "the discriminator must raise the logits of real images")
        require(float(fake.sum()) > 0, "the discriminator must lower the logits of SR")
        real, fake = _slopes(game.generator, shape, "generator")
        require(float(fake.sum()) < 0, "the generator must raise the logits of SR")
        dependent = bool(real.any())
        require(
            relative or not dependent,
            "relative must be True, since the generator's side depends on real images",
        )
    if isinstance(game, PenalisedGame) and game.penalty is not None:
        critic = SmallCritic(3)
        value = game.penalty(lambda images: [critic(images)], noise(2, 3, 8, 8), noise(2, 3, 8, 8))
        require_loss(value)
        require_finite(value, "the penalty")
        require(value.requires_grad, "a penalty must be differentiable by the discriminator")


def _slopes(
    side: Callable[[Tensor, Tensor], Tensor], shape: tuple[int, ...], name: str
) -> tuple[Tensor, Tensor]:
    """Return the gradients by the logits of real and of restored images."""
    for factor in (1e4, -1e4):
        large = torch.full(shape, factor)
        require_finite(side(large, -large), f"the {name}'s side of logits of {factor:g}")
    logits = [noise(*shape, seed=seed).requires_grad_() for seed in (1, 2)]
    value = side(*logits)
    require_loss(value)
    require(value.requires_grad, f"the {name}'s side must be differentiable")
    real, fake = torch.autograd.grad(value, logits, allow_unused=True, materialize_grads=True)
    return real, fake
