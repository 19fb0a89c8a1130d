"""Two processes on the CPU (gloo) train what one process trains on the same global batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from training_setup import (
    TEACHER,
    Tree,
    differences,
    last,
    make_pictures,
    make_tree,
    records,
    run,
    steps,
    train_in_two,
    validated,
    write_recipe,
)

from srkit.components.registry import Registry

ROOT = Path(__file__).resolve().parents[2]
#: Largest difference that the order of summation may cause in fp32.
ROUNDING = 1e-5
SGD = {"type": "sgd", "lr": 0.001}
#: Without batch statistics, which each process would have for itself.
PUPIL = {**TEACHER["net"], "model": "test_efficientnet_gn", "trainable": True}
PUPIL |= {"optimiser": {**SGD, "lr": 1e-4}}

#: Changes to the plain recipe, so that every network is trained.
KINDS: dict[str, Tree] = {
    "uncertainty": {
        "training": {"accumulate": 2, "ema": 0.9, "clip": 0.5},
        "uncertainty": {"features": 4},
        "losses": {"gaussian_nll": {"weight": 0.1}},
    },
    "discriminator and teacher": {
        "training": {"optimiser": SGD},
        "teachers": {"net": PUPIL},
        "losses": {"logit_mse": {"weight": 0.1}, "feature_matching": {"weight": 0.1}},
        "discriminator": {
            "type": "unet_sn",
            "features": 4,
            "weight": 0.1,
            "loss": {"type": "vanilla", "r1": 1.0},
            "optimiser": SGD,
        },
    },
    "stages that thaw": {
        "training": {"optimiser": SGD},
        "start": {"freeze": {"conv_first": "always", "body.*": 2, "conv_up*": 1}},
    },
    "several scales": {
        "scale": [2, 3, 4],
        "generator": {"type": "mdsr", "blocks": 1, "features": 8},
        "data": {"train": {"crop": "5 LR"}},
        "training": {"ema": 0.5},
    },
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven pictures: not an equal number for each process in validation."""
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=7)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_train_as_one(
    kind: str, pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    tree = make_tree(pictures, KINDS[kind], validated(pictures), steps(3, validate_every=3))
    del tree["data"]["test"]
    tree["generator"] = KINDS[kind].get("generator", tree["generator"])
    if "start" in tree:
        run(make_tree(pictures, steps(1)), tmp_path / "first", registry)
        tree["start"]["weights"] = str(tmp_path / "first")
    one, two = tmp_path / "one", tmp_path / "two"
    run(tree, one, registry)
    statuses, output = train_in_two(tree, two)
    assert statuses == [0, 0], output
    if kind == "uncertainty":
        assert "find_unused_parameters" not in output
    assert_same_end(one, two)


@pytest.mark.slow
def test_accelerate_starts_two_processes(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    """Its --cpu expects MPI; --multi_gpu starts plain processes, which find no GPU."""
    tree = make_tree(pictures, steps(1))
    run(tree, tmp_path / "one", registry)
    recipe = str(write_recipe(tree, tmp_path / "recipe.yaml"))
    command = [sys.executable, "-m", "accelerate.commands.launch"]
    command += ["--config_file", str(ROOT / "recipes/accelerate/ddp.yaml"), "--multi_gpu"]
    command += ["--num_machines", "1", "--num_processes", "2", "--main_process_port", "0"]
    command += ["-m", "srkit", "train", recipe, "--out", str(tmp_path / "two")]
    env = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same_end(tmp_path / "one", tmp_path / "two")


def test_all_processes_stop_if_one_cannot_read_a_picture(tmp_path: Path) -> None:
    pictures = make_pictures(tmp_path / "pictures")
    damaged = pictures / "05.png"
    content = bytearray(damaged.read_bytes())
    content[500] ^= 0xFF  # the file has its end, so that the damage shows when it is decoded
    damaged.write_bytes(content)
    tree = make_tree(pictures, steps(8, checkpoint_every=1000))
    statuses, output = train_in_two(tree, tmp_path / "run")
    assert statuses == [1, 1], output
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert sum(line.startswith(f"error: {damaged}: ") for line in errors) == 1
    assert "error: stopped because another process cannot read its data" in errors
    reached = last(tmp_path / "run").state["step"]
    assert 0 < reached < 4  # the epoch's four steps include the damaged one
    assert [record["step"] for record in records(tmp_path / "run")] == [*range(1, reached + 1)]


def assert_same_end(one: Path, two: Path) -> None:
    """Compare every record, network, average and optimiser of two runs."""
    assert json.loads((two / "environment.json").read_text())["processes"] == 2
    assert records(one)
    for alone, together in zip(records(one), records(two), strict=True):
        assert together.pop("kind") == alone.pop("kind")
        assert together == pytest.approx(alone, rel=ROUNDING, abs=ROUNDING)
    for turn in last(one).groups:
        found = differences(last(one).groups[turn], last(two).groups[turn])
        assert max(found.values(), default=0) < ROUNDING, (turn, found)
