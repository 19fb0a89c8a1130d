"""Scores of classes against scikit-learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from evaluation_setup import evaluation, small
from sklearn.metrics import f1_score, recall_score

from srkit.evaluation.class_scores import class_scores


def test_class_scores_agree_with_scikit_learn() -> None:
    found = evaluation()
    scores = class_scores(found)
    assert scores is not None
    assert scores.support.sum() == 60
    assert scores.names[0] == "Airedale, Airedale terrier"
    for model in found.models:
        options = {"labels": scores.classes, "average": None, "zero_division": 0}
        f1 = f1_score(found.labels, model.predictions, **options)
        recall = recall_score(found.labels, model.predictions, **options)
        np.testing.assert_allclose(scores.f1[model.name], f1)
        np.testing.assert_allclose(scores.accuracy[model.name], recall)


def test_class_scores_need_labels_and_predictions() -> None:
    assert class_scores(replace(evaluation(), labels=None)) is None
    assert class_scores(small({"a": 1.0})) is None
