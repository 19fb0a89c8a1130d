"""Files and windows that several processes restore."""

from __future__ import annotations

import io
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import parent_process
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from command_process import Command
from frames_setup import by_windows
from PIL import Image as Pictures
from rich.console import Console
from typer.testing import CliRunner

from srkit.cli import app
from srkit.components.registry import Registry
from srkit.images.formats import Formats
from srkit.interfaces import WindowedFormat
from srkit.system.processes.pool import LocalPool
from srkit.upscaling.files import FileResult, FileUpscaler, Summary, upscale_files
from srkit.upscaling.frames.windows import FrameUpscaler
from srkit.upscaling.jobs import Job, plan
from srkit.upscaling.parallel import open_files, open_windows, share_files, share_of, share_windows
from srkit.upscaling.request import Request
from srkit.upscaling.size import Size
from srkit.upscaling.upscalers import Upscalers

COUNT = 6


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of small pictures, one of them truncated."""
    folder = tmp_path / "in"
    (folder / "deeper").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        levels = rng.integers(256, size=(20, 24, 3), dtype=np.uint8)
        Pictures.fromarray(levels).save(folder / ("deeper" if i % 2 else ".") / f"{i}.png")
    whole = (folder / "0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[:200])
    return folder


def test_files_are_the_same_as_by_one_process(pictures: Path, tmp_path: Path) -> None:
    command = ["upscale", str(pictures), "-m", "bicubic", "--scale", "2", "-o"]
    alone = CliRunner().invoke(app, [*command, str(tmp_path / "alone")])
    (tmp_path / "shared").mkdir()
    shutil.copy(tmp_path / "alone" / "0.png", tmp_path / "shared" / "0.png")
    shared = CliRunner().invoke(app, [*command, str(tmp_path / "shared"), "--processes", "2"])
    assert alone.exit_code == shared.exit_code == 1
    assert alone.output.splitlines()[-1] == f"{COUNT} restored by bicubic, 1 failed"
    assert shared.output.splitlines()[-1] == (
        f"{COUNT - 1} restored by bicubic, 1 skipped (output exists; --overwrite replaces it), "
        "1 failed"
    )
    assert f"failed {pictures}/cut.png: cannot be decoded" in shared.output
    found = sorted(path.relative_to(tmp_path / "alone") for path in tmp_path.glob("alone/**/*.png"))
    assert len(found) == COUNT
    for path in found:
        assert (tmp_path / "alone" / path).read_bytes() == (tmp_path / "shared" / path).read_bytes()


@contextmanager
def open_dying(
    marks: Path, request: Request, device: str | None
) -> Iterator[Callable[[Job], FileResult]]:
    """Kill the process once when it restores picture 2, and whenever it restores picture 3."""
    with open_files(request, device) as restore:

        def restore_or_die(job: Job) -> FileResult:
            mark = marks / job.source.stem
            if job.source.stem == "3" or (job.source.stem == "2" and not mark.exists()):
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return restore(job)

        yield restore_or_die


def test_files_are_retried_if_their_process_died(
    pictures: Path, tmp_path: Path, formats: Formats
) -> None:
    (pictures / "cut.png").unlink()
    (tmp_path / "marks").mkdir()
    jobs = plan([str(pictures)], tmp_path / "out", formats, "x2", None).jobs
    console = Console(file=io.StringIO(), width=200)
    setup = partial(open_dying, tmp_path / "marks", Request(model="bicubic", size=Size(2)))
    summary = share_files(jobs, setup, LocalPool(2), console)
    assert summary.done == COUNT - 1
    assert summary.failed == [
        f"{pictures}/deeper/3.png: its process died twice, possibly for lack of memory; restore "
        "it alone with --processes 1"
    ]
    names = sorted(path.name for path in tmp_path.glob("out/**/*"))
    assert names == ["0.png", "1.png", "2.png", "4.png", "5.png", "deeper"]
    assert sorted(path.name for path in tmp_path.glob("marks/*")) == ["2", "3"]


@pytest.fixture
def frame(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).normal(5, 3, (70, 50)).astype(np.float32)
    values[30, 20] = np.nan
    np.save(tmp_path / "frame.npy", values)
    return tmp_path / "frame.npy"


def windows_of(frame: Path, target: Path, request: Request, pool: LocalPool | None) -> Summary:
    """Restore a frame by windows, in several processes or in this one."""
    registry = Registry.discover()
    shared = {} if pool is None else {"restore_windows": partial(share_windows, request, pool)}
    with by_windows():
        jobs = [Job.of(frame, target, Formats.of(registry))]
        upscaler = FileUpscaler(request.open(registry), **shared)
        return upscale_files(jobs, upscaler, Console(file=io.StringIO()))


@pytest.mark.slow
def test_windows_are_the_same_as_by_one_process(frame: Path, tmp_path: Path) -> None:
    work = Request(model="sky_x2", size=Size(2), tile=32, self_ensemble=True)
    summary = windows_of(frame, tmp_path / "alone.npy", work, None)
    assert (summary.done, summary.failed) == (1, [])
    summary = windows_of(frame, tmp_path / "shared.npy", work, LocalPool(2))
    assert (summary.done, summary.failed) == (1, [])
    assert (tmp_path / "alone.npy").read_bytes() == (tmp_path / "shared.npy").read_bytes()


def test_the_stretch_is_measured_on_the_whole_frame(frame: Path) -> None:
    """Other processes use what the first one measured."""
    registry = Registry.discover()
    request = Request(model="sky_x2", size=Size(2), tile=16)
    file = Formats.of(registry).file(frame)
    assert isinstance(file.format, WindowedFormat)
    source = file.format.open_source(frame)
    assert source is not None
    upscaler = request.open(registry).for_image(source.outline)
    with closing(source):
        whole = FrameUpscaler(upscaler, source, file.format, {})
        assert whole.fitted[0] is not None
        part = partial(open_windows, request, file, whole.known, whole.side)
        window = whole.windows(whole.strips()[1])[1]
        expected = whole.restore(window).image.pixels
    with part(whole.fitted, None) as restore:
        found = restore(window).image.pixels
    torch.testing.assert_close(found, expected, equal_nan=True)
    # It depends on that.
    with part((10 * whole.fitted[0], None), None) as restore:
        assert not torch.equal(restore(window).image.pixels, found)


@dataclass(frozen=True, slots=True, kw_only=True)
class DyingRequest(Request):
    """Kills every other process that opens the model."""

    def open(self, registry: Registry, device: str | None = None) -> Upscalers:
        if parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return Request.open(self, registry, device)


def test_a_window_that_kills_its_processes(frame: Path, tmp_path: Path) -> None:
    work = DyingRequest(model="bicubic", size=Size(2), tile=64)
    summary = windows_of(frame, tmp_path / "out.npy", work, LocalPool(2))
    assert summary.failed == [
        f"{frame}: rows 0 to 128 and columns 0 to 100 of SR: its process died twice, possibly "
        "for lack of memory; use a smaller --tile, or --processes 1"
    ]
    assert not (tmp_path / "out.npy").exists()


def test_ranks_of_a_launcher_share_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = list(range(7))
    assert share_of(jobs) == jobs
    monkeypatch.setenv("WORLD_SIZE", "3")
    parts = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        parts.append(share_of(jobs))
    assert sorted(job for part in parts for job in part) == jobs
    assert parts[1] == [1, 4]


@pytest.mark.slow
def test_ctrl_c_stops_all_processes_and_leaves_no_partial_files(
    pictures: Path, tmp_path: Path
) -> None:
    for i in range(40):
        Pictures.new("RGB", (600, 600), (i, 0, 0)).save(pictures / f"large{i}.png")
    arguments = ["upscale", str(pictures), "-m", "rrdb_small_x4", "-o", str(tmp_path / "out")]
    command = Command([*arguments, "--processes", "2"], tmp_path / "log")
    command.wait_until(lambda: bool(list(tmp_path.glob("out/**/*.png"))))
    children = psutil.Process(command.process.pid).children(recursive=True)
    assert len(children) >= 2
    assert command.kill(signal.SIGINT) == 130
    assert "Traceback" not in command.log.read_text()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    assert not [path for path in tmp_path.glob("out/**/*") if "partial" in path.name]
