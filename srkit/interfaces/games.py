"""Adversarial games between generator and discriminator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

#: A discriminator with one set of logits for each of its scales, as a penalty calls it.
Critic = Callable[[Tensor], Sequence[Tensor]]


@runtime_checkable
class Game(Protocol):
    """What the generator and the discriminator minimise, given logits of real and of SR images.

    Both are tensors of the same shape, which starts with N, in float32. For a discriminator that
    returns several, each is a game of its own, and the mean over them counts.

    Attributes
    ----------
    relative
        Whether the generator's side depends on the logits of real images, too.
    """

    relative: bool

    def generator(self, real: Tensor, fake: Tensor, /) -> Tensor:
        """Return what the generator minimises: a scalar."""
        ...

    def discriminator(self, real: Tensor, fake: Tensor, /) -> Tensor:
        """Return what the discriminator minimises: a scalar."""
        ...


@runtime_checkable
class PenalisedGame(Protocol):
    """A game in which the discriminator also minimises a penalty, such as on its gradient.

    Attributes
    ----------
    penalty
        ``(discriminator, hr, sr) -> scalar`` for a discriminator that returns a sequence of logits,
        and images ``(N, C, H, W)`` in float32; or None.
    """

    penalty: Callable[[Critic, Tensor, Tensor], Tensor] | None
