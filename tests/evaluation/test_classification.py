"""Confusion, ROC and AUC against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from srkit.evaluation.classification import (
    MACRO,
    MICRO,
    Classification,
    roc_curve,
)


def classification(images: int = 200, classes: int = 3, decimals: int = 2) -> Classification:
    """Return random predictions that are often right; rounding results in ties."""
    random = np.random.default_rng(7)
    labels = random.integers(0, classes, images)
    scores = random.gamma(1, 1, (images, classes)) + (labels[:, None] == np.arange(classes))
    probabilities = np.round(scores / scores.sum(1, keepdims=True), decimals)
    return Classification(labels, probabilities, [f"class {k}" for k in range(classes)])


def test_the_confusion_matrix_has_true_classes_in_its_rows() -> None:
    labels, predictions = np.array([0, 0, 0, 2, 2]), np.array([0, 2, 2, 2, 0])
    found = Classification(labels, np.eye(3)[predictions], ["a", "b", "c"])
    assert found.confusion().tolist() == [[1, 0, 2], [0, 0, 0], [1, 0, 1]]


def test_the_confusion_matrix_agrees_with_scikit_learn() -> None:
    found = classification(classes=7)
    expected = metrics.confusion_matrix(found.labels, found.predictions, labels=range(7))
    np.testing.assert_array_equal(found.confusion(), expected)


@pytest.mark.parametrize("decimals", [1, 2, 15])
def test_curves_agree_with_scikit_learn(decimals: int) -> None:
    found = classification(decimals=decimals)
    curves = [*found.curves().values(), found.micro_average()]
    assert len(curves) == 4
    one_hot = np.eye(3)[found.labels]
    pairs = [(one_hot[:, k], found.probabilities[:, k]) for k in range(3)]
    pairs.append((one_hot.ravel(), found.probabilities.ravel()))
    for curve, (truth, scores) in zip(curves, pairs, strict=True):
        false, true, thresholds = metrics.roc_curve(truth, scores)
        np.testing.assert_allclose(curve.false_positive_rate, false)
        np.testing.assert_allclose(curve.true_positive_rate, true)
        np.testing.assert_allclose(curve.thresholds, thresholds)
        assert curve.auc == pytest.approx(metrics.roc_auc_score(truth, scores), abs=1e-12)


def test_the_table_agrees_with_scikit_learn() -> None:
    found = classification(decimals=15)
    *rows, micro, macro = found.table()
    one_hot = np.eye(3)[found.labels]
    recall = metrics.recall_score(found.labels, found.predictions, average=None)
    areas = metrics.roc_auc_score(one_hot, found.probabilities, average=None)
    np.testing.assert_allclose([row["accuracy"] for row in rows], recall)
    np.testing.assert_allclose([row["auc"] for row in rows], areas)
    assert [row["images"] for row in rows] == np.bincount(found.labels).tolist()
    assert (micro["class"], macro["class"]) == (MICRO, MACRO)
    assert micro["accuracy"] == metrics.accuracy_score(found.labels, found.predictions)
    assert macro["accuracy"] == pytest.approx(
        metrics.balanced_accuracy_score(found.labels, found.predictions)
    )
    for row in (micro, macro):
        average = row["class"].removesuffix("-average")
        expected = metrics.roc_auc_score(one_hot, found.probabilities, average=average)
        assert row["auc"] == pytest.approx(expected)


def test_perfect_chance_and_reversed() -> None:
    positive = np.array([True, True, False, False])
    assert roc_curve(positive, np.array([0.9, 0.8, 0.2, 0.1])).auc == 1
    assert roc_curve(positive, np.array([0.5, 0.5, 0.5, 0.5])).auc == 0.5
    assert roc_curve(positive, np.array([0.1, 0.2, 0.8, 0.9])).auc == 0


def test_a_class_without_images_has_no_curve_and_is_not_averaged() -> None:
    labels = np.array([0, 0, 1])
    probabilities = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.1, 0.8, 0.1]])
    found = Classification(labels, probabilities, ["a", "b", "empty"])
    assert found.curves().keys() == {0, 1}
    _, _, empty, _, macro = found.table()
    assert empty["images"] == 0
    assert np.isnan(empty["accuracy"]) and np.isnan(empty["auc"])
    assert macro["accuracy"] == 0.75
    assert macro["auc"] == 1.0


def test_images_of_one_class_have_only_the_micro_average() -> None:
    found = Classification(np.array([0, 0]), np.array([[0.8, 0.2], [0.3, 0.7]]), ["a", "b"])
    assert found.curves() == {}
    _, _, micro, macro = found.table()
    # Right are 0.8 and 0.3, wrong 0.2 and 0.7: three of the four pairs are in order.
    assert micro["auc"] == 0.75
    assert macro["accuracy"] == 0.5
    assert np.isnan(macro["auc"])


@pytest.mark.parametrize("truth", [True, False])
def test_a_curve_needs_positive_and_negative_images(truth: bool) -> None:
    with pytest.raises(ValueError, match=r"^a ROC curve needs positive and negative images$"):
        roc_curve(np.full(3, truth), np.arange(3.0))
