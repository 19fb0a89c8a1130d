"""The numbers of an evaluation against direct computation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from training_setup import TEACHER, make_pictures, make_tree, validated

from srkit.assembly.assembly import Assembly
from srkit.assembly.build import assemble
from srkit.assembly.device import move, prepare, set_up_process
from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.evaluation.evaluator import Evaluator
from srkit.evaluation.rendering import render, render_pictures
from srkit.evaluation.restorers import Restorer, baseline, network
from srkit.evaluation.results import ModelResult
from srkit.functional.resizing import resize
from srkit.interfaces import Batch, Sample
from srkit.recipe.recipe import parse_recipe

FACTOR = 0.32
METRICS: dict[str, Any] = {
    "metrics": {
        "psnr": {},
        "mse": {},
        "score_mse": {},
        "cross_entropy": {},
        "cross_entropy_gap": {},
        "accuracy": {},
    },
    "teachers": TEACHER,
    "scale": 4,
    "degradation": {"type": "bicubic", "factor": FACTOR},
    "evaluation": {"batch_size": 3},
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=7, side=33)


def evaluator_of(registry: Registry, pictures: Path, *changes: Mapping[str, Any]) -> Evaluator:
    tree = make_tree(pictures, validated(pictures), METRICS, *changes)
    recipe = parse_recipe(tree, "test.yaml")
    process = set_up_process(recipe, "test.yaml")
    assembly = assemble(recipe, registry, "test.yaml", splits=("test",))
    move(assembly, process.device)
    return Evaluator(assembly, assembly.data["test"], process)


def restorers_of(evaluator: Evaluator) -> dict[str, Restorer]:
    generator: Any = evaluator.assembly.generator
    plain = {name: baseline(name) for name in ("original", "bilinear", "bicubic")}
    return {**plain, "network": network(generator, evaluator.assembly)}


def test_every_number_equals_a_direct_computation(registry: Registry, pictures: Path) -> None:
    evaluator = evaluator_of(registry, pictures)
    found = evaluator.evaluate(restorers_of(evaluator), "a title")
    assert found.title == "a title"
    assert found.names == [f"{index:02d}.png" for index in range(7)]
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 2, 3, 0, 1, 2]
    assert found.label_source == "data set"
    assert found.classes == ["0", "1", "2", "3"]
    assert [metric.name for metric in found.metrics] == list(METRICS["metrics"])
    assert [model.name for model in found.models] == ["original", "bilinear", "bicubic", "network"]
    for index in range(len(evaluator.dataset)):
        sample = evaluator.dataset[index]
        for model, sr in by_hand(evaluator.assembly, sample).items():
            result = found.model(model)
            assert result is not None
            check_image(result, index, sr, sample, evaluator.assembly)
    report = []
    evaluator.evaluate({"original": baseline("original")}, "", lambda *done: report.append(done))
    assert report == [(3, 7), (6, 7), (7, 7)]


def by_hand(assembly: Assembly, sample: Sample) -> dict[str, Tensor]:
    """Restore one image without the code under test; the grids fit by the exact factor."""
    generator: Any = assembly.generator
    hr = sample.hr[None]
    lr = resize(hr, factor=FACTOR)
    with torch.no_grad():
        sr = generator.eval()(lr)
    return {
        "original": hr,
        "bilinear": resize(lr, (33, 33), factor=1 / FACTOR, kernel="bilinear"),
        "bicubic": resize(lr, (33, 33), factor=1 / FACTOR),
        "network": resize(sr, (33, 33), factor=1 / (4 * FACTOR)),
    }


def check_image(
    result: ModelResult, index: int, sr: Tensor, sample: Sample, assembly: Assembly
) -> None:
    teacher: Any = assembly.teachers["net"]
    with torch.no_grad():
        logits, target = (teacher.eval()(images).logits for images in (sr, sample.hr[None]))
    label = torch.tensor([sample.label])
    mse = float((sr - sample.hr).square().mean())
    entropy = float(F.cross_entropy(logits, label))
    expected = {
        "psnr": -10 * np.log10(mse) if mse else np.inf,
        "mse": mse,
        "score_mse": float((logits - target).square().mean()),
        "cross_entropy": entropy,
        "cross_entropy_gap": entropy - float(F.cross_entropy(target, label)),
        "accuracy": float(logits.argmax() == label),
    }
    measured = {name: values[index] for name, values in result.values.items()}
    assert measured == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert result.predictions is not None
    assert result.predictions[index] == logits.argmax()
    assert result.seconds > 0


def test_labels_can_be_the_predictions_of_the_teacher(registry: Registry, pictures: Path) -> None:
    evaluator = evaluator_of(registry, pictures, {"evaluation": {"labels": "teacher"}})
    found = evaluator.evaluate({"original": baseline("original")}, "")
    original = found.models[0]
    assert found.labels is not None
    assert original.predictions is not None
    assert found.labels.tolist() == original.predictions.tolist()
    assert found.label_source == "predictions of the teacher for the originals"
    assert original.values["accuracy"].tolist() == [1.0] * 7


def test_labels_of_a_teacher_need_a_teacher(registry: Registry, pictures: Path) -> None:
    evaluator = evaluator_of(registry, pictures, {"evaluation": {"labels": "teacher"}})
    evaluator.assembly.teachers.clear()
    evaluator.assembly.metrics.clear()
    message = "^evaluation.labels: 'teacher' needs a teacher in the recipe$"
    with pytest.raises(DataError, match=message):
        evaluator.evaluate({"original": baseline("original")}, "")


def test_an_image_that_a_metric_cannot_measure_is_named(registry: Registry, pictures: Path) -> None:
    evaluator = evaluator_of(registry, pictures, {"metrics": {"psnr": {"crop": 200}}})
    with pytest.raises(DataError, match=r"^metrics\.psnr on [\w./]+\.png: "):
        evaluator.evaluate({"original": baseline("original")}, "")


def test_training_modes_are_restored(registry: Registry, pictures: Path) -> None:
    evaluator = evaluator_of(registry, pictures)
    generator: Any = evaluator.assembly.generator
    teacher: Any = evaluator.assembly.teachers["net"]
    teacher.eval()
    generator.train()
    generator.conv_first.eval()
    seen = []

    def restorer(batch: Batch) -> Tensor:
        networks = (generator, teacher)
        seen.append([module.training for network in networks for module in network.modules()])
        return batch.hr

    evaluator.evaluate({"watching": restorer}, "")
    render(evaluator, {"watching": restorer}, [0])
    assert len(seen) == 5  # once untimed, thrice in evaluate, once in render
    assert not any(any(modes) for modes in seen)
    assert generator.training
    assert generator.conv_last.training
    assert not generator.conv_first.training
    assert not teacher.training

    def failing(batch: Batch) -> Tensor:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        evaluator.evaluate({"failing": failing}, "")
    assert generator.training


def test_rendered_photographs_are_in_0_to_1(registry: Registry, pictures: Path) -> None:
    evaluator = evaluator_of(registry, pictures)
    wild: Restorer = lambda batch: 5 * batch.hr - 2  # noqa: E731
    restorers = {"original": baseline("original"), "wild": wild}
    rows = render(evaluator, restorers, [4, 1])
    pictures = render_pictures(evaluator, restorers, [4, 1])
    for row, images, index in zip(rows, pictures, (4, 1), strict=True):
        assert not row.measured
        for name in images:
            np.testing.assert_array_equal(row.images[name], images[name])
        assert list(images) == ["original", "LR", "wild"]
        hr = evaluator.dataset[index].hr.permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(images["original"], hr)
        np.testing.assert_allclose(images["wild"], (5 * hr - 2).clip(0, 1), atol=1e-6)
        assert images["LR"].shape == (11, 11, 3)
        assert images["LR"].min() >= 0
        assert images["LR"].max() <= 1


class Mixed:
    """Images of two shapes in turn, with values that identify them."""

    channels = 3
    classes = None
    notes = ("of two shapes",)

    def __len__(self) -> int:
        return 9

    def __getitem__(self, index: int) -> Sample:
        side = 32 if index % 4 < 2 else 24
        return Sample(f"image {index}", torch.full((3, side, side), index / 10))


def test_images_of_several_shapes_keep_their_order(registry: Registry, pictures: Path) -> None:
    evaluator = evaluator_of(registry, pictures)
    evaluator.assembly.teachers.clear()
    metrics = evaluator.assembly.metrics
    evaluator.assembly.metrics = {"mse": metrics["mse"]}
    evaluator.dataset = Mixed()
    black: Restorer = lambda batch: torch.zeros_like(batch.hr)  # noqa: E731
    found = evaluator.evaluate({"black": black, "original": baseline("original")}, "")
    assert found.names == [f"image {index}" for index in range(9)]
    squares = [(index / 10) ** 2 for index in range(9)]
    np.testing.assert_allclose(found.models[0].values["mse"], squares, rtol=1e-6)
    assert found.models[1].values["mse"].tolist() == [0.0] * 9
    assert found.labels is None
    assert found.classes is None
    assert found.models[0].predictions is None
    assert found.notes == ["of two shapes"]


class Telescope:
    """A degradation that knows its noise, and pixels of 0.1 arcsec."""

    factor, pixel_scale = 0.5, 0.1

    def __call__(self, hr: Tensor, seeds: Sequence[int]) -> Tensor:
        return hr[..., ::2, ::2]

    def variance(self, lr: Tensor, seeds: Sequence[int]) -> Tensor:
        return lr + torch.tensor(seeds).view(-1, 1, 1, 1)


def test_the_noise_variance_is_part_of_the_batch(registry: Registry, pictures: Path) -> None:
    assembly = evaluator_of(registry, pictures).assembly
    assembly.degradation = Telescope()
    hr = torch.rand(2, 3, 8, 8)
    batch = prepare(Batch(["a", "b"], hr, [1, 2]), assembly, torch.device("cpu"))
    assert batch.lr is not None
    assert batch.variance is not None
    assert torch.equal(batch.variance, batch.lr + torch.tensor([1.0, 2.0]).view(2, 1, 1, 1))


def test_a_degradation_for_another_pixel_scale_is_refused(
    registry: Registry, pictures: Path
) -> None:
    assembly = evaluator_of(registry, pictures).assembly
    assembly.degradation = Telescope()
    batch = Batch(["a"], torch.rand(1, 3, 8, 8), [1], pixel_scale=0.05)
    message = (
        "a: an HR pixel is 0.05 arcsec wide, but the degradation expects 0.1; set "
        "degradation.pixel_scale to that of the data"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        prepare(batch, assembly, torch.device("cpu"))


def test_real_pairs_are_not_degraded(registry: Registry, pictures: Path) -> None:
    assembly = evaluator_of(registry, pictures).assembly
    hr, lr = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 8, 8)
    batch = prepare(Batch(["a", "b"], hr, [1, 2], lr=lr), assembly, torch.device("cpu"))
    assert batch.lr is not None
    assert torch.equal(batch.lr, lr)
    assert batch.factor is None
