"""Processes of srkit that would need more cores than there are compute in turn."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from getpass import getuser
from itertools import pairwise
from pathlib import Path
from threading import Barrier, Thread

import pytest
import torch
from filelock import FileLock

from srkit.system import cores
from srkit.system.cores import hold_cores

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def two_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let there be two cores, two threads, and a folder of temporary files of its own."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(cores, "gettempdir", lambda: str(tmp_path))
    return tmp_path


def lock_is_held(folder: Path) -> bool:
    """Return whether another process would have to wait."""
    (own,) = folder.iterdir()
    lock = FileLock(own / "lock", timeout=0)
    held = not cores._acquired(lock)
    lock.release()
    return held


def test_two_processes_compute_in_turn() -> None:
    """Each thread has its own lock, as two processes have."""
    steps: list[tuple[int, str]] = []
    both = Barrier(2)

    def compute(number: int) -> None:
        both.wait()
        for _ in range(10):
            with cores._lock_of_processes():
                steps.append((number, "begins"))
                time.sleep(0.01)
                steps.append((number, "ends"))

    threads = [Thread(target=compute, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    begins, ends = steps[::2], steps[1::2]
    assert [number for number, _ in begins] == [number for number, _ in ends]
    assert {what for _, what in begins} == {"begins"}
    order = [number for number, _ in begins]
    assert sum(a != b for a, b in pairwise(order)) >= 2


def test_the_cores_are_held_once_however_often_it_is_entered(two_cores: Path) -> None:
    with hold_cores(CPU):
        with hold_cores(CPU):
            assert lock_is_held(two_cores)
        assert lock_is_held(two_cores)
    assert not lock_is_held(two_cores)


def test_an_error_releases_the_cores(two_cores: Path) -> None:
    with pytest.raises(ValueError, match="fails"), hold_cores(CPU):
        raise ValueError("fails")
    assert not lock_is_held(two_cores)
    with hold_cores(CPU):
        assert lock_is_held(two_cores)


@pytest.mark.parametrize(("threads", "count"), [(1, 1), (1, 2), (2, 4), (8, 16)])
def test_processes_that_fit_side_by_side_take_no_turns(
    two_cores: Path, monkeypatch: pytest.MonkeyPatch, threads: int, count: int
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    with hold_cores(CPU):
        assert not list(two_cores.iterdir())


def test_accelerators_and_distributed_processes_take_no_turns(
    two_cores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hold_cores(torch.device("cuda")):
        assert not list(two_cores.iterdir())
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    with hold_cores(CPU):
        assert not list(two_cores.iterdir())


#: A process that holds the cores and is suspended, as by Ctrl-Z; it needs no torch for that.
SUSPENDED = """
import os, signal, sys
from filelock import FileLock
lock = FileLock(f"{sys.argv[1]}/lock")
lock.acquire()
open(f"{sys.argv[1]}/holder", "w").write(str(os.getpid()))
os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP")
def test_a_suspended_process_does_not_hold_up_others(two_cores: Path) -> None:
    with hold_cores(CPU):
        (folder,) = two_cores.iterdir()
    child = subprocess.Popen([sys.executable, "-c", SUSPENDED, str(folder)])
    try:
        os.waitpid(child.pid, os.WUNTRACED)
        assert lock_is_held(two_cores)
        with hold_cores(CPU):
            assert (folder / "holder").read_text("ascii") == str(child.pid)
    finally:
        child.kill()
        child.wait()
    assert not lock_is_held(two_cores)


def link_elsewhere(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    folder.symlink_to(folder.parent / "elsewhere")


@pytest.mark.parametrize("make", [Path.touch, link_elsewhere])
def test_a_folder_that_others_prepared_is_not_used(
    two_cores: Path, make: Callable[[Path], None]
) -> None:
    folder = two_cores / f"srkit-{getuser()}"
    make(folder)
    with hold_cores(CPU):
        pass
    assert not stat.S_ISDIR(folder.lstat().st_mode)
    assert not [path for path in two_cores.rglob("*") if path.name in ("lock", "holder")]
