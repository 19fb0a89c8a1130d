"""The loss and the metrics for embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt
from torch import Tensor
from torch.nn import functional as F

from srkit.interfaces import Answer, Batch, Task

Pair = tuple[NDArray[np.float32], NDArray[np.float32]]

#: Cosines that differ by less are considered equal.
EQUAL = 1e-6


class EmbeddingCosine:
    """One minus the cosine between the embeddings of SR and HR, averaged over images.

    Used for distillation by Fang et al. 2021 ("SEED"); for squared differences use `logit_mse`.
    """

    stages: Sequence[str] = ()
    tasks: Sequence[Task] = ("embedding",)

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Compare the embedding of SR with that of HR: a scalar."""
        return 1 - _cosine(answer, target).mean()


class EmbeddingSimilarity:
    """Cosine between the embeddings of SR and of the original."""

    higher_is_better = True
    unit = ""
    protocol = "cosine, -1 to 1"
    stages: Sequence[str] = ()
    tasks: Sequence[Task] = ("embedding",)

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> Tensor:
        """Measure the embedding of SR, given that of HR: shape ``(N,)``."""
        return _cosine(answer, target)


class RecallAtK:
    """Whether the original of an SR image is among the k most similar images.

    All originals of the set are ranked by the cosine of their embeddings with that of SR; the
    value of the set is the share of images whose own original is among the first k. Ties within
    1e-6 count with the probability that a random order has the original among the first k.

    Parameters
    ----------
    k
        Number of most similar originals that count.
    """

    higher_is_better = True
    unit = ""
    stages: Sequence[str] = ()
    tasks: Sequence[Task] = ("embedding",)

    def __init__(self, *, k: PositiveInt = 1) -> None:
        self.k = k
        self.protocol = f"the original among the {k} of the whole set with the highest cosine"

    def __call__(self, answer: Answer, target: Answer, batch: Batch) -> list[Pair]:
        """Return the directions of the embeddings of SR and of the original."""
        sr, hr = (F.normalize(one.logits.float(), dim=1).cpu().numpy() for one in (answer, target))
        return list(zip(sr, hr, strict=True))

    def pool(self, parts: Sequence[Any]) -> tuple[list[float], float]:
        """Return whether each original is found (1, 0 or a probability), and the mean."""
        sr, hr = (np.stack(side) for side in zip(*parts, strict=True))
        found = []
        for index, one in enumerate(sr):
            alike = hr @ one
            closer = np.delete(alike, index) - alike[index]
            ahead, level = (closer > EQUAL).sum(), (np.abs(closer) <= EQUAL).sum()
            found.append(float(np.clip((self.k - ahead) / (level + 1), 0, 1)))
        return found, float(np.mean(found))


def _cosine(answer: Answer, target: Answer) -> Tensor:
    return F.cosine_similarity(answer.logits.float(), target.logits.float(), dim=1)
