"""What the figure of calibration shows."""

from __future__ import annotations

import numpy as np

from srkit.evaluation.calibration import LEVELS, REMOVED, Calibration
from srkit.evaluation.calibration_figures import calibration_figure
from srkit.report.plotting import png


def test_each_model_has_its_curves_and_a_line_of_numbers() -> None:
    random = np.random.default_rng(0)
    sigma = random.gamma(2, 1, 2000)
    error = sigma * random.normal(size=2000)
    found = {"good": Calibration(error, sigma), "bold $ one": Calibration(error, sigma / 2)}
    figure = calibration_figure(found)
    coverage, pulls, sparsification = figure.axes
    for line, one in zip(coverage.lines, found.values(), strict=False):
        x, y = line.get_data()
        np.testing.assert_allclose(x, [0, *LEVELS, 1])
        np.testing.assert_allclose(y, [0, *one.coverage(), 1])
    np.testing.assert_allclose(sparsification.lines[0].get_data()[0], REMOVED)
    np.testing.assert_allclose(sparsification.lines[3].get_data()[1], found["good"].oracle())
    assert len(pulls.patches) == 2
    (legend,) = figure.legends
    one = found["bold $ one"]
    assert legend.get_texts()[1].get_text() == (
        f"bold $ one: pulls {one.bias:+.2f} ± {one.spread:.2f}, calibration error "
        f"{one.calibration_error:.3f}, AUSE {one.ause:.3f}"
    )
    png(figure)
