from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from ranking_setup import COSTS, make_ranking

from srkit.studies.ranking.figures import cost_figure, ranking_sheet
from srkit.studies.ranking.results import Cost


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_sheet_shows_each_model_with_its_score_of_the_image() -> None:
    ranking = make_ranking()
    figure, dpi = ranking_sheet(ranking)
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
    np.testing.assert_array_equal(shown, ranking.examples[0].models["big <net>"])
    assert 120 <= dpi <= 300


def test_squares_do_not_overlap_and_stay_inside_the_figure() -> None:
    """With many models, an example takes several rows."""
    ranking = make_ranking()
    model = ranking.evaluation.models[0]
    models = [replace(model, name=f"model {number}") for number in range(9)]
    examples = [
        replace(one, models={each.name: one.hr for each in models}) for one in ranking.examples
    ]
    evaluation = replace(ranking.evaluation, models=models)
    ranking = replace(ranking, evaluation=evaluation, examples=examples)
    figure, _ = ranking_sheet(ranking)
    boxes = [axis.get_position().bounds for axis in figure.axes]
    assert len(boxes) == 2 * 12
    assert all(x >= 0 and y >= 0 and x + w <= 1 and y + h <= 1 for x, y, w, h in boxes)
    for number, (x, y, w, h) in enumerate(boxes):
        for x2, y2, w2, h2 in boxes[:number]:
            assert x >= x2 + w2 or x2 >= x + w or y >= y2 + h2 or y2 >= y + h


def test_quality_is_drawn_against_each_cost() -> None:
    figure = cost_figure(make_ranking())
    labels = [axis.get_xlabel() for axis in figure.axes]
    assert labels == ["parameters", "multiply-adds for 1280 x 720", "seconds per image"]
    points = [
        [container.lines[0].get_xydata().tolist() for container in axis.containers]
        for axis in figure.axes
    ]
    assert points[0] == [
        [[16_700_000, pytest.approx(93.5 / 3)]],
        [[57_000, pytest.approx(93.4 / 3)]],
    ]
    assert len(points[2]) == 3
    # A model without parameters is a horizontal line.
    lines = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in lines] == [28]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["1. big <net>", "2. small", "3. bicubic"]


def test_axes_on_which_all_costs_are_zero_are_omitted() -> None:
    free = {name: Cost(0, 0, 0.1, 10) for name in COSTS}
    assert [axis.get_xlabel() for axis in cost_figure(make_ranking(free)).axes] == [
        "seconds per image"
    ]


@pytest.mark.parametrize(("channels", "drawn"), [(1, (1, 1)), (3, (1, 1, 3))])
def test_a_square_of_one_pixel_is_drawn(channels: int, drawn: tuple[int, ...]) -> None:
    """A square is a quarter as wide as its image."""
    ranking, pixel = make_ranking(), np.ones((1, 1, channels), np.float32)
    examples = [replace(one, hr=pixel) for one in ranking.examples]
    figure, _ = ranking_sheet(replace(ranking, examples=examples))
    assert figure.axes[1].images[0].get_array().shape == drawn
