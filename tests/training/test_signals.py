"""A signal stops a run after its state is saved; resumed, the run ends as an uninterrupted one."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from training_setup import (
    assert_same_end,
    last,
    make_pictures,
    make_tree,
    records,
    run,
    steps,
    train_command,
)

from srkit.components.registry import Registry
from srkit.recipe.trees import merge


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"]
)
def test_a_signal_saves_and_stops(
    number: signal.Signals, status: int, tmp_path: Path, registry: Registry
) -> None:
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    endless = steps(100_000, checkpoint_every=100_000, workers=1, ema=0.5)
    tree = make_tree(make_pictures(tmp_path / "pictures"), endless)
    command = train_command(tree, stopped)
    command.wait_until(lambda: "step 3/" in command.log.read_text())
    kill = command.kill if number == signal.SIGINT else command.kill_all
    assert kill(number) == status, command.log.read_text()
    found = re.search(
        r"^stopped at step (\d+), state saved; continue with --resume$",
        command.log.read_text(),
        re.MULTILINE,
    )
    assert found is not None, command.log.read_text()
    assert "Traceback" not in command.log.read_text()
    reached = int(found[1])
    assert last(stopped).state["step"] == reached
    assert records(stopped)[-1]["step"] == reached

    if number == signal.SIGTERM:  # what follows does not depend on the signal
        shorter = merge(tree, steps(reached + 2, workers=0))
        run(shorter, stopped, registry, resume=True)
        run(shorter, whole, registry)
        assert_same_end(whole, stopped)


@pytest.mark.slow
def test_a_signal_stops_all_processes(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    endless = steps(100_000, checkpoint_every=100_000, workers=0)
    tree = make_tree(make_pictures(tmp_path / "pictures"), endless)
    command = train_command(tree, folder, "--processes", "2")
    command.wait_until(lambda: "step 3/" in command.log.read_text())
    assert command.kill(signal.SIGINT) == 130, command.log.read_text()
    text = command.log.read_text()
    assert "Traceback" not in text
    assert len(re.findall(r"^stopped at step \d+, state saved", text, re.MULTILINE)) == 1
    assert last(folder).state["step"] == records(folder)[-1]["step"]
