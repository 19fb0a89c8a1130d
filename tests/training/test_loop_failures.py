"""How a run stops at losses that are not finite, damaged pictures, full disks and bad recipes."""

from __future__ import annotations

import errno
import math
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from command_line import Srkit
from tensorboard.summary.writer.record_writer import RecordWriter
from torch import Tensor
from training_setup import (
    differences,
    extended,
    last,
    make_pictures,
    make_tree,
    records,
    run,
    steps,
    write_recipe,
)

from srkit.components.registry import Registry
from srkit.errors import DataError, OutputError, RecipeError, SrkitError, TrainingError
from srkit.interfaces import Batch
from srkit.recipe.trees import merge


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures")


def sour(number: float, call: int) -> Callable[[], Any]:
    """Return the factory of a loss with this value at its n-th call in training."""

    def factory() -> Any:
        calls = iter(range(1, 1000))

        def loss(sr: Tensor, batch: Batch) -> Tensor:
            return sr.mean() * 0 + (number if sr.requires_grad and next(calls) == call else 1.0)

        return loss

    return factory


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_loss_that_is_not_finite_stops_the_run(
    number: float, accumulate: int, pictures: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    bad = extended(losses={"sour": sour(number, 3 * accumulate)})
    cadence = steps(20, log_every=10, checkpoint_every=2, accumulate=accumulate)
    tree = make_tree(pictures, {"losses": {"sour": {}}}, cadence)
    with pytest.raises(TrainingError) as caught:
        run(tree, folder, bad)
    assert str(caught.value) == (
        f"the loss term 'sour' is {number} at step 3; the last good checkpoint is kept. Lower the "
        "learning rate, set training.clip, or check the data of that step"
    )
    assert last(folder).state["step"] == 2
    assert all(value.isfinite().all() for value in last(folder).groups["generator"].values())
    good = extended(losses={"sour": sour(number, 0)})
    run(merge(tree, steps(4)), folder, good, resume=True)
    assert last(folder).state["step"] == 4


def test_the_error_says_that_there_is_no_checkpoint_yet(pictures: Path, tmp_path: Path) -> None:
    bad = extended(losses={"sour": sour(math.nan, 1)})
    tree = make_tree(pictures, {"losses": {"sour": {}}}, steps(3))
    with pytest.raises(TrainingError, match=r"is nan at step 1; there was no checkpoint yet\. "):
        run(tree, tmp_path / "run", bad)


def test_a_run_cannot_be_resumed_with_fewer_steps(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    run(make_tree(pictures, steps(3)), tmp_path / "run", registry)
    message = (
        "the run has already done 3 steps, more than training.duration = 2 steps; raise "
        "training.duration, or choose another --out"
    )
    with pytest.raises(TrainingError, match=f"{message}$"):
        run(make_tree(pictures, steps(2)), tmp_path / "run", registry, resume=True)


def meddle(with_files: Callable[[], None], call: int) -> Callable[[], Any]:
    """Return the factory of a loss that changes files at its n-th call in training."""

    def factory() -> Any:
        calls = iter(range(1, 1000))

        def loss(sr: Tensor, batch: Batch) -> Tensor:
            if sr.requires_grad and next(calls) == call:
                with_files()
            return sr.abs().mean()

        return loss

    return factory


def remove(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:500])


@pytest.mark.parametrize("spoil", [remove, truncate])
@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_picture_loses_no_step(
    spoil: Callable[[Path], None], workers: int, tmp_path: Path
) -> None:
    pictures = make_pictures(tmp_path / "pictures", count=8)
    kept = {path: path.read_bytes() for path in pictures.iterdir()}

    def spoil_all() -> None:
        for path in kept:
            spoil(path)

    folder = tmp_path / "run"
    bad = extended(losses={"meddling": meddle(spoil_all, 3)})
    slow = steps(30, checkpoint_every=1000, workers=workers)
    tree = make_tree(pictures, {"losses": {"meddling": {}}}, slow)
    with pytest.raises(DataError) as caught:
        run(tree, folder, bad)
    assert any(str(caught.value).startswith(f"{path}: ") for path in kept)
    reached = last(folder).state["step"]
    assert reached == 3 if workers == 0 else 3 <= reached < 30
    for path, content in kept.items():
        path.write_bytes(content)
    good = extended(losses={"meddling": meddle(spoil_all, 0)})
    run(merge(tree, steps(reached + 1)), folder, good, resume=True, allow_changed_data=True)
    run(merge(tree, steps(reached + 1)), tmp_path / "whole", good)
    found, expected = last(folder).groups["generator"], last(tmp_path / "whole").groups["generator"]
    assert max(differences(found, expected).values()) == 0


def test_an_unreadable_picture_within_a_step_leaves_no_record(tmp_path: Path) -> None:
    pictures = make_pictures(tmp_path / "pictures", count=8)

    def spoil_all() -> None:
        for path in pictures.iterdir():
            truncate(path)

    bad = extended(losses={"meddling": meddle(spoil_all, 5)})
    parts = steps(6, checkpoint_every=1000, accumulate=2)
    with pytest.raises(DataError):
        run(make_tree(pictures, {"losses": {"meddling": {}}}, parts), tmp_path / "run", bad)
    reached = last(tmp_path / "run").state["step"]
    assert [record["step"] for record in records(tmp_path / "run")] == [*range(1, reached + 1)]


def test_a_full_disk_leaves_the_last_checkpoint_complete(
    pictures: Path, tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, fsync = tmp_path / "run", os.fsync
    checkpoint = folder / "checkpoints" / "last.safetensors"

    def fails_later(descriptor: int) -> None:
        if checkpoint.is_file() and last(folder).state["step"] == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fails_later)
    with pytest.raises(OutputError) as caught:
        run(make_tree(pictures, steps(5)), folder, registry)
    assert str(caught.value) == (
        f"{checkpoint}: cannot be written (No space left on device); free some space or "
        "choose another folder"
    )
    monkeypatch.undo()
    assert last(folder).state["step"] == 2
    assert [path.name for path in checkpoint.parent.iterdir()] == ["last.safetensors"]
    run(make_tree(pictures, steps(5)), folder, registry, resume=True)
    assert last(folder).state["step"] == 5


def test_a_full_disk_while_tensorboard_writes_is_one_line(
    srkit: Srkit, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread fails first; neither that nor what cannot be closed is printed."""

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    monkeypatch.setattr(RecordWriter, "write", full)
    path = write_recipe(make_tree(pictures, steps(50)), tmp_path / "a.yaml")
    done = srkit("train", path, "--out", "run")
    assert (done.status, done.err) == (
        1,
        "error: run/tensorboard: cannot be written (No space left on device); the last complete "
        "checkpoint is kept; free some space, then continue with --resume\n",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"data": {"train": None}},
            "test.yaml: 1 problem\n  data.train: missing; there is nothing to train on",
        ),
        (
            steps(1, batch_size=5, accumulate=2),
            "test.yaml: 1 problem\n  training.accumulate: 5 samples of a batch cannot be split "
            "into 2 equal parts; choose a divisor of training.batch_size",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused(
    change: Mapping[str, Any], message: str, pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    with pytest.raises(SrkitError) as caught:
        run(make_tree(pictures, change), tmp_path / "run", registry)
    assert str(caught.value) == message
    assert not (tmp_path / "run").exists()


def test_a_generator_needs_lr_images(pictures: Path, tmp_path: Path, registry: Registry) -> None:
    with pytest.raises(RecipeError) as caught:
        run(make_tree(pictures, {"degradation": None}), tmp_path / "run", registry)
    assert caught.value.problems == [
        "data.train: 00.png: the data set has no LR images; add a degradation to the recipe"
    ]
