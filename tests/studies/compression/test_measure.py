"""LR compressed and restored, beside HR of as many bytes."""

from __future__ import annotations

import csv
import html
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from command_line import Srkit
from rich.console import Console
from srkit_photos.formats.pillow_formats import Avif, Jpeg, WebP
from training_setup import TEACHER, Tree, make_pictures, make_tree, run, steps
from yaml import safe_dump

from srkit.components.registry import Registry
from srkit.errors import DataError, PluginError, RecipeError, SrkitError, WeightsError
from srkit.evaluation.examiner import Examiner
from srkit.interfaces import Batch, LossyFormat
from srkit.recipe.files import load_tree
from srkit.recipe.recipe import parse_recipe
from srkit.recipe.trees import merge
from srkit.studies.compression import measure as compression
from srkit.studies.compression.bjontegaard import RateCurve, delta_quality
from srkit.studies.compression.measure import (
    HR,
    Codec,
    Compression,
    best_quality,
    compare_compressed,
)
from srkit.studies.compression.report import (
    comparisons,
    notes,
    print_compression,
    write_compression,
)

QUALITIES = [20, 50, 90]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=5, side=48)


@pytest.fixture(scope="module")
def trained(pictures: Path, tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Path:
    """Train a step, to be evaluated."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    run(make_tree(pictures, steps(1)), folder, registry)
    return folder


def tree_of(pictures: Path, *changes: Tree) -> Tree:
    dataset = {
        "type": "image_folder",
        "root": str(pictures),
        "labels": str(pictures.with_suffix(".csv")),
    }
    asked = {
        "data": {"test": {"dataset": dataset}},
        "metrics": {"psnr": {}, "accuracy": {}},
        "teachers": TEACHER,
        "evaluation": {
            "baselines": ["original", "bilinear"],
            "batch_size": 2,
            "compression": {"formats": ["jpeg", "webp"], "qualities": QUALITIES},
        },
    }
    return make_tree(pictures, asked, *changes)


def measured(
    tree: Tree,
    folder: Path,
    registry: Registry,
    text: io.StringIO | None = None,
    out: Path | None = None,
) -> Any:
    console = Console(file=text or io.StringIO(), width=120)
    recipe = parse_recipe(tree, "test.yaml")
    [found] = compare_compressed(
        recipe, registry, folder, source="test.yaml", console=console, out=out
    )
    return found


@pytest.fixture(scope="module")
def found(pictures: Path, trained: Path, registry: Registry) -> Compression:
    compared: Compression = measured(tree_of(pictures), trained, registry)[0]
    return compared


def pillow(levels: np.ndarray, kind: str, **options: Any) -> tuple[int, np.ndarray]:
    """Compress as Pillow does, by its own calls: bytes, and what comes back."""
    content = io.BytesIO()
    PIL.Image.fromarray(levels).save(content, kind, **options)
    with PIL.Image.open(content) as picture:
        return len(content.getvalue()), np.array(picture)


def test_every_way_to_spend_bytes_is_measured(found: Compression) -> None:
    names = [str(arm) for arm in found.arms]
    assert names[:3] == ["original", "bilinear", "small"]
    models = ["bilinear", "small", HR]
    assert names[3:] == [
        f"{form}/{quality}/{model}"
        for form in ("jpeg", "webp")
        for quality in QUALITIES
        for model in models
    ]
    assert [row["name"] for row in found.rows] == [f"{k:02d}.png" for k in range(5)]
    assert all(row["pixels"] == 48 * 48 for row in found.rows)
    assert all(row["values"]["original"]["psnr"] == math.inf for row in found.rows)


def test_hr_is_what_pillow_makes_of_it(found: Compression, pictures: Path) -> None:
    """An independent search over all qualities finds the same file and PSNR."""
    for row in found.rows[:2]:
        with PIL.Image.open(pictures / row["name"]) as picture:
            levels = np.array(picture)
        sizes = {q: pillow(levels, "JPEG", quality=q, optimize=True) for q in range(1, 101)}
        budget = row["sizes"]["jpeg/90/bilinear"]
        assert row["reached"]["jpeg/90/HR"] is True
        best = max(q for q, (size, _) in sizes.items() if size <= budget)
        size, decoded = sizes[best]
        assert row["sizes"]["jpeg/90/HR"] == size
        error = np.mean((levels / 255 - decoded / 255) ** 2)
        assert row["values"]["jpeg/90/HR"]["psnr"] == pytest.approx(-10 * np.log10(error), abs=1e-3)


def test_sizes_and_quality_rise(found: Compression) -> None:
    for (_, model), curve in found.curves().items():
        if model != "small":  # a network of one step
            assert curve[-1].values["psnr"] > curve[0].values["psnr"]
        if model != HR:
            assert [point.arm.quality for point in curve] == QUALITIES
    for row in found.rows:
        for key, reached in row["reached"].items():
            lr = row["sizes"][key.replace("/HR", "/bilinear")]
            assert (row["sizes"][key] <= lr) == reached


def test_deltas_are_against_hr_of_the_format(found: Compression) -> None:
    curves = found.curves()
    for one in comparisons(found):
        name = one.metric.name
        first, second = (
            RateCurve([p.size for p in curve], [p.values[name] for p in curve])
            for curve in (curves[one.format, HR], curves[one.format, one.model])
        )
        assert one.quality == delta_quality(first, second)
    assert {(one.format, one.model) for one in comparisons(found)} == {
        (form, model) for form in ("jpeg", "webp") for model in ("bilinear", "small")
    }


def test_the_files(found: Compression, tmp_path: Path) -> None:
    page = write_compression(found, tmp_path)
    with (tmp_path / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found.arms)
    point = found.points()[-1]
    assert float(rows[-1]["bytes"]) == pytest.approx(point.size)
    assert float(rows[-1]["bits_per_hr_pixel"]) == pytest.approx(8 * point.size / 48**2)
    assert float(rows[-1]["psnr"]) == pytest.approx(point.values["psnr"])
    told = json.loads((tmp_path / "compression.json").read_text())
    assert told["points"][0]["psnr"] == "inf"
    assert {row["metric"] for row in told["deltas"]} == {"psnr", "accuracy"}
    with (tmp_path / "per_image.csv").open(newline="") as file:
        each = list(csv.DictReader(file))
    assert len(each) == 5 * len(found.arms)
    mean = np.mean([float(row["psnr"]) for row in each[len(found.arms) - 1 :: len(found.arms)]])
    assert mean == pytest.approx(point.values["psnr"])
    with PIL.Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 600
    text = page.read_text()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", text), "the page is not self-contained"
    for line in notes(found):
        assert html.escape(line.partition(":")[0]).replace("&#x27;", "&#39;") in text


def test_missing_deltas_have_their_reason(found: Compression) -> None:
    rows = [
        {**row, "values": {key: {**each, "psnr": 7.0} for key, each in row["values"].items()}}
        for row in found.rows
    ]
    flat = Compression(found.title, found.metrics, rows, found.arms, [])
    (line,) = [line for line in notes(flat) if re.match("no delta of bytes by psnr\\b", line)]
    assert line.endswith(" for every curve: the values do not change one way with the rate")
    assert not any(line.startswith("no delta of psnr ") for line in notes(flat))


def test_floors_have_a_line_for_each_format(found: Compression) -> None:
    rows = [
        {**row, "reached": {key: "webp" not in key or "90" in key for key in row["reached"]}}
        for row in found.rows[:4]
    ]
    low = Compression(found.title, found.metrics, rows, found.arms, [])
    assert notes(low)[0] == (
        "webp: HR is larger than LR's file even at quality 1, which was taken, at LR's quality (of "
        "so many of 4 pictures) 20 (4), 50 (4); raise evaluation.compression.qualities"
    )


def test_what_is_printed(found: Compression) -> None:
    text = io.StringIO()
    print_compression(found, Console(file=text, width=120))
    lines = [" ".join(line.split()) for line in text.getvalue().splitlines()]
    point = found.points()[-1]
    assert f"webp 90: HR {point.size:.0f} {point.values['psnr']:.2f}" in "\n".join(lines)
    assert any(line.startswith("webp small ") for line in lines)


def test_goes_on_where_it_was_interrupted(
    pictures: Path, trained: Path, registry: Registry, found: Compression, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    last = trained / "checkpoints" / "last.safetensors"
    (folder / "checkpoints" / "last.safetensors").write_bytes(last.read_bytes())
    asked: list[list[int]] = []
    plain = Examiner.examine

    def examine(self: Examiner, *args: Any, indices: Any, **more: Any) -> Any:
        if len(asked) == 1:
            asked.clear()
            raise KeyboardInterrupt
        asked.append(list(indices))
        return plain(self, *args, indices=indices, **more)

    monkeypatch.setattr(Examiner, "examine", examine)
    with pytest.raises(KeyboardInterrupt):
        measured(tree_of(pictures), folder, registry)
    journal = folder / "compression" / "images.jsonl"
    journal.write_text(journal.read_text() + '{"index": 2, "na')

    def noted(self: Examiner, *args: Any, indices: Any, **more: Any) -> Any:
        asked.append(list(indices))
        return plain(self, *args, indices=indices, **more)

    monkeypatch.setattr(Examiner, "examine", noted)
    text = io.StringIO()
    again = measured(tree_of(pictures), folder, registry, text)[0]
    assert asked == [[2, 3], [4]]
    assert "goes on after 2 of 5 images" in " ".join(text.getvalue().split())
    assert again.rows == found.rows

    asked.clear()
    measured(tree_of(pictures), folder, registry)
    assert asked == []
    fewer = {"evaluation": {"compression": {"formats": ["jpeg"]}}}
    kept = journal.read_bytes()
    measured(tree_of(pictures, fewer), folder, registry, out=tmp_path / "jpeg")
    assert asked == [[0, 1], [2, 3], [4]]
    assert journal.read_bytes() == kept
    text = io.StringIO()
    measured(tree_of(pictures, fewer), folder, registry, text)
    assert "replaces the results of other images" in " ".join(text.getvalue().split())


@pytest.mark.parametrize(
    ("sizes", "budget", "expected"),
    [
        (lambda q: 10 * q, 555, (55, True)),
        (lambda q: 10 * q, 5000, (100, True)),
        (lambda q: 10 * q, 10, (1, True)),
        (lambda q: 10 * q, 9, (1, False)),
    ],
)
def test_bisection(sizes: Any, budget: int, expected: tuple[int, bool]) -> None:
    asked: list[int] = []

    def size_at(quality: int) -> int:
        asked.append(quality)
        return int(sizes(quality))

    assert best_quality(size_at, budget) == expected
    assert len(asked) <= 9
    assert expected[0] in asked


@pytest.mark.parametrize("form", [Jpeg, WebP, Avif])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossy_formats(form: Any, channels: int) -> None:
    if form is Avif:
        pytest.importorskip("PIL._avif")
    built = form()
    assert isinstance(built, LossyFormat)
    y, x = torch.meshgrid(torch.linspace(0, 1, 40), torch.linspace(0, 1, 52), indexing="ij")
    smooth = torch.stack([x, y, (x + y) / 2])[:channels]
    codec = Codec("it", built)
    batch = Batch(["a"], smooth[None], [0], lr=smooth[None])
    for quality in (20, 95):
        decoded = codec.through(batch, quality).lr
        assert decoded is not None
        assert decoded.shape == smooth[None].shape
        assert (decoded[0] - smooth).abs().mean() < 0.03
    assert codec.sizes["LR", 20, "a"] < codec.sizes["LR", 95, "a"]
    # The same picture at another scale is another LR.
    half = smooth[None, :, ::2, ::2]
    smaller = codec.through(Batch(["a"], smooth[None], [0], lr=half), 95).lr
    assert smaller is not None and smaller.shape == half.shape


def test_a_format_that_is_not_here_is_left_out(
    pictures: Path, trained: Path, registry: Registry, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def absent(self: Avif) -> None:
        raise PluginError("this Pillow cannot read AVIF; pip install -U pillow")

    monkeypatch.setattr(Avif, "__init__", absent)
    few = {"evaluation": {"compression": {"formats": ["avif", "jpeg"]}}}
    monkeypatch.setattr(compression, "_measure", lambda *given: [])
    told = measured(tree_of(pictures, few), trained, registry)[0]
    assert told.notes == ["avif is left out: this Pillow cannot read AVIF; pip install -U pillow"]
    assert {arm.format for arm in told.arms} == {"", "jpeg"}
    alone = {"evaluation": {"compression": {"formats": ["avif"]}}}
    with pytest.raises(RecipeError) as caught:
        measured(tree_of(pictures, alone), trained, registry)
    assert caught.value.problems == [
        "evaluation.compression.formats: none is here; avif is left out: this Pillow cannot read "
        "AVIF; pip install -U pillow"
    ]


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        (
            {"evaluation": {"compression": {"formats": ["png", "jpg"]}}},
            [
                "evaluation.compression.formats.0: 'png' loses nothing; name jpeg, webp or avif",
                "evaluation.compression.formats.1: unknown image format 'jpg'; did "
                "you mean 'jpeg'?",
            ],
        ),
        ({"data": {"test": None}}, ["data.test: missing; there is nothing to compress"]),
        ({"metrics": {"psnr": None, "accuracy": None}},
         ["metrics: missing; name what to measure, such as psnr"]),
    ],
)  # fmt: skip
def test_recipes_that_cannot_be_compressed(
    pictures: Path, trained: Path, registry: Registry, change: Tree, problems: list[str]
) -> None:
    with pytest.raises(RecipeError) as caught:
        measured(tree_of(pictures, change), trained, registry)
    assert caught.value.problems == problems


@pytest.mark.parametrize(
    ("key", "given"), [("qualities", [90, 50, 50, 95]), ("formats", ["jpeg", "webp", "jpeg"])]
)
def test_what_stands_twice(pictures: Path, key: str, given: list[Any]) -> None:
    twice = {"evaluation": {"compression": {key: given}}}
    with pytest.raises(RecipeError) as caught:
        parse_recipe(tree_of(pictures, twice), "test.yaml")
    (problem,) = caught.value.problems
    assert problem.startswith(f"evaluation.compression.{key}: ")
    assert problem.endswith("stands twice; leave one out")


def test_nothing_to_restore_with(pictures: Path, tmp_path: Path, registry: Registry) -> None:
    with pytest.raises(WeightsError) as caught:
        measured(tree_of(pictures), tmp_path / "none", registry)
    assert str(caught.value) == (
        f"{tmp_path / 'none'}: holds no checkpoint, and the recipe names no weights; train first, "
        "set --run, or name start.weights"
    )


def test_values_that_are_no_picture(
    pictures: Path, trained: Path, registry: Registry, tmp_path: Path
) -> None:
    import tifffile

    (tmp_path / "frames").mkdir()
    values = np.random.default_rng(0).normal(0, 50, (48, 48, 3)).astype(np.float32)
    tifffile.imwrite(tmp_path / "frames" / "a.tif", values, photometric="rgb")
    tree = tree_of(pictures, {"metrics": {"accuracy": None}, "teachers": None})
    tree["data"]["test"] = {"dataset": {"type": "image_folder", "root": str(tmp_path / "frames")}}
    tree["teachers"] = {}
    with pytest.raises(DataError) as caught:
        measured(tree, trained, registry)
    assert str(caught.value) == (
        "a.tif: its values are not in [0, 1]; only pictures can be compressed"
    )


def test_the_command_line_needs_no_training(
    srkit: Srkit, pictures: Path, trained: Path, tmp_path: Path
) -> None:
    tree = merge(tree_of(pictures), {"start": {"weights": str(trained)}})
    tree["evaluation"]["compression"] = {"formats": ["jpeg"], "qualities": QUALITIES}
    (tmp_path / "small.yaml").write_text(safe_dump(tree))
    assert load_tree(tmp_path / "small.yaml")["name"] == "small"
    done = srkit("eval", "small.yaml", "--task", "compression")
    assert done.status == 0, done.err
    assert "first (untuned)" in done.out
    assert done.out.endswith("report: runs/small/compression/compression.html\n")
    assert (tmp_path / "runs/small/compression/curves.png").is_file()


def test_one_process_only(
    pictures: Path, trained: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Two:
        num_processes = 2

    monkeypatch.setattr(compression, "set_up_process", lambda *given: Two())
    message = "^--task compression runs in one process; start it without others$"
    with pytest.raises(SrkitError, match=message):
        measured(tree_of(pictures), trained, registry)
