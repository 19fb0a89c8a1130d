"""Each contract check states a mistake as a sentence, never as a raw exception."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srkit.components import Component
from srkit.interfaces import Answer, Batch, Sample
from srkit.testing import (
    check_augmentation,
    check_command,
    check_component,
    check_constraint,
    check_dataset,
    check_degradation,
    check_discriminator,
    check_download,
    check_game,
    check_generator,
    check_image_format,
    check_loss,
    check_metric,
    check_stretch,
    check_teacher,
)


def sentence_of(check: Callable[..., None], *given: Any, **options: Any) -> str:
    """Return the sentence of a check that fails."""
    with pytest.raises(AssertionError) as caught:
        check(*given, **options)
    return str(caught.value)


class Half:
    """A degradation: every second pixel. It is right unless `change` is wrong."""

    factor: Any = 0.5

    def __init__(self, change: Callable[[Tensor], Any] = torch.clone, factor: Any = 0.5) -> None:
        self.change, self.factor = change, factor

    def __call__(self, hr: Tensor, seeds: Sequence[int]) -> Any:
        lr = self.change(hr)
        return lr[..., ::2, ::2].clone() if isinstance(lr, Tensor) and lr.shape == hr.shape else lr


def _seeding(seed: Callable[[int], object]) -> Half:
    def change(hr: Tensor) -> Tensor:
        seed(0)
        return hr

    return Half(change)


def _fail(hr: Tensor) -> Tensor:
    raise KeyError("kernel")


def _set_type(hr: Tensor) -> Tensor:
    torch.set_default_dtype(torch.float64)
    return hr


SEEDS = "Half must not seed a global generator"


@pytest.mark.parametrize(
    ("degradation", "sentence"),
    [
        (Half(lambda hr: hr.clamp_(0, 1)), "a degradation must not change the given images"),
        (
            Half(lambda hr: F.avg_pool2d(hr, 2)),
            "LR at the factor 0.5 must have the shape (2, 3, 23, 26), got (2, 3, 22, 25)",
        ),
        (Half(torch.Tensor.double), "LR must have the type torch.float32, got torch.float64"),
        (Half(lambda hr: None), "LR at the factor 0.5 must be a tensor, got NoneType"),
        (Half(_fail), "Half raised KeyError: 'kernel'"),
        (Half(factor=None), "factor must be a positive number, got None"),
        (_seeding(lambda seed: torch.manual_seed(seed)), SEEDS),
        (_seeding(lambda seed: np.random.seed(seed)), SEEDS),  # noqa: NPY002
        (_seeding(lambda seed: random.seed(seed)), SEEDS),
        (Half(_set_type), "Half must not change torch's default type to torch.float64"),
    ],
)
def test_degradations(degradation: Half, sentence: str) -> None:
    check_degradation(Half())
    assert sentence_of(check_degradation, degradation).startswith(sentence)
    assert torch.get_default_dtype() is torch.float32


class Change:
    """An augmentation of samples. It is right unless `change` is wrong."""

    keeps_flux: Any = False
    keeps_truth = True

    def __init__(self, change: Callable[[Sample, np.random.Generator], Any]) -> None:
        self.change = change

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Any:
        return self.change(sample, rng)


class ChangeBatch(Change):
    """An augmentation of batches."""

    least_images = 1


class Unknown(Change):
    """Does not say whether it keeps flux."""

    keeps_flux = None


def _mirror(sample: Any, rng: np.random.Generator) -> Any:
    return replace(sample, hr=sample.hr.flip(-1), lr=sample.lr.flip(-1))


def _mirror_hr(sample: Any, rng: np.random.Generator) -> Any:
    return replace(sample, hr=sample.hr.flip(-1))


def _brighten(sample: Any, rng: np.random.Generator) -> Any:
    return replace(sample, hr=sample.hr + 1, lr=sample.lr + 1)


def _darken_in_place(sample: Any, rng: np.random.Generator) -> Any:
    sample.hr.mul_(0.5), sample.lr.mul_(0.5)
    return sample


def _draw_elsewhere(sample: Any, rng: np.random.Generator) -> Any:
    weight = float(torch.rand(()))
    return replace(sample, hr=weight * sample.hr, lr=weight * sample.lr)


def _shrink(batch: Any, rng: np.random.Generator) -> Any:
    return replace(batch, hr=batch.hr[..., ::2])


ALIGNED = "HR and LR must be changed alike, so that they stay aligned"
EQUAL = "equal generators must result in equal images; draw from `rng` only"


@pytest.mark.parametrize(
    ("augmentation", "sentence"),
    [
        (Change(_mirror_hr), ALIGNED),
        (ChangeBatch(_mirror_hr), ALIGNED),
        (Change(_brighten), "augmented HR: values 1"),
        (ChangeBatch(_darken_in_place), "an augmentation must not change the given images"),
        (ChangeBatch(_draw_elsewhere), EQUAL),
        (ChangeBatch(_shrink), "augmented HR must have the shape (4, 3, 32, 32), got (4, 3, 32"),
        (Change(_shrink), "HR must have the shape (4, 3, 32, 32), got (4, 3, 32, 16)"),
        (Unknown(_mirror), "keeps_flux must be a bool, got None"),
        (_mirror, "function lacks 'keeps_flux', see srkit.interfaces.SampleAugmentation"),
    ],
)
def test_augmentations(augmentation: Any, sentence: str) -> None:
    check_augmentation(Change(_mirror))
    check_augmentation(ChangeBatch(_mirror))
    assert sentence_of(check_augmentation, augmentation).startswith(sentence)


class Samples:
    """A data set of one sample."""

    channels, classes, notes = 1, None, ()

    def __init__(self, sample: Any) -> None:
        self.sample = sample

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        if index:
            raise IndexError(index)
        return self.sample


GREY = torch.linspace(0, 1, 64).view(1, 8, 8)


@pytest.mark.parametrize(
    ("sample", "sentence"),
    [
        (Sample("a", 255 * GREY), "a: values 0 to 255 are outside of the data range 0 to 1"),
        (
            Sample("a", GREY, GREY[:, ::2]),
            "a: LR of (4, 8) pixels must be HR of (8, 8) divided by one scale",
        ),
        (Sample("a", GREY.double()), "a: hr must be float32, got torch.float64"),
        (Sample("a", GREY[0]), "a: hr must have the shape (1, H, W), got (8, 8)"),
        ((GREY, 0), "a sample must be a Sample, got tuple"),
        (None, "a sample must be a Sample, got NoneType"),
    ],
)
def test_data_sets(sample: Any, sentence: str) -> None:
    check_dataset(Samples(Sample("a", GREY, GREY[:, ::2, ::2])))
    check_dataset(Samples(Sample("a", 255 * GREY, unit="mJy")))
    assert sentence_of(check_dataset, Samples(sample)) == sentence


class Net(nn.Module):
    """A generator of scale 2; it is right if `scale` is."""

    def __init__(self, scale: int = 2, change: Callable[[Tensor], Tensor] = torch.clone) -> None:
        super().__init__()
        self.scale, self.channels, self.change = scale, 3, change
        self.tail = nn.Conv2d(3, 12, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        return F.pixel_shuffle(self.tail(self.change(lr)), 2)

    def stages(self) -> dict[str, nn.Module]:
        return {"tail": self.tail}


def test_generators() -> None:
    check_generator(Net(), scale=2)  # without adapt, published and channels_last
    assert sentence_of(check_generator, Net(), scale=4) == (
        "its scale is 2, but it is built for scale 4"
    )
    assert sentence_of(check_generator, Net(4)) == (
        "SR at scale 4 must have the shape (2, 3, 52, 68), got (2, 3, 26, 34)"
    )
    assert sentence_of(check_generator, Net(change=lambda lr: lr.clamp_(0, 1))) == (
        "a generator must not change the given images"
    )
    assert sentence_of(check_generator, object()) == "object must be a torch module"


class Critic(nn.Module):
    """A discriminator; it is right unless `wrong`."""

    def __init__(self, wrong: str = "") -> None:
        super().__init__()
        self.head, self.wrong = nn.Conv2d(3, 1, 3), wrong

    def forward(self, images: Tensor) -> Any:
        if self.wrong == "changes":
            images.clamp_(0, 1)
        return None if self.wrong == "nothing" else self.head(images)


class Match:
    """A game; it is right unless `wrong`."""

    def __init__(self, wrong: str = "") -> None:
        self.wrong = wrong
        self.relative = False
        self.penalty = (lambda d, hr, sr: hr.mean()) if wrong == "penalty" else None

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        if self.wrong == "real":
            return real.mean() - fake.mean()
        return fake.mean() if self.wrong == "sign" else -fake.mean()

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        if self.wrong == "swapped":
            return real.mean() - fake.mean()
        found = fake.mean() - real.mean()
        return found.exp() - 1 if self.wrong == "overflow" else found


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("sign", "the generator must raise the logits of SR"),
        ("swapped", "the discriminator must raise the logits of real images"),
        ("real", "relative must be True, since the generator's side depends on real images"),
        ("penalty", "a penalty must be differentiable by the discriminator"),
        (
            "overflow",
            "the discriminator's side of logits of -10000: 1 of 1 values are not finite",
        ),
    ],
)
def test_games(wrong: str, sentence: str) -> None:
    check_game(Match())
    assert sentence_of(check_game, Match(wrong)) == sentence


def test_discriminators() -> None:
    check_discriminator(Critic())
    message = sentence_of(check_discriminator, Critic("changes"))
    assert message == "a discriminator must not change the given images"
    message = sentence_of(check_discriminator, Critic("nothing"))
    assert message == "the logits must be a tensor, got NoneType"


class Classifier(nn.Module):
    """A teacher; it is right unless `wrong`."""

    stages, classes, class_names = ("first",), 2, None

    def __init__(self, wrong: str = "") -> None:
        super().__init__()
        self.first, self.wrong = nn.Conv2d(3, 2, 3), wrong

    def forward(self, images: Tensor, stages: Sequence[str] = ()) -> Any:
        if set(stages) - {"first"}:
            raise ValueError("known: first")
        if self.wrong == "changes":
            images.sub_(0.5)
        features = self.first(images)
        logits = features.float().mean((2, 3))
        return logits if self.wrong == "tensor" else Answer(logits, dict.fromkeys(stages, features))


def test_teachers() -> None:
    check_teacher(Classifier())
    assert sentence_of(check_teacher, Classifier("changes")) == (
        "a teacher must not change the given images"
    )
    assert sentence_of(check_teacher, Classifier("tensor")) == (
        "a teacher must return an Answer, got Tensor"
    )


@pytest.mark.parametrize(
    ("loss", "sentence"),
    [
        (lambda sr, batch: (sr.clamp_(0, 1) - batch.hr).abs().mean(), "a loss must not change SR"),
        (lambda sr, batch: (sr - batch.hr.mul_(2)).abs().mean(), "a loss must not change SR"),
        (lambda sr, batch: (sr - batch.hr).abs(), "a loss must have the shape ()"),
        (lambda sr, batch: None, "a loss must be a tensor, got NoneType"),
        (lambda sr: sr.mean(), "function raised TypeError: "),
        (lambda sr, batch: sr.detach().mean(), "a loss must be differentiable"),
    ],
)
def test_losses(loss: Callable[..., Any], sentence: str) -> None:
    check_loss(lambda sr, batch: (sr.float() - batch.hr).abs().mean())
    assert sentence_of(check_loss, loss).startswith(sentence)


class Metric:
    """A metric; it is right if `measure` is."""

    higher_is_better, unit, protocol = False, "", "all pixels"

    def __init__(self, measure: Callable[[Tensor, Batch], Any]) -> None:
        self.measure = measure

    def __call__(self, sr: Tensor, batch: Batch) -> Any:
        return self.measure(sr, batch)


def _errors(sr: Tensor, batch: Batch) -> Tensor:
    return (sr - batch.hr).abs().mean((1, 2, 3))


@pytest.mark.parametrize(
    ("measure", "sentence"),
    [
        (lambda sr, batch: _errors(sr.clamp_(0, 1), batch), "a metric must not change SR or the"),
        (lambda sr, batch: _errors(sr, batch).mean(), "the values of a metric must have the shape"),
        (lambda sr, batch: _errors(sr, batch).tolist(), "the values of a metric must be a tensor"),
        (lambda sr, batch: _errors(sr, batch).long(), "a metric must return floats"),
    ],
)
def test_metrics(measure: Callable[[Tensor, Batch], Any], sentence: str) -> None:
    check_metric(Metric(_errors))
    assert sentence_of(check_metric, Metric(measure)).startswith(sentence)


def test_a_metric_without_unit() -> None:
    unitless: Any = Metric(_errors)
    unitless.unit = None
    assert sentence_of(check_metric, unitless) == "unit must be text, got None"


class Root:
    """A stretch; it is right unless `wrong`."""

    unitless = False

    def __init__(self, wrong: bool = False) -> None:
        self.wrong = wrong

    def fit(self, images: Tensor) -> Any:
        return None if self.wrong else images.new_empty(len(images), 0)

    def __call__(self, flux: Tensor, fitted: Tensor) -> Tensor:
        return 2 * flux

    def inverse(self, stretched: Tensor, fitted: Tensor) -> Tensor:
        return stretched / 2


def test_stretches() -> None:
    check_stretch(Root())
    message = sentence_of(check_stretch, Root(wrong=True))
    assert message == "the result of fit must be a tensor, got NoneType"


@pytest.mark.parametrize(
    ("constraint", "sentence"),
    [
        (lambda sr, batch: sr.clamp_(0, 1), "a constraint must not change the given images"),
        (lambda sr, batch: sr[..., :4], "constrained SR must have the shape (2, 3, 32, 36), got"),
        (lambda sr, batch: None, "constrained SR must be a tensor, got NoneType"),
    ],
)
def test_constraints(constraint: Callable[..., Any], sentence: str) -> None:
    check_constraint(lambda sr, batch: sr + batch.lr.mean((1, 2, 3), keepdim=True))
    assert sentence_of(check_constraint, constraint).startswith(sentence)


def listed(*, weights: list[float] = []) -> Any:  # noqa: B006
    """Offer a loss.

    Parameters
    ----------
    weights
        Of the terms.
    """


def test_factories() -> None:
    bad = Component("losses", "bad", listed, "mistakes", "1.0")
    assert sentence_of(check_component, bad) == (
        "loss 'bad': parameter 'weights' has a default that can be changed, []; use a tuple or None"
    )
    for kind, check in (("losses", check_component), ("commands", check_command)):
        lost = Component(kind, "data bad", "srkit_no_such_package:Loss", "mistakes", "1.0")
        assert "raised ModuleNotFoundError: No module named 'srkit_no" in sentence_of(check, lost)


def test_formats_and_downloads(tmp_path: Path) -> None:
    assert sentence_of(check_image_format, object(), tmp_path) == (
        "object lacks 'suffixes', see srkit.interfaces.ImageFormat"
    )
    assert sentence_of(check_download, None).startswith("NoneType raised AttributeError: ")
