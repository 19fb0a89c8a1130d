"""Several processes that restore files together."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image as Pictures
from rich.console import Console
from training_setup import listen
from typer.testing import CliRunner

from srkit import sharing
from srkit.cli import app
from srkit.formats import Formats
from srkit.sharing import Work, serve, share_files, share_of
from srkit.sizing import Size
from srkit.upscale_files import Job, plan

COUNT = 6


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of small pictures, one of them cut off."""
    folder = tmp_path / "in"
    (folder / "deeper").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        levels = rng.integers(256, size=(20, 24, 3), dtype=np.uint8)
        Pictures.fromarray(levels).save(folder / ("deeper" if i % 2 else ".") / f"{i}.png")
    whole = (folder / "0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[:200])
    return folder


def work(reference: str = "bicubic") -> Work:
    return Work(reference, Size(2), {}, False, {}, 250.0)


def test_files_are_those_of_one_process(pictures: Path, tmp_path: Path) -> None:
    command = ["upscale", str(pictures), "-m", "bicubic", "--scale", "2", "-o"]
    alone = CliRunner().invoke(app, [*command, str(tmp_path / "alone")])
    shared = CliRunner().invoke(app, [*command, str(tmp_path / "shared"), "--processes", "2"])
    assert alone.exit_code == shared.exit_code == 1
    assert alone.output.splitlines()[-1] == f"{COUNT} restored, 1 failed"
    assert shared.output.splitlines()[-1] == f"{COUNT} restored, 1 failed"
    assert f"failed {pictures}/cut.png: cannot be decoded" in shared.output
    found = sorted(path.relative_to(tmp_path / "alone") for path in tmp_path.glob("alone/**/*.png"))
    assert len(found) == COUNT
    for path in found:
        assert (tmp_path / "alone" / path).read_bytes() == (tmp_path / "shared" / path).read_bytes()
    again = CliRunner().invoke(app, [*command, str(tmp_path / "shared"), "--processes", "2"])
    assert again.output.splitlines()[-1] == f"0 restored, {COUNT} there already, 1 failed"


def dying(pipe: object, work: Work, rank: int, processes: int) -> None:
    """Die as if killed, of a file called like the model, once or always."""
    marks = Path(os.environ["DIED"])
    from srkit import upscale_files

    restore = upscale_files.upscale_file

    def killed(job: Job, *given: object) -> list[str]:
        once = marks / f"{job.source.stem}.once"
        if (marks / job.source.stem).exists() and not once.exists():
            if job.source.stem != "3":
                once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return restore(job, *given)  # type: ignore[arg-type]

    upscale_files.upscale_file = killed  # type: ignore[assignment]
    serve(pipe, work, rank, processes)  # type: ignore[arg-type]


def test_the_share_of_a_process_that_died_is_redone(
    pictures: Path, tmp_path: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One dies once of picture 2; picture 3 kills every process that restores it."""
    marks = tmp_path / "marks"
    marks.mkdir()
    for name in "23":
        (marks / name).touch()
    monkeypatch.setenv("DIED", str(marks))
    monkeypatch.setattr(sharing, "serve", dying)
    (pictures / "cut.png").unlink()
    jobs = plan([str(pictures)], tmp_path / "out", formats, "x2", None)
    console = Console(file=io.StringIO(), width=200)
    outcome = share_files(jobs, work(), 2, console)
    assert outcome.done == COUNT - 1
    assert outcome.failed == [
        f"{pictures}/deeper/3.png: its process died twice, perhaps for want of memory; restore it "
        "alone, --processes 1"
    ]
    names = sorted(path.name for path in tmp_path.glob("out/**/*"))
    assert names == ["0.png", "1.png", "2.png", "4.png", "5.png", "deeper"]


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


def test_ctrl_c_ends_all_and_leaves_no_part(pictures: Path, tmp_path: Path) -> None:
    for i in range(40):
        Pictures.new("RGB", (600, 600), (i, 0, 0)).save(pictures / f"large{i}.png")
    command = [sys.executable, "-m", "srkit", "upscale", str(pictures), "-m", "rrdb_small_x4"]
    command += ["-o", str(tmp_path / "out"), "--processes", "2"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, preexec_fn=listen) as parent:
        until = time.monotonic() + 120
        while not list(tmp_path.glob("out/**/*.png")) and time.monotonic() < until:
            time.sleep(0.1)
        children = psutil.Process(parent.pid).children(recursive=True)
        assert len(children) >= 2
        parent.send_signal(signal.SIGINT)
        _, errors = parent.communicate(timeout=60)
    assert parent.returncode == 130
    assert b"Traceback" not in errors
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    assert not [path for path in tmp_path.glob("out/**/*") if "partial" in path.name]
