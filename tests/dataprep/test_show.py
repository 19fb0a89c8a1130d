"""`srkit data show`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
import yaml
from command_line import Srkit
from matplotlib.figure import Figure
from shards_setup import make_photos, make_shards
from srkit_pixels.augmentations import Flip, Rotate

from srkit.assembly.build import assemble
from srkit.assembly.device import prepare
from srkit.components.registry import Registry
from srkit.data.batches import training_batches
from srkit.data.crops import Draws
from srkit.data.order import Share
from srkit.dataprep.show import show
from srkit.errors import RecipeError
from srkit.images.formats import Formats
from srkit.recipe.recipe import parse_recipe

STEPS = [{"type": "motion_blur"}, {"type": "bicubic"}, {"type": "gaussian_noise"}]


def tree(root: Path, **changes: Any) -> dict[str, Any]:
    dataset = {"type": "image_folder", "root": str(root)}
    source = {"dataset": dataset, "crop": 16, "augment": ["flip", "rotate"]}
    return {
        "name": "shown",
        "scale": 2,
        "degradation": STEPS,
        "generator": {"type": "srcnn"},
        "losses": {"l1": {}},
        "data": {"train": source, "test": {"dataset": dataset}},
        **changes,
    }


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for number in range(3):
        pixels = rng.integers(0, 256, (24 + number, 30, 3), np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_a_run_that_the_recipe_needs_is_not_looked_up(registry: Registry) -> None:
    recipe = parse_recipe(tree(Path("needs.first"), needs={"first": "first.yaml"}), "shown.yaml")
    with pytest.raises(RecipeError) as caught:
        show(recipe, registry, source="shown.yaml")
    assert caught.value.problems == [
        "data.train.dataset.root: got needs.first; set the run folder itself, since this command "
        "does not look for runs"
    ]


def drawn(figure: Figure) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return name, LR and HR of every pair on a sheet."""
    found = []
    for part in (part for part in figure.subfigs if part.axes):
        lr, hr = (axis.images[0].get_array() for axis in part.axes[:2])
        found.append((part.get_suptitle(), np.asarray(lr), np.asarray(hr)))
    return found


def test_training_data_show_the_first_batch(pictures: Path, registry: Registry) -> None:
    recipe = parse_recipe(tree(pictures), "shown.yaml")
    shown = drawn(show(recipe, registry, source="shown.yaml", count=4))
    assembly = assemble(recipe, registry, "shown.yaml", splits=["train"])
    draws = Draws(assembly.data["train"], 0, 16, (Flip(), Rotate()), 2)
    (batch,) = training_batches({2: draws}, Share(4), 0, 1, workers=0)
    batch = prepare(batch, assembly, torch.device("cpu"))
    assert batch.lr is not None
    assert [name for name, _, _ in shown] == list(batch.names)
    for (_, lr, hr), true_lr, true_hr in zip(shown, batch.lr, batch.hr, strict=True):
        np.testing.assert_array_equal(hr, true_hr.movedim(0, -1))
        np.testing.assert_allclose(lr, true_lr.clamp(0, 1).movedim(0, -1), atol=1e-6)


def test_mixed_in_images_are_shown(pictures: Path, tmp_path: Path, registry: Registry) -> None:
    PIL.Image.new("RGB", (20, 22), "red").save(tmp_path / "red.png")
    given = tree(pictures)
    other = {"type": "image_folder", "root": str(tmp_path)}
    given["data"]["train"]["mix"] = {"dataset": other, "share": 0.5}
    recipe = parse_recipe(given, "shown.yaml")
    names = [name for name, _, _ in drawn(show(recipe, registry, source="shown.yaml", count=12))]
    assembly = assemble(recipe, registry, "shown.yaml", splits=["train"])
    mixed = assembly.mixed_in["train"]
    draws = Draws(assembly.data["train"], 0, 16, (Flip(), Rotate()), 2, mixed, 0.5)
    (batch,) = training_batches({2: draws}, Share(12), 0, 1, workers=0)
    assert names == list(batch.names)
    assert 2 < names.count("red.png") < 10


def test_shards_are_shown_in_the_order_of_training(
    tmp_path: Path, registry: Registry, formats: Formats
) -> None:
    make_shards(make_photos(tmp_path / "photos"), tmp_path / "shards", formats)
    given = tree(tmp_path)
    given["data"] = {
        "train": {"dataset": {"type": "webdataset", "root": str(tmp_path / "shards")}, "crop": 16}
    }
    recipe = parse_recipe(given, "shown.yaml")
    names = [name for name, _, _ in drawn(show(recipe, registry, source="shown.yaml", count=8))]
    data = assemble(recipe, registry, "shown.yaml", splits=["train"]).data["train"]
    draws = Draws(data, 0, 16, (), 2)
    (batch,) = training_batches({2: draws}, Share(8), 0, 1, workers=0)
    assert names == list(batch.names)


def test_test_data_are_whole_images_in_order(pictures: Path, registry: Registry) -> None:
    recipe = parse_recipe(tree(pictures), "shown.yaml")
    shown = drawn(show(recipe, registry, source="shown.yaml", split="test", count=9))
    assert [(name, lr.shape, hr.shape) for name, lr, hr in shown] == [
        (f"{i}.png", ((25 + i) // 2, 15, 3), (24 + i, 30, 3)) for i in range(3)
    ]


def test_neither_lr_nor_a_degradation(pictures: Path, registry: Registry) -> None:
    recipe = parse_recipe(tree(pictures, degradation=None), "shown.yaml")
    with pytest.raises(RecipeError) as raised:
        show(recipe, registry, source="shown.yaml")
    problem = "degradation: missing; the data set of data.train has no LR images"
    assert str(raised.value) == f"shown.yaml: 1 problem\n  {problem}"


def test_the_command_writes_a_picture(pictures: Path, tmp_path: Path, srkit: Srkit) -> None:
    (tmp_path / "shown.yaml").write_text(yaml.safe_dump(tree(pictures)))
    done = srkit("data", "show", "shown.yaml", "degradation.2.sigma=[1,2]", "--count", "2")
    assert (done.status, done.out, done.err) == (0, "shown-train.png\n", "")
    with PIL.Image.open(tmp_path / "shown-train.png") as picture:
        assert picture.width > 1000
    done = srkit("data", "show", "shown.yaml", "--split", "validation", "--out", "other.png")
    assert done.status == 1
    assert done.err == (
        "error: shown.yaml: 1 problem\n  data.validation: missing; the recipe has train, test\n"
    )
    assert not (tmp_path / "other.png").exists()
