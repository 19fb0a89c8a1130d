"""The contents of the figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text

from srkit.evaluation.calibration import LEVELS, REMOVED, Calibration
from srkit.evaluation.class_scores import ClassScores
from srkit.evaluation.classification import Classification
from srkit.evaluation.curves import loss_curves, validation_curves, write_curves
from srkit.evaluation.figures import (
    calibration_figure,
    class_changes,
    class_differences,
    confusion_figure,
    hardest_classes,
    roc_figure,
    summary_bars,
)
from srkit.evaluation.panels import CELL, image_panels
from srkit.evaluation.results import Evaluation, ModelResult
from srkit.report._metric_info import MetricInfo
from srkit.report._pictures import ImageRow
from srkit.report.plotting import colours, png, shorten
from srkit.report.writer import ReportWriter

PSNR = MetricInfo("psnr", "dB", True, "RGB")
RECORDS = [
    {"kind": "validation", "step": 10 * i, "epoch": float(i), "psnr": psnr, "other": 1.0}
    for i, psnr in enumerate([20.0, 25.0, 24.0, float("inf")])
]


def bars(axis: Axes) -> list[BarContainer]:
    return [container for container in axis.containers if isinstance(container, BarContainer)]


def widths(container: BarContainer) -> list[float]:
    return [patch.get_width() for patch in container.patches]


def tick_labels(axis: Axes) -> list[str]:
    return [text.get_text() for text in axis.get_yticklabels()]


def overlapping(figure: Figure, labels: Callable[[], list[Text]]) -> list[tuple[str, str]]:
    """Return the pairs of labels of an axis that overlap."""
    png(figure)
    texts = [text for text in labels() if text.get_text()]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    return [(a, b) for i, (a, x) in enumerate(boxes) for b, y in boxes[:i] if x.overlaps(y)]


def scores(classes: int = 20) -> ClassScores:
    random = np.random.default_rng(0)
    f1 = {name: random.random(classes) for name in ("original", "bilinear", "DarioNet")}
    names = [f"class of ${i}, a long name that nobody can fit in" for i in range(classes)]
    support = np.full(classes, 5)
    return ClassScores(np.arange(classes), names, support, f1, f1)


def two_models() -> Evaluation:
    labels = np.array([0, 1])
    models = [
        ModelResult("original", {"psnr": np.array([np.inf, np.inf])}, np.array([0, 1]), 0.0),
        ModelResult("DarioNet", {"psnr": np.array([26.0, 30.0])}, np.array([0, 0]), 1.0),
    ]
    classes = ["Airedale, Airedale terrier", "hen"]
    return Evaluation("t", ["a.jpg", "b.jpg"], labels, "data set", classes, [PSNR], models, [])


def render(indices: Sequence[int]) -> list[ImageRow]:
    random = np.random.default_rng(0)
    sides = {"original": 64, "LR": 20, "DarioNet": 64}
    return [
        ImageRow(
            {name: random.random((side, side, 3), dtype=np.float32) for name, side in sides.items()}
        )
        for _ in indices
    ]


def test_signed_metrics_are_drawn_with_their_scatter() -> None:
    flux = MetricInfo("flux_error", "mag", False, "", signed=True)
    values = {"biased": [0.1, 0.2, 0.3, np.nan], "blind": [np.nan] * 4}
    models = [ModelResult(n, {"flux_error": np.array(v)}, None, 0.0) for n, v in values.items()]
    (axis,) = summary_bars(Evaluation("t", [], None, "", None, [flux], models, [])).axes
    (container,) = bars(axis)
    assert widths(container) == pytest.approx([0.2, 0.0])
    assert container.errorbar is not None
    ends = container.errorbar.lines[2][0].get_segments()[0]
    assert ends[:, 0] == pytest.approx([0.1, 0.3])
    assert [text.get_text() for text in axis.texts] == ["0.2000", "–"]


def test_the_best_value_of_a_signed_metric_is_nearest_to_zero() -> None:
    records = [
        {"kind": "validation", "step": i, "epoch": float(i), "flux_error": value}
        for i, value in enumerate([-0.3, 0.02, 0.1])
    ]
    flux = MetricInfo("flux_error", "mag", False, "", signed=True)
    figure = validation_curves(records, [flux])
    assert figure is not None
    assert "best 0.02 at 1" in figure.axes[0].get_xlabel()


def test_tick_labels_of_small_numbers_do_not_overlap() -> None:
    info = [MetricInfo(name, "", False, "RGB") for name in ("mse", "mse_minmax", "mae")]
    values = {metric.name: np.array([0.9e-4, 1.1e-4]) for metric in info}
    models = [ModelResult("lens_l2-sample (untuned)", values, None, 0.0)]
    figure = summary_bars(Evaluation("t", ["a", "b"], None, "", None, info, models, []))
    for axis in figure.axes[:3]:
        assert overlapping(figure, axis.get_xticklabels) == []


def test_summary_bars_show_means_and_errors() -> None:
    figure = summary_bars(two_models())
    (axis,) = figure.axes
    (container,) = bars(axis)
    assert widths(container) == [0.0, 28.0]  # no bar can be infinite
    assert [text.get_text() for text in axis.texts] == ["∞", "28.00"]
    assert container.errorbar is not None
    segments = container.errorbar.lines[2][0].get_segments()
    assert segments[1][:, 0].tolist() == pytest.approx([26.0, 30.0])
    assert tick_labels(axis) == ["original", "DarioNet"]


@pytest.mark.parametrize("measure", ["accuracy", "f1"])
def test_class_differences_count_every_class(measure: str) -> None:
    found = scores()
    figure = class_differences(found, measure)
    upper, lower = figure.axes[:2], figure.axes[2:]
    for axis, points, name in zip(upper, lower, ("bilinear", "DarioNet"), strict=True):
        assert axis.get_title() == name
        assert sum(patch.get_height() for patch in axis.patches) == 20
        mean = np.mean(found.f1[name] - found.f1["original"])
        assert axis.texts[0].get_text() == f"mean {mean:+.3f}".replace("-", "−")
        assert len(points.collections[0].get_offsets()) == 20


def test_coinciding_classes_share_a_larger_circle() -> None:
    f1 = {"original": np.array([1.0, 1.0, 0.5]), "DarioNet": np.array([0.5, 0.5, 0.5])}
    found = ClassScores(np.arange(3), ["a", "b", "c"], np.ones(3, dtype=np.int64), f1, f1)
    (circles,) = class_differences(found, "f1").axes[1].collections
    small, large = sorted(circles.get_sizes())
    assert large == 2 * small


def test_the_hardest_classes_come_first() -> None:
    found = scores()
    figure = hardest_classes(found)
    (axis,) = figure.axes
    original, _, dario = bars(axis)
    assert widths(original) == sorted(found.f1["original"])[:12]
    order = np.argsort(found.f1["original"])[:12]
    assert widths(dario) == found.f1["DarioNet"][order].tolist()
    assert tick_labels(axis)[0] == f"class of ${order[0]} (5)"
    assert overlapping(figure, axis.get_yticklabels) == []


def test_class_changes_rank_losses_and_gains() -> None:
    found = scores()
    figure = class_changes(found, "DarioNet", "original")
    falls, rises = figure.axes
    difference = np.sort(found.f1["DarioNet"] - found.f1["original"])
    assert widths(bars(falls)[0]) == difference[difference < 0][:12].tolist()
    assert widths(bars(rises)[0]) == difference[difference > 0][::-1][:12].tolist()
    for axis in (falls, rises):
        assert overlapping(figure, axis.get_yticklabels) == []


def test_class_changes_without_a_gain_have_a_note() -> None:
    f1 = {"original": np.ones(6), "DarioNet": np.linspace(0, 1, 6)}
    names = [str(i) for i in range(6)]
    found = ClassScores(np.arange(6), names, np.ones(6, dtype=np.int64), f1, f1)
    _, rises = class_changes(found, "DarioNet", "original").axes
    assert [text.get_text() for text in rises.texts] == ["no class"]


def test_panels_show_pixels_and_captions() -> None:
    figure, dpi = image_panels(two_models(), [0, 1], render)
    assert dpi * CELL == pytest.approx(max(64, 120 * CELL))
    assert [text.get_text() for text in figure.texts] == [
        "a.jpg: Airedale, Airedale terrier",
        "b.jpg: hen",
    ]
    captions = [axis.texts[0].get_text() for axis in figure.axes]
    assert captions == [
        "original\n✓ Airedale",
        "LR",
        "DarioNet\n✓ Airedale\n26.00 dB",
        "original\n✓ hen",
        "LR",
        "DarioNet\n✗ Airedale\n30.00 dB",
    ]
    low = figure.axes[1].images[0]
    assert low.get_array().shape == (20, 20, 3)
    assert low.get_interpolation() == "nearest"


def test_panels_without_labels_or_predictions_show_only_names() -> None:
    found = two_models()
    models = [ModelResult(m.name, m.values, None, m.seconds) for m in found.models]
    bare = Evaluation("t", found.names, None, "", None, [PSNR], models, [])
    figure, _ = image_panels(bare, [1], render)
    assert figure.texts[0].get_text() == "b.jpg"
    assert figure.axes[2].texts[0].get_text() == "DarioNet\n30.00 dB"


def test_the_crop_contains_the_detail() -> None:
    image = np.zeros((64, 64, 3), dtype=np.float32)
    image[50:60:2, 50:60:2] = 1

    def one_corner(indices: Sequence[int]) -> list[ImageRow]:
        return [ImageRow({"original": image, "LR": image[::4, ::4]}) for _ in indices]

    figure, _ = image_panels(two_models(), [0], one_corner, zoom=True)
    whole, _, crop, low_crop = (axis.images[0].get_array() for axis in figure.axes)
    assert whole.shape == (64, 64, 3)
    assert crop.shape == (16, 16, 3)
    assert crop.sum() == image.sum()
    assert low_crop.shape == (4, 4, 3)


def test_noise_does_not_move_the_crop_from_a_galaxy() -> None:
    y, x = np.mgrid[:128, :128]
    galaxy = np.exp(-((x - 90.0) ** 2 + (y - 30.0) ** 2) / 200)
    sky = np.random.default_rng(0).uniform(0, 0.3, galaxy.shape) * (galaxy < 0.1)
    image = (galaxy + sky).astype(np.float32)[..., None]

    def noisy(indices: Sequence[int]) -> list[ImageRow]:
        return [ImageRow({"original": image}) for _ in indices]

    figure, _ = image_panels(two_models(), [0], noisy, zoom=True)
    assert figure.axes[1].images[0].get_array().max() == pytest.approx(galaxy.max(), abs=0.01)


def test_grey_images_share_black_and_white() -> None:
    def faint(indices: Sequence[int]) -> list[ImageRow]:
        return [ImageRow({"original": np.full((8, 8, 1), 0.2, np.float32)}) for _ in indices]

    figure, _ = image_panels(two_models(), [0], faint)
    shown = figure.axes[0].images[0]
    assert shown.get_clim() == (0, 1)
    assert shown.get_cmap().name == "gray"


def measured(indices: Sequence[int]) -> list[ImageRow]:
    y, x = np.mgrid[:64, :64]
    galaxy = 40 * np.exp(-((x - 32.0) ** 2 + (y - 32.0) ** 2) / 50)
    noisy = galaxy + np.random.default_rng(0).normal(0, 0.1, galaxy.shape)
    hr, blurred = (image.astype(np.float32)[..., None] for image in (noisy, 0.8 * galaxy))
    images = {"original": hr, "LR": hr[::2, ::2], "DarioNet": blurred}
    maps = {"artefacts": {name: np.ones_like(hr) for name in ("original", "DarioNet")}}
    return [ImageRow(images, True, "count / s", 0.1, maps) for _ in indices]


def test_measured_values_have_colour_bars_and_residuals() -> None:
    figure, _ = image_panels(two_models(), [0], measured, zoom=True)
    bars = [axis for axis in figure.axes if axis.get_ylabel() == "count / s"]
    assert [bar.get_yticklabels()[0].get_text() for bar in bars] == ["0", "−5"]
    images = [axis for axis in figure.axes if axis.images]
    assert len(images) == 3 + 3 + 1 + 2  # as they are, enlarged, residual, map
    (row,) = measured([0])
    hr, sr = row.images["original"][..., 0], row.images["DarioNet"][..., 0]
    residual = images[6].images[0]
    np.testing.assert_array_equal(residual.get_array(), sr - hr)
    assert residual.get_clim() == (-np.abs(sr - hr).max(), np.abs(sr - hr).max())
    assert images[0].images[0].get_clim() == (hr.min(), hr.max())
    assert len({axis.images[0].norm for axis in images[:6]}) == 1
    assert all(axis.images[0].origin == "lower" for axis in images)
    assert [t.get_text() for t in images[0].texts] == ["2″"]
    assert images[6].get_ylabel() == "SR − HR"
    assert images[7].get_ylabel() == "artefacts"


def test_a_diverged_network_does_not_hide_the_others() -> None:
    def astray(indices: Sequence[int]) -> list[ImageRow]:
        (row,) = measured([0])
        images = {**row.images, "DarioNet": 1e6 * row.images["DarioNet"]}
        return [ImageRow(images, True, "count / s") for _ in indices]

    figure, _ = image_panels(two_models(), [0], astray)
    original = figure.axes[0].images[0]
    assert original.get_clim()[1] == measured([0])[0].images["original"].max()
    bar = next(axis for axis in figure.axes if axis.get_ylabel() == "count / s")
    assert bar._colorbar.extend == "max"  # type: ignore[attr-defined]


def test_predictions_without_a_name_are_not_shown() -> None:
    found = two_models()
    bare = Evaluation("t", found.names, None, "", None, [PSNR], found.models, [])
    figure, _ = image_panels(bare, [1], render)
    assert figure.axes[2].texts[0].get_text() == "DarioNet\n30.00 dB"


def test_validation_curves_mark_the_best_of_known_metrics() -> None:
    figure = validation_curves(RECORDS, [PSNR])
    assert figure is not None
    psnr, other = figure.axes
    assert psnr.get_title(loc="left") == "psnr"
    assert psnr.lines[0].get_ydata().tolist() == [20.0, 25.0, 24.0]
    assert psnr.get_xlabel() == "epoch  (★ best 25 at 1)"
    assert other.get_xlabel() == "epoch"


def test_scales_are_drawn_in_the_panel_of_their_mean() -> None:
    records = [
        {
            "kind": "validation",
            "step": i,
            "epoch": i,
            "psnr": 25 + i,
            "psnr/x2": 30.0,
            "psnr/x4": 20.0,
        }
        for i in range(3)
    ]
    figure = validation_curves(records, [PSNR])
    assert figure is not None
    (axis,) = figure.axes
    assert axis.get_title(loc="left") == "psnr, mean and each scale"
    drawn = [line.get_ydata()[0] for line in axis.lines[:3]]
    assert drawn == [25, 30, 20]
    assert [text.get_text() for text in axis.texts] == ["x2", "x4"]


def test_sets_are_drawn_in_the_panel_of_the_one_that_selects() -> None:
    values = {"psnr": 25.0, "psnr/set5": 25.0, "psnr/set14": 22.0, "pyiqa/x": 1.0}
    records = [{"kind": "validation", "step": i, "epoch": i, **values} for i in range(3)]
    figure = validation_curves(records, [PSNR])
    assert figure is not None
    axis, other = figure.axes
    assert axis.get_title(loc="left") == "psnr, and on each set"
    assert [text.get_text() for text in axis.texts] == ["set5", "set14"]
    assert other.get_title(loc="left") == "pyiqa/x"


def test_long_loss_curves_have_a_running_mean() -> None:
    values = np.exp(-np.arange(100) / 20)
    records = [{"epoch": i / 10, "loss/total": value} for i, value in enumerate(values)]
    figure = loss_curves(records)
    assert figure is not None
    (axis,) = figure.axes
    raw, mean = axis.lines
    assert len(raw.get_ydata()) == 100
    assert mean.get_ydata()[0] == pytest.approx(values[:5].mean())
    assert axis.get_yscale() == "log"
    png(figure)
    assert not any("$" in text for text in tick_labels(axis))


def test_curves_without_data_are_not_drawn(tmp_path) -> None:
    writer = ReportWriter(tmp_path)
    write_curves([], writer)
    assert not list(tmp_path.iterdir())
    write_curves(RECORDS, writer)
    assert [path.name for path in tmp_path.iterdir()] == ["curves_validation.png"]


def test_names_are_shortened() -> None:
    assert shorten("Airedale, Airedale terrier", 26) == "Airedale, Airedale terrier"
    assert shorten("Airedale, Airedale terrier", 25) == "Airedale"
    assert shorten("a very long name", 8) == "a very…"


def test_the_original_is_grey_and_the_others_differ() -> None:
    chosen = colours(["original", "a", "b", "c", "d", "e", "f", "g"])
    assert chosen["original"] == "#7f7f7f"
    assert len(set(chosen.values())) == 8


def test_each_model_has_its_curves_and_a_line_of_numbers() -> None:
    random = np.random.default_rng(0)
    sigma = random.gamma(2, 1, 2000)
    error = sigma * random.normal(size=2000)
    signal = sigma * random.uniform(0, 100, 2000)
    found = {
        "good": Calibration(error, sigma, signal),
        "bold $ one": Calibration(error, sigma / 2, signal),
    }
    figure = calibration_figure(found)
    coverage, brightness, pulls, sparsification = figure.axes
    shares = brightness.lines[0].get_ydata().astype(float)
    np.testing.assert_allclose(shares, [each.covered for each in found["good"].by_brightness()])
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


def test_many_classes_have_no_labels() -> None:
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


def test_only_the_hardest_of_many_classes_are_drawn() -> None:
    found = classification(20)
    areas = {k: roc.auc for k, roc in found.curves().items()}
    axis = roc_figure(found).axes[0]
    drawn = [float(line.get_label().rpartition(" ")[2]) for line in axis.lines[:-2]]
    assert sorted(drawn) == pytest.approx(sorted(areas.values())[:12], abs=1e-4)
