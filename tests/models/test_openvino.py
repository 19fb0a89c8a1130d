"""OpenVINO instead of torch, tested in a process of its own.

It leaves threads behind: after thousands of other tests in the same process, that process crashed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).parents[1] / "support" / "openvino_cases.py"


@pytest.mark.slow
def test_every_case() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", "-q"]
    done = subprocess.run([*command, str(CASES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("16 passed")
