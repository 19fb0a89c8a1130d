"""srkit where POSIX is missing, and where files in use cannot be replaced, as on Windows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image as Pillow
from training_setup import make_pictures, make_tree, steps

from srkit.weights.checkpoints import load

PROGRAM = Path(__file__).parents[1] / "support" / "windows_process.py"


@pytest.mark.slow
def test_upscale_train_and_resume(tmp_path: Path) -> None:
    tree = make_tree(make_pictures(tmp_path / "pictures"), steps(2, workers=1))
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(tree), "utf-8")
    name = "sky → 1.png"  # the arrow is not in cp1252
    Pillow.new("RGB", (8, 6), (40, 90, 200)).save(tmp_path / name)
    commands = [
        ["upscale", name, "--model", "bicubic", "--scale", "2"],
        ["train", "small.yaml"],
        ["train", "small.yaml", "--resume", "training.duration=3", "training.workers=0"],
        ["upscale", name, "--model", "runs/small", "-o", "restored.png"],
    ]
    done = subprocess.run(
        [
            *(sys.executable, "-X", "warn_default_encoding", str(PROGRAM), str(tmp_path)),
            *map(json.dumps, commands),
        ],
        env={**os.environ, "PYTHONIOENCODING": "cp1252", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=300,
        check=False,
    )
    output = (done.stdout + done.stderr).decode("cp1252")
    assert done.returncode == 0, output
    assert "Traceback" not in output
    assert "sky ? 1" in output, "what the console cannot show is replaced"
    with Pillow.open(tmp_path / "sky → 1_x2.png") as restored:
        assert restored.size == (16, 12)
    assert load(tmp_path / "runs/small/checkpoints/last.safetensors").state["step"] == 3
