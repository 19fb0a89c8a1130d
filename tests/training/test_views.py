"""What losses can ask of a training step: the averaged SR, the LR of SR, the discriminator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch import Tensor
from torch.nn import functional as F
from training_setup import Tree, extended, last, make_pictures, make_tree, run, steps

from srkit.assembly.assembly import Assembly
from srkit.assembly.build import assemble
from srkit.components.registry import Registry
from srkit.errors import RecipeError
from srkit.functional.resizing import resize
from srkit.interfaces import Batch
from srkit.interfaces.view import View
from srkit.recipe.recipe import parse_recipe
from srkit.training.views import view_in_training


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=4)


def built(registry: Registry, pictures: Path, *changes: Mapping[str, Any]) -> Assembly:
    recipe = parse_recipe(make_tree(pictures, *changes), "test.yaml")
    return assemble(recipe, registry, "test.yaml", splits=())


@pytest.fixture
def batch() -> Batch:
    hr = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    return Batch(["a", "b"], hr, [0, 1], lr=F.avg_pool2d(hr, 2), factor=0.5)


def test_the_average_runs_once_and_only_if_it_is_read(
    registry: Registry, pictures: Path, batch: Batch
) -> None:
    calls: list[Tensor] = []

    def average(lr: Tensor) -> Tensor:
        calls.append(lr)
        return F.interpolate(lr, scale_factor=2) * torch.ones((), requires_grad=True)

    view = view_in_training(View.of(batch), built(registry, pictures), average)
    assert not calls
    assert view.average() is view.average()
    assert len(calls) == 1
    assert batch.lr is not None
    assert torch.equal(view.average(), batch.lr.repeat_interleave(2, -1).repeat_interleave(2, -2))
    assert not view.average().requires_grad


class Recorded:
    """The mean of SR; keeps the averaged SR of each step."""

    needs_view = True
    requires = ("training.ema",)
    seen: list[Tensor]

    def __call__(self, sr: Tensor, view: View) -> Tensor:
        type(self).seen.append(view.average().clone())
        return sr.mean()


def test_the_average_is_that_before_the_step(
    registry: Registry, pictures: Path, tmp_path: Path
) -> None:
    """Whole images in batches of all four: each step sees the same, in another order."""
    Recorded.seen = []
    changes: Tree = {"losses": {"l1": None, "seen": {}}, "training": {"ema": 0.5}}
    changes["data"] = {"train": {"crop": None, "augment": []}}
    tree = make_tree(pictures, changes, steps(2))
    run(tree, tmp_path / "run", extended(losses={"seen": Recorded}))
    _, first, second = Recorded.seen  # that of the rehearsal is LR, enlarged
    recipe = parse_recipe(make_tree(pictures), "test.yaml")
    generator: Any = assemble(recipe, registry, "test.yaml", splits=()).generator
    lr = resize(load_all(pictures), (16, 16))
    with torch.no_grad():
        expected = generator(lr)
    torch.testing.assert_close(sorted_by_mean(first), sorted_by_mean(expected))
    # The first update copies the trained weights.
    once = tmp_path / "once"
    run(make_tree(pictures, changes, steps(1)), once, extended(losses={"seen": Recorded}))
    generator.load_state_dict(last(once).groups["generator"])
    with torch.no_grad():
        expected = generator(lr)
    torch.testing.assert_close(sorted_by_mean(second), sorted_by_mean(expected))


def load_all(pictures: Path) -> Tensor:
    arrays = [np.array(Pillow.open(path)) for path in sorted(pictures.glob("*.png"))]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2) / 255


def sorted_by_mean(images: Tensor) -> Tensor:
    return images[images.mean((1, 2, 3)).argsort()]


def test_ldl_needs_ema(registry: Registry, pictures: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        built(registry, pictures, {"losses": {"ldl": {}}})
    assert caught.value.problems == ["losses.ldl: needs training.ema; add it to the recipe"]


def test_consistency_needs_a_degradation(registry: Registry, pictures: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        built(registry, pictures, {"losses": {"consistency": {}}, "degradation": None})
    assert caught.value.problems == ["losses.consistency: needs degradation; add it to the recipe"]


def test_a_plugin_that_does_not_state_what_it_reads_is_blamed(
    pictures: Path, tmp_path: Path
) -> None:
    class Forgetful(Recorded):
        requires = ()

    registry = extended(losses={"seen": Forgetful})
    with pytest.raises(RecipeError) as caught:
        run(make_tree(pictures, {"losses": {"seen": {}}}), tmp_path / "run", registry)
    assert caught.value.problems == [
        "data.train: loss 'seen' of test: reads the averaged generator; state requires = "
        "('training.ema',)"
    ]


class Doubled:
    """A stretch that doubles the flux."""

    unitless = False

    def fit(self, images: Tensor) -> Tensor:
        return images.new_empty(len(images), 0)

    def __call__(self, flux: Tensor, fitted: Tensor) -> Tensor:
        return 2 * flux

    def inverse(self, stretched: Tensor, fitted: Tensor) -> Tensor:
        return stretched / 2


def test_the_lr_of_sr_is_degraded_in_flux(registry: Registry, pictures: Path, batch: Batch) -> None:
    assembly = built(registry, pictures)
    view = view_in_training(View.of(batch, Doubled()), assembly, None)
    assert assembly.degradation is not None
    sr = (2 * batch.hr.flip(-1)).requires_grad_()
    found = view.degrade(sr)
    expected = 2 * assembly.degradation(batch.hr.flip(-1), batch.seeds)
    torch.testing.assert_close(found, expected)
    assert torch.autograd.grad(found.sum(), sr)[0].any()
    with torch.no_grad():
        assert not view.degrade(sr).requires_grad


def test_a_degradation_without_gradient_is_found_before_the_run(
    registry: Registry, pictures: Path, tmp_path: Path
) -> None:
    degradation = [{"type": "bicubic"}, {"type": "jpeg", "quality": [50, 90]}]
    tree = make_tree(pictures, {"losses": {"consistency": {}}, "degradation": degradation})
    with pytest.raises(RecipeError) as caught:
        run(tree, tmp_path / "run", registry)
    assert caught.value.problems == [
        "data.train: no gradient passes through the degradation, such as JPEG: a loss on the LR of "
        "SR cannot train; remove the loss or that degradation"
    ]


def test_losses_read_the_discriminator(registry: Registry, pictures: Path, batch: Batch) -> None:
    critic = {"discriminator": {"type": "patchgan", "features": 4}}
    assembly = built(registry, pictures, critic)
    view = view_in_training(View.of(batch), assembly, None)
    assert view.discriminator is assembly.discriminator is not None


def test_feature_matching_needs_a_discriminator(registry: Registry, pictures: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        built(registry, pictures, {"losses": {"feature_matching": {}}})
    assert caught.value.problems == [
        "losses.feature_matching: needs discriminator; add it to the recipe"
    ]
