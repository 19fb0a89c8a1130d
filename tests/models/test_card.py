"""Model cards: the header for the hub, and the text."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import Srkit
from huggingface_hub import ModelCard
from network_setup import save_network
from training_setup import Tree, make_pictures, make_tree, run, steps, validated

from srkit.components.registry import Registry
from srkit.errors import DataError, OutputError
from srkit.models.card import card, write_folder
from srkit.models.open import open_model
from srkit.recipe.trees import merge


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Path:
    """A run with a stretch and everything that a card describes."""
    pictures = make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=4)
    changes: Tree = {
        "description": "A small one\nfor tests.",
        "stretch": {"type": "asinh", "peak": 2.0},
        "degradation": [{"type": "bicubic"}, {"type": "jpeg", "quality": [60, 90]}],
        "sample": {"training": {"duration": 1}},
    }
    tree = merge(make_tree(pictures, validated(pictures), changes), steps(2, ema=0.5))
    return run(tree, tmp_path_factory.mktemp("runs") / "mine", registry).parent.parent


@pytest.fixture(scope="module")
def evaluated(folder: Path) -> dict[str, Any]:
    """A table beside the run, as `srkit eval` writes it, and panels."""
    table: dict[str, Any] = {
        "title": "small",
        "images": 4,
        "metrics": {
            "psnr": {"unit": "dB", "higher_is_better": True, "protocol": "all channels"},
            "flux_error": {
                "unit": "mag", "higher_is_better": False, "signed": True, "protocol": "sums",
            },
        },
        "models": [
            {
                "model": name,
                "mean": {"psnr": psnr, "flux_error": flux},
                "standard_error": {"psnr": error, "flux_error": None},
            }
            for name, psnr, error, flux in (
                ("original", "inf", None, 0.0),
                ("bicubic", 23.456, 0.1234, 0.25),
                ("small", 31.25, 0.5, -0.125),
            )
        ],
        "notes": ["A note."],
    }  # fmt: skip
    (folder / "evaluation").mkdir(exist_ok=True)
    (folder / "evaluation" / "table.json").write_text(json.dumps(table))
    (folder / "evaluation" / "panels.png").write_bytes(b"a picture")
    return table


def written(folder: Path, out: Path, registry: Registry, **given: Any) -> str:
    write_folder(str(folder), out, registry, **given)
    return (out / "README.md").read_text("utf-8")


def test_the_header_for_the_hub(
    folder: Path, evaluated: dict[str, Any], tmp_path: Path, registry: Registry
) -> None:
    text = written(
        folder, tmp_path / "out", registry, repository="me/rrdb_mini", licence="Apache-2.0"
    )
    data = ModelCard(text).data
    assert (data.license, data.library_name) == ("apache-2.0", "srkit")
    assert data.pipeline_tag == "image-to-image"
    assert data.tags == [
        "super-resolution", "image-super-resolution", "x2", "rrdb", "astronomy"
    ]  # fmt: skip
    found = [
        (each.task_type, each.dataset_type, each.dataset_name, each.metric_type, each.metric_value)
        for each in data.eval_results
    ]
    assert found == [
        ("image-to-image", "image_folder", "small", "psnr", 31.25),
        ("image-to-image", "image_folder", "small", "flux_error", -0.125),
    ]
    assert data.model_name == "rrdb_mini"


def test_the_header_has_the_results_on_each_of_several_sets(
    folder: Path, evaluated: dict[str, Any], tmp_path: Path, registry: Registry
) -> None:
    psnr = evaluated["metrics"]["psnr"]
    table = {
        **evaluated,
        "sets": {"set5": {"images": 5}, "set14": {"images": 14}},
        "metrics": {"psnr/set5": psnr, "psnr/set14": psnr},
        "models": [
            {
                "model": "small",
                "mean": {"psnr/set5": 31.0, "psnr/set14": 28.0},
                "standard_error": {"psnr/set5": None, "psnr/set14": None},
            }
        ],
    }
    path = folder / "evaluation" / "table.json"
    path.write_text(json.dumps(table))
    data = ModelCard(written(folder, tmp_path / "out", registry)).data
    path.write_text(json.dumps(evaluated))
    found = [(each.dataset_name, each.metric_type, each.metric_value) for each in data.eval_results]
    assert found == [("set5", "psnr", 31.0), ("set14", "psnr", 28.0)]
    assert data.metrics == ["psnr"]


def test_the_text_of_the_card(
    folder: Path, evaluated: dict[str, Any], tmp_path: Path, registry: Registry
) -> None:
    text = written(folder, tmp_path / "out", registry, repository="me/rrdb_mini")
    lines = text.splitlines()
    assert "# rrdb_mini" in lines
    assert any(line.startswith("A small one for tests. A super-resolution") for line in lines)
    assert "srkit upscale INPUT -m hf:me/rrdb_mini" in lines
    assert "| Scale | x2 |" in lines
    degraded = "`bicubic` (quantize: false, antialias: true), then `jpeg` (quality: [60, 90])"
    assert f"| Degradation | {degraded} |" in lines
    assert '| Losses | `l1` (channel: "rgb", weight: 1.0) |' in lines
    assert "| Steps | 2 of 2 steps, batches of 4 |" in lines
    assert "| Averaged weights | decay 0.5 per step |" in lines
    assert "On 4 images of `image_folder`: mean ± standard error." in lines
    table = lines.index("|  | psnr [dB] ↑ | flux_error [mag] → 0 |")
    assert lines[table + 1 : table + 5] == [
        "| --- | ---: | ---: |",
        "| original | ∞ | 0 |",
        "| bicubic | 23.46 ± 0.12 | 0.25 |",
        "| small | 31.25 ± 0.5 | -0.125 |",
    ]
    assert "- A note." in lines
    assert "![" in text
    assert (tmp_path / "out" / "preview.png").read_bytes() == b"a picture"
    recipe = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    assert recipe["data"]["train"]["dataset"]["root"] == "pictures"  # not where it lay
    assert "sample" not in recipe
    assert str(folder.parent) not in text


def test_the_card_contains_the_validation_of_the_run(
    folder: Path, tmp_path: Path, registry: Registry
) -> None:
    results = folder / "validation" / "validation.json"
    results.parent.mkdir()
    summary = {"caption": "Of stars.", "columns": ["", "false"], "rows": [["LR", "0"], ["me", "2"]]}
    results.write_text(json.dumps({"summary": summary, "noise": []}))
    lines = written(folder, tmp_path / "out", registry).splitlines()
    start = lines.index("## Validation")
    assert lines[start + 2 : start + 8] == [
        "Of stars.",
        "",
        "|  | false |",
        "| --- | ---: |",
        "| LR | 0 |",
        "| me | 2 |",
    ]
    results.write_text(json.dumps({"summary": {**summary, "rows": [["LR"]]}}))
    with pytest.raises(DataError) as caught:
        written(folder, tmp_path / "other", registry)
    assert str(caught.value) == (
        f"{results}: cannot be read (a row of the summary has not as many cells as there are "
        "columns); validate the run again"
    )
    shutil.rmtree(results.parent)


def test_a_published_model_states_its_licence(tmp_path: Path, registry: Registry) -> None:
    write_folder("rrdb_small_x4", tmp_path / "out", registry)
    text = (tmp_path / "out" / "README.md").read_text()
    front = yaml.safe_load(text.split("---")[1])
    assert front["license"] == "apache-2.0"
    assert "model-index" not in front
    assert "## Training" not in text
    assert "## Results" not in text
    assert "srkit upscale INPUT -m model.safetensors" in text
    assert open_model(tmp_path / "out" / "model.safetensors", registry).scale == 4


def test_an_unknown_licence_is_not_stated(tmp_path: Path, registry: Registry) -> None:
    net = open_model(save_network(tmp_path / "net.safetensors"), registry)
    assert "license" not in yaml.safe_load(card(net).split("---")[1])


def test_the_command(srkit: Srkit, tmp_path: Path) -> None:
    net = save_network(tmp_path / "net.safetensors")
    given = ("hub", "card", net, "-o", "out", "--for", "me/net")
    done = srkit(*given)
    assert done == (0, "out/README.md: README.md, model.safetensors\n", "")
    assert srkit(*given) == (
        1,
        "",
        "error: out: already exists; choose another folder, or remove it\n",
    )


def test_a_damaged_evaluation_is_reported(
    folder: Path, evaluated: dict[str, Any], tmp_path: Path, registry: Registry
) -> None:
    table = folder / "evaluation" / "table.json"
    table.write_text("{")
    with pytest.raises(DataError) as caught:
        write_folder(str(folder), tmp_path / "out", registry)
    assert str(caught.value) == (
        f"{table}: cannot be read (Expecting property name enclosed in double quotes: line 1 "
        "column 2 (char 1)); evaluate the run again"
    )
    assert not (tmp_path / "out").exists()
    table.write_text(json.dumps(evaluated))


def test_a_folder_with_files_is_refused(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError):
        write_folder("rrdb_small_x4", tmp_path / "out", registry)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
