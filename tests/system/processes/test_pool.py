"""Order, errors and deaths in a pool of processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from srkit.system.processes.pool import Completed, LocalPool, in_order, run_in_pool


@dataclass(frozen=True)
class Squares:
    """Returns squares of numbers and its process ID; some numbers make it wait, fail or die."""

    folder: Path

    @contextmanager
    def __call__(self, device: str | None) -> Iterator[Callable[[int], tuple[int, int]]]:
        def square(item: int) -> tuple[int, int]:
            (self.folder / f"{item}.{os.getpid()}.{time.monotonic_ns()}").touch()
            if item == 3 and len(list(self.folder.glob("3.*"))) == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            if item == 4:
                os.kill(os.getpid(), signal.SIGKILL)
            if item == 100:
                raise ValueError("a hundred")
            if item == 50:
                while len(list(self.folder.iterdir())) < 4:
                    time.sleep(0.01)
                time.sleep(0.3)  # nothing else may start meanwhile
                return len(list(self.folder.iterdir())), os.getpid()
            return item * item, os.getpid()

        yield square


def test_each_item_is_done_once_and_retried_if_its_process_died(tmp_path: Path) -> None:
    items = [0, 1, 2, 3, 4, 5, 6]
    with closing(run_in_pool(items, LocalPool(2), Squares(tmp_path))) as completed:
        results = {each.item: each.result for each in completed}
    assert results.keys() == set(items)
    assert results[4] is None  # two processes died of it
    assert all(result is not None and result[0] == n * n
               for n, result in results.items() if n != 4)  # fmt: skip
    counts = {n: len(list(tmp_path.glob(f"{n}.*"))) for n in items}
    assert counts == {0: 1, 1: 1, 2: 1, 3: 2, 4: 2, 5: 1, 6: 1}


def test_an_error_is_raised_in_the_main_process_and_stops_the_others(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="a hundred"),
        closing(run_in_pool([0, 100, 1], LocalPool(2), Squares(tmp_path))) as completed,
    ):
        list(completed)
    started = {int(mark.name.split(".")[1]) for mark in tmp_path.iterdir()}
    assert started and not any(map(psutil.pid_exists, started))


def test_the_number_of_items_started_ahead_is_limited(tmp_path: Path) -> None:
    """The first item ends a while after three others started, and returns how many have."""
    items = [50, 6, 7, 8, 9, 10]
    with closing(run_in_pool(items, LocalPool(2), Squares(tmp_path), ahead=4)) as completed:
        results = in_order(completed)
        first = next(results)
        assert (first.item, first.result and first.result[0]) == (50, 4)
        assert [each.item for each in results] == items[1:]


def test_items_in_order() -> None:
    mixed = [Completed(i, str(i), i) for i in (2, 0, 1, 4, 3)]
    assert [each.result for each in in_order(mixed)] == [0, 1, 2, 3, 4]
    assert [each.result for each in in_order(mixed[:2])] == [0]


def test_no_items() -> None:
    with closing(run_in_pool([], LocalPool(2), Squares(Path()))) as completed:
        assert list(completed) == []


#: Its processes write their process IDs, and work until something stops them.
PROGRAM = """
import os, sys, time
from contextlib import contextmanager
from pathlib import Path
from srkit.system.processes.pool import LocalPool, run_in_pool

def work(item):
    mark = Path(sys.argv[1]) / str(os.getpid())
    mark.touch()
    try:
        time.sleep(600)
    finally:
        mark.unlink()

@contextmanager
def setup(device):
    yield work

if __name__ == "__main__":
    list(run_in_pool([1, 2], LocalPool(2), setup))
"""


@pytest.mark.slow
def test_processes_clean_up_and_end_if_the_main_process_is_killed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    marks = tmp_path / "marks"
    marks.mkdir()
    command = [sys.executable, str(tmp_path / "program.py"), str(marks)]
    with subprocess.Popen(command) as main:
        while len(list(marks.iterdir())) < 2:
            assert main.poll() is None
            time.sleep(0.05)
        children = psutil.Process(main.pid).children(recursive=True)
        main.kill()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
    assert not list(marks.iterdir())
