from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from ranking_setup import COSTS, a_ranking

from srkit.studies.ranking.figures import cost_figure, ranking_sheet
from srkit.studies.ranking.results import Cost


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_the_sheet_shows_each_model_with_the_score_of_that_picture() -> None:
    found = a_ranking()
    figure, dpi = ranking_sheet(found)
    assert texts(figure) == [
        "HR, whole",
        "HR",
        "LR, 1/4",
        "1. big <net>\npsnr y 31.00 dB",
        "2. small\npsnr y 30.90 dB",
        "3. bicubic\npsnr y 28.00 dB",
        "HR, whole",
        "HR",
        "LR, 1/4",
        "1. big <net>\npsnr y 29.50 dB",
        "2. small\npsnr y 29.40 dB",
        "3. bicubic\npsnr y 26.00 dB",
    ]
    assert [text.get_text() for text in figure.texts] == ["a.png", "c.png"]
    shown = figure.axes[3].images[0].get_array()
    np.testing.assert_array_equal(shown, found.views[0].models["big <net>"])
    assert 120 <= dpi <= 300


def test_the_squares_do_not_overlap_and_stay_within() -> None:
    """With many models the row goes on below."""
    found = a_ranking()
    model = found.evaluation.models[0]
    many = [replace(model, name=f"model {number}") for number in range(9)]
    views = [replace(view, models={each.name: view.hr for each in many}) for view in found.views]
    found = replace(found, evaluation=replace(found.evaluation, models=many), views=views)
    figure, _ = ranking_sheet(found)
    boxes = [axis.get_position().bounds for axis in figure.axes]
    assert len(boxes) == 2 * 12
    assert all(x >= 0 and y >= 0 and x + w <= 1 and y + h <= 1 for x, y, w, h in boxes)
    for number, (x, y, w, h) in enumerate(boxes):
        for x2, y2, w2, h2 in boxes[:number]:
            assert x >= x2 + w2 or x2 >= x + w or y >= y2 + h2 or y2 >= y + h


def test_quality_is_drawn_against_each_cost() -> None:
    figure = cost_figure(a_ranking())
    labels = [axis.get_xlabel() for axis in figure.axes]
    assert labels == ["parameters", "multiply-adds for 1280 x 720", "seconds a picture"]
    points = [
        [container.lines[0].get_xydata().tolist() for container in axis.containers]
        for axis in figure.axes
    ]
    assert points[0] == [
        [[16_700_000, pytest.approx(93.5 / 3)]],
        [[57_000, pytest.approx(93.4 / 3)]],
    ]
    assert len(points[2]) == 3
    # What has no parameters is a line across.
    lines = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in lines] == [28]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["1. big <net>", "2. small", "3. bicubic"]


def test_an_axis_on_which_nothing_costs_anything_is_left_out() -> None:
    free = {name: Cost(0, 0, 0.1, 10) for name in COSTS}
    assert [axis.get_xlabel() for axis in cost_figure(a_ranking(free)).axes] == [
        "seconds a picture"
    ]
