"""The second stage of Faster R-CNN with random weights, compared with torchvision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from detectors_setup import CLASSES, SMALL, make_plain
from safetensors.torch import save_file
from srkit_teachers.detection import DetectionMSE
from srkit_teachers.detectors.detector import TorchvisionDetection
from srkit_teachers.detectors.regions import RegionAnswer
from torch import Tensor

from srkit.interfaces import Answer, Batch

REGIONS = 20
OUTPUTS = ("head.scores", "head.boxes")
IMAGES = torch.rand(2, 3, 110, 80, generator=torch.Generator().manual_seed(1))


def make_few(model: str = SMALL) -> Any:
    """Build torchvision's network with few proposed regions, because its box head is slow."""
    network = make_plain(model, IMAGES)
    network.rpn._post_nms_top_n["testing"] = REGIONS
    return network


def make_teacher(plain: Any, folder: Path, model: str = SMALL) -> TorchvisionDetection:
    save_file(plain.state_dict(), folder / "plain.safetensors")
    teacher = TorchvisionDetection(
        model=model, weights=folder / "plain.safetensors", classes=CLASSES
    ).eval()
    teacher.network.rpn._post_nms_top_n["testing"] = REGIONS
    return teacher.requires_grad_(False)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> TorchvisionDetection:
    return make_teacher(make_few(), tmp_path_factory.mktemp("weights"))


def ask(teacher: TorchvisionDetection, images: Tensor) -> RegionAnswer:
    answer = teacher(images, teacher.stages)
    assert isinstance(answer, RegionAnswer)
    return answer


def batch_of(images: Tensor) -> Batch:
    return Batch(["a"] * len(images), images, [0] * len(images))


@pytest.mark.slow
@pytest.mark.parametrize("model", [SMALL, "fasterrcnn_resnet50_fpn_v2"])
def test_regions_and_their_outputs_equal_torchvision(model: str, tmp_path: Path) -> None:
    plain = make_few(model)
    taken: list[Any] = []
    plain.roi_heads.register_forward_pre_hook(lambda _, inputs: taken.append(inputs[1]))
    plain.roi_heads.box_predictor.register_forward_hook(
        lambda _, inputs, output: taken.append(output)
    )
    with torch.no_grad():
        plain(list(IMAGES))
        answer = ask(make_teacher(plain, tmp_path, model), IMAGES)
        regions = answer.propose()
        said = answer.judge(regions)
    proposals, (scores, boxes) = taken
    assert [len(found) for found in regions] == [REGIONS, REGIONS]
    for found, wanted in zip(regions, proposals, strict=True):
        assert torch.allclose(found, wanted, atol=1e-3)
    assert scores.shape == (2 * REGIONS, CLASSES)
    assert boxes.shape == (2 * REGIONS, 4 * CLASSES)
    assert scores.std(0).min() > 0.01  # the outputs depend on the region
    assert torch.allclose(said["head.region_scores"], scores, atol=1e-5)
    assert torch.allclose(said["head.region_boxes"], boxes, atol=1e-5)


def test_other_detectors_have_no_regions() -> None:
    other = TorchvisionDetection(model="retinanet_resnet50_fpn", weights="random", classes=CLASSES)
    with torch.no_grad():
        assert type(other.eval()(IMAGES[:1, :, :64, :64])) is Answer


def test_the_loss_of_hr_is_zero(teacher: TorchvisionDetection) -> None:
    with torch.no_grad():
        answer, target = ask(teacher, IMAGES), ask(teacher, IMAGES)
        assert float(DetectionMSE()(answer, target, batch_of(IMAGES))) == 0


def test_images_of_a_batch_are_independent(teacher: TorchvisionDetection) -> None:
    with torch.no_grad():
        together = ask(teacher, IMAGES)
        first, second = together.propose()
        regions = [first[:3], second[:7]]
        said = together.judge(regions)
        apart = [
            ask(teacher, image[None]).judge([own])
            for image, own in zip(IMAGES, regions, strict=True)
        ]
    for name, output in said.items():
        assert len(output) == 10
        assert torch.allclose(output, torch.cat([one[name] for one in apart]), atol=1e-5)


@pytest.mark.parametrize("bf16", [False, True])
def test_gradients_reach_sr_through_the_pooled_features(
    teacher: TorchvisionDetection, bf16: bool
) -> None:
    sr = (0.5 * IMAGES).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        answer, target = ask(teacher, sr), ask(teacher, IMAGES)
        regions = target.propose()
        assert not any(found.requires_grad for found in [*regions, *answer.propose()])
        for name, given in answer.judge(regions).items():
            wanted = target.judge(regions)[name]
            assert given.dtype == wanted.dtype == torch.float32
            distance = (given - wanted).square().mean()
            (slope,) = torch.autograd.grad(distance, sr, retain_graph=True)
            assert slope.isfinite().all()
            assert (slope.flatten(1).abs().sum(1) > 0).all()


def test_gradient_descent_lowers_the_loss_of_the_regions(teacher: TorchvisionDetection) -> None:
    hr = IMAGES[:1]
    sr = hr.flip(-1).clone().requires_grad_()
    with torch.no_grad():
        target = ask(teacher, hr)

    def added() -> Tensor:
        answer = replace(ask(teacher, sr), features=target.features)  # everything else is equal
        return DetectionMSE()(answer, target, batch_of(hr))

    optimiser = torch.optim.Adam([sr], lr=0.003)
    before = added().item()
    for _ in range(5):
        optimiser.zero_grad()
        added().backward()
        optimiser.step()
    assert added().item() < 0.5 * before


def test_without_proposed_regions_only_the_first_stage_counts(tmp_path: Path) -> None:
    timid = make_teacher(make_few(), tmp_path)
    timid.network.rpn.score_thresh = 1.1
    sr = (0.5 * IMAGES).requires_grad_()
    answer, target = ask(timid, sr), ask(timid, IMAGES)
    assert [found.shape for found in target.propose()] == [(0, 4), (0, 4)]
    found = DetectionMSE(pyramid=0)(answer, target, batch_of(IMAGES))
    gaps = [(answer.features[name] - target.features[name]).square().mean() for name in OUTPUTS]
    expected = torch.stack(gaps).sum() / 4  # both outputs of the second stage are 0
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    slope, wanted = (
        torch.autograd.grad(one, sr, retain_graph=True)[0] for one in (found, expected)
    )
    assert torch.allclose(slope, wanted, rtol=1e-4, atol=1e-9)
    nothing = answer.judge([torch.zeros(0, 4)] * 2)
    (still,) = torch.autograd.grad(torch.stack([one.sum() for one in nothing.values()]).sum(), sr)
    assert (still == 0).all()


def test_small_images_do_not_change_the_outputs_of_later_ones(
    teacher: TorchvisionDetection, tmp_path: Path
) -> None:
    # torchvision infers its pooling scales from the first images: images of 40 pixels, padded
    # to 64, would double them.
    used = make_teacher(make_few(), tmp_path)
    with torch.no_grad():
        small = ask(used, IMAGES[..., :40, :40])
        small.judge(small.propose())
        expected, answer = ask(teacher, IMAGES), ask(used, IMAGES)
        wanted = expected.judge(expected.propose())
        for name, said in answer.judge(answer.propose()).items():
            assert torch.equal(said, wanted[name])


def test_the_loss_by_hand() -> None:
    generator = torch.Generator().manual_seed(5)
    shapes = {"fpn.0": (2, 3, 4, 4), "head.scores": (2, 6, 1), "head.region_scores": (5, 3)}
    given, wanted = (
        {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
        for _ in range(2)
    )
    proposed = [torch.rand(2, 4, generator=generator), torch.rand(3, 4, generator=generator)]
    calls: list[Sequence[Tensor]] = []

    def answer_of(outputs: Mapping[str, Tensor], regions: Sequence[Tensor] | None) -> RegionAnswer:
        def propose() -> Sequence[Tensor]:
            assert regions is not None, "regions are those of HR"
            return regions

        def judge(asked: Sequence[Tensor]) -> Mapping[str, Tensor]:
            calls.append(asked)
            return {"head.region_scores": outputs["head.region_scores"]}

        features = {name: outputs[name] for name in ("fpn.0", "head.scores")}
        return RegionAnswer(outputs["head.scores"], features, propose=propose, judge=judge)

    answer, target = answer_of(given, None), answer_of(wanted, proposed)
    part = {
        name: float(((given[name] - wanted[name]) ** 2).sum()) / given[name].numel()
        for name in shapes
    }
    batch = batch_of(torch.zeros(2, 3, 4, 4))
    found = DetectionMSE(pyramid=2.0, head=0.5)(answer, target, batch)
    head = (part["head.scores"] + part["head.region_scores"]) / 2
    assert float(found) == pytest.approx(2.0 * part["fpn.0"] + 0.5 * head, rel=1e-5)
    assert [asked is proposed for asked in calls] == [True, True]
    calls.clear()
    alone = DetectionMSE(head=0)(answer, target, batch)
    assert float(alone) == pytest.approx(part["fpn.0"], rel=1e-5)
    assert calls == []
