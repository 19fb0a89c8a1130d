"""Augmentations of samples and batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kornia.augmentation import RandomCutMixV2, RandomMixUpV2
from srkit_pixels.augmentations import (
    ColourJitter,
    CutBlur,
    CutMix,
    Flip,
    Mixup,
    ResizeMix,
    Rotate,
)
from torch import Tensor
from torchvision.transforms.v2 import functional as vision
from training_setup import make_pictures, make_tree, run, steps

from srkit.components.registry import Registry
from srkit.data.augmenting import augment_batch, augment_sample
from srkit.errors import DataError, RecipeError
from srkit.functional import resize
from srkit.interfaces import Batch, Boxes, Sample
from srkit.recipe.recipe import parse_recipe
from srkit.weights.checkpoints import load


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def pairs(count: int = 3, **known: Any) -> Batch:
    """Return HR whose every 2 x 2 pixels are one pixel of LR."""
    lr = images(count, 3, 10, 12)
    hr = lr.repeat_interleave(2, -1).repeat_interleave(2, -2)
    return Batch([f"{i}.png" for i in range(count)], hr, list(range(count)), lr=lr, **known)


@pytest.mark.parametrize("place", range(4))
def test_colours_change_as_in_torchvision(place: int) -> None:
    strengths = dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.0)
    name = list(strengths)[place]
    jitter = ColourJitter(channels=3, **{**strengths, name: 0.3}, probability=1.0)
    hr = images(3, 9, 7)
    sample = jitter(Sample("a", 255 * hr, data_range=(0, 255)), np.random.default_rng(2))
    rng = np.random.default_rng(2)
    rng.random(), rng.permutation(4)
    factors = [rng.uniform(1 - each, 1 + each) for each in jitter.strengths]
    own = float(factors[place]) - (name == "hue")
    assert abs(own - (name != "hue")) > 0.01
    expected = getattr(vision, f"adjust_{name}")(hr, own)
    torch.testing.assert_close(sample.hr / 255, expected, rtol=0, atol=1e-3)


def test_colours_of_a_pair_change_alike() -> None:
    hr = images(3, 8, 8)
    sample = Sample("a", hr, hr[:, :4, :4])  # pixels of equal colour stay equal
    jitter = ColourJitter(channels=3, probability=1.0, contrast=1.0)
    found = jitter(sample, np.random.default_rng(3))
    assert found.lr is not None
    assert torch.equal(found.hr[:, :4, :4], found.lr)
    assert not torch.allclose(found.hr, hr, atol=0.01)


def test_a_probability_is_how_often_an_image_changes() -> None:
    jitter = ColourJitter(channels=3, probability=0.25)
    sample, rng = Sample("a", images(3, 4, 4)), np.random.default_rng(0)
    changed = [not torch.equal(jitter(sample, rng).hr, sample.hr) for _ in range(400)]
    assert np.mean(changed) == pytest.approx(0.25, abs=0.06)


def test_boxes_are_turned_with_their_image() -> None:
    hr = torch.zeros(3, 6, 10)
    hr[:, 1:3, 2:7] = 1
    boxes = Boxes(torch.tensor([[2.0, 1.0, 7.0, 3.0]]), torch.tensor([0]))
    seen = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found = Rotate()(Flip()(Sample("a", hr, boxes=boxes), rng), rng)
        assert found.boxes is not None
        left, top, right, bottom = found.boxes.corners[0].int().tolist()
        assert found.hr[:, top:bottom, left:right].min() == 1
        assert found.hr.sum() == 3 * (bottom - top) * (right - left)
        seen.add((left, top, right, bottom))
    assert len(seen) == 8


def test_mixup_is_that_of_kornia() -> None:
    batch = pairs()
    found = Mixup(probability=1.0)(batch, np.random.default_rng(5))
    rng = np.random.default_rng(5)
    shift = int(rng.integers(1, 3))
    parameters = {
        "mixup_pairs": (torch.arange(3) + shift) % 3,
        "mixup_lambdas": torch.from_numpy(rng.beta(1.2, 1.2, 3)).float(),
    }
    for mixed, given in ((found.hr, batch.hr), (found.lr, batch.lr)):
        expected = RandomMixUpV2().apply_transform(given, parameters, {})
        torch.testing.assert_close(mixed, expected)


def test_cutmix_is_that_of_kornia() -> None:
    batch = pairs(2)
    assert batch.lr is not None
    found = CutMix(size=0.5, probability=1.0)(batch, np.random.default_rng(1))
    assert found.lr is not None
    corners = []
    for image in range(2):
        rows, columns = (found.lr[image] != batch.lr[image]).all(0).nonzero().unbind(1)
        top, left, bottom, right = rows.min(), columns.min(), rows.max(), columns.max()
        assert (bottom - top + 1, right - left + 1) == (5, 6)
        corners.append([[left, top], [right, top], [right, bottom], [left, bottom]])
    crop = torch.tensor(corners).float()
    parameters = {"mix_pairs": torch.tensor([[1, 0]]), "crop_src": crop[None]}
    with pytest.warns(DeprecationWarning):
        kornia = RandomCutMixV2()
    torch.testing.assert_close(kornia.apply_transform(batch.lr, parameters), found.lr)
    large = found.lr.repeat_interleave(2, -1).repeat_interleave(2, -2)
    torch.testing.assert_close(found.hr, large, rtol=0, atol=0)


def test_resizemix_shows_a_whole_other_image() -> None:
    batch = pairs(2)
    assert batch.lr is not None
    mix = ResizeMix(smallest=0.5, largest=0.5, probability=1.0)
    found = mix(batch, np.random.default_rng(1))
    assert found.lr is not None
    for image in range(2):
        rows, columns = (found.lr[image] != batch.lr[image]).all(0).nonzero().unbind(1)
        top, left = int(rows.min()), int(columns.min())
        for mixed, given, scale in ((found.lr, batch.lr, 1), (found.hr, batch.hr, 2)):
            part = mixed[image, :, scale * top :, scale * left :][..., : 5 * scale, : 6 * scale]
            expected = resize(given[1 - image][None], (5 * scale, 6 * scale))[0].clamp(0, 1)
            torch.testing.assert_close(part, expected)
        kept = torch.ones(10, 12, dtype=torch.bool)
        kept[top : top + 5, left : left + 6] = False
        assert torch.equal(found.lr[image][:, kept], batch.lr[image][:, kept])


def test_cutblur_shows_hr_in_a_part_of_lr() -> None:
    batch = pairs(8)
    assert batch.lr is not None
    noisy = Batch(batch.names, batch.hr, batch.seeds, lr=batch.lr + 2)
    found = CutBlur(size=0.5, probability=1.0)(noisy, np.random.default_rng(1))
    assert found.lr is not None and noisy.lr is not None
    assert torch.equal(found.hr, batch.hr)
    sharp = resize(batch.hr, (10, 12)).clamp(0, 1)
    counts = []
    for image in range(8):
        replaced = found.lr[image][0] < 1.5
        assert torch.equal(found.lr[image][:, replaced], sharp[image][:, replaced])
        assert torch.equal(found.lr[image][:, ~replaced], noisy.lr[image][:, ~replaced])
        counts.append(int(replaced.sum()))
    assert set(counts) == {30, 90}  # inside of the rectangle, or around it


@pytest.mark.parametrize("augmentation", [CutMix(), ResizeMix()])
def test_grids_that_are_not_aligned(augmentation: Any) -> None:
    batch = Batch(["a", "b"], images(2, 3, 25, 25), [1, 2], lr=images(2, 3, 8, 8))
    name = type(augmentation).__name__
    with pytest.raises(DataError, match=rf"^{name} needs HR .* got 25x25 and 8x8 pixels; remove"):
        augmentation(batch, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("augmentation", "known", "message"),
    [
        (
            Mixup(),
            {"unit": "nJy"},
            "Mixup does not keep physical values, but those of 0.png are in nJy; remove it from "
            "data.train.augment",
        ),
        (
            CutBlur(),
            {"variance": torch.ones(3, 3, 10, 12)},
            "CutBlur does not keep physical values, but those of 0.png are with a known noise; "
            "remove it from data.train.augment",
        ),
        (
            CutMix(),
            {"labels": torch.zeros(3), "masks": torch.zeros(3, 20, 24)},
            "CutMix changes what an image shows, but 0.png has labels and masks; remove it from "
            "data.train.augment, or use data without",
        ),
    ],
)
def test_what_would_be_falsified_is_refused(
    augmentation: Any, known: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError) as caught:
        augment_batch(augmentation, pairs(**known), np.random.default_rng(0))
    assert str(caught.value) == message


def test_flux_is_refused_by_colours_and_kept_by_flips() -> None:
    sample = Sample("a.fits", images(3, 4, 4), unit="adu", label=1)
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match=r"^ColourJitter does not keep physical values, but those"):
        augment_sample(ColourJitter(channels=3), sample, rng)
    assert augment_sample(Flip(), sample, rng).label == 1


def test_an_image_is_not_mixed_with_itself() -> None:
    with pytest.raises(DataError, match="Mixup mixes 2 images, but each part of a step has 1"):
        augment_batch(Mixup(), pairs(1), np.random.default_rng(0))


MIXED = ["flip", {"type": "mixup", "probability": 0.9}, "cutblur", {"type": "colour_jitter"}]


def augmented(pictures: Path, augment: list[Any], *changes: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe for pictures without labels."""
    train = {"dataset": {"labels": None}, "augment": augment}
    return make_tree(pictures, {"data": {"train": train}}, *changes)


def test_a_run_with_augmentations_resumes_exactly(tmp_path: Path, registry: Registry) -> None:
    pictures = make_pictures(tmp_path / "pictures")
    whole = load(run(augmented(pictures, MIXED, steps(4)), tmp_path / "whole", registry))
    run(augmented(pictures, MIXED, steps(2)), tmp_path / "parts", registry)
    tree = augmented(pictures, MIXED, steps(4))
    parts = load(run(tree, tmp_path / "parts", registry, resume=True))
    plain = load(run(augmented(pictures, ["flip"], steps(4)), tmp_path / "plain", registry))
    weights = [each.groups["generator"] for each in (whole, parts, plain)]
    assert all(torch.equal(tensor, weights[1][key]) for key, tensor in weights[0].items())
    assert not all(torch.equal(tensor, weights[2][key]) for key, tensor in weights[0].items())


def test_a_recipe_is_refused_before_the_first_step(tmp_path: Path, registry: Registry) -> None:
    pictures = make_pictures(tmp_path / "pictures")
    labelled = make_tree(pictures, {"data": {"train": {"augment": ["mixup"]}}})
    single = augmented(pictures, ["mixup"], {"training": {"batch_size": 1}})
    grey = augmented(pictures, ["colour_jitter"], {"channels": 1})
    for tree, problem in (
        (labelled, "data.train: Mixup changes what an image shows, but 00.png has labels; remove"),
        (single, "data.train: Mixup mixes 2 images, but each part of a step has 1; raise training"),
        (grey, "data.train.augment.0: colours need 3 channels; the recipe has 1"),
    ):
        with pytest.raises(RecipeError) as caught:
            run(tree, tmp_path / "run", registry)
        assert any(each.startswith(problem) for each in caught.value.problems)


def test_a_name_stays_a_name() -> None:
    """As in the checkpoints of runs from before augmentations had options."""
    train = {"dataset": {"type": "sample_photos"}, "augment": ["flip", {"type": "mixup", "a": 1}]}
    tree = {"name": "a", "data": {"train": train}}
    dumped = parse_recipe(tree, "test.yaml").dump()["data"]["train"]["augment"]
    assert dumped == ["flip", {"type": "mixup", "a": 1}]
