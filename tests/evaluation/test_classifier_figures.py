"""What the figures of a classifier show."""

from __future__ import annotations

import numpy as np
import pytest

from srkit.evaluation.classification import Classification
from srkit.evaluation.classifier_figures import confusion_figure, roc_figure
from srkit.report.plotting import png


def classification(classes: int) -> Classification:
    random = np.random.default_rng(5)
    labels = random.integers(0, classes, 40 * classes)
    scores = random.gamma(1, 1, (len(labels), classes)) + (labels[:, None] == np.arange(classes))
    names = [f"class of ${k}, a long name that does not fit" for k in range(classes)]
    return Classification(labels, scores / scores.sum(1, keepdims=True), names)


def test_the_confusion_matrix_shows_shares_and_counts() -> None:
    found = classification(3)
    figure = confusion_figure(found)
    axis, bar = figure.axes
    counts = found.confusion()
    shares = counts / counts.sum(1, keepdims=True)
    np.testing.assert_allclose(axis.images[0].get_array(), shares)
    texts = {text.get_position()[::-1]: text.get_text() for text in axis.texts}
    assert texts == {k: f"{shares[k]:.3f}\n{counts[k]}" for k in np.ndindex(3, 3)}
    names = [text.get_text() for text in axis.get_yticklabels()]
    assert names == [f"class of ${k}" for k in range(3)]
    assert bar.get_ylabel() == "share of the true class"
    png(figure)


def test_many_classes_are_not_named() -> None:
    axis, _ = confusion_figure(classification(40)).axes
    assert not axis.texts
    assert axis.images[0].get_array().shape == (40, 40)


def test_a_class_without_images_has_an_empty_row() -> None:
    found = Classification(np.array([0, 0]), np.array([[0.8, 0.2], [0.3, 0.7]]), ["a", "b"])
    assert confusion_figure(found).axes[0].images[0].get_array().tolist() == [[0.5, 0.5], [0, 0]]


def test_the_curves_are_those_of_the_classes() -> None:
    found = classification(3)
    figure = roc_figure(found)
    (axis,) = figure.axes
    *lines, chance = axis.lines
    curves = [*found.curves().values(), found.micro_average()]
    for line, roc in zip(lines, curves, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), roc.false_positive_rate)
        np.testing.assert_array_equal(line.get_ydata(), roc.true_positive_rate)
        assert line.get_label().endswith(f", AUC {roc.auc:.4f}")
    assert list(chance.get_xdata()) == [0, 1]
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 4
    png(figure)


def test_of_many_classes_the_hardest_are_drawn() -> None:
    found = classification(20)
    areas = {k: roc.auc for k, roc in found.curves().items()}
    axis = roc_figure(found).axes[0]
    drawn = [float(line.get_label().rpartition(" ")[2]) for line in axis.lines[:-2]]
    assert sorted(drawn) == pytest.approx(sorted(areas.values())[:12], abs=1e-4)
