from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import pytest
from PIL import Image as Pillow
from rich.console import Console
from sweep_setup import PSNR, SHIFT, make_outcome

from srkit.recipe.variants import Variant
from srkit.report._metric_info import MetricInfo
from srkit.studies.sweeps.figures import search_figure, variants_figure
from srkit.studies.sweeps.report import print_sweep, write_sweep
from srkit.studies.sweeps.results import Outcome, Sweep


@pytest.fixture
def sweep() -> Sweep:
    others = {"original": {"psnr": math.inf, "shift": 0.0}, "bicubic": {"psnr": 28.0, "shift": 1.0}}
    outcomes = [
        make_outcome(net, seed, others=others, psnr=base + seed, shift=-0.25)
        for net, base in (("<edsr>", 30.0), ("rrdb", 31.0))
        for seed in (0, 1)
    ]
    broken = Variant("rrdb_seed-2", "rrdb", {"net": "rrdb", "seed": "seed-2"}, {"seed": 2})
    run = Path("sweep/variants/rrdb_seed-2")
    outcomes.append(Outcome(broken, run, reason="the disk is full"))
    return Sweep("mine", [PSNR, SHIFT], outcomes, repeat="seed")


@pytest.fixture
def search() -> Sweep:
    trials = [
        make_outcome("t", i, changes={"training.optimiser.lr": lr, "scale": i}, validated=v, psnr=v)
        for i, (lr, v) in enumerate([(1e-3, 30.0), (1e-2, 29.0), (1e-4, 31.5)])
    ]
    keys = ["training.optimiser.lr"]
    return Sweep("mine", [PSNR], trials, objective=PSNR, logarithmic=keys)


def printed(found: Sweep) -> str:
    console = Console(file=io.StringIO(), width=120)
    print_sweep(found, console)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_printed_table(sweep: Sweep) -> None:
    lines = [" ".join(line.split()) for line in printed(sweep).splitlines()]
    assert lines[1] == "variant psnr [dB] ↑ shift [mas] → 0 seeds"
    assert lines[3:] == [
        "<edsr> 30.50 ± 0.71 -0.2500 ± 0.0000 2",
        "rrdb 31.50 ± 0.71 -0.2500 ± 0.0000 2 of 3",
        "original ∞ 0.0000",
        "bicubic 28.00 1.0000",
        "Mean ± standard deviation over the seeds.",
        "rrdb_seed-2: the disk is full",
    ]


def test_sizes_are_listed_if_they_differ() -> None:
    others = {"bicubic": {"psnr": 28.0}}
    outcomes = [
        make_outcome(name, seed, others=others, parameters=size, psnr=30.0)
        for name, size in (("small", 1_500), ("large", 2_000_000))
        for seed in (0, 1)
    ]
    found = printed(Sweep("mine", [PSNR], outcomes))
    lines = [" ".join(line.split()) for line in found.splitlines()]
    assert lines[1] == "variant psnr [dB] ↑ parameters"
    assert lines[3:6] == [
        "small 30.00 ± 0.00 1.5 K",
        "large 30.00 ± 0.00 2 M",
        "bicubic 28.00",
    ]


def test_sizes_in_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    others = {"bicubic": {"psnr": 28.0}}
    outcomes = [
        make_outcome(name, 0, others=others, parameters=size, psnr=30.0)
        for name, size in (("small", 10), ("large", 20_000))
    ]
    page = write_sweep(Sweep("mine", [PSNR], outcomes), Path("sweep"))
    with Path("sweep/table.csv").open() as file:
        rows = [(row["variant"], row["parameters"]) for row in csv.DictReader(file)]
    assert rows == [("small", "10"), ("large", "20000"), ("bicubic", "")]
    assert "<td>20 K</td>" in page.read_text()


def test_printed_trials_of_a_search(search: Sweep) -> None:
    lines = [" ".join(line.split()) for line in printed(search).splitlines()]
    assert lines[1] == "trial lr scale validation psnr [dB] ↑ psnr [dB] ↑"
    assert lines[3:] == [
        "t_seed-2 0.0001 2 31.50 31.50",
        "t_seed-0 0.001 0 30.00 30.00",
        "t_seed-1 0.01 1 29.00 29.00",
        "Best on the validation images: t_seed-2, psnr 31.50 dB, with "
        "training.optimiser.lr=0.0001, scale=2.",
    ]


def test_files(sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = write_sweep(sweep, Path("sweep"))
    assert page == Path("sweep/report.html")
    with Path("sweep/table.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(row["variant"], row["runs"], row["psnr"]) for row in table] == [
        ("<edsr>", "2", "30.5"),
        ("rrdb", "2", "31.5"),
        ("original", "1", "inf"),
        ("bicubic", "1", "28.0"),
    ]
    assert float(table[0]["psnr/sd"]) == pytest.approx(math.sqrt(0.5))
    with Path("sweep/runs.csv").open() as file:
        runs = list(csv.DictReader(file))
    assert list(runs[0]) == ["run", "variant", "net", "seed", "psnr", "shift", "failure"]
    assert [run["failure"] for run in runs] == ["", "", "", "", "the disk is full"]
    found = json.loads(Path("sweep/table.json").read_text())
    assert found["metrics"]["psnr"]["best"] == ["rrdb"]
    keys = {"unit", "higher_is_better", "protocol", "signed", "best"}
    assert found["metrics"]["psnr"].keys() == keys
    assert found["variants"][1]["standard_deviation"]["psnr"] == pytest.approx(math.sqrt(0.5))
    assert found["references"][0]["mean"]["psnr"] == "inf"
    assert found["runs"][-1] == {
        "name": "rrdb_seed-2",
        "variant": "rrdb",
        "choices": {"net": "rrdb", "seed": "seed-2"},
        "changes": {"seed": 2},
        "mean": {},
        "validation": None,
        "failure": "the disk is full",
        "folder": "variants/rrdb_seed-2",
    }


def test_page(sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = write_sweep(sweep, Path("sweep")).read_text()
    assert 'href="variants/rrdb_seed-0/evaluation/report.html"' in text
    assert 'href="variants/rrdb_seed-2' not in text
    assert "seed=2. No result: the disk is full" in text
    assert "&lt;edsr&gt;" in text
    assert "<edsr>" not in text
    assert "5 runs, 1 without a result." in text
    assert 'src="data:image/png;base64,' in text
    with Pillow.open("sweep/variants.png") as picture:
        assert min(picture.size) > 100


def test_page_of_a_search(search: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = write_sweep(search, Path("sweep")).read_text()
    assert "Best on the validation images: t_seed-2" in text
    assert text.index(">t_seed-2<") < text.index(">t_seed-0<") < text.index(">t_seed-1<")
    assert Path("sweep/search.png").is_file()
    assert not Path("sweep/variants.png").exists()


def test_page_without_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = Path("sweep/variants/a")
    none = Outcome(Variant("a", "a", {}, {}), run, reason="not trained yet")
    text = write_sweep(Sweep("mine", [PSNR], [none]), Path("sweep")).read_text()
    assert "the recipe without changes. No result: not trained yet" in text
    assert not Path("sweep/variants.png").exists()


def test_runs_are_dots_and_other_models_are_lines(sweep: Sweep) -> None:
    axis = variants_figure(sweep).axes[0]
    dots = [line.get_xdata().tolist() for line in axis.lines if line.get_marker() == "o"]
    assert [sorted(x) for x in dots] == [[30.0, 31.0], [31.0, 32.0]]
    dashed = [line for line in axis.lines if line.get_linestyle() == "--"]
    assert [(line.get_label(), line.get_xdata()) for line in dashed] == [("bicubic", [28.0, 28.0])]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["<edsr>", "rrdb"]


def test_logarithmic_axes(search: Sweep) -> None:
    axes = search_figure(search).axes
    assert [axis.get_xscale() for axis in axes] == ["log", "linear"]
    assert [axis.get_xlabel() for axis in axes] == ["training.optimiser.lr", "scale"]


@pytest.mark.parametrize("objective", [PSNR, SHIFT])
def test_diverged_trial_is_drawn_at_the_edge(objective: MetricInfo) -> None:
    sign = 1 if objective.higher_is_better else -1
    values = [30.0, 31.0, 32.0, 33.0, 34.0, -1e6]
    trials = [
        make_outcome("t", i, changes={"scale": i}, validated=sign * v, psnr=1.0)
        for i, v in enumerate(values)
    ]
    axis = search_figure(Sweep("mine", [PSNR], trials, objective=objective)).axes[0]
    quartile = 30.25  # of 31 and 30, a quarter of the way
    hollow = next(line for line in axis.lines if line.get_fillstyle() == "none")
    assert hollow.get_ydata().tolist() == [sign * (quartile - (34 - quartile))]
    (points,) = axis.collections
    assert points.get_offsets()[:, 1].tolist() == [sign * v for v in values[:5]]
