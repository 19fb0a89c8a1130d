"""The content of a comparison page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from srkit.images._drawing import ColourBar
from srkit.report._metric_info import MetricInfo


@dataclass(frozen=True, slots=True)
class Layer:
    """One of the images that a scene shows in the same place.

    Parameters
    ----------
    name
        ``input``, the name of a model, or ``HR``.
    uri
        The image as a data URI.
    coarseness
        Side of one of its pixels in pixels of the scene.
    scores
        Each metric of the whole image, if it was compared with HR.
    """

    name: str
    uri: str
    coarseness: float = 1.0
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scene:
    """An input image and its SR, shown as layers of the same size.

    Parameters
    ----------
    name, title
        Name of the image, and a description of its size.
    width, height
        Size in pixels of SR.
    layers
        Input, baseline, results, and HR if available.
    bar
        The colour bar of measured values; None for photographs.
    """

    name: str
    title: str
    width: int
    height: int
    layers: list[Layer]
    bar: ColourBar | None = None

    @property
    def scored(self) -> list[Layer]:
        """The layers that were compared with HR."""
        return [layer for layer in self.layers if layer.scores]

    def best(self, metric: MetricInfo) -> float:
        """Return the best score of a metric."""
        scores = [layer.scores[metric.name] for layer in self.scored]
        return max(scores) if metric.higher_is_better else min(scores)
