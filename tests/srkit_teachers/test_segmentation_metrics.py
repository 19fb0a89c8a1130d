"""The mean IoU, compared with torchmetrics and with values computed by hand."""

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
PREDICTED = torch.randint(0, 3, (5, 7, 9), generator=GENERATOR)


def batch(masks: Tensor | None) -> Batch:
    count = len(MASKS)
    return Batch(list("abcde"[:count]), torch.zeros(count, 1, 7, 9), range(count), masks=masks)


def answer(predicted: Tensor, classes: int = 3) -> Answer:
    return Answer(one_hot(predicted, classes).movedim(-1, 1).float())


def test_the_metric_pools_the_whole_set() -> None:
    metric = MeanIoU()
    parts = [*metric(answer(PREDICTED), answer(PREDICTED), batch(MASKS))]
    values, whole = metric.pool(parts)
    expected = multiclass_jaccard_index(PREDICTED, MASKS, 3, average="macro")
    assert whole == pytest.approx(float(expected), abs=1e-6)
    for value, predicted, mask in zip(values, PREDICTED, MASKS, strict=True):
        alone = multiclass_jaccard_index(predicted, mask, 3, average="macro")
        assert value == pytest.approx(float(alone), abs=1e-6)
    assert whole != pytest.approx(sum(values) / 5, abs=1e-4)


def test_chosen_classes_and_unknown_pixels() -> None:
    masks = torch.full((5, 7, 9), VOID)
    masks[0, 0, :4] = torch.tensor([1, 1, 0, 2])
    predicted = torch.zeros_like(masks)
    predicted[0, 0, :4] = torch.tensor([1, 0, 1, 2])
    metric = MeanIoU(classes=[1])
    values, whole = metric.pool(metric(answer(predicted), answer(predicted), batch(masks)))
    assert whole == pytest.approx(1 / 3)
    assert values[0] == pytest.approx(1 / 3)
    assert all(value != value for value in values[1:])  # the other images have no known pixels
    assert MeanIoU().pool(metric(answer(predicted), answer(predicted), batch(masks)))[
        1
    ] == pytest.approx((0 + 1 / 3 + 1) / 3)


def test_absent_classes_do_not_count() -> None:
    metric = MeanIoU()
    predicted = answer(MASKS, classes=8)
    assert metric.pool(metric(predicted, predicted, batch(MASKS)))[1] == 1
    assert "all classes" in metric.protocol
    assert "classes 1, 2," in MeanIoU(classes=[1, 2]).protocol


def test_missing_and_wrong_masks() -> None:
    expected = (
        "^the metric 'miou' needs masks, but the data have none; a metric can use the teacher's "
        "own answers on HR: set evaluation.labels to teacher$"
    )
    with pytest.raises(DataError, match=expected):
        MeanIoU()(answer(PREDICTED), answer(PREDICTED), batch(None))
    masks = MASKS.clone()
    masks[2, 3, 4] = 7
    expected = (
        "^c: the mask contains 7; the metric 'miou' expects 0 to 2, the classes of the teacher; "
        "list values of unknown pixels in the data set's option 'unknown'$"
    )
    with pytest.raises(DataError, match=expected):
        MeanIoU()(answer(PREDICTED), answer(PREDICTED), batch(masks))
    with pytest.raises(ValueError, match=r"^classes has 5; the teacher has 0 to 2$"):
        MeanIoU(classes=[1, 5])(answer(PREDICTED), answer(PREDICTED), batch(MASKS))


def test_pixel_scores_are_averaged_over_known_pixels() -> None:
    masks = MASKS.clone()
    masks[:, 0] = VOID
    logits = torch.randn(5, 3, 7, 9, generator=GENERATOR)
    given, target = Answer(logits), answer(PREDICTED)
    known = masks != VOID
    surprise = -logits.log_softmax(1).gather(1, masks.clamp(min=0)[:, None])[:, 0]
    expected = torch.stack([s[k].mean() for s, k in zip(surprise, known, strict=True)])
    assert torch.allclose(CrossEntropy()(given, target, batch(masks)), expected, atol=1e-6)
    right = logits.argmax(1) == masks
    expected = torch.stack([r[k].float().mean() for r, k in zip(right, known, strict=True)])
    assert torch.allclose(Accuracy()(given, target, batch(masks)), expected)
    same = (logits.argmax(1) == PREDICTED).float().mean((1, 2))
    assert torch.allclose(Agreement()(given, target, batch(masks)), same)


def test_pixels_of_classes_that_are_not_chosen_do_not_count() -> None:
    logits = torch.randn(5, 3, 7, 9, generator=GENERATOR)
    found = Accuracy(classes=[0, 2])(Answer(logits), answer(PREDICTED), batch(MASKS))
    right = (logits[:, 2] > logits[:, 0]) == (MASKS == 2)
    counted = MASKS != 1
    expected = torch.stack([r[k].float().mean() for r, k in zip(right, counted, strict=True)])
    assert torch.allclose(found, expected)
