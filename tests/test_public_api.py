"""What plugins may import: the names that the public rooms export, as committed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from srkit.components.registry import KINDS
from srkit.components.scaffold import create_plugin

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
EXAMPLE = ROOT / "tests/plugin_example"
BLOCK = re.compile(r"^```python.*?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def exported_names() -> list[str]:
    return sorted(f"{room}.{name}" for room in ROOMS for name in import_module(room).__all__)


def test_the_exported_names_are_the_committed_ones() -> None:
    exported, committed = exported_names(), COMMITTED.read_text("utf-8").splitlines()
    added, removed = set(exported) - set(committed), set(committed) - set(exported)
    assert exported == committed, (
        "the public API has changed. If that is intended, run `python tests/test_public_api.py`; "
        "once the version is released, a removed or renamed name also raises "
        "srkit.hookspecs.API_VERSION.\n"
        + "\n".join([*(f"+ {name}" for name in added), *(f"- {name}" for name in removed)])
    )


def test_exported_names_exist() -> None:
    for name in COMMITTED.read_text("utf-8").splitlines():
        room, _, attribute = name.rpartition(".")
        assert hasattr(import_module(room), attribute), name


def python_sources() -> Iterator[tuple[str, str]]:
    """Iterate over the code that plugin authors copy from, and over the first-party plugins."""
    for page in sorted(ROOT.glob("docs/*/*plugin*.md")):
        for number, text in enumerate(BLOCK.findall(page.read_text("utf-8"))):
            yield f"{page.relative_to(ROOT)}, block {number}", text
    for path in sorted([*EXAMPLE.rglob("*.py"), *ROOT.glob("plugins/**/*.py")]):
        yield str(path.relative_to(ROOT)), path.read_text("utf-8")
    with TemporaryDirectory() as folder:
        for path in sorted(create_plugin("srkit-new", Path(folder), KINDS).rglob("*.py")):
            yield f"new plugin, {path.parent.name}/{path.name}", path.read_text("utf-8")


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


if __name__ == "__main__":
    COMMITTED.write_text("\n".join(exported_names()) + "\n", "utf-8")
