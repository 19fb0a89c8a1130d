"""The workflow for GitHub Actions parses, and runs what the README says."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def test_the_workflow_runs_the_commands_of_the_readme() -> None:
    text = (ROOT / ".github/workflows/tests.yml").read_text("utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    assert set(jobs) == {"readme", "suite", "versions"}
    matrix = jobs["readme"]["strategy"]["matrix"]
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    assert matrix["python"] == [f"3.{minor}" for minor in (11, 12, 13, 14)]
    resolved = jobs["versions"]["strategy"]["matrix"]["include"]
    assert {"resolution": "lowest-direct", "python": "3.11"} in resolved
    (script,) = (
        each["run"] for each in jobs["readme"]["steps"] if "README.md" in each.get("run", "")
    )
    patterns = re.findall(r"/(\^.*?\$)/p", script)
    readme = (ROOT / "README.md").read_text("utf-8").splitlines()
    for pattern in patterns:
        found = [line for line in readme if re.fullmatch(pattern.replace(r"\/", "/"), line)]
        assert len(found) == 1, pattern
    assert len(patterns) == 2
