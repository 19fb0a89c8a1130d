"""The results of a ranking: the models in order, their costs, and which of them are tied."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from srkit.evaluation.results import Evaluation
from srkit.report._details import CropBox
from srkit.report._metric_info import MetricInfo
from srkit.report._pictures import Pixels
from srkit.studies.ranking.bootstrap import Difference


@dataclass(frozen=True, slots=True)
class Cost:
    """The computational cost of a model.

    Parameters
    ----------
    parameters
        Number of weights.
    multiply_adds
        For an SR image of 1280 x 720 pixels, scaled from a count on 64 x 64 LR pixels.
    seconds
        Mean time to restore an image.
    memory
        Peak memory on the largest image, in bytes above the level before the model was opened.
    """

    parameters: int
    multiply_adds: int
    seconds: float
    memory: int


@dataclass(frozen=True, slots=True)
class Example:
    """A test image of the sheet: HR, and the same square of HR, LR and the SR of each model.

    Parameters
    ----------
    index
        Index of the image in the test set.
    whole
        HR.
    box
        The square.
    hr, lr
        The square, ``(h, w, C)`` in [0, 1]; LR is enlarged to the size of HR by repeating pixels.
    models
        The square of SR, by model.
    """

    index: int
    whole: Pixels
    box: CropBox
    hr: Pixels
    lr: Pixels
    models: dict[str, Pixels] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ranking:
    """Models on one test set, the best first.

    Parameters
    ----------
    evaluation
        Their results, in order.
    by
        The metric that determines the order.
    scale
        Ratio of the sides of HR and LR.
    costs
        The cost of each model.
    leads
        The lead of each model over the next; None where it is undefined, as for the last.
    failures
        The reason for each model that could not be ranked.
    examples
        The images of the sheet.
    """

    evaluation: Evaluation
    by: MetricInfo
    scale: int
    costs: dict[str, Cost]
    leads: dict[str, Difference | None]
    failures: dict[str, str]
    examples: list[Example]

    @property
    def ties(self) -> list[tuple[str, str]]:
        """Pairs of neighbours whose order might be reversed with other images."""
        names = [model.name for model in self.evaluation.models]
        leads = ((*pair, self.leads[pair[0]]) for pair in pairwise(names))
        return [(name, after) for name, after, lead in leads if lead is not None and lead.tie]
