"""Commands that are killed at random moments: run again, they end in the same bytes.

A process is killed before one of its operations on files, so that every step between writing and
renaming can be hit, or after a part of its time, and then runs to its end. The normal suite does so
once for each command. A campaign of 30 sequences for each command and each kind of turn, in which
processes are killed up to three times in a row:

    SRKIT_KILLS=30 pytest -n 0 -s tests/attack/test_kills.py

It prints how often processes were killed and resumed, and what has to be 0: how many commands
failed or lost finished work, how many files differ in the end, and how many are left over.
"""

from __future__ import annotations

import os
import random
import signal
import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from astropy.io import fits
from command_process import Command
from killing import restore_in_windows, sweep_here, undrawn, watched
from shards_setup import make_photos
from training_setup import (
    TURNS,
    make_pictures,
    make_tree,
    records,
    steps,
    validated,
    write_recipe,
)
from upscale_setup import save_picture

from srkit.recipe.trees import merge
from srkit.weights.checkpoints import read_state

SEQUENCES = int(os.environ.get("SRKIT_KILLS", "1"))
#: Times that a process is killed in a row, at most.
KILLS = 3 if SEQUENCES > 1 else 1
#: Files that contain times or name the process, and figures that are not drawn once more for a run
#: that another one needs, since its weights are finished.
CIRCUMSTANCES = (
    "environment.json", "metrics.jsonl", "events.out.tfevents.*", "evaluation/table.*", "*.html",
    "*.txt", "first/figures/*",
)  # fmt: skip
#: Runs with one kind of turn each, and with most of them at once.
RUNS = {
    **TURNS,
    "turns": reduce(
        merge, [TURNS[kind] for kind in ("pixels", "uncertainty", "adversarial", "joint")]
    ),
}
KINDS = ["turns", "needs", "sweep", "shard", "folder", "frames", *(TURNS if SEQUENCES > 1 else ())]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals"),
]


@dataclass(frozen=True, slots=True)
class Victim:
    """A command that is killed.

    Parameters
    ----------
    arguments
        What follows ``srkit``, without its output folder ``run``.
    folder
        Where it is tried.
    before
        Called in its process before it starts.
    """

    arguments: list[str]
    folder: Path
    before: Callable[[], object]

    def run(self, out: Path, kill: float | None = None) -> tuple[int, str]:
        """Run it, to its end or until it is killed; return the exit status and the output."""
        resumed = self.arguments[0] == "train" and (out / "run" / "environment.json").is_file()
        command = Command(
            [*self.arguments, "--out", "run", *(["--resume"] if resumed else [])],
            self.folder / "log",
            before=partial(watched, out, self.folder / "times", kill, self.before),
        )
        return command.wait(), command.log.read_text()

    def times(self) -> list[float]:
        """Return the times in seconds of the operations of the last process."""
        return [time for (time,) in struct.iter_unpack("d", (self.folder / "times").read_bytes())]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=4)


def victim_of(kind: str, folder: Path, pictures: Path) -> Victim:
    """Make the inputs of a command."""
    if kind in RUNS:
        tree = make_tree(
            pictures, RUNS[kind], validated(pictures), steps(4, validate_every=2, workers=0)
        )
        del tree["data"]["test"]
        return Victim(["train", str(write_recipe(tree, folder / "a.yaml"))], folder, undrawn)
    if kind == "needs":
        for name, change in (
            ("first", {}),
            ("second", {"needs": {"first": "first.yaml"}, "start": {"weights": "needs.first"}}),
        ):
            tree = make_tree(pictures, {"name": name}, steps(2), change)
            path = write_recipe(tree, folder / f"{name}.yaml")
        return Victim(["train", str(path)], folder, undrawn)
    if kind == "sweep":
        change = {"variants": {"net": {"a": {}, "b": {"generator.growth": 5}}}}
        tree = make_tree(pictures, validated(pictures), steps(2), change)
        return Victim(["sweep", str(write_recipe(tree, folder / "a.yaml"))], folder, sweep_here)
    if kind == "shard":
        given = ["data", "shard", str(make_photos(folder / "photos"))]
        return Victim([*given, "--per-shard", "3", "--workers", "0"], folder, undrawn)
    options = ["-m", "bicubic", "--scale", "2", "--tile", "16"]
    if kind == "folder":
        for number in range(4):
            save_picture(folder / "lr" / f"{number}.png")
        return Victim(["upscale", str(folder / "lr"), *options], folder, undrawn)
    values = np.random.default_rng(0).normal(5, 3, (60, 40)).astype(np.float32)
    np.save(folder / "a.npy", values)
    fits.writeto(folder / "b.fits", values)
    tifffile.imwrite(folder / "c.tif", values)
    frames = [str(folder / name) for name in ("a.npy", "b.fits", "c.tif")]
    return Victim(["upscale", *frames, *options], folder, restore_in_windows)


def files_in(folder: Path) -> dict[str, bytes]:
    """Return the contents of the files that do not depend on circumstances."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not any(path.match(each) for each in CIRCUMSTANCES)
    }


def logged(folder: Path) -> list[Any]:
    """Return what runs recorded, except for the times."""
    return [records(each.parent) for each in sorted(folder.rglob("metrics.jsonl"))]


def progress_in(folder: Path) -> dict[Path, int]:
    """Return the steps of the runs' last checkpoints, all of which have to be whole."""
    found = {}
    for path in folder.rglob("last.safetensors"):
        state = read_state(path)
        assert state is not None
        found[path] = state["step"]
    return found


def lost(before: dict[Path, int], out: Path, whole: dict[str, bytes], victim: Victim) -> list[str]:
    """Return which finished work a kill destroyed."""
    after = progress_in(out)
    found = [f"{path}: lost steps" for path, step in before.items() if after.get(path, 0) < step]
    if victim.arguments[0] in ("data", "upscale"):
        kept = {name: content for name, content in files_in(out).items() if name in whole}
        found += [f"{name}: not whole" for name, each in kept.items() if each != whole[name]]
    return found


def try_once(
    victim: Victim, out: Path, whole: Path, operations: list[float], rng: random.Random
) -> Iterator[tuple[str, str]]:
    """Kill a command several times, and let it end; yield what happened."""
    expected = files_in(whole)
    for _ in range(rng.randint(1, KILLS)):
        by_time = rng.random() < 0.4
        kill = rng.uniform(0, 0.9 * operations[-1]) if by_time else rng.randint(1, len(operations))
        before = progress_in(out)
        status, text = victim.run(out, kill)
        if status == 0:
            yield "ended before", ""
            break
        if status not in (-signal.SIGKILL, -signal.SIGPROF):
            yield "failed", f"killed at {kill}: {text}"
            return
        yield "killed", ""
        if any(out.rglob("*")):
            yield "resumed", ""
        for each in lost(before, out, expected, victim):
            yield "lost", f"{each} at {kill}"
    status, text = victim.run(out)
    if status:
        yield "failed", text
        return
    ended = files_in(out)
    for name in sorted(expected.keys() | ended.keys()):
        if name not in expected:
            yield "left over", name
        elif expected[name] != ended.get(name):
            yield "differing", name
    if logged(whole) != logged(out):
        yield "differing", "metrics.jsonl"


@pytest.mark.parametrize("kind", KINDS)
def test_killed_commands_end_in_the_same_bytes(kind: str, tmp_path: Path, pictures: Path) -> None:
    victim, whole = victim_of(kind, tmp_path, pictures), tmp_path / "whole"
    status, text = victim.run(whole)
    assert status == 0, text
    operations = victim.times()
    counts, problems = Counter[str](), []
    for number in range(SEQUENCES):
        rng = random.Random(f"{kind} {number}")
        out = tmp_path / f"out{number}"
        for what, detail in try_once(victim, out, whole, operations, rng):
            counts[what] += 1
            if detail:
                problems.append(f"{kind} {number}: {what}: {detail}")
    print(f"{kind}, {len(operations)} operations, {operations[-1]:.2f} s: {dict(counts)}")
    assert problems == []
