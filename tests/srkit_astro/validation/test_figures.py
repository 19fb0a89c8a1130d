from __future__ import annotations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from srkit_astro.validation.figures import _ends, completeness_figure, pairs_figure
from srkit_astro.validation.results import Results, Row
from srkit_astro.validation.study import Settings


def test_the_axis_leaves_out_the_faintest_detections() -> None:
    counts = {25.0: 2, 25.5: 60, 26.0: 36, 31.0: 1, 34.5: 1}
    rows: list[Row] = [
        {"bright": bright, "faint": bright + 0.5, "count": count}
        for bright, count in counts.items()
    ]
    assert _ends(rows) == (24.5, 27.0)
    assert _ends(rows[:1]) == (24.5, 26.0)


@pytest.mark.parametrize("model", ["sky_x2", "a_network_whose_run_has_a_long_name"])
def test_the_legend_fits_into_the_figure(model: str) -> None:
    methods = ["LR", "bicubic", "lanczos", "richardson_lucy", model]
    settings = Settings((3.0, 10.0), 1, 1, 5.0, 0)
    results = Results("title", [], methods, settings, None, None, {}, [])
    for draw in (pairs_figure, completeness_figure):
        figure = draw(results)
        FigureCanvasAgg(figure).draw()
        (legend,) = figure.legends
        box = legend.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width
        assert [text.get_text() for text in legend.get_texts()] == methods
