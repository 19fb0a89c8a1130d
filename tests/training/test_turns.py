"""The turns of a step: their terms, and which networks they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from training_setup import CLASSES, TEACHER, Tree, extended, make_pictures, make_tree, run

from srkit.assembly.assembly import Assembly
from srkit.assembly.build import assemble
from srkit.components.registry import Registry
from srkit.errors import DataError, TrainingError
from srkit.functional.resizing import resize
from srkit.interfaces import Answer, Batch
from srkit.interfaces.view import View
from srkit.recipe.recipe import parse_recipe
from srkit.recipe.trees import merge
from srkit.training.turns import Restored, Turn, make_optimiser, make_turns

GAN: Tree = {"discriminator": {"type": "patchgan", "features": 4, "weight": 0.25}}
PUPIL: Tree = {"teachers": {"net": {**TEACHER["net"], "trainable": True}}}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=4)


def built(registry: Registry, pictures: Path, *changes: Mapping[str, Any]) -> Assembly:
    """Build the components of a recipe that is trained, with teachers frozen as in a run."""
    recipe = parse_recipe(make_tree(pictures, *changes), "test.yaml")
    assembly = assemble(recipe, registry, "test.yaml", splits=["train"])
    for name, spec in recipe.teachers.items():
        module: Any = assembly.teachers[name]
        module.eval().requires_grad_(spec.trainable)
    return assembly


def turns_of(assembly: Assembly) -> list[Turn]:
    return make_turns(assembly, lambda module: module)


@pytest.fixture
def batch() -> Batch:
    """Four random images of 32 pixels, and their LR halves."""
    hr = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1, 2, 3])
    lr = F.avg_pool2d(hr, 2)
    return Batch(["a", "b", "c", "d"], hr, [0, 1, 2, 3], lr=lr, labels=labels, factor=0.5)


def take(
    turn: Turn, turns: Sequence[Turn], view: View, restored: Restored | None = None
) -> Restored | None:
    """Compute the gradients of a turn, as the loop does, and step."""
    with turn.alone(turns):
        terms, restored = turn.compute(view, restored)
        torch.stack(list(terms.values())).sum().backward()
    turn.optimiser.step()
    turn.optimiser.zero_grad()
    return restored


def parameters(network: Any) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def same(before: Sequence[Tensor], network: Any) -> bool:
    pairs = zip(before, network.parameters(), strict=True)
    return all(torch.equal(old, new) for old, new in pairs)


UNSURE: Tree = {
    "uncertainty": {"features": 4},
    "losses": {"l1": {"weight": 2.0}, "gaussian_nll": {"weight": 0.5}},
}


# --- terms ------------------------------------------------------------------------------------


def test_weighted_terms_equal_a_direct_computation(
    registry: Registry, pictures: Path, batch: Batch
) -> None:
    changes = {
        "losses": {"l1": {"weight": 2.0}, "mse": {"weight": 0.5}, "logit_mse": {"weight": 0.1}},
        "teachers": TEACHER,
        **GAN,
    }
    assembly = built(registry, pictures, changes)
    generator: Any = assembly.generator
    discriminator: Any = assembly.discriminator
    terms, _ = turns_of(assembly)[0].compute(View.of(batch), None)
    with torch.no_grad():
        sr = generator(batch.lr)
        teacher = assembly.teachers["net"]
        logits, target = teacher(sr).logits, teacher(batch.hr).logits
        judged = discriminator(sr)
    expected = {
        "l1": 2.0 * (sr - batch.hr).abs().mean(),
        "mse": 0.5 * ((sr - batch.hr) ** 2).mean(),
        "logit_mse": 0.1 * ((logits - target) ** 2).mean(),
        # Goodfellow et al. 2014, non-saturating: -log D(G(x)).
        "adversarial": 0.25 * -torch.sigmoid(judged).log().mean(),
    }
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name].detach(), value, atol=1e-5, rtol=1e-5, msg=name)


class Twice:
    """Doubles the flux."""

    unitless = False

    def fit(self, images: Tensor) -> Tensor:
        return images.new_empty(len(images), 0)

    def __call__(self, flux: Tensor, fitted: Tensor) -> Tensor:
        return 2 * flux

    def inverse(self, stretched: Tensor, fitted: Tensor) -> Tensor:
        return stretched / 2


class InFlux:
    """Squared difference from HR in units of the variance of LR."""

    needs_view = True

    def __call__(self, sr: Tensor, view: View) -> Tensor:
        assert view.flux.variance is not None
        squared = (view.to_flux(sr) - view.flux.hr).square()
        return (squared / resize(view.flux.variance, size=(32, 32))).mean()


def test_a_loss_may_use_the_flux_and_its_noise(
    registry: Registry, pictures: Path, batch: Batch
) -> None:
    assembly = built(registry, pictures, {"losses": {"l1": {"weight": 3.0}}})
    assembly.losses["l1"], assembly.stretch = InFlux(), Twice()
    assert batch.lr is not None
    noisy = replace(batch, variance=torch.full_like(batch.lr, 0.25))
    terms, _ = turns_of(assembly)[0].compute(View.of(noisy, assembly.stretch), None)
    generator: Any = assembly.generator
    with torch.no_grad():
        sr = generator(2 * batch.lr) / 2
    expected = 3 * ((sr - batch.hr) ** 2).mean() / 0.25
    torch.testing.assert_close(terms["l1"].detach(), expected)


@pytest.mark.parametrize(
    ("game", "for_generator", "for_discriminator"),
    [
        ("vanilla", lambda r, f: bce(f, 1), lambda r, f: (bce(r, 1) + bce(f, 0)) / 2),
        (
            "least_squares",
            lambda r, f: ((f - 1) ** 2).mean(),
            lambda r, f: (((r - 1) ** 2).mean() + (f**2).mean()) / 2,
        ),
        (
            "hinge",
            lambda r, f: -f.mean(),
            lambda r, f: ((1 - r).clamp(min=0).mean() + (1 + f).clamp(min=0).mean()) / 2,
        ),
        (
            "relativistic",
            lambda r, f: (bce(f - r.mean(), 1) + bce(r - f.mean(), 0)) / 2,
            lambda r, f: (bce(r - f.mean(), 1) + bce(f - r.mean(), 0)) / 2,
        ),
    ],
)
def test_both_sides_of_every_game_equal_their_papers(
    game: str,
    for_generator: Callable[[Tensor, Tensor], Tensor],
    for_discriminator: Callable[[Tensor, Tensor], Tensor],
    registry: Registry,
    pictures: Path,
    batch: Batch,
) -> None:
    assembly = built(registry, pictures, merge(GAN, {"discriminator": {"loss": game}}))
    # Batch statistics would tie a score to the other images of its call.
    critic = Critic()
    assembly.discriminator = critic
    generator_turn, discriminator_turn = turns_of(assembly)
    terms, restored = generator_turn.compute(View.of(batch), None)
    assert restored is not None
    real, fake = critic(batch.hr), critic(restored.sr)
    torch.testing.assert_close(terms["adversarial"], 0.25 * for_generator(real, fake))
    terms, _ = discriminator_turn.compute(View.of(batch), restored)
    assert terms.keys() == {"discriminator"}
    torch.testing.assert_close(terms["discriminator"], for_discriminator(real, fake))


class TwoScales(nn.Module):
    """A discriminator with a logit for each image, and one for each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.7))

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.factor * images.mean((1, 2, 3)), images.mean(1) - self.factor]


def test_each_scale_of_a_discriminator_is_a_game_of_its_own(
    registry: Registry, pictures: Path, batch: Batch
) -> None:
    game = {"discriminator": {"loss": {"type": "relativistic", "r1": 6.0}}}
    assembly = built(registry, pictures, merge(GAN, game))
    assembly.discriminator = TwoScales()
    generator_turn, discriminator_turn = turns_of(assembly)
    terms, restored = generator_turn.compute(View.of(batch), None)
    assert restored is not None
    with torch.no_grad():
        pairs = list(zip(TwoScales()(batch.hr), TwoScales()(restored.sr), strict=True))

    def relative(upper: Tensor, lower: Tensor) -> Tensor:
        return (bce(upper - lower.mean(), 1) + bce(lower - upper.mean(), 0)) / 2

    expected = sum(relative(fake, real) for real, fake in pairs) / 2
    torch.testing.assert_close(terms["adversarial"], 0.25 * expected)
    terms, _ = discriminator_turn.compute(View.of(batch), restored)
    expected = sum(relative(real, fake) for real, fake in pairs) / 2
    torch.testing.assert_close(terms["discriminator"].detach(), expected)
    # Over 3 x 32 x 32 values: slopes of 0.7 / n and 1 / n, of which the mean is 0.85 / n.
    penalty = 6 / 2 * 0.85**2 / (3 * 32 * 32)
    assert terms["discriminator_penalty"].item() == pytest.approx(penalty, rel=1e-5)


def test_a_penalty_has_second_derivatives_in_a_compiled_discriminator(
    registry: Registry, pictures: Path, batch: Batch
) -> None:
    """The compiler has no second derivatives, so that the penalty is computed without it."""
    game = {"discriminator": {"loss": {"type": "hinge", "r1": 1.0}}}
    assembly = built(registry, pictures, GAN, game, {"training": {"compile": True}})
    discriminator: Any = assembly.discriminator
    turn = turns_of(assembly)[1]
    restored = Restored(batch.hr, batch.hr.flip(-1))
    found = []
    for compiled in (False, True):
        if compiled:
            discriminator.compile(backend="aot_eager")
        terms, _ = turn.compute(View.of(batch), restored)
        torch.stack(list(terms.values())).sum().backward()
        found.append(discriminator.layers[0].weight.grad.clone())
        turn.optimiser.zero_grad()
    torch.testing.assert_close(*found)


def test_two_turns_descend_the_one_likelihood(
    registry: Registry, pictures: Path, batch: Batch
) -> None:
    """Generator and head get the gradients of the loss written out as a whole."""
    assembly = built(registry, pictures, UNSURE)
    generator, head = assembly.generator, assembly.uncertainty
    assert isinstance(generator, nn.Module)
    assert head is not None
    with torch.no_grad():
        nn.init.normal_(head.tail.weight, std=0.1)
    turns = turns_of(assembly)
    assert [turn.name for turn in turns] == ["generator", "uncertainty"]
    restored = None
    for turn in turns:
        with turn.alone(turns):
            terms, restored = turn.compute(View.of(batch), restored)
            torch.stack(list(terms.values())).sum().backward()
        assert terms.keys() == (
            {"l1", "gaussian_nll"} if turn is turns[0] else {"gaussian_nll_of_variance"}
        )
    found = [p.grad.clone() for p in (*generator.parameters(), *head.parameters())]
    generator.zero_grad()
    head.zero_grad()
    sr = generator(batch.lr)
    likelihood = F.gaussian_nll_loss(sr, batch.hr, head(batch.lr, sr).exp(), eps=1e-12)
    (2.0 * F.l1_loss(sr, batch.hr) + 0.5 * likelihood).backward()
    expected = [p.grad for p in (*generator.parameters(), *head.parameters())]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_the_head_has_its_own_optimiser_or_the_generators(
    registry: Registry, pictures: Path
) -> None:
    for spec, rate in (({}, 1e-3), ({"optimiser": {"lr": 0.02}}, 0.02)):
        changes = merge(UNSURE, {"uncertainty": spec})
        turn = turns_of(built(registry, pictures, changes))[1]
        assert turn.optimiser.defaults["lr"] == rate


def bce(logits: Tensor, target: int) -> Tensor:
    """Binary cross-entropy by its definition."""
    probability = torch.sigmoid(logits)
    return -(probability if target else 1 - probability).log().mean()


class Critic(nn.Module):
    """One convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 1, 5, stride=3)

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images)


def test_a_trained_teacher_learns_the_labels_of_hr_and_sr(
    registry: Registry, pictures: Path, batch: Batch
) -> None:
    model = {"net": {**PUPIL["teachers"]["net"], "model": "test_efficientnet_gn"}}
    assembly = built(registry, pictures, {"teachers": model})
    generator_turn, pupil_turn = turns_of(assembly)
    assert pupil_turn.name == "teachers.net"
    _, restored = generator_turn.compute(View.of(batch), None)
    terms, _ = pupil_turn.compute(View.of(batch), restored)
    assert restored is not None and batch.labels is not None
    for name, images in (("net_hr", batch.hr), ("net_sr", restored.sr)):
        logits = assembly.teachers["net"](images).logits
        chosen = logits.softmax(1)[torch.arange(4), batch.labels]
        torch.testing.assert_close(terms[name], -chosen.log().mean())


def test_a_trained_teacher_needs_labels(registry: Registry, pictures: Path, batch: Batch) -> None:
    turn = turns_of(built(registry, pictures, PUPIL))[1]
    message = "^the trained teacher 'net' needs class labels, but the data have none$"
    with pytest.raises(DataError, match=message):
        turn.compute(View.of(replace(batch, labels=None)), None)


def test_a_trained_teacher_names_a_label_outside_its_classes(
    registry: Registry, pictures: Path, batch: Batch
) -> None:
    turn = turns_of(built(registry, pictures, PUPIL))[1]
    wrong = replace(batch, labels=torch.tensor([0, 1, 99, 2]))
    message = rf"^{batch.names[2]}: has label 99; the trained teacher 'net' expects 0 to "
    with pytest.raises(DataError, match=message):
        turn.compute(View.of(wrong), None)


# --- which networks run and change ---------------------------------------------------------------


class Counting(nn.Module):
    """A teacher that records its inputs."""

    stages = ("shallow", "deep")
    channels_last = False

    def __init__(self) -> None:
        super().__init__()
        self.classes = CLASSES
        self.class_names = None
        self.layer = nn.Conv2d(3, CLASSES, 3)
        self.asked: list[tuple[Tensor, tuple[str, ...], bool]] = []

    def forward(self, images: Tensor, stages: Sequence[str] = ()) -> Answer:
        self.asked.append((images, tuple(stages), torch.is_grad_enabled()))
        maps = self.layer(images)
        return Answer(maps.mean((2, 3)), dict.fromkeys(stages, maps))


def test_a_teacher_runs_once_on_sr_and_once_on_hr(pictures: Path, batch: Batch) -> None:
    changes = {
        "teachers": {"net": {"type": "counting"}, "idle": {"type": "counting"}},
        "losses": {
            "logit_mse": {"teacher": "net"},
            "logit_kl": {"teacher": "net"},
            "cross_entropy": {"teacher": "net"},
            "feature_l1": {"teacher": "net", "stages": {"deep": 1.0}},
            "feature_mse": {"teacher": "net", "stages": {"deep": 1.0, "shallow": 2.0}},
        },
    }
    assembly = built(extended(teachers={"counting": Counting}), pictures, changes)
    turns = turns_of(assembly)
    restored = take(turns[0], turns, View.of(batch))
    assert restored is not None
    teachers: Any = assembly.teachers
    (hr, hr_stages, hr_grad), (sr, sr_stages, sr_grad) = teachers["net"].asked
    assert hr is batch.hr
    assert sr is restored.sr
    assert hr_stages == sr_stages == ("deep", "shallow")
    assert (hr_grad, sr_grad) == (False, True)
    assert teachers["idle"].asked == []


def test_each_turn_changes_its_own_network_only(
    registry: Registry, pictures: Path, batch: Batch
) -> None:
    frozen = {"judge": {**TEACHER["net"], "model": "test_efficientnet_gn"}}
    teachers = {"teachers": {**PUPIL["teachers"], **frozen}}
    loss = {"losses": {"logit_mse": {"teacher": "net"}, "logit_kl": {"teacher": "judge"}}}
    assembly = built(registry, pictures, GAN, teachers, loss)
    turns = turns_of(assembly)
    assert [turn.name for turn in turns] == ["generator", "discriminator", "teachers.net"]
    networks = assembly.networks()
    owners = dict(zip(("generator", "discriminator", "teachers.net"), turns, strict=True))
    restored = None
    for name, turn in owners.items():
        before = {key: parameters(module) for key, module in networks.items()}
        restored = take(turn, turns, View.of(batch), restored)
        changed = {key for key, module in networks.items() if not same(before[key], module)}
        assert changed == {name}
        left = [
            p for module in networks.values() for p in module.parameters() if p.grad is not None
        ]
        assert left == []
    assert all(p.requires_grad for turn in turns for p in turn.trainable)


def test_teachers_are_in_evaluation_mode_in_the_generators_turn(
    registry: Registry, pictures: Path, batch: Batch
) -> None:
    assembly = built(registry, pictures, PUPIL, {"losses": {"logit_mse": {}}})
    teacher: Any = assembly.teachers["net"]
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    first, second = turns_of(assembly)
    second.compute(View.of(batch), None)  # leaves the teacher in training mode
    after_training = {key: value.clone() for key, value in teacher.state_dict().items()}
    assert any(not torch.equal(before[key], after_training[key]) for key in before)
    first.compute(View.of(batch), None)
    assert not teacher.training
    assert all(torch.equal(v, after_training[k]) for k, v in teacher.state_dict().items())


def test_a_frozen_teacher_never_changes(pictures: Path, tmp_path: Path) -> None:
    kept: list[nn.Module] = []

    def remember(*, model: str) -> nn.Module:
        """Build timm's and keep it."""
        from srkit_teachers.classifiers.timm_models import Timm

        kept.append(Timm(model=model, weights="random", classes=CLASSES))
        return kept[-1]

    registry = extended(teachers={"remembered": remember})
    options = {"type": "remembered", "model": "test_efficientnet"}
    tree = make_tree(pictures, {"teachers": {"net": options}, "losses": {"logit_mse": {}}})
    run(merge(tree, {"training": {"duration": 1}}), tmp_path / "one", registry)
    run(tree, tmp_path / "three", registry)
    fresh, trained = (module.state_dict() for module in kept)
    torch.manual_seed(tree["seed"])
    untouched = remember(model="test_efficientnet").state_dict()
    for key, value in untouched.items():
        assert torch.equal(value, trained[key]) and torch.equal(value, fresh[key]), key


def test_alone_restores_the_gradients_of_the_other_turns() -> None:
    def refuse(view: View, restored: Restored | None) -> tuple[dict[str, Tensor], None]:
        raise AssertionError("`alone` must not compute any terms")

    networks = [nn.Linear(2, 2), nn.Linear(2, 2)]
    frozen = networks[1].bias.requires_grad_(False)
    turns = [
        Turn(str(i), network, network, torch.optim.SGD(network.parameters(), 0.1), refuse)
        for i, network in enumerate(networks)
    ]
    with pytest.raises(ZeroDivisionError), turns[0].alone(turns):
        assert not networks[1].weight.requires_grad
        assert networks[0].weight.requires_grad
        raise ZeroDivisionError
    assert networks[1].weight.requires_grad
    assert not frozen.requires_grad


def test_frozen_parameters_are_excluded(registry: Registry, pictures: Path) -> None:
    assembly = built(registry, pictures)
    generator: Any = assembly.generator
    generator.requires_grad_(False)
    message = "nothing is left to train: every parameter is frozen; shorten start.freeze"
    with pytest.raises(TrainingError, match=f"^{message}$"):
        make_optimiser(assembly, "training.optimiser", generator)
    weights = [
        p.requires_grad_(True) for name, p in generator.named_parameters() if "conv_last" in name
    ]
    made = make_optimiser(assembly, "training.optimiser", generator)
    assert made.param_groups[0]["params"] == weights
