"""A pool on a local Ray cluster with two workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import ray
from command_line import Srkit
from PIL import Image as Pictures

from srkit.errors import SrkitError
from srkit.system.processes.pool import run_in_pool
from srkit.system.processes.ray_pool import RayPool

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray's own, of its sockets and processes
]


def test_no_cluster(srkit: Srkit, tmp_path: Path) -> None:
    Pictures.new("RGB", (8, 8)).save(tmp_path / "a.png")
    found = srkit("upscale", tmp_path / "a.png", "-m", "bicubic", "--ray", "auto")
    assert found.status == 1
    assert "--ray auto: cannot connect to a cluster" in found.err
    assert "use --ray local" in found.err


@pytest.fixture(scope="module")
def cores() -> Iterator[int]:
    """The number of cores of a local cluster without GPUs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        assert RayPool("local").count == 1  # one for the only host
        ray.cloudpickle.register_pickle_by_value(__import__(__name__))
        yield int(ray.cluster_resources()["CPU"])
        ray.shutdown()


@dataclass(frozen=True)
class Squares:
    """Returns squares of numbers; its process dies once of 3."""

    folder: Path

    @contextmanager
    def __call__(self, device: str | None) -> Iterator[Callable[[int], tuple[int, int]]]:
        def square(item: int) -> tuple[int, int]:
            mark = self.folder / str(item)
            if item == 3 and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if item == 100:
                raise ValueError("a hundred")
            return item * item, os.getpid()

        yield square


def test_each_item_is_done_once_and_retried_if_its_process_died(tmp_path: Path, cores: int) -> None:
    pool = RayPool("auto", min(2, cores))
    with closing(run_in_pool(list(range(5)), pool, Squares(tmp_path))) as completed:
        results = {each.item: each.result for each in completed}
    assert {n: result and result[0] for n, result in results.items()} == {
        n: n * n for n in range(5)
    }
    assert (tmp_path / "3").exists()
    assert os.getpid() not in {result[1] for result in results.values() if result}
    with (
        pytest.raises(ValueError, match="a hundred"),
        closing(run_in_pool([100], pool, Squares(tmp_path))) as completed,
    ):
        list(completed)


def test_too_many_processes(cores: int) -> None:
    message = f"--processes {cores + 1}: the Ray cluster has {cores} cores; use at most {cores}"
    with pytest.raises(SrkitError, match=f"^{message}$"):
        RayPool("auto", cores + 1)


def test_files_over_a_cluster(srkit: Srkit, tmp_path: Path, cores: int) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(5):
        levels = rng.integers(256, size=(20, 24, 3), dtype=np.uint8)
        Pictures.fromarray(levels).save(folder / f"{i}.png")
    (folder / "cut.png").write_bytes((folder / "0.png").read_bytes()[:200])
    command = ("upscale", folder, "-m", "rrdb_small_x4", "-o")
    alone = srkit(*command, tmp_path / "alone")
    shared = srkit(*command, tmp_path / "ray", "--ray", "local", "--processes", min(2, cores))
    assert alone.status == shared.status == 1
    assert alone.out.endswith("5 restored by rrdb_small_x4, 1 failed\n")
    assert shared.out.endswith("5 restored by rrdb_small_x4, 1 failed\n")
    assert f"failed {folder}/cut.png: cannot be decoded" in shared.out
    for i in range(5):
        name = f"{i}.png"
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
