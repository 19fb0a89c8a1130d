"""What plugins may import: the names that the public rooms export, as committed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: One name a line, such as ``srkit.interfaces.Batch``.
COMMITTED = ROOT / "tests" / "public_api.txt"
ROOMS = (
    "srkit",
    "srkit.components",
    "srkit.data",
    "srkit.errors",
    "srkit.functional",
    "srkit.hookspecs",
    "srkit.images",
    "srkit.interfaces",
    "srkit.report",
    "srkit.system",
    "srkit.testing",
    "srkit.weights",
)
SCAFFOLD = ROOT / "srkit/components/templates/plugin"
EXAMPLE = ROOT / "tests/plugin_example"
BLOCK = re.compile(r"^```python.*?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_exported_names_are_the_committed_ones() -> None:
    exported = {f"{room}.{name}" for room in ROOMS for name in import_module(room).__all__}
    lines = COMMITTED.read_text("utf-8").splitlines()
    added, removed = sorted(exported - set(lines)), sorted(set(lines) - exported)
    assert not added + removed, (
        "the public API has changed. If that is intended, update tests/public_api.txt; if a name "
        "was removed or renamed, also raise srkit.hookspecs.API_VERSION once 0.1.0 is released.\n"
        + "\n".join([*(f"+ {name}" for name in added), *(f"- {name}" for name in removed)])
    )
    assert lines == sorted(lines)


def test_exported_names_exist() -> None:
    for name in COMMITTED.read_text("utf-8").splitlines():
        room, _, attribute = name.rpartition(".")
        assert hasattr(import_module(room), attribute), name


def python_sources() -> Iterator[tuple[str, str]]:
    """Iterate over the code that plugin authors copy from, and over the first-party plugins."""
    for number, text in enumerate(BLOCK.findall((ROOT / "docs/plugins.md").read_text("utf-8"))):
        yield f"docs/plugins.md, block {number}", text
    unfinished = ROOT / "plugins/srkit_astro/metrics/artefacts.py"
    paths = [*SCAFFOLD.rglob("*.py.j2"), *EXAMPLE.rglob("*.py"), *ROOT.glob("plugins/**/*.py")]
    for path in sorted({*paths} - {unfinished}):
        yield str(path.relative_to(ROOT)), path.read_text("utf-8")


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in python_sources()])
def test_plugins_import_exported_names_only(text: str) -> None:
    exported = {*COMMITTED.read_text("utf-8").splitlines(), *ROOMS}
    imported = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {f"{node.module}.{alias.name}" for alias in node.names}
    ours = {name for name in imported if name.split(".")[0] == "srkit"}
    assert sorted(ours - exported) == []
