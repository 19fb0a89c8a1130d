"""Ground truth of batches, and the tasks of teachers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from srkit_teachers.segmenters.unet import UNet

from srkit.data.truth import boxes_of, check_boxes, take_as_truth, task_of, tasks_of
from srkit.errors import DataError
from srkit.interfaces import Answer, Batch, Boxes


def test_a_teacher_that_names_no_task_classifies() -> None:
    class Plain:
        stages: Sequence[str] = ()

    assert task_of(Plain()) == "classification"  # type: ignore[arg-type]
    assert tasks_of(Plain()) == ("classification",)  # type: ignore[arg-type]
    assert task_of(UNet(weights="random")) == "segmentation"


def test_the_answer_on_hr_as_the_truth() -> None:
    batch = Batch(["a"], torch.zeros(1, 3, 2, 2), [0])
    logits = torch.tensor([[0.0, 3.0, 1.0]])
    assert take_as_truth(batch, Answer(logits), "classification").labels == torch.tensor([1])
    pixels = logits[:, :, None, None].expand(1, 3, 2, 2)
    masks = take_as_truth(batch, Answer(pixels), "segmentation").masks
    assert masks is not None
    assert torch.equal(masks, torch.ones(1, 2, 2, dtype=torch.long))
    found = Boxes(torch.rand(3, 4), torch.tensor([5, 6, 7]), torch.tensor([0.9, 0.5, 0.4]))
    boxes = take_as_truth(batch, Answer(logits[None], find=lambda: [found]), "detection").boxes
    assert boxes is not None
    assert boxes[0].labels.tolist() == [5, 6]
    assert boxes[0].scores is None
    assert take_as_truth(batch, Answer(logits), "embedding") is batch
    expected = "^the metric 'x' needs boxes, but the data have none; a metric can use the teacher"
    with pytest.raises(DataError, match=expected):
        boxes_of(batch, "metric 'x'")


def test_boxes_with_labels_outside_the_classes() -> None:
    def labelled(*labels: int) -> Batch:
        boxes = [Boxes(torch.rand(len(labels), 4), torch.tensor(labels))]
        return Batch(["a"], torch.zeros(1, 3, 2, 2), [0], boxes=boxes)

    check_boxes(labelled(1, 2), 3, "metric 'x'")
    check_boxes(labelled(), 3, "metric 'x'")
    for wrong in (0, 3):
        expected = f"^a: a box has label {wrong}; the metric 'x' expects 1 to 2, the classes of"
        with pytest.raises(DataError, match=expected):
            check_boxes(labelled(1, wrong), 3, "metric 'x'")
