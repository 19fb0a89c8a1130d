from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from srkit.components.scaffold import create_plugin, next_version, package_name
from srkit.errors import PluginError


def run(*arguments: str, cwd: Path, path: Path | None = None) -> str:
    """Run Python with `path` ahead of the installed packages; show its output on failure."""
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_plugin_installs_and_passes_its_own_tests(tmp_path: Path) -> None:
    project = create_plugin("srkit-clouds", tmp_path)
    assert project == tmp_path / "srkit-clouds"
    site = tmp_path / "site"
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
    offline = ("--no-build-isolation", "--no-index", "--target", str(site))
    run(*pip, *offline, str(project), cwd=tmp_path)
    assert "5 passed" in run("-m", "pytest", "-q", cwd=project, path=site)


def test_a_new_plugin_passes_ruff(tmp_path: Path) -> None:
    project = create_plugin("srkit-clouds", tmp_path)
    plain = ("--isolated", "--no-cache", "--line-length=100", ".")
    run("-m", "ruff", "check", *plain, cwd=project)
    run("-m", "ruff", "format", "--check", *plain, cwd=project)
    files = sorted(str(p.relative_to(project)) for p in project.rglob("*") if p.is_file())
    assert files == [
        "README.md",
        "pyproject.toml",
        "src/srkit_clouds/__init__.py",
        "src/srkit_clouds/degradations.py",
        "src/srkit_clouds/generators.py",
        "src/srkit_clouds/py.typed",
        "tests/test_contracts.py",
    ]


@pytest.mark.parametrize(
    ("installed", "following"),
    [("0.1.0", "0.2"), ("0.12.3.dev1+gabc", "0.13"), ("1.0rc2", "2"), ("3.4", "4")],
)
def test_the_next_version_that_may_break_a_plugin(installed: str, following: str) -> None:
    assert next_version(installed) == following


def test_an_existing_folder_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "clouds").mkdir()
    with pytest.raises(PluginError) as caught:
        create_plugin("clouds", tmp_path)
    assert (
        str(caught.value) == f"{tmp_path / 'clouds'}: already exists; choose another name or folder"
    )
    assert list((tmp_path / "clouds").iterdir()) == []


@pytest.mark.parametrize("name", ["", "Clouds", "3d", "a--b", "a.b", "../a", "-a", "a-", "ä"])
def test_an_invalid_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError) as caught:
        create_plugin(name, tmp_path)
    assert str(caught.value) == (
        f"invalid plugin name '{name}'; expected words of lower-case letters and digits, "
        "joined by single hyphens or underscores, such as 'srkit-clouds'"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["srkit", "class", "torch"])
def test_a_name_that_is_taken(name: str) -> None:
    with pytest.raises(PluginError) as caught:
        package_name(name)
    assert str(caught.value) == f"the plugin name '{name}' is taken; try 'srkit-{name}'"
