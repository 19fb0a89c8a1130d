"""What is imported before a command needs it: little, so that the command line starts fast."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("astropy", "jinja2", "matplotlib", "numpy", "scipy", "torch", "yaml")
#: Run commands one after another; after each, print which heavy packages are imported.
CODE = f"""
import json, sys, srkit
def report(name):
    print(json.dumps([name, sorted(set({HEAVY}) & set(sys.modules))]), file=sys.stderr)
report("import srkit")
from srkit.cli import main
for arguments in sys.argv[1:]:
    sys.argv = ["srkit", *arguments.split()]
    try:
        main()
    except SystemExit:
        report(arguments)
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, list[str]]:
    """The heavy packages that are imported after each command."""
    commands = ["--help", "--version", "train --help", "data --help", "plugins"]
    process = subprocess.run(
        [sys.executable, "-c", CODE, *commands], capture_output=True, text=True, check=True
    )
    assert "Draw pairs" in process.stdout
    assert "rrdb" in process.stdout
    return dict(json.loads(line) for line in process.stderr.splitlines())


@pytest.mark.parametrize(
    "command",
    ["import srkit", "--help", "--version", "train --help", "data --help", "plugins"],
)
def test_nothing_heavy_is_imported(imported: dict[str, list[str]], command: str) -> None:
    assert imported[command] == []
