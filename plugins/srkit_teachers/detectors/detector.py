"""Detection networks of torchvision: feature pyramids, heads and detected boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pydantic import PositiveInt
from torch import Tensor
from torch.nn import functional as F
from torchvision.models import detection, get_model, list_models
from torchvision.models.detection.image_list import ImageList

from srkit.functional import resize
from srkit.interfaces import Answer, Boxes, Task
from srkit_teachers.classifiers.classifier import Classifier, check_model
from srkit_teachers.classifiers.torchvision_models import absent_weights, open_network
from srkit_teachers.detectors.regions import RegionAnswer, judge, propose

#: Images are padded to multiples of this for the feature pyramids, as in torchvision.
MULTIPLE = 32
#: Mean and standard deviation of ImageNet, used by torchvision's detectors.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: Names of the outputs of the heads.
OUTPUTS = {"cls_logits": "scores", "bbox_regression": "boxes", "bbox_ctrness": "centres"}


class TorchvisionDetection(Classifier):
    """RetinaNet, FCOS or Faster R-CNN of torchvision with a feature pyramid, as a teacher.

    Lin et al. 2017 ("Focal loss"), Tian et al. 2019, Ren et al. 2015. Its stages are the levels of
    the pyramid, ``fpn.0`` and so on, and the outputs of the head at every anchor: ``head.scores``
    and ``head.boxes``, of FCOS also ``head.centres``; of Faster R-CNN they are those of the
    region proposal network, and the loss ``detection_mse`` adds the outputs of its box head. It
    accepts RGB and grey images in [0, 1].

    Parameters
    ----------
    model
        Name, such as ``retinanet_resnet50_fpn``.
    weights
        Name of published weights, such as ``COCO_V1``; a local file; or ``random``. ``DEFAULT``
        is torchvision's best.
    classes
        Number of classes, with the background; by default that of the published weights (COCO).
    input_size
        Shorter side in pixels to which images are resized; by default they keep their size. The
        published weights were trained on images of 800 pixels.

    Raises
    ------
    ValueError
        If the model or the name of the weights is unknown.
    WeightsError
        If the weights are missing, damaged, or made for another network.
    """

    task: Task = "detection"

    def __init__(
        self,
        *,
        model: str,
        weights: str | Path = "DEFAULT",
        classes: PositiveInt | None = None,
        input_size: PositiveInt | None = None,
    ) -> None:
        _check(model)
        opened = open_network(
            model,
            weights,
            classes,
            "published",
            lambda count, _: get_model(
                model, weights=None, weights_backbone=None, num_classes=count
            ),
        )
        outputs = ["scores", "boxes", *(["centres"] if model.startswith("fcos") else [])]
        super().__init__(
            opened.network,
            stages=[*_levels(opened.network), *(f"head.{name}" for name in outputs)],
            classes=opened.classes,
            class_names=opened.names,
            mean=MEAN,
            std=STD,
            normalise="published",
            input_size=None,
        )
        self.shorter_side = input_size

    @staticmethod
    def downloads(*, model: str, weights: str | Path, **_: Any) -> list[str]:
        """List the address of the published weights, unless they are cached."""
        _check(model)
        return absent_weights(model, weights)

    def forward(self, images: Tensor, stages: Sequence[str] = ()) -> Answer:
        """Run ``(N, 3, H, W)`` images in [0, 1] through pyramid and head in one pass.

        Parameters
        ----------
        images
            Images; ``(N, 1, H, W)`` if they are grey.
        stages
            Names of the levels and outputs to return.

        Returns
        -------
        Answer
            For Faster R-CNN, a :class:`~srkit_teachers.detectors.regions.RegionAnswer`.
        """
        self.check_stages(stages)
        size = images.shape[-2:]
        seen = self._prepare(self._resized(images))
        inside = (seen.shape[-2], seen.shape[-1])
        seen = F.pad(seen, (0, -inside[1] % MULTIPLE, 0, -inside[0] % MULTIPLE))
        padded = ImageList(seen, [inside] * len(seen))
        maps, outputs = self._run(seen)
        named = {f"fpn.{name}": level for name, level in maps.items()}
        named |= {f"head.{name}": output for name, output in outputs.items()}

        def find() -> list[Boxes]:
            with torch.no_grad(), torch.autocast(seen.device.type, enabled=False):
                found = _find(self.network, padded, maps, outputs)
            back = seen.new_tensor([size[1] / inside[1], size[0] / inside[0]] * 2)
            return [Boxes(one["boxes"] * back, one["labels"], one["scores"]) for one in found]

        features = {stage: named[stage] for stage in stages}
        if not hasattr(self.network, "rpn"):
            return Answer(outputs["scores"], features, find)
        return RegionAnswer(
            outputs["scores"],
            features,
            find,
            propose=partial(propose, self.network, padded, maps),
            judge=partial(judge, self.network, padded, maps),
        )

    def judge(self, images: Tensor, stages: Sequence[str]) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return only the scores of the anchors; :meth:`forward` returns everything."""
        return self._run(images)[1]["scores"], {}

    def _run(self, images: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return levels of the pyramid and outputs of the head, in float32."""
        network: Any = self.network
        maps = {name: level.float() for name, level in network.backbone(images).items()}
        levels = list(maps.values())
        if hasattr(network, "rpn"):
            scores, boxes = network.rpn.head(levels)
            return maps, {"scores": _by_anchor(scores, 1), "boxes": _by_anchor(boxes, 4)}
        found = network.head(levels)
        return maps, {OUTPUTS[name]: output.float() for name, output in found.items()}

    def _resized(self, images: Tensor) -> Tensor:
        if self.shorter_side is None:
            return images
        factor = self.shorter_side / min(images.shape[-2:])
        height, width = (round(factor * side) for side in images.shape[-2:])
        return resize(images, size=(height, width))


def _check(model: str) -> None:
    families = ("retinanet", "fcos", "fasterrcnn")
    known = [name for name in list_models(detection) if name.startswith(families)]
    check_model("torchvision", model, known, "detector with a feature pyramid")


def _levels(network: Any) -> list[str]:
    """Return the names of the levels of a pyramid, which are known only after running it."""
    mode = network.training
    with torch.no_grad():
        maps = network.eval().backbone(torch.zeros(1, 3, 64, 64))
        if hasattr(network, "roi_heads"):
            # It infers the scales of the levels from the first images and keeps them; they would be
            # wrong for images that padding enlarges much.
            network.roi_heads.box_roi_pool(maps, [torch.zeros(0, 4)], [(64, 64)])
    network.train(mode)
    return [f"fpn.{name}" for name in maps]


def _by_anchor(levels: Sequence[Tensor], numbers: int) -> Tensor:
    """Join the outputs of all levels, ``(N, anchors x numbers, H, W)``: ``(N, A, numbers)``."""
    rows = [level.float().permute(0, 2, 3, 1).reshape(len(level), -1, numbers) for level in levels]
    return torch.cat(rows, 1)


def _find(
    network: Any, images: ImageList, maps: dict[str, Tensor], outputs: Mapping[str, Tensor]
) -> list[dict[str, Tensor]]:
    """Detect boxes in padded images, as torchvision does after the same steps."""
    found: list[dict[str, Tensor]]
    if hasattr(network, "rpn"):
        found, _ = network.roi_heads(maps, propose(network, images, maps), images.image_sizes)
        return found
    levels = list(maps.values())
    places = [level.shape[-2] * level.shape[-1] for level in levels]
    anchors = outputs["scores"].shape[1] // sum(places)
    counts = [anchors * count for count in places]
    split = {
        theirs: list(torch.split(outputs[ours], counts, 1))
        for theirs, ours in OUTPUTS.items()
        if ours in outputs
    }
    boxes = [list(torch.split(one, counts)) for one in network.anchor_generator(images, levels)]
    found = network.postprocess_detections(split, boxes, images.image_sizes)
    return found
