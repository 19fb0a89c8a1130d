"""The base of all segmentation networks: scores of every pixel."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from srkit.interfaces import Answer, Task
from srkit_teachers.classifiers.classifier import Classifier


class Segmenter(Classifier):
    """A classifier of pixels. See :class:`srkit_teachers.classifiers.classifier.Classifier`."""

    task: Task = "segmentation"

    def forward(self, images: Tensor, stages: Sequence[str] = ()) -> Answer:
        """Segment images in one pass through the network: scores ``(N, classes, H, W)``.

        Scores on a coarser grid or at `input_size` are interpolated bilinearly.

        Parameters
        ----------
        images
            Images ``(N, C, H, W)``, as for a classifier.
        stages
            Names of the feature maps to return.
        """
        answer = super().forward(images, stages)
        size = images.shape[-2:]
        if answer.logits.shape[-2:] == size:
            return answer
        logits = F.interpolate(answer.logits, size=size, mode="bilinear", align_corners=False)
        return Answer(logits, answer.features)
