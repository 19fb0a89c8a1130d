"""Adversarial games, as functions of logits, and the R1 penalty."""

from __future__ import annotations

import torch
from pydantic import NonNegativeFloat
from torch import Tensor
from torch.nn import functional as F

from srkit.interfaces import Critic


class R1:
    """Squared gradient of the discriminator on real images (Mescheder et al. 2018, equation 9).

    gamma / 2 times the mean over the images of |grad D|^2, where D is the mean of the logits of an
    image, and then over the scales of a discriminator that has several.

    Parameters
    ----------
    gamma
        The factor; 10 in the paper.

    References
    ----------
    Mescheder, Geiger & Nowozin, "Which training methods for GANs do actually converge?", ICML 2018.
    """

    def __init__(self, gamma: float) -> None:
        self.gamma = gamma

    def __call__(self, discriminator: Critic, hr: Tensor, sr: Tensor) -> Tensor:
        """Return the penalty: a scalar, differentiable by the parameters of the discriminator."""
        images = hr.detach().requires_grad_()
        scores = torch.stack(
            [logits.reshape(len(hr), -1).mean(1) for logits in discriminator(images)]
        )
        (slope,) = torch.autograd.grad(scores.mean(0).sum(), images, create_graph=True)
        return self.gamma / 2 * slope.square().sum((1, 2, 3)).mean()


class _Game:
    """A game with the R1 penalty on its discriminator.

    Parameters
    ----------
    r1
        Factor gamma of the R1 penalty; 0 omits it.
    """

    relative = False

    def __init__(self, *, r1: NonNegativeFloat = 0.0) -> None:
        self.penalty = R1(r1) if r1 else None


class Vanilla(_Game):
    """Cross-entropy (Goodfellow et al. 2014), non-saturating.

    Parameters
    ----------
    r1
        Factor gamma of the R1 penalty on the discriminator (Mescheder et al. 2018); 10 in the
        paper, 0 omits it.
    """

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the generator minimises."""
        return is_real(fake)

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the discriminator minimises."""
        return (is_real(real) + is_fake(fake)) / 2


class LeastSquares(_Game):
    """Squared distance from 1 for real and 0 for restored images (Mao et al. 2017).

    Parameters
    ----------
    r1
        Factor gamma of the R1 penalty on the discriminator (Mescheder et al. 2018); 10 in the
        paper, 0 omits it.
    """

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the generator minimises."""
        return (fake - 1).square().mean()

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the discriminator minimises."""
        return ((real - 1).square().mean() + fake.square().mean()) / 2


class Hinge(_Game):
    """The hinge loss (Lim & Ye 2017).

    Parameters
    ----------
    r1
        Factor gamma of the R1 penalty on the discriminator (Mescheder et al. 2018); 10 in the
        paper, 0 omits it.
    """

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the generator minimises."""
        return -fake.mean()

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the discriminator minimises."""
        return (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2


class Wasserstein(_Game):
    """Difference of the mean logits (Arjovsky et al. 2017).

    The discriminator has to be smooth: use `r1`, or a network with spectral normalisation.

    Parameters
    ----------
    r1
        Factor gamma of the R1 penalty on the discriminator (Mescheder et al. 2018); 10 in the
        paper, 0 omits it.
    """

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the generator minimises."""
        return -fake.mean()

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the discriminator minimises."""
        return fake.mean() - real.mean()


class Relativistic(_Game):
    """The relativistic average (Jolicoeur-Martineau 2019), as in ESRGAN.

    Parameters
    ----------
    r1
        Factor gamma of the R1 penalty on the discriminator (Mescheder et al. 2018); 10 in the
        paper, 0 omits it.
    """

    relative = True

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the generator minimises."""
        return relative(fake, real)

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the discriminator minimises."""
        return relative(real, fake)


def is_real(logits: Tensor) -> Tensor:
    """Return the cross-entropy if all images are real."""
    return F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))


def is_fake(logits: Tensor) -> Tensor:
    """Return the cross-entropy if all images are restored."""
    return F.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))


def relative(real: Tensor, fake: Tensor) -> Tensor:
    """Penalise reals that seem less real than the mean fake, and fakes that seem more real."""
    return (is_real(real - fake.mean()) + is_fake(fake - real.mean())) / 2
