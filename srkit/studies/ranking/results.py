"""What a ranking found: models in their order, what they cost, who is tied."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from srkit.evaluation.results import Evaluation
from srkit.report.metric_info import MetricInfo
from srkit.report.pictures import Pixels
from srkit.report.squares import Box
from srkit.studies.ranking.bootstrap import Difference


@dataclass(frozen=True, slots=True)
class Cost:
    """What a model costs.

    Parameters
    ----------
    parameters
        Number of weights.
    multiply_adds
        For an SR picture of 1280 x 720 pixels, in proportion to one of 64 x 64 LR pixels.
    seconds
        To restore a picture, the mean over the pictures.
    memory
        Rise of the memory from before the model was opened to its peak on the largest picture, in
        bytes.
    """

    parameters: int
    multiply_adds: int
    seconds: float
    memory: int


@dataclass(frozen=True, slots=True)
class View:
    """One picture of the sheet: the same square of HR and of what each model made of it.

    Parameters
    ----------
    index
        Of the picture among those of the set.
    whole
        HR.
    box
        The square.
    hr, lr
        The square, ``(h, w, C)`` in [0, 1]; the pixels of LR repeated to HR's.
    models
        The square by model.
    """

    index: int
    whole: Pixels
    box: Box
    hr: Pixels
    lr: Pixels
    models: dict[str, Pixels] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ranking:
    """Models on one set of pictures, the best first.

    Parameters
    ----------
    evaluation
        Their results, in their order.
    by
        The metric that ranks.
    scale
        HR pixels for each LR pixel along a side.
    costs
        By model.
    leads
        By model, how far it is ahead of the next; None where that cannot be told, as for the last.
    failures
        By model that could not be ranked, why.
    views
        For the picture sheet.
    """

    evaluation: Evaluation
    by: MetricInfo
    scale: int
    costs: dict[str, Cost]
    leads: dict[str, Difference | None]
    failures: dict[str, str]
    views: list[View]

    @property
    def ties(self) -> list[tuple[str, str]]:
        """Neighbours of which other pictures might have ranked the second first."""
        names = [model.name for model in self.evaluation.models]
        leads = ((*pair, self.leads[pair[0]]) for pair in pairwise(names))
        return [(name, after) for name, after, lead in leads if lead is not None and lead.tie]
