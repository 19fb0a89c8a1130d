"""OpenVINO in torch's place, tried in a process of its own: it leaves threads behind.

After some thousand other tests in the same process, that process died behind them without a word.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CASES = Path(__file__).parents[1] / "support" / "openvino_cases.py"


def test_every_case() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", "-q"]
    done = subprocess.run([*command, str(CASES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("14 passed")
