"""Worker processes end with their main process; results and errors come in order."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch

from srkit.errors import DataError
from srkit.system.processes.workers import map_in_workers
from srkit.system.resources import files_ran_out

#: Starts workers that read far more than is fetched from them, and prints their process IDs.
MAIN = """
import os, time
import torch
from torch.utils.data import DataLoader
from srkit.system.processes.workers import begin_worker

class Ids:
    def __len__(self): return 1000
    def __getitem__(self, index): return os.getpid(), bytes(200_000)

loader = iter(DataLoader(
    Ids(), batch_size=None, num_workers=2, prefetch_factor=8, worker_init_fn=begin_worker
))
print(next(loader)[0], next(loader)[0], flush=True)
time.sleep(600)
"""


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL and no process groups")
def test_workers_end_with_a_main_process_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", MAIN], stdout=subprocess.PIPE, text=True) as main:
        assert main.stdout is not None
        workers = [int(each) for each in main.stdout.readline().split()]
        assert len(set(workers)) == 2
        assert all(os.getpgid(worker) == worker for worker in workers), "Ctrl-C would reach them"
        main.send_signal(signal.SIGKILL)
    for _ in range(600):
        if not any(is_running(worker) for worker in workers):
            return
        time.sleep(0.1)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    pytest.fail("a worker outlived its main process by a minute")


def halved(number: int) -> tuple[int, int]:
    if number % 2:
        raise DataError(f"{number} is odd")
    return number // 2, os.getpid()


@pytest.mark.parametrize("workers", [0, 2])
def test_results_come_in_order_and_errors_in_their_places(workers: int) -> None:
    found = list(map_in_workers(halved, range(10), workers))
    assert [str(each) if isinstance(each, DataError) else each[0] for each in found] == [
        0, "1 is odd", 1, "3 is odd", 2, "5 is odd", 3, "7 is odd", 4, "9 is odd",
    ]  # fmt: skip
    processes = {each[1] for each in found if isinstance(each, tuple)}
    assert (os.getpid() in processes) == (workers == 0)
    assert list(map_in_workers(halved, [], workers)) == []


class Unshared:
    """A result that does not fit into shared memory."""

    def __reduce__(self) -> str:
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space")


def unshared(number: int) -> Unshared:
    return Unshared()


def test_results_that_do_not_fit_into_shared_memory() -> None:
    """The queue of a loader would drop them with a traceback, and the main process would wait."""
    with pytest.raises(DataError, match=r"does not fit into .* \(unable .*--shm-size=8g, or lower"):
        list(map_in_workers(unshared, range(3), 1))


class Unopened(Unshared):
    """A result for which no further file can be opened."""

    def __reduce__(self) -> str:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def unopened(number: int) -> Unopened:
    return Unopened()


def unreceived(number: int) -> int:
    raise RuntimeError("received 0 items of ancdata")


def test_too_many_open_files() -> None:
    """As with `ulimit -n 20`: in a worker, in the main process, and when workers start."""
    advice = "raise the limit, as with ulimit -n 4096, or lower the number of workers"
    for work, reason in (
        (unopened, "[Errno 24] Too many open files"),
        (unreceived, "received 0 items of ancdata"),
    ):
        message = f"too many files are open ({reason}); {advice}"
        with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
            list(map_in_workers(work, range(3), int(work is unopened)))
    error = RuntimeError("unable to open </torch_1>: Too many open files (24)")
    assert files_ran_out(error) == f"too many files are open ({error}); {advice}"
    assert files_ran_out(OSError(errno.ENOSPC, "full")) is None


def killed(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_worker_ends_the_work() -> None:
    with pytest.raises(DataError, match=r"^a process that loads data was killed \(DataLoader wor"):
        list(map_in_workers(killed, range(3), 1))


@pytest.mark.parametrize("workers", [0, 2])
def test_the_global_random_numbers_are_left_alone(workers: int) -> None:
    before = torch.get_rng_state()
    assert len(list(map_in_workers(halved, range(3), workers))) == 3
    assert torch.equal(torch.get_rng_state(), before)
