"""Mistakes of plugins are found before the first step, and attributed to their distribution."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import PartialState
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional as F
from training_setup import extended, last, run

from srkit.assembly.build import SPLITS, assemble
from srkit.components.registry import Registry
from srkit.data.batches import training_batches
from srkit.data.crops import Drawn
from srkit.data.order import Share
from srkit.dataprep.check.issues import DataCheck
from srkit.dataprep.check.run import _examine
from srkit.dataprep.check.sources import DatasetImages
from srkit.dataprep.pairs import build_pairs
from srkit.errors import DataError, PluginError, RecipeError, WeightsError
from srkit.interfaces import Answer, Batch, Image, Quantity, Sample
from srkit.models.open import open_model
from srkit.recipe.recipe import parse_recipe
from srkit.training.rehearsal import rehearse
from srkit.upscaling.upscaler import ImageUpscaler
from srkit.weights.checkpoints import save

Tree = dict[str, Any]


class Pictures:
    """Four waves of 32 pixels."""

    channels, classes, notes = 3, None, ()

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Sample:
        if index >= 4:
            raise IndexError(index)
        wave = torch.linspace(0, index + 1.0, 32).sin().abs()
        return Sample(f"{index}", wave.expand(3, 32, 32).contiguous())


class Net(nn.Module):
    """Enlarges by `enlarges`; all attributes are right."""

    enlarges = 0

    def __init__(self, *, scale: int, channels: int) -> None:
        super().__init__()
        self.scale, self.channels = scale, channels
        self.tail = nn.Conv2d(channels, channels * (self.enlarges or scale) ** 2, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        return F.pixel_shuffle(self.tail(lr), self.enlarges or self.scale)

    def stages(self) -> dict[str, nn.Module]:
        return {"tail": self.tail}


class Metric:
    """The largest difference."""

    higher_is_better, unit, protocol = False, "", "all pixels"

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        return (sr - batch.hr).abs().amax((1, 2, 3))


class Teacher(nn.Module):
    """A classifier of two classes."""

    stages, classes, class_names = ("first",), 2, None

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, images: Tensor, stages: Sequence[str] = ()) -> Answer:
        features = self.first(images)
        return Answer(features.float().mean((2, 3)), dict.fromkeys(stages, features))


def _subclass(base: type, **members: Any) -> type:
    return type("Wrong", (base,), {"__module__": __name__, **members})


def tree(**changes: Any) -> Tree:
    data = {"dataset": {"type": "pictures"}}
    whole: Tree = {
        "name": "small",
        "scale": 4,
        "generator": {"type": "net"},
        "degradation": {"type": "bicubic"},
        "data": {"train": data, "validation": data},
        "losses": {"l1": {}},
        "metrics": {"psnr": {}},
        "training": {"duration": 1, "batch_size": 2, "workers": 0, "precision": "fp32"},
    }
    return {**whole, **changes}


def registry_of(**kinds: dict[str, Any]) -> Registry:
    offers = {"datasets": {"pictures": Pictures}, "generators": {"net": Net}}
    offers["metrics"] = {"largest": Metric}
    for kind, named in kinds.items():
        offers[kind] = {**offers.get(kind, {}), **named}
    return extended(**offers)


def problems_of(registry: Registry, given: Tree) -> list[str]:
    """Build and rehearse a recipe as `srkit recipe check` and the first step of a run do."""
    try:
        recipe = parse_recipe(given, "wrong.yaml")
        assembly = assemble(recipe, registry, "wrong.yaml", splits=SPLITS, download=False)
        rehearse(assembly, PartialState(cpu=True), "wrong.yaml")
    except RecipeError as error:
        return list(error.problems)
    return []


def test_no_mistake() -> None:
    assert problems_of(registry_of(), tree()) == []


def test_a_network_of_another_scale_stops_a_run_before_its_first_step(tmp_path: Path) -> None:
    registry = registry_of(generators={"net": _subclass(Net, enlarges=2)})
    problem = (
        "generator: generator 'net' of test: SR at scale 4 must have the shape (1, 3, 52, 68), "
        "got (1, 3, 26, 34)"
    )
    assert problems_of(registry, tree()) == [problem]
    assert problems_of(registry, tree(data={})) == [problem]
    with pytest.raises(RecipeError) as caught:
        run(tree(), tmp_path / "run", registry)
    assert caught.value.problems == [problem]
    assert not (tmp_path / "run").exists()


def test_weights_of_a_network_of_another_scale(tmp_path: Path) -> None:
    """As an earlier version of srkit trained them."""
    wrong = _subclass(Net, enlarges=2)
    recipe = {"name": "small", "scale": 4, "channels": 3, "generator": {"type": "net"}}
    state = {"recipe": recipe, "quantity": Quantity().dump(), "versions": {"srkit": "0.1.0"}}
    groups = {"generator": wrong(scale=4, channels=3).state_dict()}
    save(tmp_path / "wrong.safetensors", groups, state)
    registry = registry_of(generators={"net": wrong})
    model = open_model(tmp_path / "wrong.safetensors", registry)
    with pytest.raises(WeightsError) as caught:
        ImageUpscaler(model)(Image(torch.zeros(3, 8, 8)))
    assert str(caught.value) == (
        "wrong: Wrong of test: SR at scale 4 must have the shape (1, 3, 32, 32), got (1, 3, 16, 16)"
    )


def _fixed_scale(self: Any, *, channels: int) -> None:
    Net.__init__(self, scale=2, channels=channels)


class Blur:
    """Every second pixel, though it states a quarter."""

    def __init__(self, *, scale: int) -> None:
        self.factor = 1 / scale

    def __call__(self, hr: Tensor, seeds: Sequence[int]) -> Tensor:
        return hr[..., ::2, ::2]


def loss(function: Callable[[Tensor, Batch], Any]) -> Callable[[], Any]:
    """Return the factory of a loss that is a function."""

    def factory() -> Any:
        return function

    return factory


def _without(base: type, name: str) -> type:
    """Copy a class without one of its attributes."""
    members = {key: value for key, value in vars(base).items() if key != name}
    members = {k: v for k, v in members.items() if k not in ("__dict__", "__weakref__")}
    return type("Wrong", base.__bases__, members)


SIZE = "must have the shape"
KEEPS = "must not change its arguments in place"
GENERATORS: list[tuple[type, str]] = [
    (_subclass(Net, __init__=_fixed_scale), "its scale is 2, but it is built for scale 4"),
    (_subclass(object, scale=4, channels=3), "Wrong must be a torch module"),
    (
        _subclass(Net, stages=property(lambda self: {}.stages)),
        "Wrong lacks 'stages', see srkit.interfaces.Generator",
    ),
]


@pytest.mark.parametrize(("generator", "sentence"), GENERATORS)
def test_wrong_generators(generator: type, sentence: str) -> None:
    (problem,) = problems_of(registry_of(generators={"net": generator}), tree())
    assert problem == f"generator: generator 'net' of test: {sentence}"


def test_a_degradation_whose_lr_has_another_size() -> None:
    registry = registry_of(degradations={"blur": Blur})
    sentence = "LR at the factor 0.25 must have the shape (2, 3, 8, 8), got (2, 3, 16, 16)"
    problems = problems_of(registry, tree(degradation={"type": "blur"}))
    assert f"data.train: degradation 'blur' of test: {sentence}" in problems
    twice = [{"type": "blur"}, {"type": "blur"}]
    problems = problems_of(registry, tree(degradation=twice))
    assert f"data.train: degradation 'blur' of test: {sentence}" in problems


class Clipping:
    """LR of the right size, from HR that it clips."""

    def __init__(self, *, scale: int) -> None:
        self.factor = 1 / scale

    def __call__(self, hr: Tensor, seeds: Sequence[int]) -> Tensor:
        return hr.clamp_(0.2, 0.8)[..., ::4, ::4].clone()


@pytest.mark.parametrize("degradation", [{"type": "clip"}, [{"type": "clip"}]])
def test_a_degradation_that_changes_hr(degradation: Any) -> None:
    registry = registry_of(degradations={"clip": Clipping})
    problems = problems_of(registry, tree(degradation=degradation))
    assert f"data.train: degradation 'clip' of test: a degradation {KEEPS}" in problems


def test_pairs_are_not_made_of_lr_of_another_size() -> None:
    registry = registry_of(degradations={"blur": Blur})
    recipe = parse_recipe(tree(degradation={"type": "blur"}), "wrong.yaml")
    pairs = build_pairs(recipe, registry, "train", "wrong.yaml")
    with pytest.raises(PluginError, match=r"^degradation 'blur' of test: LR at the factor 0.25 "):
        pairs.complete(Drawn(Pictures()[0], 5))


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda sr, batch: (sr - batch.hr).abs(), f"a loss {SIZE} (), got (2, 3, 32, 32)"),
        (lambda sr, batch: 0.5, "a loss must be a tensor, got float"),
        (lambda sr, batch: (sr > 0).sum(), "a loss must be a float, got torch.int64"),
        (lambda sr, batch: batch.hr.sub_(sr).abs().mean(), f"a loss {KEEPS}"),
        (lambda sr, batch: (batch.hr - sr[:, :, 1:].clamp_(0, 1).mean()).mean(), f"a loss {KEEPS}"),
    ],
)
def test_wrong_losses(function: Callable[[Tensor, Batch], Any], sentence: str) -> None:
    registry = registry_of(losses={"bad": loss(function)})
    problems = problems_of(registry, tree(losses={"bad": {}}))
    assert problems == [f"data.train: loss 'bad' of test: {sentence}"]


def test_a_loss_with_the_wrong_parameters_is_not_blamed_on_srkit() -> None:
    registry = registry_of(losses={"bad": loss(lambda sr: sr.mean())})  # type: ignore[arg-type,misc]
    (problem,) = problems_of(registry, tree(losses={"bad": {}}))
    assert problem.startswith("data.train: loss 'bad' failed: TypeError at srkit, turns.py:")
    assert "takes 1 positional argument but 2 were given. This is a bug in test;" in problem


def test_values_that_a_loss_refuses_name_it() -> None:
    def refuse(sr: Tensor, batch: Batch) -> Tensor:
        raise ValueError("operands could not be broadcast")

    registry = registry_of(losses={"bad": loss(refuse)})
    problems = problems_of(registry, tree(losses={"bad": {}}))
    assert problems == ["data.train: loss 'bad' of test: operands could not be broadcast"]


METRICS: list[tuple[type, str]] = [
    (_without(Metric, name), f"Wrong lacks '{name}', see srkit.interfaces.Metric")
    for name in ("higher_is_better", "unit", "protocol")
] + [
    (_subclass(Metric, higher_is_better=1), "higher_is_better must be a bool, got 1"),
    (_subclass(Metric, unit=None), "unit must be text, got None"),
    (_subclass(Metric, protocol=" "), "protocol must say how the metric is measured"),
]


@pytest.mark.parametrize(("metric", "sentence"), METRICS)
def test_wrong_attributes_of_metrics(metric: type, sentence: str) -> None:
    registry = registry_of(metrics={"bad": metric})
    problems = problems_of(registry, tree(metrics={"bad": {}}))
    assert problems == [f"metrics.bad: metric 'bad' of test: {sentence}"]


def test_a_metric_of_one_number_for_all_images() -> None:
    bad = _subclass(Metric, __call__=lambda self, sr, batch: (sr - batch.hr).abs().mean())
    problems = problems_of(registry_of(metrics={"bad": bad}), tree(metrics={"bad": {}}))
    sentence = f"the values of a metric {SIZE} (1,), got ()"
    assert problems == [f"data.validation: metrics.bad on 0: metric 'bad' of test: {sentence}"]


def test_a_metric_that_changes_sr() -> None:
    bad = _subclass(Metric, __call__=lambda self, sr, batch: sr.clamp_(0, 1).flatten(1).mean(1))
    problems = problems_of(registry_of(metrics={"bad": bad}), tree(metrics={"bad": {}}))
    sentence = f"metric 'bad' of test: a metric {KEEPS}"
    assert problems == [f"data.validation: metrics.bad on 0: {sentence}"]


def _answer(**wrong: Callable[[Answer], Any]) -> Callable[..., Answer]:
    def forward(self: Any, images: Tensor, stages: Sequence[str] = ()) -> Answer:
        right = Teacher.forward(self, images, stages)
        changed = {key: change(right) for key, change in wrong.items()}
        return Answer(changed.get("logits", right.logits), changed.get("features", right.features))

    return forward


TEACHERS: list[tuple[Callable[..., Any], str]] = [
    (_answer(logits=lambda a: a.logits[:, :1]), f"logits of classification {SIZE} (2, 2)"),
    (_answer(logits=lambda a: a.logits.bfloat16()), "logits must be float32: torch.bfloat16"),
    (_answer(features=lambda a: {}), "features of ['first'] were requested, got []"),
    (_answer(features=lambda a: {"first": a.logits}), "features of 'first' must have the shape"),
    (lambda self, images, stages=(): images, "a teacher must return an Answer, got Tensor"),
    (lambda self, images, stages=(): _answer()(self, images.mul_(2), stages), f"a teacher {KEEPS}"),
]


@pytest.mark.parametrize(("forward", "sentence"), TEACHERS)
def test_wrong_answers_of_teachers(forward: Callable[..., Any], sentence: str) -> None:
    registry = registry_of(teachers={"bad": _subclass(Teacher, forward=forward)})
    changes: Tree = {"teachers": {"bad": {}}, "losses": {"feature_l1": {"stages": {"first": 1.0}}}}
    changes["data"] = {"train": tree()["data"]["train"]}
    (problem,) = problems_of(registry, tree(**changes))
    assert problem.startswith(f"data.train: teacher 'bad' of test: {sentence}")


class Subtracting:
    """A loss on logits that changes the answer on HR."""

    stages = ()

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        return target.logits.sub_(answer.logits).square().mean()


def test_a_loss_that_changes_the_answer_of_a_teacher() -> None:
    registry = registry_of(teachers={"judge": Teacher}, losses={"bad": Subtracting})
    changes: Tree = {"teachers": {"judge": {}}, "losses": {"bad": {}}}
    changes["data"] = {"train": tree()["data"]["train"]}
    problems = problems_of(registry, tree(**changes))
    assert problems == [f"data.train: loss 'bad' of test: a loss {KEEPS}"]


def test_a_discriminator_without_a_logit_for_each_image() -> None:
    class Bad(nn.Conv2d):
        def __init__(self) -> None:
            super().__init__(3, 1, 3)

        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images).mean()

    registry = registry_of(discriminators={"bad": Bad})
    (problem,) = problems_of(registry, tree(discriminator={"type": "bad"}))
    sentence = "logits of 2 images must have a shape that starts with 2, got ()"
    assert problem == f"data.train: discriminator 'bad' of test: {sentence}"


def _sample(**wrong: Any) -> Callable[..., Sample]:
    def getitem(self: Any, index: int) -> Sample:
        return Sample(f"{index}", **wrong)

    return getitem


@pytest.mark.parametrize(
    ("sample", "sentence"),
    [
        (_sample(hr=torch.zeros(3, 32, 32).double()), "0: hr must be float32, got torch.float64"),
        (_sample(hr=torch.zeros(32, 32)), f"0: hr {SIZE} (3, H, W), got (32, 32)"),
        (_sample(hr=torch.zeros(1, 32, 32)), f"0: hr {SIZE} (3, H, W), got (1, 32, 32)"),
        (lambda self, index: torch.zeros(3, 32, 32), "a sample must be a Sample, got Tensor"),
    ],
)
def test_wrong_samples(sample: Callable[..., Any], sentence: str) -> None:
    registry = registry_of(datasets={"pictures": _subclass(Pictures, __getitem__=sample)})
    for crop in (None, 16):
        data = {"train": {"dataset": {"type": "pictures"}, "crop": crop}}
        problems = problems_of(registry, tree(data=data))
        assert problems == [f"data.train: data set Wrong of test: {sentence}"]


class Augmentation:
    """Changes nothing."""

    keeps_flux = keeps_truth = True

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Any:
        return sample


class MixedUp(Augmentation):
    """Changes the size of a batch."""

    least_images = 1

    def __call__(self, batch: Any, rng: np.random.Generator) -> Any:
        return replace(batch, hr=batch.hr[:1])


@pytest.mark.parametrize(
    ("augmentation", "sentence"),
    [
        (
            _subclass(Augmentation, __call__=lambda self, sample, rng: sample.hr),
            "augmentation Wrong of test: a sample must be a Sample, got Tensor",
        ),
        (
            MixedUp,
            "augmentation 'bad' of test: augmented HR must have the shape (2, 3, 32, 32), got "
            "(1, 3, 32, 32)",
        ),
    ],
)
def test_wrong_augmentations(augmentation: type, sentence: str) -> None:
    registry = registry_of(augmentations={"good": Augmentation, "bad": augmentation})
    train = {"dataset": {"type": "pictures"}, "augment": ["good"]}
    assert problems_of(registry, tree(data={"train": train})) == []
    train["augment"] = ["good", "bad"]
    assert problems_of(registry, tree(data={"train": train})) == [f"data.train: {sentence}"]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_a_data_set_in_a_worker_process(workers: int) -> None:
    def fail(self: Any, index: int) -> Sample:
        return Sample(f"{index}", {}["hr"])

    registry = registry_of(datasets={"pictures": _subclass(Pictures, __getitem__=fail)})
    recipe = parse_recipe(tree(), "wrong.yaml")
    draws = assemble(recipe, registry, "wrong.yaml", splits=SPLITS).draws()
    with pytest.raises(PluginError) as caught:
        next(training_batches(draws, Share(2, 0, 1, 1), 0, 1, workers))
    message = str(caught.value)
    assert message.startswith(f"KeyError at {__name__.partition('.')[0]}, test_runs.py:")
    assert "'hr'. This is a bug in test; please report it, with " in message
    assert "\n" not in message


def test_a_constraint_and_a_stretch_that_change_the_size() -> None:
    class Stretch:
        unitless = True

        def fit(self, images: Tensor) -> Tensor:
            return images.new_empty(len(images), 0)

        def __call__(self, flux: Tensor, fitted: Tensor) -> Tensor:
            return flux[..., :4, :4]

        inverse = __call__

    registry = registry_of(
        stretches={"bad": Stretch}, constraints={"bad": loss(lambda sr, batch: sr[..., :4])}
    )
    problems = problems_of(registry, tree(constraint={"type": "bad"}))
    sentence = f"constrained SR {SIZE} (2, 3, 32, 32), got (2, 3, 32, 4)"
    assert problems[0] == f"data.train: constraint 'bad' of test: {sentence}"
    problems = problems_of(registry, tree(stretch={"type": "bad"}))
    sentence = f"the stretched images {SIZE} (2, 3, 32, 32), got (2, 3, 4, 4)"
    assert f"data.train: stretch 'bad' of test: {sentence}" in problems


def test_a_component_that_changes_the_default_type() -> None:
    def factory() -> Any:
        torch.set_default_dtype(torch.float64)
        return lambda sr, batch: (sr - batch.hr).abs().mean()

    problems = problems_of(registry_of(losses={"bad": factory}), tree(losses={"bad": {}}))
    assert problems == [
        "losses.bad: loss 'bad' of test: changes the default type of torch from torch.float32 to "
        "torch.float64"
    ]
    assert torch.get_default_dtype() is torch.float32


def test_a_component_that_cannot_be_built() -> None:
    def factory() -> Any:
        return {}["weights"]

    (problem,) = problems_of(registry_of(losses={"bad": factory}), tree(losses={"bad": {}}))
    assert problem.startswith("losses.bad: loss 'bad' failed: KeyError at ")
    assert "This is a bug in test; please report it" in problem


def test_a_component_that_exits() -> None:
    def factory() -> Any:
        raise SystemExit("no GPU")

    problems = problems_of(registry_of(losses={"bad": factory}), tree(losses={"bad": {}}))
    assert problems == ["losses.bad: loss 'bad' of test: exits when it is built (no GPU)"]


def test_darionet_is_resized_as_its_recipe_declares() -> None:
    factor = tree(degradation={"type": "bicubic", "factor": 0.32})
    assert problems_of(registry_of(), factor) == []


def test_pairs_of_another_scale_are_not_resized_in_validation() -> None:
    class Pairs(Pictures):
        def __getitem__(self, index: int) -> Sample:
            hr = super().__getitem__(index).hr
            return Sample(f"{index}", hr, hr[:, ::2, ::2].contiguous())

    problems = problems_of(registry_of(datasets={"pictures": Pairs}), tree(degradation=None))
    sentence = "0: LR of 16x16 pixels does not fit HR of 32x32 at scale 4; set the recipe's scale"
    assert [problem.partition(", or")[0] for problem in problems] == [
        f"data.train: {sentence}",
        f"data.validation: {sentence}",
    ]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_a_data_set_in_its_check(workers: int) -> None:
    """It is an issue of its image, and the check of the others continues."""

    def fail(self: Any, index: int) -> Sample:
        return Pictures.__getitem__(self, index if index != 2 else [].index(2))

    registry = registry_of(datasets={"pictures": _subclass(Pictures, __getitem__=fail)})
    dataset = registry.get("datasets", "pictures").factory()
    check = DataCheck("pictures", {"train": DatasetImages(dataset)})
    found = _examine(check, Console(file=io.StringIO()), workers)
    (problem,) = found.errors.values()
    assert problem.startswith("ValueError at ")
    assert "This is a bug in test; please report it" in problem
    assert "\n" not in problem


def test_a_metric_that_fails_in_a_validation_loses_no_step(tmp_path: Path) -> None:
    calls = []

    def measure(self: Any, sr: Tensor, batch: Batch) -> Tensor:
        calls.append(0)
        return Metric.__call__(self, sr, batch) if len(calls) < 2 else {}["key"]

    registry = registry_of(metrics={"bad": _subclass(Metric, __call__=measure)})
    training = {**tree()["training"], "duration": 4, "validate_every": 2, "checkpoint_every": 4}
    with pytest.raises(DataError, match=r"^metrics\.bad on .: metric 'bad' failed: KeyError at "):
        run(tree(metrics={"bad": {}}, training=training), tmp_path / "run", registry)
    assert last(tmp_path / "run").state["step"] == 2
