"""Loss terms and times between two lines of the log."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping

import torch
from accelerate.utils import reduce
from torch import Tensor

from srkit.errors import TrainingError


class Meter:
    """Gathers terms and times between two lines of the log, without waiting for the device.

    Parameters
    ----------
    accumulate
        Parts of a step.
    """

    def __init__(self, accumulate: int) -> None:
        self._accumulate = accumulate
        self.clear(0)

    def clear(self, step: int) -> None:
        """Drop everything and begin after a step."""
        self.first, self.images, self.waited = step, 0, 0.0
        self.started = time.perf_counter()
        self._terms: dict[str, list[Tensor]] = defaultdict(list)
        self._leading: set[str] = set()

    def add(self, terms: Mapping[str, Tensor], *, leading: bool) -> None:
        """Keep the terms of a turn; those of the first turn make up the total."""
        for name, term in terms.items():
            self._terms[name].append(term.detach())
        if leading:
            self._leading |= terms.keys()

    def means(self, kept: str) -> dict[str, float]:
        """Average each term over steps and processes, and add up those of the first turn.

        Parameters
        ----------
        kept
            What the error says about checkpoints.

        Raises
        ------
        TrainingError
            If a term is not finite; it names the term and the step.
        """
        means = {}
        for name, terms in self._terms.items():
            values = reduce(torch.stack(terms).float(), "mean").cpu()
            broken = (~values.isfinite()).nonzero()
            if len(broken):
                position = int(broken[0])
                raise TrainingError(
                    f"the loss term '{name}' is {values[position].item()} at step "
                    f"{self.first + position // self._accumulate + 1}; {kept}. Lower the learning "
                    "rate, set training.clip, or check the data of that step"
                )
            means[f"loss/{name}"] = values.mean().item()
        if means:
            means["loss/total"] = sum(means[f"loss/{name}"] for name in self._leading)
        return means

    def rates(self) -> dict[str, float]:
        """Return the images per second, and the share of the time spent waiting for images."""
        seconds = time.perf_counter() - self.started
        return {
            "images_per_second": self.images / seconds,
            "waiting_share": self.waited / seconds,
        }
