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
    validated,
    write_recipe,
)

from srkit.components.registry import Registry

ROOT = Path(__file__).resolve().parents[2]
#: Largest difference that the order of summation may make in fp32.
ROUNDING = 1e-5
SGD = {"type": "sgd", "lr": 0.001}
#: No batch statistics, which are each process's own.
PUPIL = {**TEACHER["net"], "model": "test_efficientnet_gn", "trainable": True}
PUPIL |= {"optimiser": {**SGD, "lr": 1e-4}}

PIXELS = {
    "training": {"accumulate": 2, "ema": 0.9, "clip": 0.5},
    "uncertainty": {"features": 4},
    "losses": {"gaussian_nll": {"weight": 0.1}},
}
EVERYBODY = {
    "training": {"optimiser": SGD},
    "teachers": {"net": PUPIL},
    "losses": {"logit_mse": {"weight": 0.1}},
    "discriminator": {"type": "unet_sn", "features": 4, "weight": 0.1, "optimiser": SGD},
}
PROCESSES = [sys.executable, "-m", "srkit", "train", "{recipe}", "--processes", "2"]
# Its --cpu expects MPI; --multi_gpu starts plain processes, which find that there is no GPU.
ACCELERATE = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
ACCELERATE += ["--num_processes", "2", "--main_process_port", "0"]
ACCELERATE += ["-m", "srkit", "train", "{recipe}"]
CONFIGURED = [*ACCELERATE[:3], "--config_file", str(ROOT / "recipes/accelerate/ddp.yaml")]
CONFIGURED += ["--num_machines", "1", *ACCELERATE[4:]]


@pytest.mark.parametrize(
    ("command", "kind"),
    [(PROCESSES, PIXELS), (ACCELERATE, EVERYBODY), (CONFIGURED, {})],
    ids=["srkit pixels", "accelerate everybody", "configured"],
)
def test_two_processes_train_as_one(
    command: list[str], kind: Tree, tmp_path: Path, registry: Registry
) -> None:
    pictures = make_pictures(tmp_path / "pictures", count=15)  # an uneven share of validation
    tree = make_tree(pictures, kind, validated(pictures), steps(4, validate_every=2))
    del tree["data"]["test"]
    one, two = tmp_path / "one", tmp_path / "two"
    run(tree, one, registry)
    recipe = str(write_recipe(tree, tmp_path / "recipe.yaml"))
    done = launch([part.format(recipe=recipe) for part in command], two)
    assert done.returncode == 0, done.stdout + done.stderr
    if "teachers" not in kind:
        assert "find_unused_parameters" not in done.stderr
    assert json.loads((two / "environment.json").read_text())["processes"] == 2
    assert len(records(two)) == 6
    for alone, together in zip(records(one), records(two), strict=True):
        assert together.pop("kind") == alone.pop("kind")
        assert together == pytest.approx(alone, rel=ROUNDING, abs=ROUNDING)
    assert_same_weights(one, two)


def test_all_processes_stop_and_save_at_a_picture_that_one_cannot_read(tmp_path: Path) -> None:
    pictures = make_pictures(tmp_path / "pictures")
    damaged = pictures / "05.png"
    damaged.write_bytes(damaged.read_bytes()[:500])
    tree = make_tree(pictures, steps(8, checkpoint_every=1000))
    recipe = str(write_recipe(tree, tmp_path / "recipe.yaml"))
    done = launch([part.format(recipe=recipe) for part in PROCESSES], tmp_path / "run")
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert sum(line.startswith(f"error: {damaged}: ") for line in errors) == 1
    assert "error: stopped because another process cannot read its data" in errors
    reached = last(tmp_path / "run").state["step"]
    assert 0 < reached < 4  # the epoch's four steps include the damaged one
    assert [record["step"] for record in records(tmp_path / "run")] == [*range(1, reached + 1)]


def assert_same_weights(one: Path, two: Path) -> None:
    """Compare every network, average and optimiser of two runs."""
    for turn in last(one).groups:
        found = differences(last(one).groups[turn], last(two).groups[turn])
        assert max(found.values(), default=0) < ROUNDING, (turn, found)


def launch(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that writes a run folder."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [*command, "--out", str(folder)], env=env, capture_output=True, text=True, timeout=300
    )
