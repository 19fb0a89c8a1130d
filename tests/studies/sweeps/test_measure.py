"""Sweeps of small networks, which are trained in processes of their own."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import Srkit
from command_process import Command
from sweep_setup import run_jobs_here
from training_setup import (
    Tree,
    assert_same_end,
    last,
    make_pictures,
    make_tree,
    run,
    steps,
    validated,
    write_recipe,
)

from srkit.components.registry import Registry
from srkit.errors import TrainingError
from srkit.studies.sweeps import measure
from srkit.studies.sweeps.measure import failure, last_step, only_sweep
from srkit.system.locks import locked
from srkit.training.monitor import read_records

#: So many steps that a signal after the first checkpoint falls inside the run.
TOTAL = 60
FIGURES = {"evaluation": {"examples": 0, "baselines": ["bicubic"]}}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=4)


def small(pictures: Path, *changes: Tree) -> Tree:
    brief = steps(2, validate_every=2)
    return make_tree(pictures, validated(pictures), FIGURES, brief, *changes)


def children_of(folder: Path) -> list[int]:
    """Return the processes that train in a folder."""
    listed = subprocess.run(
        ["ps", "-axwwo", "pid,args"], capture_output=True, text=True, check=True
    )
    return [
        int(line.split()[0])
        for line in listed.stdout.splitlines()
        if f"--out {folder}" in line and " train " in line
    ]


def is_free(lock: Path) -> bool:
    """Return whether no process holds a lock."""
    try:
        with locked(lock, TrainingError("held")):
            return True
    except TrainingError:
        return False


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train the variants of a sweep in this process."""
    monkeypatch.setattr(measure, "run_jobs", run_jobs_here)


# --- the command --------------------------------------------------------------------------------


@pytest.mark.slow
def test_killed_sweep_is_resumed_and_a_failed_variant_is_reported(
    srkit: Srkit,
    pictures: Path,
    tmp_path: Path,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variants: Any = {
        "net": {
            "long": {
                "training.duration": TOTAL,
                "training.validate_every": TOTAL,
                "training.checkpoint_every": 5,
            },
            "unstable": {"training.optimiser.lr": 1e30, "training.duration": 3},
        }
    }
    tree = small(pictures, {"variants": variants})
    path, folder = write_recipe(tree, tmp_path / "small.yaml"), tmp_path / "sweep"
    long = folder / "variants" / "long"

    command = Command(["sweep", str(path), "--out", str(folder)], tmp_path / "log")
    command.wait_until((long / "checkpoints" / "last.safetensors").is_file)
    for child in children_of(long):
        os.kill(child, signal.SIGSTOP)  # otherwise it could end too early
    assert command.kill(signal.SIGKILL) == -signal.SIGKILL
    orphans = children_of(long)
    assert orphans, "the variant continues without its sweep"
    refused = srkit("sweep", path, "--out", folder)
    for orphan in orphans:
        os.kill(orphan, signal.SIGKILL)
    assert refused.status == 1
    assert refused.err == (
        f"error: {folder}: another sweep is running here, or a variant left over from a killed "
        "sweep; wait until it ends, or stop it\n"
    )
    assert last(long).state["step"] < TOTAL
    while not is_free(folder / "output" / "long.lock"):
        time.sleep(0.05)

    monkeypatch.setattr(measure, "run_jobs", run_jobs_here)
    done = srkit("sweep", path, "--out", folder)
    assert done.status == 1
    lines = done.out.splitlines()
    assert lines, done.err
    assert lines[:3] == ["long: resumes", "long: done, 1 of 2", "unstable: starts"]
    reason = "the loss term 'l1' is nan at step 2"
    assert lines[3].startswith(f"unstable: failed: {reason}")
    assert done.err == (
        f"error: {folder}: failed: unstable; their output is in {folder / 'output'}\n"
    )
    whole = yaml.safe_load((folder / "recipes" / "long.yaml").read_text())
    assert whole["name"] == "small-long"
    assert whole["variants"] == {}
    run(whole, tmp_path / "whole", registry)
    assert_same_end(tmp_path / "whole", long)

    with (folder / "runs.csv").open() as file:
        runs = {row["run"]: row for row in csv.DictReader(file)}
    assert runs["unstable"]["failure"].startswith(reason)
    assert runs["unstable"]["psnr"] == "nan"
    with (long / "evaluation" / "table.csv").open() as file:
        own = list(csv.DictReader(file))[-1]
    assert own["model"] == "small-long"
    assert float(runs["long"]["psnr"]) == pytest.approx(float(own["psnr"]), rel=1e-6)
    page = (folder / "report.html").read_text()
    assert (folder / "variants" / "long" / "evaluation" / "report.html").is_file()
    assert 'href="variants/long/evaluation/report.html"' in page


@pytest.mark.slow
def test_needs_are_trained_once_and_not_changed(
    srkit: Srkit, here: None, pictures: Path, tmp_path: Path
) -> None:
    write_recipe(small(pictures, {"name": "pretrain"}), tmp_path / "pretrain.yaml")
    more = {
        "needs": {"pretrained": "pretrain.yaml"},
        "start": {"weights": "needs.pretrained"},
        "variants": {"training.optimiser.lr": [0.01]},
    }
    path = write_recipe(small(pictures, more), tmp_path / "small.yaml")
    done = srkit("sweep", path)
    assert (done.status, done.err) == (0, "")
    runs = tmp_path / "runs"
    assert last(runs / "pretrain").state["recipe"]["training"]["optimiser"]["lr"] == 1e-3
    variant = last(runs / "small-sweep" / "variants" / "lr-0.01").state["recipe"]
    assert variant["training"]["optimiser"]["lr"] == 0.01
    assert variant["start"]["weights"] == "runs/pretrain"
    assert "pretrain (untuned)" in done.out
    again = srkit("sweep", path)
    assert again.status == 0
    assert again.out.splitlines()[:2] == [
        "needs.pretrained: trained already: runs/pretrain",
        "lr-0.01: already trained",
    ]
    page = runs / "small-sweep" / "variants" / "lr-0.01" / "evaluation" / "report.html"
    page.unlink()  # as after a kill during the evaluation, whose table is written first
    again = srkit("sweep", path)
    assert again.status == 0
    assert again.out.splitlines()[1] == "lr-0.01: resumes"
    assert page.is_file()
    changed = srkit("sweep", path, "training.batch_size=2")
    assert changed.err == (
        "error: runs/small-sweep: contains variants of another recipe; choose another --out, or "
        "undo these changes:\n  lr-0.01: training.batch_size: the run was started with 4, not 2; "
        "a resumed run cannot change it\n"
    )


def test_all_variants_are_checked_before_the_first_is_trained(
    srkit: Srkit, pictures: Path, tmp_path: Path
) -> None:
    write_recipe(small(pictures, {"name": "pretrain"}), tmp_path / "pretrain.yaml")
    variants: Any = {
        "net": {
            "good": {},
            "key": {"generator.bloks": 2},
            "value": {"training.batch_size": 0},
            "crop": {"data.train.crop": 15},
            "need": {"start.weights": "needs.other"},
        },
        "seed": [0, 1],
    }
    more = {"needs": {"pretrained": "pretrain.yaml"}, "variants": variants, "repeat": "seed"}
    path = write_recipe(small(pictures, more), tmp_path / "small.yaml")
    done = srkit("sweep", path)
    assert done.status == 1
    assert done.err == (
        f"error: {path}: 4 problems\n"
        "  key_seed-0, key_seed-1: generator.bloks: unknown key 'bloks'; did you mean 'blocks'?\n"
        "  value_seed-0, value_seed-1: training.batch_size: got 0; expected a number "
        "greater than 0\n"
        "  crop_seed-0, crop_seed-1: data.train.crop: got 15; expected a multiple of the scale 2, "
        "such as 14 or 16\n"
        "  need_seed-0, need_seed-1: start.weights: unknown need 'other'; "
        "known: pretrained\n"
    )
    assert not (tmp_path / "runs").exists()


def test_error_if_variants_cannot_be_compared(srkit: Srkit, pictures: Path, tmp_path: Path) -> None:
    bare = make_tree(pictures, {"variants": {"seed": [0, 1]}})
    path = write_recipe(bare, tmp_path / "small.yaml")
    assert srkit("sweep", path).err == (
        f"error: {path}: 2 problems\n"
        "  metrics: missing; variants are compared by their metrics on the test data\n"
        "  data.test: missing; variants are compared by their metrics on the test data\n"
    )
    assert srkit("sweep", path, "variants=null").err == (
        f"error: {path}: 1 problem\n  variants: missing; a sweep requires at least one axis\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_sweep_compares_finished_runs(
    number: int, srkit: Srkit, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_recipe(small(pictures, {"variants": {"seed": [0, 1]}}), tmp_path / "small.yaml")
    # This program handles signals as a training run does.
    script = tmp_path / "python"
    script.write_text(
        "#!/bin/sh\ntrap 'echo stopped at step 7, state saved; exit 130' INT TERM\n"
        "echo ready\nwhile :; do sleep 0.05; done\n"
    )
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    output = tmp_path / "runs" / "small-sweep" / "output" / "seed-0.txt"

    def stop_when_ready() -> None:
        while not (output.is_file() and output.read_text()):
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=stop_when_ready)
    thread.start()
    done = srkit("sweep", path)
    thread.join()
    assert done.status == 128 + number
    assert done.err == "stopped with 0 of 2 variants finished; the same command resumes the sweep\n"
    assert "\nseed-0, seed-1: not trained yet\n" in done.out
    assert output.read_text() == "ready\nstopped at step 7, state saved\n"
    assert "No result: not trained yet" in (output.parents[1] / "report.html").read_text()


# --- the parts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "status", "reason"),
    [
        ("step 1\nerror: the disk is full\n", 1, "the disk is full"),
        ("error: r.yaml: 1 problem\n  scale: got 0\n", 1, "r.yaml: 1 problem scale: got 0"),
        ("Traceback\n  ...\nValueError: odd\n", 1, "ValueError: odd"),
        ("step 1\n", -signal.SIGKILL, "killed by SIGKILL"),
        ("", 7, "exit status 7"),
        ("error: an earlier one\n", 0, ""),
    ],
)
def test_reason_of_a_failed_process(printed: str, status: int, reason: str, tmp_path: Path) -> None:
    output = tmp_path / "output.txt"
    output.write_text(printed)
    assert failure(output, status) == reason
    if status:
        assert failure(output, 1) == (reason if printed else "exit status 1")


def test_one_sweep_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    refused = pytest.raises(TrainingError, match=r"sweep: another sweep is running here, or")
    with only_sweep(folder), refused, only_sweep(folder):
        pass
    variant = folder / "output" / "seed-0.lock"
    with locked(variant, TrainingError()), refused, only_sweep(folder):
        pass
    variant.touch()  # left by a variant that was killed
    with only_sweep(folder):
        assert not variant.exists()
    assert not (folder / "lock").exists()


def test_last_step_while_a_run_is_writing(tmp_path: Path) -> None:
    records = tmp_path / "metrics.jsonl"
    assert last_step(records) == 0
    records.write_text("")
    assert last_step(records) == 0
    long = "x" * 5000
    records.write_text(f'{{"step": 1, "a": "{long}"}}\n{{"step": 2}}\n{{"step": 3, "l')
    assert last_step(records) == 2
    records.write_text('{"step": 1}\n{"step": 2}\n')
    assert last_step(records) == read_records(records)[-1]["step"]


@pytest.mark.slow
def test_networks_of_several_scales(
    srkit: Srkit, here: None, pictures: Path, tmp_path: Path
) -> None:
    changes: Tree = {
        "scale": [2, 3],
        "generator": None,
        "metrics": {"psnr": {}},
        "data": {"train": {"crop": 12}},
        "variants": {"seed": [0, 1]},
    }
    tree = small(pictures, changes)
    tree["generator"] = {"type": "mdsr", "blocks": 1, "features": 4}
    path, folder = write_recipe(tree, tmp_path / "small.yaml"), tmp_path / "sweep"
    done = srkit("sweep", path, "--out", folder)
    assert done.status == 0, done.err
    with (folder / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == ["seed-0", "seed-1"]
    for row in rows:
        for scale in (2, 3):
            own = folder / "variants" / row["run"] / "evaluation" / f"x{scale}" / "table.csv"
            with own.open() as file:
                *others, last_one = csv.DictReader(file)
            assert float(row[f"psnr x{scale}"]) == pytest.approx(float(last_one["psnr"]))
            assert others[-1]["model"] == "bicubic"
    assert "bicubic" in (folder / "table.csv").read_text()
    assert (
        'href="variants/seed-0/evaluation/x2/report.html"' in (folder / "report.html").read_text()
    )
    assert srkit("sweep", path, "--out", folder).out.startswith("seed-0: already trained\n")
