"""The mean IoU, against torchmetrics and by hand."""

from __future__ import annotations

import pytest
import torch
from srkit_teachers.metrics import Accuracy, Agreement, CrossEntropy
from srkit_teachers.segmentation_metrics import MeanIoU
from torch import Tensor
from torch.nn.functional import one_hot
from torchmetrics.functional.classification import multiclass_jaccard_index

from srkit.errors import DataError
from srkit.interfaces import VOID, Answer, Batch

GENERATOR = torch.Generator().manual_seed(4)
MASKS = torch.randint(0, 3, (5, 7, 9), generator=GENERATOR)
TOLD = torch.randint(0, 3, (5, 7, 9), generator=GENERATOR)


def batch(masks: Tensor | None) -> Batch:
    count = len(MASKS)
    return Batch(list("abcde"[:count]), torch.zeros(count, 1, 7, 9), range(count), masks=masks)


def answer(told: Tensor, classes: int = 3) -> Answer:
    return Answer(one_hot(told, classes).movedim(-1, 1).float())


def test_the_set_is_counted_together() -> None:
    metric = MeanIoU()
    parts = [*metric(answer(TOLD), answer(TOLD), batch(MASKS))]
    values, whole = metric.pool(parts)
    expected = multiclass_jaccard_index(TOLD, MASKS, 3, average="macro")
    assert whole == pytest.approx(float(expected), abs=1e-6)
    for value, told, mask in zip(values, TOLD, MASKS, strict=True):
        alone = multiclass_jaccard_index(told, mask, 3, average="macro")
        assert value == pytest.approx(float(alone), abs=1e-6)
    assert whole != pytest.approx(sum(values) / 5, abs=1e-4)


def test_chosen_classes_and_unknown_pixels() -> None:
    masks = torch.full((5, 7, 9), VOID)
    masks[0, 0, :4] = torch.tensor([1, 1, 0, 2])
    told = torch.zeros_like(masks)
    told[0, 0, :4] = torch.tensor([1, 0, 1, 2])
    metric = MeanIoU(classes=[1])
    values, whole = metric.pool(metric(answer(told), answer(told), batch(masks)))
    assert whole == pytest.approx(1 / 3)
    assert values[0] == pytest.approx(1 / 3)
    assert all(value != value for value in values[1:])  # nothing is known of the others
    assert MeanIoU().pool(metric(answer(told), answer(told), batch(masks)))[1] == pytest.approx(
        (0 + 1 / 3 + 1) / 3
    )


def test_classes_that_nobody_sees_do_not_count() -> None:
    metric = MeanIoU()
    told = answer(MASKS, classes=8)
    assert metric.pool(metric(told, told, batch(MASKS)))[1] == 1
    assert "all classes" in metric.protocol
    assert "classes 1, 2," in MeanIoU(classes=[1, 2]).protocol


def test_no_masks_and_wrong_ones() -> None:
    expected = (
        "^the metric 'miou' needs masks, but the data have none; a metric can use the teacher's "
        "own answers on HR: set evaluation.labels to teacher$"
    )
    with pytest.raises(DataError, match=expected):
        MeanIoU()(answer(TOLD), answer(TOLD), batch(None))
    masks = MASKS.clone()
    masks[2, 3, 4] = 7
    expected = (
        "^c: the mask contains 7; the metric 'miou' expects 0 to 2, the classes of the teacher; "
        "list values of unknown pixels in the data set's option 'unknown'$"
    )
    with pytest.raises(DataError, match=expected):
        MeanIoU()(answer(TOLD), answer(TOLD), batch(masks))
    with pytest.raises(ValueError, match=r"^classes has 5; the teacher has 0 to 2$"):
        MeanIoU(classes=[1, 5])(answer(TOLD), answer(TOLD), batch(MASKS))


def test_scores_of_pixels_are_averaged_over_what_is_known() -> None:
    masks = MASKS.clone()
    masks[:, 0] = VOID
    logits = torch.randn(5, 3, 7, 9, generator=GENERATOR)
    given, target = Answer(logits), answer(TOLD)
    known = masks != VOID
    surprise = -logits.log_softmax(1).gather(1, masks.clamp(min=0)[:, None])[:, 0]
    expected = torch.stack([s[k].mean() for s, k in zip(surprise, known, strict=True)])
    assert torch.allclose(CrossEntropy()(given, target, batch(masks)), expected, atol=1e-6)
    right = logits.argmax(1) == masks
    expected = torch.stack([r[k].float().mean() for r, k in zip(right, known, strict=True)])
    assert torch.allclose(Accuracy()(given, target, batch(masks)), expected)
    same = (logits.argmax(1) == TOLD).float().mean((1, 2))
    assert torch.allclose(Agreement()(given, target, batch(masks)), same)


def test_pixels_of_classes_that_are_not_chosen_do_not_count() -> None:
    logits = torch.randn(5, 3, 7, 9, generator=GENERATOR)
    found = Accuracy(classes=[0, 2])(Answer(logits), answer(TOLD), batch(MASKS))
    right = (logits[:, 2] > logits[:, 0]) == (MASKS == 2)
    counted = MASKS != 1
    expected = torch.stack([r[k].float().mean() for r, k in zip(right, counted, strict=True)])
    assert torch.allclose(found, expected)
