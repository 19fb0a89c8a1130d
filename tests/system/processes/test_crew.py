"""Processes that share a list of items: order, errors, deaths."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from srkit.system.processes.crew import Done, Processes, Task, in_order, share


@dataclass(frozen=True)
class Squares:
    """Squares numbers, tells its process, and does what some items are for."""

    folder: Path

    @contextmanager
    def __call__(self, device: str | None) -> Iterator[Callable[[int], tuple[int, int]]]:
        def square(item: int) -> tuple[int, int]:
            begun = self.folder / f"{item}.{time.monotonic_ns()}"
            begun.touch()
            if item == 3 and len(list(self.folder.glob("3.*"))) == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            if item == 4:
                os.kill(os.getpid(), signal.SIGKILL)
            if item == 100:
                raise ValueError("a hundred")
            if item == 50:
                while len(list(self.folder.iterdir())) < 4:
                    time.sleep(0.01)
                time.sleep(0.3)  # in which nothing else may begin
                return len(list(self.folder.iterdir())), os.getpid()
            return item * item, os.getpid()

        yield square


def test_each_item_once_and_again_where_a_process_died(tmp_path: Path) -> None:
    items = [0, 1, 2, 3, 4, 5, 6]
    with closing(share(items, Processes(2), Squares(tmp_path))) as done:
        answers = {each.task.item: each.answer for each in done}
    assert answers.keys() == set(items)
    assert answers[4] is None  # two processes died of it
    assert all(answer is not None and answer[0] == n * n
               for n, answer in answers.items() if n != 4)  # fmt: skip
    counts = {n: len(list(tmp_path.glob(f"{n}.*"))) for n in items}
    assert counts == {0: 1, 1: 1, 2: 1, 3: 2, 4: 2, 5: 1, 6: 1}


def test_an_error_is_raised_here_and_ends_the_processes(tmp_path: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    with (
        pytest.raises(ValueError, match="a hundred"),
        closing(share([0, 100, 1], Processes(2), Squares(tmp_path))) as done,
    ):
        list(done)
    left = set(psutil.Process().children(recursive=True)) - before
    assert not [each for each in left if "spawn_main" in " ".join(each.cmdline())]


def test_no_more_items_are_begun_than_may_wait(tmp_path: Path) -> None:
    """The first ends a while after three others began, and tells how many have by then."""
    items = [50, 6, 7, 8, 9, 10]
    with closing(share(items, Processes(2), Squares(tmp_path), ahead=4)) as done:
        answers = in_order(done)
        first = next(answers)
        assert (first.task.item, first.answer and first.answer[0]) == (50, 4)
        assert [each.task.item for each in answers] == items[1:]


def test_items_in_order() -> None:
    mixed = [Done(Task(i, str(i)), i) for i in (2, 0, 1, 4, 3)]
    assert [each.answer for each in in_order(mixed)] == [0, 1, 2, 3, 4]
    assert [each.answer for each in in_order(mixed[:2])] == [0]


def test_no_items() -> None:
    with closing(share([], Processes(2), Squares(Path()))) as done:
        assert list(done) == []
