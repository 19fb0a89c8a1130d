from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from srkit_adversaries import games, srkit_games
from srkit_adversaries.games import R1
from srkit_adversaries.patch import MultiScalePatchGAN, PatchGAN
from srkit_adversaries.unet import UNetSN
from srkit_adversaries.vgg import SRGAN

GAMES: dict[str, Any] = {
    "hinge": games.Hinge(),
    "least_squares": games.LeastSquares(),
    "relativistic": games.Relativistic(),
    "vanilla": games.Vanilla(),
    "wasserstein": games.Wasserstein(),
}

Array = NDArray[np.float64]
Side = Callable[[Array, Array], float]


def probability(logits: Array) -> Array:
    return 1 / (1 + np.exp(-logits))


def judged_real(logits: Array) -> float:
    return float(-np.log(probability(logits)).mean())


def judged_fake(logits: Array) -> float:
    return float(-np.log(1 - probability(logits)).mean())


def relativistic(upper: Array, lower: Array) -> float:
    """Jolicoeur-Martineau 2019, equations 8 to 10, halved: `upper` has to exceed `lower`."""
    return (judged_real(upper - lower.mean()) + judged_fake(lower - upper.mean())) / 2


#: Each side of each game, as its paper defines it; sums over real and fake are halved.
PUBLISHED: dict[str, tuple[Side, Side]] = {
    "vanilla": (  # Goodfellow et al. 2014, equation 1 and the heuristic of section 3
        lambda real, fake: judged_real(fake),
        lambda real, fake: (judged_real(real) + judged_fake(fake)) / 2,
    ),
    "least_squares": (  # Mao et al. 2017, equation 9
        lambda real, fake: float(((fake - 1) ** 2).mean()),
        lambda real, fake: float(((real - 1) ** 2).mean() / 2 + (fake**2).mean() / 2),
    ),
    "hinge": (  # Lim & Ye 2017
        lambda real, fake: float(-fake.mean()),
        lambda real, fake: float(
            (np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean()) / 2
        ),
    ),
    "relativistic": (
        lambda real, fake: relativistic(fake, real),
        lambda real, fake: relativistic(real, fake),
    ),
    "wasserstein": (  # Arjovsky et al. 2017, equations 2 and 3
        lambda real, fake: float(-fake.mean()),
        lambda real, fake: float(-(real.mean() - fake.mean())),
    ),
}


def test_every_game_is_tested() -> None:
    assert GAMES.keys() == PUBLISHED.keys() == srkit_games().keys()


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("shape", [(5,), (5, 1), (2, 1, 3, 4)])
def test_agrees_with_the_paper(name: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0.5, 2, shape), rng.normal(-0.5, 2, shape)
    game, (generator, discriminator) = GAMES[name], PUBLISHED[name]
    logits = torch.from_numpy(real), torch.from_numpy(fake)
    assert float(game.generator(*logits)) == pytest.approx(generator(real, fake), rel=1e-12)
    assert float(game.discriminator(*logits)) == pytest.approx(discriminator(real, fake), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "generator", "discriminator"),
    [
        ("vanilla", np.log(2), np.log(2)),
        ("least_squares", 1, 0.5),
        ("hinge", 0, 1),
        ("relativistic", np.log(2), np.log(2)),
        ("wasserstein", 0, 0),
    ],
)
def test_value_of_undecided_logits(name: str, generator: float, discriminator: float) -> None:
    zeros = torch.zeros(4, 1)
    assert float(GAMES[name].generator(zeros, zeros)) == pytest.approx(generator)
    assert float(GAMES[name].discriminator(zeros, zeros)) == pytest.approx(discriminator)


def test_relativistic_depends_on_differences_only() -> None:
    real, fake = torch.randn(2, 6, 1, generator=torch.Generator().manual_seed(0))
    game = GAMES["relativistic"]
    torch.testing.assert_close(game.generator(real + 3, fake + 3), game.generator(real, fake))


def gradients(side: Callable[..., torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradients by the logits of real and of fake images, near undecided logits."""
    real = torch.tensor([0.3, -0.2, 0.1], requires_grad=True)
    fake = torch.tensor([0.1, 0.2, 0.4], requires_grad=True)
    by_real, by_fake = torch.autograd.grad(
        side(real, fake), (real, fake), allow_unused=True, materialize_grads=True
    )
    return by_real, by_fake


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_two_sides_have_opposite_gradients(name: str) -> None:
    """The discriminator raises the real and lowers the fake logits; the generator raises these."""
    by_real, by_fake = gradients(GAMES[name].discriminator)
    assert (by_real < 0).all()
    assert (by_fake > 0).all()
    _, by_fake = gradients(GAMES[name].generator)
    assert (by_fake < 0).all()


@pytest.mark.parametrize("name", PUBLISHED)
def test_only_relative_games_depend_on_real_images_in_the_generator(name: str) -> None:
    by_real, _ = gradients(GAMES[name].generator)
    assert bool((by_real > 0).all()) is GAMES[name].relative
    assert bool((by_real == 0).all()) is not GAMES[name].relative


@pytest.mark.parametrize("name", ["vanilla", "relativistic"])
def test_extreme_logits_stay_finite(name: str) -> None:
    real, fake = torch.full((3,), -1e4), torch.full((3,), 1e4)
    assert GAMES[name].discriminator(real, fake).isfinite()
    assert GAMES[name].generator(fake, real).isfinite()


def test_r1_of_a_linear_discriminator_equals_its_formula() -> None:
    """D = a x + b c, the mean over three pixels: its gradient is a/3 at each pixel of each image.

    gamma / 2 times the squared norm, for a = 6 and 3 pixels: 10 / 2 * 3 * 2^2 = 60.
    """
    scale = torch.tensor(6.0, requires_grad=True)
    hr = torch.rand(2, 1, 1, 3)
    found = R1(10.0)(lambda images: [scale * images + 1], hr, torch.zeros_like(hr))
    assert found.item() == pytest.approx(60)
    (slope,) = torch.autograd.grad(found, scale)
    assert slope.item() == pytest.approx(2 * 60 / 6)
    # Of two scales, the mean logit counts.
    found = R1(10.0)(lambda images: [scale * images, 0 * images[..., :1]], hr, hr)
    assert found.item() == pytest.approx(60 / 4)


@pytest.mark.parametrize(
    "discriminator",
    [
        PatchGAN(channels=1, features=2),
        MultiScalePatchGAN(channels=1, levels=2, features=2),
        SRGAN(channels=1, features=2),
        UNetSN(channels=1, features=2),
    ],
    ids=lambda each: type(each).__name__,
)
def test_r1_equals_differences_and_has_second_derivatives(discriminator: torch.nn.Module) -> None:
    """A step along the gradient changes the mean logit by the norm of the gradient."""
    network = discriminator.double().train()
    for _ in range(10):  # so that spectral norms are known
        network(torch.rand(2, 1, 48, 48, dtype=torch.double))
    network.eval()
    generator = torch.Generator().manual_seed(0)
    hr = torch.rand(1, 1, 48, 48, generator=generator, dtype=torch.double)

    def critic(images: torch.Tensor) -> list[torch.Tensor]:
        found = network(images)
        return found if isinstance(found, list) else [found]

    def score(images: torch.Tensor) -> torch.Tensor:
        return torch.stack([logits.mean() for logits in critic(images)]).mean()

    penalty = R1(2.0)(critic, hr, hr)
    start = hr.clone().requires_grad_()
    (slope,) = torch.autograd.grad(score(start), start)
    step = 1e-8 * slope / slope.norm()
    with torch.no_grad():
        rise = (score(hr + step) - score(hr - step)).item() / 2e-8
    assert penalty.item() == pytest.approx(rise**2, rel=1e-3)
    penalty.backward()
    assert any(p.grad is not None and p.grad.any() for p in network.parameters())


def test_games_have_no_penalty_by_default() -> None:
    assert games.Vanilla().penalty is None
    assert games.Hinge(r1=3.0).penalty.gamma == 3
