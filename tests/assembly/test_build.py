from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from srkit import hookimpl
from srkit.assembly.assembly import Assembly
from srkit.assembly.build import assemble, complete
from srkit.components.registry import Registry
from srkit.errors import DataError, RecipeError
from srkit.interfaces import Dataset, TeacherLoss
from srkit.recipe.recipe import load_recipe, parse_recipe

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
SPLITS = ("train", "validation", "test")


def tree(**changes: Any) -> dict[str, Any]:
    """A small recipe; keyword arguments replace its top-level keys."""
    return {
        "name": "small",
        "generator": {"type": "rrdb", "blocks": 1, "features": 4, "growth": 2},
        "degradation": {"type": "bicubic"},
        "losses": {"l1": {}},
        "data": {"train": {"dataset": {"type": "sample_photos", "split": "train"}}},
        **changes,
    }


def built(registry: Registry, **changes: Any) -> Assembly:
    return assemble(parse_recipe(tree(**changes), "here"), registry, "here", splits=("train",))


def problems(registry: Registry, **changes: Any) -> list[str]:
    """Return the problems of a recipe; the error has its source, their number, and these lines."""
    with pytest.raises(RecipeError) as caught:
        built(registry, **changes)
    found = caught.value.problems
    count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
    assert str(caught.value) == "\n  ".join([f"here: {count}", *found])
    return found


class Broken:
    """Data that cannot be read."""

    def __init__(self, *, root: Path) -> None:
        raise DataError(f"{root}: no such folder")


def unsettable(*, first=1) -> None:  # type: ignore[no-untyped-def]
    """Take an option without a type."""


@pytest.fixture
def wider() -> Registry:
    """The installed components, and some that are broken in different ways."""
    registry = Registry.discover()

    @hookimpl
    def srkit_datasets() -> dict[str, Any]:
        return {"broken": Broken}

    @hookimpl
    def srkit_degradations() -> dict[str, Any]:
        return {"unsettable": unsettable, "lost": "srkit_no_such_package:Lost"}

    plugin = SimpleNamespace(srkit_datasets=srkit_datasets, srkit_degradations=srkit_degradations)
    registry.register(plugin, "wider", distribution="srkit-wider", version="1.5")
    return registry


def test_components_are_built_with_what_the_core_supplies(registry: Registry) -> None:
    assembly = built(registry, scale=2, data={})
    assert assembly.generator is not None
    assert assembly.degradation is not None
    assert (assembly.generator.scale, assembly.generator.channels) == (2, 3)
    assert assembly.degradation.factor == 0.5
    assert list(assembly.networks()) == ["generator"]
    assert assembly.data == {}
    assert assembly.distributions == {"srkit": registry.get("losses", "l1").version}


def test_completing_states_every_default_and_changes_no_argument(registry: Registry) -> None:
    given = parse_recipe(tree(degradation={"type": "bicubic", "factor": "0.5"}), "here")
    recipe, components = complete(given, registry, "here")
    assert recipe.generator is not None
    assert recipe.degradation is not None
    assert given.degradation is not None
    options = {"blocks": 1, "features": 4, "growth": 2, "activation": "leaky_relu"}
    assert recipe.generator.options == options
    assert recipe.degradation.options == {"factor": 0.5, "quantize": False, "antialias": True}
    assert given.degradation.options == {"factor": "0.5"}
    assert {path: component.name for path, component in components.items()} == {
        "generator": "rrdb",
        "degradation": "bicubic",
        "data.train.dataset": "sample_photos",
        "losses.l1": "l1",
        "training.optimiser": "adam",
        "training.schedule": "constant",
    }


def test_only_the_named_splits_are_built(wider: Registry) -> None:
    source = {"dataset": {"type": "broken", "root": "nowhere"}}
    recipe = parse_recipe(tree(data={"train": source, "test": source}), "here")
    assert assemble(recipe, wider, "here", splits=()).data == {}
    with pytest.raises(RecipeError) as caught:
        assemble(recipe, wider, "here", splits=("train", "test"))
    assert caught.value.problems == [
        "data.train.dataset: nowhere: no such folder",
        "data.test.dataset: nowhere: no such folder",
    ]


def test_first_weights_depend_on_nothing_but_the_seed(registry: Registry) -> None:
    def weights(**changes: Any) -> torch.Tensor:
        generator = built(registry, data={}, **changes).generator
        assert isinstance(generator, nn.Module)
        return torch.nn.utils.parameters_to_vector(generator.parameters())

    plain = weights(seed=1)
    assert torch.equal(plain, weights(seed=1, discriminator={"type": "patchgan"}))
    assert not torch.equal(plain, weights(seed=2))


def test_a_loss_uses_the_named_teacher_or_the_only_one(registry: Registry) -> None:
    losses = {"l1": {}, "logit_mse": {}, "logit_kl": {"teacher": "second"}}
    teachers = {"second": {"type": "efficientnet_lite0"}}
    assembly = built(registry, data={}, losses=losses, teachers=teachers)
    asked = {
        name: assembly.teacher_of(assembly.recipe.losses[name])
        for name, loss in assembly.losses.items()
        if isinstance(loss, TeacherLoss)
    }
    assert asked == {"logit_mse": "second", "logit_kl": "second"}
    assert list(assembly.networks()) == ["generator", "teachers.second"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"scale": 5}, "generator: rrdb supports the scales 1, 2, 3 and 4; got 5"),
        (
            {"generator": {"type": "rdbb"}},
            "generator.type: unknown generator 'rdbb'; did you mean 'rrdb'?",
        ),
        (
            {"degradation": {"type": "zzz"}},
            "degradation.type: unknown degradation 'zzz'; known: area, bicubic, "
            "bilinear, bsrgan, downscale, gaussian_blur, gaussian_noise, hst_to_hsc, jpeg, "
            "lanczos, motion_blur, nearest, poisson_noise, psf_noise, second_order",
        ),
        (
            {"generator": {"type": "rrdb", "block": 2}},
            "generator.block: unknown key 'block'; did you mean 'blocks'?",
        ),
        (
            {"generator": {"type": "rrdb", "zzz": 2}},
            "generator.zzz: unknown key 'zzz'; known: activation, blocks, features, growth, type",
        ),
        (
            {"generator": {"type": "rrdb", "scale": 2}},
            "generator.scale: unknown key 'scale'; known: activation, blocks, features, growth, "
            "type",
        ),
        (
            {"generator": {"type": "rrdb", "features": "many"}},
            "generator.features: got 'many'; expected a valid integer",
        ),
        (
            {"generator": {"type": "rrdb", "features": True}},
            "generator.features: got True; expected a number",
        ),
        (
            {"generator": {"type": "rrdb", "features": 0}},
            "generator.features: got 0; expected a number greater than 0",
        ),
        (
            {"losses": {"l1": {"wieght": 2}}},
            "losses.l1.wieght: unknown key 'wieght'; did you mean 'weight'?",
        ),
        (
            {"discriminator": {"type": "unet_sn", "optimizer": {}}},
            "discriminator.optimizer: unknown key 'optimizer'; did you mean 'optimiser'?",
        ),
        (
            {"data": {"train": {"dataset": {"type": "sample_photos"}}}},
            "data.train.dataset.split: missing; it has no default",
        ),
        (
            {"channels": 1},
            "data.train.dataset: its images have 3 channels; expected the recipe's 1",
        ),
        ({"best": "psnr"}, "best: unknown metric 'psnr'; none is known"),
        (
            {"best": "psrn", "metrics": {"psnr": {}, "ssim": {}}},
            "best: unknown metric 'psrn'; did you mean 'psnr'?",
        ),
        (
            {"metrics": {"accuracy": {}}},
            "metrics.accuracy: needs a teacher; add one under 'teachers'",
        ),
        (
            {"losses": {"logit_mse": {"teacher": "judge"}}},
            "losses.logit_mse.teacher: unknown teacher 'judge'; none is known",
        ),
        (
            {"start": {"weights": "esrgan_x4", "freeze": ["conv_frist"]}},
            "start.freeze: unknown stage 'conv_frist' of rrdb; did you mean 'conv_first'?",
        ),
        (
            {"start": {"weights": "ersgan_x4"}},
            "start.weights: 'ersgan_x4' is not a file, run folder or published name; did you mean "
            "'esrgan_x4'?",
        ),
        ({"losses": {}}, "losses: missing; a generator needs at least one"),
    ],
)
def test_a_recipe_that_does_not_fit(
    registry: Registry, changes: dict[str, Any], problem: str
) -> None:
    assert problems(registry, **changes) == [problem]


def test_components_that_are_broken_themselves(wider: Registry) -> None:
    assert problems(wider, degradation={"type": "unsettable"}) == [
        "degradation: 'unsettable' of srkit-wider has parameters that a recipe cannot set: "
        "unsettable: parameter 'first' has no type annotation"
    ]
    assert problems(wider, degradation={"type": "lost"}) == [
        "degradation.type: degradation 'lost' of srkit-wider 1.5 cannot be imported from "
        "'srkit_no_such_package:Lost': ModuleNotFoundError: No module named 'srkit_no_such_package'"
    ]


def test_losses_and_metrics_name_one_of_two_teachers(registry: Registry) -> None:
    teacher = {"type": "efficientnet_lite0"}
    assert problems(
        registry,
        teachers={"judge": teacher, "jury": teacher},
        losses={"l1": {"teacher": "jury"}, "logit_mse": {}, "logit_kl": {"teacher": "jury"}},
        metrics={"psnr": {"teacher": "judge"}, "accuracy": {}},
    ) == [
        "losses.l1.teacher: 'l1' needs no teacher; remove it",
        "losses.logit_mse.teacher: missing; choose one of judge, jury",
        "metrics.psnr.teacher: 'psnr' needs no teacher; remove it",
        "metrics.accuracy.teacher: missing; choose one of judge, jury",
    ]


def test_unknown_stages_of_a_teacher(registry: Registry) -> None:
    (problem,) = problems(
        registry,
        teachers={"judge": {"type": "efficientnet_lite0"}},
        losses={"feature_mse": {"stages": {"nope": 1.0}}},
    )
    assert problem.startswith(
        "losses.feature_mse: unknown stage 'nope' of teacher 'judge'; known: "
    )


def test_a_recipe_without_a_generator(registry: Registry) -> None:
    assert problems(registry, generator=None, losses={}) == [
        "generator: missing; a recipe trains a generator or a trainable teacher"
    ]
    teachers = {"judge": {"type": "efficientnet_lite0", "trainable": True}}
    assert problems(registry, generator=None, teachers=teachers) == [
        "generator: missing; start, losses and discriminator need one"
    ]
    alone = built(registry, generator=None, losses={}, teachers=teachers, data={})
    assert alone.generator is None
    assert list(alone.networks()) == ["teachers.judge"]


def test_a_metric_observes_sr_like_the_constraint(registry: Registry) -> None:
    psf = {"type": "gaussian", "fwhm": 0.6}
    changes = {"constraint": {"type": "flux", "psf": psf}, "channels": 1}
    metrics = {"chi": {"type": "reduced_chi_square"}}
    message = "metrics.chi: states no PSF, but the constraint does; set psf and source as there"
    assert message in problems(registry, metrics=metrics, **changes)
    metrics["chi"]["psf"] = psf
    assert message not in problems(registry, metrics=metrics, **changes)


def train_on(crop: int) -> dict[str, Any]:
    return {"train": {"dataset": {"type": "sample_photos", "split": "train"}, "crop": crop}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"losses": {"gaussian_nll": {}}},
            "losses.gaussian_nll: needs a predicted variance; add 'uncertainty: {type: gaussian}' "
            "to the recipe",
        ),
        (
            {"uncertainty": {}},
            "uncertainty: no loss trains it; add one to losses, such as 'gaussian_nll: {}'",
        ),
    ],
)
def test_a_variance_and_its_loss_need_each_other(
    changes: dict[str, Any], expected: str, registry: Registry
) -> None:
    assert problems(registry, **changes) == [expected]


def test_the_first_weights_of_a_head_depend_on_nothing_but_the_seed(registry: Registry) -> None:
    changes = {"losses": {"gaussian_nll": {}}, "uncertainty": {"features": 4}}
    first = built(registry, **changes).uncertainty
    torch.manual_seed(99)
    again = built(registry, **changes, metrics={"psnr": {}}).uncertainty
    assert first is not None
    assert again is not None
    for one, other in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("crop", "nearby"), [(130, "128 or 132"), (127, "124 or 128"), (5, "4 or 8"), (3, "4")]
)
def test_a_crop_that_the_scale_does_not_divide(registry: Registry, crop: int, nearby: str) -> None:
    assert problems(registry, data=train_on(crop)) == [
        f"data.train.crop: got {crop}; expected a multiple of the scale 4, such as {nearby}"
    ]


def test_any_crop_is_possible_if_sr_is_resized_to_it(registry: Registry) -> None:
    assembly = built(registry, degradation={"type": "bicubic", "factor": 0.32}, data=train_on(130))
    assert assembly.recipe.data.train is not None
    assert assembly.recipe.data.train.crop == 130


def test_everything_that_does_not_fit_is_reported_at_once(registry: Registry) -> None:
    assert problems(
        registry,
        best="psnrr",
        generator={"type": "rdbb"},
        degradation={"type": "bicubic", "factr": 0.5},
        metrics={"psnr": {"chanel": "y"}, "accuracy": {"teacher": "jugde"}},
        teachers={"judge": {"type": "timm"}},
        data={"train": {"dataset": {"type": "sample_photos", "split": "tain"}}},
    ) == [
        "best: unknown metric 'psnrr'; did you mean 'psnr'?",
        "metrics.accuracy.teacher: unknown teacher 'jugde'; did you mean 'judge'?",
        "generator.type: unknown generator 'rdbb'; did you mean 'rrdb'?",
        "degradation.factr: unknown key 'factr'; did you mean 'factor'?",
        "data.train.dataset.split: got 'tain'; expected 'train', 'validation' or 'test'",
        "teachers.judge.model: missing; it has no default",
        "metrics.psnr.chanel: unknown key 'chanel'; did you mean 'channel'?",
    ]


def test_everything_that_cannot_be_built_is_reported_at_once(wider: Registry) -> None:
    broken = {"dataset": {"type": "broken", "root": "nowhere"}, "crop": 130}
    found = problems(wider, scale=5, data={"train": broken}, metrics={"accuracy": {}})
    assert found == [
        "generator: rrdb supports the scales 1, 2, 3 and 4; got 5",
        "data.train.dataset: nowhere: no such folder",
        "metrics.accuracy: needs a teacher; add one under 'teachers'",
    ]


class Remote:
    """A loss that is downloaded when it is built."""

    fetched = 0

    def __init__(self, *, bad: bool = False) -> None:
        Remote.fetched += 1

    @staticmethod
    def downloads(**_: Any) -> list[str]:
        return ["https://remote.example/weights"]

    def __call__(self, view: Any) -> torch.Tensor:
        return view.sr.mean()


def test_nothing_is_downloaded_for_a_recipe_with_a_problem(
    wider: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Remote, "fetched", 0)
    plugin = SimpleNamespace(srkit_losses=hookimpl(lambda: {"remote": Remote}))
    plugin.srkit_losses.__name__ = "srkit_losses"
    wider.register(plugin, "remote", distribution="srkit-remote", version="1")
    lacking = {"dataset": {"type": "broken", "root": "nowhere"}}
    losses = {"remote": {}, "l1": {}}
    for changes, expected in (
        ({"data": {"train": lacking}}, ["data.train.dataset: nowhere: no such folder"]),
        ({"best": "sharpness"}, None),
        ({"constraint": {"type": "flux", "scale": 3}}, None),
    ):
        found = problems(wider, losses=losses, **changes)
        assert len(found) == 1
        assert expected in (None, found)
    assert Remote.fetched == 0
    assembly = built(wider, losses=losses)
    assert (Remote.fetched, list(assembly.losses), assembly.downloads) == (1, list(losses), {})


def test_a_sample_is_offered_if_the_data_are_missing(wider: Registry) -> None:
    lacking = {"train": {"dataset": {"type": "broken", "root": "nowhere"}}}
    given = tree(data=lacking, sample={"training": {"duration": 1}})
    with pytest.raises(RecipeError) as caught:
        assemble(parse_recipe(given, "here"), wider, "here", splits=("train",))
    assert str(caught.value).splitlines() == [
        "here: 1 problem",
        "  data.train.dataset: nowhere: no such folder",
        "to try the recipe on a few data that need no download, add --sample",
    ]
    with pytest.raises(RecipeError) as caught:  # of a sample that is read already
        assemble(parse_recipe(tree(data=lacking), "here"), wider, "here", splits=("train",))
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
@pytest.mark.parametrize("sample", [False, True], ids=["full", "sample"])
def test_a_shipped_recipe_is_complete(path: Path, sample: bool, registry: Registry) -> None:
    recipe, components = complete(load_recipe(path, sample=sample), registry, str(path))
    assert components.keys() == {where for where, _, _ in recipe.components()}
    assert parse_recipe(recipe.dump(), str(path)).dump() == recipe.dump()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_sample_of_a_shipped_recipe_is_built_from_what_is_installed(
    path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a sample needs no network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    recipe = load_recipe(path, sample=True)
    assembly = assemble(recipe, registry, str(path), splits=SPLITS)
    trained = any(teacher.trainable for teacher in recipe.teachers.values())
    assert (assembly.generator is None) == (recipe.generator is None)
    assert trained or assembly.generator is not None  # something learns
    assert all(isinstance(data, Dataset) and len(data) for data in assembly.data.values())
    assert assembly.data.keys() >= {"train"}


def test_keys_that_would_do_nothing_are_refused(registry: Registry) -> None:
    photos = {"type": "sample_photos", "split": "train"}
    unused = {"dataset": photos, "crop": 32, "augment": ["flip"]}
    unused["mix"] = {"dataset": photos, "share": 0.5}
    found = problems(registry, data={"train": unused, "validation": unused, "test": unused})
    assert found == [
        f"data.{split}.{key}: only training data are {what}; remove it"
        for split in ("validation", "test")
        for key, what in (("mix", "mixed"), ("crop", "cropped"), ("augment", "augmented"))
    ]


def test_a_batch_consists_of_equal_parts(registry: Registry) -> None:
    assert problems(registry, training={"batch_size": 5, "accumulate": 2}) == [
        "training.accumulate: 5 samples of a batch cannot be split into 2 equal parts; choose a "
        "divisor of training.batch_size"
    ]
