"""One network is trained, resumed, measured and opened at several scales."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from training_setup import (
    Tree,
    assert_same_end,
    last,
    make_pictures,
    make_tree,
    records,
    run,
    steps,
    validated,
)

from srkit.assembly.build import assemble
from srkit.components.registry import Registry
from srkit.data.scales import list_scales, scale_of_step
from srkit.errors import RecipeError, WeightsError
from srkit.evaluation.run import evaluate
from srkit.models.open import open_model
from srkit.recipe.recipe import parse_recipe
from srkit.recipe.trees import merge

NETWORKS: dict[str, Tree] = {
    "mdsr": {"type": "mdsr", "blocks": 1, "features": 8},
    "vdsr": {"type": "vdsr", "depth": 3, "features": 8, "luminance": True},
}


def several(pictures: Path, *changes: Tree, name: str = "mdsr") -> Tree:
    """Return a recipe for x2, x3 and x4."""
    scaled: Tree = {"scale": [2, 3, 4], "generator": NETWORKS[name]}
    scaled |= {"data": {"train": {"crop": "5 LR"}}, "training": {"ema": 0.5}}
    return make_tree(pictures, validated(pictures), scaled, *changes)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=8)


@pytest.fixture(scope="module")
def trained(
    pictures: Path, tmp_path_factory: pytest.TempPathFactory, registry: Registry
) -> tuple[Tree, Path]:
    """Train six steps, validated after each three."""
    folder = tmp_path_factory.mktemp("runs") / "several"
    tree = several(pictures, steps(6, validate_every=3))
    run(tree, folder, registry)
    return tree, folder


def test_scales_of_steps_are_even_and_depend_on_seed_and_step_alone() -> None:
    drawn = [scale_of_step((2, 3, 4), 7, step) for step in range(3000)]
    assert all(900 < count < 1100 for count in Counter(drawn).values())
    assert sorted(set(drawn)) == [2, 3, 4]
    assert drawn[1234] == scale_of_step((2, 3, 4), 7, 1234)
    assert drawn != [scale_of_step((2, 3, 4), 8, step) for step in range(3000)]
    assert {scale_of_step((4,), 7, step) for step in range(9)} == {4}


def test_scales_in_words() -> None:
    assert list_scales([2]) == "scale 2"
    assert list_scales([2, 3]) == "scales 2 and 3"
    assert list_scales([2, 3, 4]) == "scales 2, 3 and 4"


def test_every_step_sees_images_of_its_scale(
    pictures: Path, tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    from srkit_generators.mdsr import MDSR

    seen: list[tuple[int, tuple[int, ...]]] = []
    forward = MDSR.forward

    def spy(net: MDSR, lr: torch.Tensor) -> torch.Tensor:
        seen.append((net.scale, tuple(lr.shape)))
        return forward(net, lr)

    monkeypatch.setattr(MDSR, "forward", spy)
    tree = several(pictures, steps(9, accumulate=2))
    del tree["data"]["validation"]
    run(tree, tmp_path / "run", registry)
    expected = [scale_of_step((2, 3, 4), 5, step) for step in range(9) for _ in range(2)]
    steps_seen = seen[4:]  # the first are for the rehearsal of each scale, and for the graph
    assert steps_seen == [(scale, (2, 3, 5, 5)) for scale in expected]
    assert set(expected) == {2, 3, 4}


@pytest.mark.parametrize("name", NETWORKS)
def test_six_steps_are_three_steps_and_three_more(
    name: str, pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    tree = several(pictures, steps(6), name=name)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(tree, whole, registry)
    run(merge(tree, steps(3)), parts, registry)
    run(merge(tree, steps(6, workers=1)), parts, registry, resume=True)
    assert_same_end(whole, parts, extra_validation=3)


def test_a_list_of_one_scale_trains_as_the_scale_alone(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    tree = several(pictures, {"scale": 3})
    run(tree, tmp_path / "one", registry)
    run(merge(tree, {"scale": [3]}), tmp_path / "list", registry)
    assert_same_end(tmp_path / "one", tmp_path / "list")


def test_validation_measures_every_scale_and_ranks_by_the_mean(trained: tuple[Tree, Path]) -> None:
    _, folder = trained
    found = records(folder, "validation")
    assert [record["step"] for record in found] == [3, 6]
    for record in found:
        each = [record[f"psnr/x{scale}"] for scale in (2, 3, 4)]
        assert len(set(each)) == 3
        assert record["psnr"] == pytest.approx(sum(each) / 3)
    best = max(found, key=lambda record: record["psnr"])
    assert last(folder).state["best"] == [best["psnr"], best["step"]]


@pytest.mark.usefixtures("undrawn_figures")
def test_the_evaluation_has_a_table_for_each_scale(
    trained: tuple[Tree, Path], registry: Registry
) -> None:
    tree, folder = trained
    printed = io.StringIO()
    console = Console(file=printed, width=200)
    recipe = parse_recipe(tree, "test.yaml")
    found = evaluate(recipe, registry, folder, source="test.yaml", console=console)
    assert [evaluation.title for evaluation in found] == ["small x2", "small x3", "small x4"]
    bicubic = []
    for scale, evaluation in zip((2, 3, 4), found, strict=True):
        written = json.loads((folder / f"evaluation/x{scale}/table.json").read_text())
        names = ["original", "bilinear", "bicubic", "small"]
        assert [row["model"] for row in written["models"]] == names
        assert (folder / f"evaluation/x{scale}/report.html").is_file()
        assert f"small x{scale}" in printed.getvalue()
        means = {model.name: model.mean("psnr") for model in evaluation.models}
        validated = records(folder, "validation")
        best = next(r for r in validated if r["step"] == last(folder).state["best"][1])
        assert means["small"] == pytest.approx(best[f"psnr/x{scale}"], rel=1e-5)
        bicubic.append(means["bicubic"])
    assert bicubic[0] > bicubic[1] > bicubic[2]


def test_a_model_is_opened_at_a_scale_of_choice(
    trained: tuple[Tree, Path], registry: Registry
) -> None:
    _, folder = trained
    lr = torch.rand(1, 3, 6, 5, generator=torch.Generator().manual_seed(1))
    made = {}
    for scale in (2, 3, 4):
        model = open_model(folder, registry, scale=scale)
        assert model.scale == scale
        made[scale] = model.generator(lr)
        assert made[scale].shape == (1, 3, 6 * scale, 5 * scale)
    for wanted, chosen in ((1.5, 2), (2, 2), (2.5, 3), (8, 4)):
        model = open_model(folder, registry, at_least=wanted)
        assert model.scale == chosen
        assert torch.equal(model.generator(lr), made[chosen])
    path = folder / "checkpoints" / "best.safetensors"
    for options, message in (
        ({}, f"{path}: a model of the scales 2, 3 and 4; say which"),
        ({"scale": 5}, f"{folder}: a model of scale 4; expected scale 5"),
    ):
        with pytest.raises(WeightsError) as caught:
            open_model(folder, registry, **options)  # type: ignore[arg-type]
        assert str(caught.value) == message


def refused(tree: Any, registry: Registry) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        assemble(parse_recipe(tree, "here"), registry, "here", splits=("train",))
    return caught.value.problems


def test_networks_of_one_scale_are_refused(pictures: Path, registry: Registry) -> None:
    tree = several(pictures, {"generator": {"type": "edsr", "blocks": 1, "features": 4}})
    assert refused(tree, registry) == [
        "generator: 'edsr' is built for one scale, but the recipe has the scales 2, 3 and 4; "
        "choose one for several, such as mdsr, or one scale"
    ]


def test_a_crop_in_hr_pixels_has_to_fit_every_scale(pictures: Path, registry: Registry) -> None:
    tree = several(pictures, {"data": {"train": {"crop": 30}}})
    assert refused(tree, registry) == [
        "data.train.crop: got 30; expected a multiple of the scales 2, 3 and 4, such as 24 or 36"
    ]


def test_every_scale_needs_the_same_images(pictures: Path) -> None:
    from training_setup import extended

    class Uneven:
        """As many images as the scale."""

        channels = 3
        classes = None
        notes = ()

        def __init__(self, *, scale: int) -> None:
            self.scale = scale

        def __len__(self) -> int:
            return self.scale

        def __getitem__(self, index: int) -> Any:
            raise AssertionError("the lengths differ, so no image may be read")

    registry = extended(datasets={"uneven": Uneven})
    tree = several(pictures, {"data": {"train": {"dataset": {"type": "uneven"}}}})
    assert refused(tree, registry) == [
        "data.train.dataset: 2 images at scale 2, 3 at scale 3; expected the same images at each",
        "data.train.dataset: 2 images at scale 2, 4 at scale 4; expected the same images at each",
    ]


def test_components_of_one_scale_are_built_for_each(pictures: Path, registry: Registry) -> None:
    recipe = parse_recipe(several(pictures), "here")
    whole = assemble(recipe, registry, "here", splits=("train",))
    parts = whole.by_scale
    assert list(parts) == [2, 3, 4] and parts[2] is whole
    factors = [part.degradation.factor for part in parts.values() if part.degradation]
    assert factors == pytest.approx([1 / 2, 1 / 3, 1 / 4])
    for part in parts.values():
        assert part.generator is whole.generator
        assert part.losses["l1"] is whole.losses["l1"]
        assert len(part.data["train"]) == len(whole.data["train"])  # its LR has the scale
