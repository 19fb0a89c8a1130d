"""One frame restored by all processes of torchrun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

#: Restores every frame by windows; the ranks tell which of them did.
PROGRAM = """
import os, sys
from pathlib import Path
from srkit.upscaling.frames import files as frame_files
from srkit.upscaling.frames import survey as surveying
from srkit.cli import main
from srkit.upscaling.frames.windows import FrameUpscaler
frame_files.LARGE = frame_files.SMALL_FILE = 0
restore = FrameUpscaler.restore
def telling(self, window):
    (Path(os.environ["TOLD"]) / f"{os.getpid()}").touch()
    if os.environ["RANK"] == os.environ.get("DYING"):
        os._exit(1)
    return restore(self, window)
FrameUpscaler.restore = telling
if __name__ == "__main__":
    main()
"""


@pytest.fixture
def frame(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).normal(5, 3, (150, 90)).astype(np.float32)
    np.save(tmp_path / "frame.npy", values)
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "told").mkdir()
    return tmp_path / "frame.npy"


def run(frame: Path, target: str, *launcher: str, **extra: str) -> subprocess.CompletedProcess[str]:
    folder = frame.parent
    options = ["-m", "rrdb_small_x4", "--tile", "16", "--precision", "fp32"]
    program = [str(folder / "program.py"), "upscale", str(frame), "-o", str(folder / target)]
    environment = {**os.environ, "TOLD": str(folder / "told"), "OMP_NUM_THREADS": "1", **extra}
    command = [sys.executable, *launcher, *program, *options]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, cwd=folder
    )


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def test_a_frame_is_that_of_one_process(frame: Path) -> None:
    alone = run(frame, "alone.npy", RANK="0", WORLD_SIZE="1")
    assert alone.returncode == 0, alone.stderr
    told = frame.parent / "told"
    assert len(list(told.iterdir())) == 1
    shared = run(frame, "shared.npy", *TORCHRUN)
    assert shared.returncode == 0, shared.stderr
    assert shared.stdout.count("1 restored") == 1
    assert len(list(told.iterdir())) >= 3  # and at least two more
    read = [(frame.parent / name).read_bytes() for name in ("alone.npy", "shared.npy")]
    assert read[0] == read[1]


def test_a_rank_that_dies(frame: Path) -> None:
    done = run(frame, "sr.npy", *TORCHRUN, DYING="1")
    assert done.returncode != 0
    assert not (frame.parent / "sr.npy").exists()
    again = run(frame, "sr.npy", *TORCHRUN)
    assert again.returncode == 0, again.stderr
    assert (frame.parent / "sr.npy").exists()
