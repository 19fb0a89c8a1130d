"""Teachers of several tasks, from the data to the table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from srkit_pixels.augmentations import Flip, Rotate
from srkit_teachers.segmenters.unet import UNet
from torch import Tensor, nn
from training_setup import extended, make_pictures, make_tree, run, steps, validated

from srkit.assembly.build import assemble
from srkit.components.registry import Registry
from srkit.data.batches import stack
from srkit.data.crops import Drawn, Draws
from srkit.errors import RecipeError
from srkit.evaluation.run import evaluate
from srkit.interfaces import Answer, Boxes, Sample, Window
from srkit.recipe.recipe import parse_recipe
from srkit.training.monitor import read_records


class Masked:
    """Squares of noise whose brighter half is to be marked."""

    channels = 3
    classes = None
    notes: Sequence[str] = ()

    def __init__(self, *, side: int = 16) -> None:
        self.side = side

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Sample:
        if index >= len(self):
            raise IndexError(index)
        hr = torch.rand(3, self.side, self.side, generator=torch.Generator().manual_seed(index))
        mask = (hr.mean(0) > 0.5).long()
        boxes = Boxes(torch.tensor([[0.0, 0.0, 4.0, 4.0]]), torch.tensor([1]))
        return Sample(str(index), hr, mask=mask, boxes=boxes)


class Bright(nn.Module):
    """Marks the pixels that are brighter than half the range."""

    task = "segmentation"
    stages: Sequence[str] = ()
    classes = 2
    class_names = None
    channels_last = False

    def __init__(self) -> None:
        super().__init__()

    def forward(self, images: Tensor, stages: Sequence[str] = ()) -> Answer:
        excess = 40 * (images.float().mean(1) - 0.5)
        return Answer(torch.stack([-excess, excess], 1))


def masked() -> Registry:
    return extended(datasets={"masked": Masked})


def test_masks_are_cut_and_turned_with_their_images() -> None:
    sample = Masked()[0]
    draws = Draws(Masked(), seed=3, crop=8, augment=(Flip(), Rotate()), scale=2)
    for epoch in range(12):
        drawn = draws.draw(epoch, 0).sample
        assert drawn.mask is not None
        assert drawn.mask.shape == (8, 8)
        assert torch.equal(drawn.mask, (drawn.hr.mean(0) > 0.5).long())
        assert drawn.boxes is None
    part = Window((slice(2, 6), slice(1, 9))).cut(sample)
    assert sample.mask is not None
    assert part.mask is not None
    assert torch.equal(part.mask, sample.mask[2:6, 1:9])


def test_masks_and_boxes_reach_the_batch() -> None:
    batch = stack([Drawn(Masked()[k], k) for k in (1, 4)])
    assert batch.masks is not None
    assert batch.masks.shape == (2, 16, 16)
    assert batch.boxes is not None
    moved = batch.to(torch.device("cpu"), torch.channels_last)
    assert moved.masks is not None
    assert torch.equal(moved.masks, batch.masks)
    assert len(moved.boxes or ()) == 2


def test_losses_of_other_tasks_are_refused(tmp_path: Path, registry: Registry) -> None:
    pictures = make_pictures(tmp_path / "pictures")
    teacher = {"type": "timm", "model": "test_efficientnet", "weights": "random"}
    tree = make_tree(pictures, {"teachers": {"net": teacher}, "metrics": {"miou": {}}})
    with pytest.raises(RecipeError) as caught:
        assemble(parse_recipe(tree, "r.yaml"), registry, "r.yaml", splits=())
    assert caught.value.problems == [
        "metrics.miou: is for segmentation, but the task of teacher 'net' is classification"
    ]


@pytest.mark.usefixtures("undrawn_figures")
def test_a_generator_is_trained_by_a_segmentation_network(tmp_path: Path) -> None:
    registry = extended(teachers={"bright": Bright})
    pictures = make_pictures(tmp_path / "pictures")
    tree = make_tree(pictures, validated(pictures), steps(2))
    tree |= {
        "teachers": {"net": {"type": "bright"}},
        "losses": {"logit_kl": {}},
        "metrics": {"miou": {"classes": [1]}},
        "evaluation": {"labels": "teacher"},
    }
    folder = tmp_path / "run"
    run(tree, folder, registry)
    recipe = parse_recipe(tree, "r.yaml")
    (found,) = evaluate(recipe, registry, folder, source="r.yaml", console=Console(quiet=True))
    original, *others = found.models
    assert original.name == "original"
    assert original.mean("miou") == 1
    assert found.label_source == "predictions of the teacher for the originals"
    for model in others:
        assert model.predictions is None
        assert 0 <= model.mean("miou") < 1
        assert model.pooled["miou"] == model.mean("miou")
        assert len(model.values["miou"]) == len(found.names)
    bilinear = found.models[1]
    assert bilinear.mean("miou") > 0.3
    assert bilinear.mean("miou") != pytest.approx(np.nanmean(bilinear.values["miou"]), abs=1e-9)


def test_a_segmentation_network_is_trained_by_masks(tmp_path: Path) -> None:
    registry = masked()
    tree = {
        "name": "segmenter",
        "scale": 2,
        "teachers": {
            "net": {
                "type": "unet",
                "weights": "random",
                "features": 4,
                "depth": 1,
                "trainable": True,
                "optimiser": {"lr": 1e-2},
            }
        },
        "metrics": {"miou": {}},
        "data": {split: {"dataset": {"type": "masked"}} for split in ("train", "validation")},
        "training": {
            "duration": 30,
            "batch_size": 8,
            "precision": "fp32",
            "workers": 0,
            "validate_every": 30,
        },
    }
    folder = tmp_path / "run"
    run(tree, folder, registry)
    records = read_records(folder / "metrics.jsonl")
    (validation,) = [record for record in records if record["kind"] == "validation"]
    assert validation["miou"] > 0.6
    trained = UNet(weights=folder, features=4, depth=1)
    images: Tensor = torch.stack([Masked()[k].hr for k in range(8)])
    with torch.no_grad():
        predicted = trained.eval()(images).logits.argmax(1)
    assert (predicted == (images.mean(1) > 0.5)).float().mean() > 0.7


def test_data_without_masks_cannot_train_a_segmentation_network(
    tmp_path: Path, registry: Registry
) -> None:
    pictures = make_pictures(tmp_path / "pictures")
    net = {"type": "unet", "weights": "random", "trainable": True}
    tree = make_tree(pictures, steps(1), {"teachers": {"net": net}})
    message = r"data\.train: the trained teacher 'net' needs masks, but the data have none"
    with pytest.raises(RecipeError, match=message):
        run(tree, tmp_path / "run", registry)


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn_figures")
def test_a_generator_is_trained_by_detections_and_embeddings(
    tmp_path: Path, registry: Registry
) -> None:
    pictures = make_pictures(tmp_path / "pictures", side=64)
    detector = {"type": "torchvision_detection", "model": "fasterrcnn_mobilenet_v3_large_fpn"}
    tree = make_tree(pictures, validated(pictures), steps(1, batch_size=2))
    tree |= {
        "teachers": {
            "detector": {**detector, "weights": "random", "classes": 3},
            "embedding": {"type": "timm_embedding", "model": "test_vit", "weights": "random"},
        },
        "losses": {
            "detection_mse": {"teacher": "detector"},
            "embedding_cosine": {"teacher": "embedding"},
        },
        "metrics": {"map": {"teacher": "detector"}, "recall_at_k": {"teacher": "embedding"}},
        "evaluation": {"labels": "teacher", "baselines": ["original", "bicubic"]},
    }
    for split in tree["data"].values():
        split["dataset"]["stop"] = 4
    run(tree, tmp_path / "run", registry)
    recipe = parse_recipe(tree, "r.yaml")
    (found,) = evaluate(
        recipe, registry, tmp_path / "run", source="r.yaml", console=Console(quiet=True)
    )
    original = found.models[0]
    assert original.mean("recall_at_k") == 1
    # Nothing that random weights find is surer than a half: there is no true box.
    assert np.isnan(original.mean("map")) or original.mean("map") == 1
    assert original.predictions is None
