"""Restored compressed LR, compared with compressed HR of equal file size."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from command_line import Srkit
from compression_setup import QUALITIES, measured, tree_of
from rich.console import Console
from srkit_photos.formats.pillow_formats import Avif
from training_setup import Tree
from yaml import safe_dump

from srkit.components.registry import Registry
from srkit.errors import DataError, PluginError, RecipeError, SrkitError, WeightsError
from srkit.evaluation.evaluator import Evaluator
from srkit.recipe.files import load_tree
from srkit.recipe.recipe import parse_recipe
from srkit.recipe.trees import merge
from srkit.studies.compression import measure as compression
from srkit.studies.compression.results import HR, Compression


def pillow(levels: np.ndarray, kind: str, **options: Any) -> tuple[int, np.ndarray]:
    """Compress with Pillow, and return the size of the file and the decoded image."""
    content = io.BytesIO()
    PIL.Image.fromarray(levels).save(content, kind, **options)
    with PIL.Image.open(content) as picture:
        return len(content.getvalue()), np.array(picture)


def test_every_setting_is_measured(found: Compression) -> None:
    names = [str(setting) for setting in found.settings]
    assert names[:3] == ["original", "bilinear", "small"]
    models = ["bilinear", "small", HR]
    assert names[3:] == [
        f"{form}/{quality}/{model}"
        for form in ("jpeg", "webp")
        for quality in QUALITIES
        for model in models
    ]
    assert [image["name"] for image in found.images] == [f"{k:02d}.png" for k in range(5)]
    assert all(image["pixels"] == 48 * 48 for image in found.images)
    assert all(
        image["settings"]["original"]["values"]["psnr"] == math.inf for image in found.images
    )


def test_hr_equals_that_of_pillow(found: Compression, pictures: Path) -> None:
    """An independent search over all qualities finds the same file and PSNR."""
    for image in found.images[:2]:
        settings = image["settings"]
        with PIL.Image.open(pictures / image["name"]) as picture:
            levels = np.array(picture)
        sizes = {q: pillow(levels, "JPEG", quality=q, optimize=True) for q in range(1, 101)}
        budget = settings["jpeg/90/bilinear"]["bytes"]
        assert settings["jpeg/90/HR"]["reached"] is True
        best = max(q for q, (size, _) in sizes.items() if size <= budget)
        size, decoded = sizes[best]
        assert settings["jpeg/90/HR"]["bytes"] == size
        error = np.mean((levels / 255 - decoded / 255) ** 2)
        psnr = settings["jpeg/90/HR"]["values"]["psnr"]
        assert psnr == pytest.approx(-10 * np.log10(error), abs=1e-3)


def test_sizes_and_quality_increase(found: Compression) -> None:
    for (_, model), curve in found.curves().items():
        if model != "small":  # which is not trained yet
            assert curve[-1].values["psnr"] > curve[0].values["psnr"]
        if model != HR:
            assert [point.setting.quality for point in curve] == QUALITIES
    for image in found.images:
        for key, one in image["settings"].items():
            lr = image["settings"][key.replace("/HR", "/bilinear")]
            assert (one["bytes"] <= lr["bytes"]) == one["reached"]


def test_interrupted_measurement_is_resumed(
    pictures: Path, trained: Path, registry: Registry, found: Compression, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    last = trained / "checkpoints" / "last.safetensors"
    (folder / "checkpoints" / "last.safetensors").write_bytes(last.read_bytes())
    asked: list[list[int]] = []
    plain = Evaluator.evaluate

    def evaluate(self: Evaluator, *args: Any, indices: Any, **more: Any) -> Any:
        if len(asked) == 1:
            asked.clear()
            raise KeyboardInterrupt
        asked.append(list(indices))
        return plain(self, *args, indices=indices, **more)

    monkeypatch.setattr(Evaluator, "evaluate", evaluate)
    with pytest.raises(KeyboardInterrupt):
        measured(tree_of(pictures), folder, registry)
    journal = folder / "compression" / "images.jsonl"
    journal.write_text(journal.read_text() + '{"index": 2, "na')

    def noted(self: Evaluator, *args: Any, indices: Any, **more: Any) -> Any:
        asked.append(list(indices))
        return plain(self, *args, indices=indices, **more)

    monkeypatch.setattr(Evaluator, "evaluate", noted)
    text = io.StringIO()
    again = measured(tree_of(pictures), folder, registry, text)
    assert asked == [[2, 3], [4]]
    assert "resumes after 2 of 5 images" in " ".join(text.getvalue().split())
    assert again.images == found.images

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
    assert "overwriting results of other images" in " ".join(text.getvalue().split())


def test_each_of_several_sets_has_its_results(
    pictures: Path, trained: Path, registry: Registry, tmp_path: Path
) -> None:
    labels = str(pictures.with_suffix(".csv"))
    one = {"dataset": {"type": "image_folder", "root": str(pictures), "labels": labels, "stop": 1}}
    changes: Tree = {
        "data": {"test": {"first": one, "second": one}},
        "evaluation": {"compression": {"formats": ["jpeg"]}},
    }
    recipe = parse_recipe(tree_of(pictures, changes), "test.yaml")
    console = Console(file=io.StringIO())
    results = compression.measure_compression(
        recipe, registry, trained, source="test.yaml", console=console, out=tmp_path
    )
    assert [(found.title, folder) for found, folder in results] == [
        (f"{recipe.name}: {name}", tmp_path / name) for name in ("first", "second")
    ]
    assert results[0][0].images == results[1][0].images
    assert len(results[0][0].images) == 1


def test_unavailable_format_is_skipped(
    pictures: Path, trained: Path, registry: Registry, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def absent(self: Avif) -> None:
        raise PluginError("this Pillow cannot read AVIF; pip install -U pillow")

    monkeypatch.setattr(Avif, "__init__", absent)
    few = {"evaluation": {"compression": {"formats": ["avif", "jpeg"]}}}
    monkeypatch.setattr(compression, "_measure", lambda *given: [])
    found = measured(tree_of(pictures, few), trained, registry)
    assert found.notes == ["avif is skipped: this Pillow cannot read AVIF; pip install -U pillow"]
    assert {setting.format for setting in found.settings} == {"", "jpeg"}
    alone = {"evaluation": {"compression": {"formats": ["avif"]}}}
    with pytest.raises(RecipeError) as caught:
        measured(tree_of(pictures, alone), trained, registry)
    assert caught.value.problems == [
        "evaluation.compression.formats: none is available; avif is skipped: this Pillow cannot "
        "read AVIF; pip install -U pillow"
    ]


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        (
            {"evaluation": {"compression": {"formats": ["png", "jpg"]}}},
            [
                "evaluation.compression.formats.0: 'png' is lossless; choose jpeg, webp or avif",
                "evaluation.compression.formats.1: unknown image format 'jpg'; did "
                "you mean 'jpeg'?",
            ],
        ),
        ({"data": {"test": None}}, ["data.test: missing; there is nothing to compress"]),
        ({"metrics": {"psnr": None, "accuracy": None}},
         ["metrics: missing; add a metric such as psnr"]),
    ],
)  # fmt: skip
def test_errors_in_the_recipe(
    pictures: Path, trained: Path, registry: Registry, change: Tree, problems: list[str]
) -> None:
    with pytest.raises(RecipeError) as caught:
        measured(tree_of(pictures, change), trained, registry)
    assert caught.value.problems == problems


@pytest.mark.parametrize(
    ("key", "values"), [("qualities", [90, 50, 50, 95]), ("formats", ["jpeg", "webp", "jpeg"])]
)
def test_error_for_repeated_values(pictures: Path, key: str, values: list[Any]) -> None:
    twice = {"evaluation": {"compression": {key: values}}}
    with pytest.raises(RecipeError) as caught:
        parse_recipe(tree_of(pictures, twice), "test.yaml")
    (problem,) = caught.value.problems
    assert problem.startswith(f"evaluation.compression.{key}: ")
    assert str(max(values, key=values.count)) in problem


def test_error_without_weights(pictures: Path, tmp_path: Path, registry: Registry) -> None:
    with pytest.raises(WeightsError) as caught:
        measured(tree_of(pictures), tmp_path / "none", registry)
    assert str(caught.value) == (
        f"{tmp_path / 'none'}: contains no checkpoint, and the recipe names no weights; train "
        "first, set --run, or set start.weights"
    )


def test_error_for_values_outside_0_to_1(
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
        "a.tif: its values are not in [0, 1]; only such images can be compressed"
    )


def test_command_without_training(
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


def test_error_for_several_processes(
    pictures: Path, trained: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Two:
        num_processes = 2

    monkeypatch.setattr(compression, "set_up_process", lambda *given: Two())
    message = "^--task compression runs in a single process; start it without others$"
    with pytest.raises(SrkitError, match=message):
        measured(tree_of(pictures), trained, registry)
