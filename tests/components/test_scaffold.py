from __future__ import annotations

from pathlib import Path

import pytest

from srkit import __version__
from srkit.components.registry import KINDS
from srkit.components.scaffold import EXAMPLES, create_plugin, next_version, package_name
from srkit.errors import PluginError


def test_the_files_of_a_new_plugin(tmp_path: Path) -> None:
    project = create_plugin("srkit-clouds", tmp_path)
    assert project == tmp_path / "srkit-clouds"
    files = sorted(str(p.relative_to(project)) for p in project.rglob("*") if p.is_file())
    assert files == [
        "README.md",
        "pyproject.toml",
        "src/srkit_clouds/__init__.py",
        "src/srkit_clouds/degradations.py",
        "src/srkit_clouds/generators.py",
        "src/srkit_clouds/py.typed",
        "tests/test_degradations.py",
        "tests/test_generators.py",
        "tests/test_plugin.py",
    ]
    assert "SRKIT_API = 1\n" in (project / "src/srkit_clouds/__init__.py").read_text()
    assert f'["srkit>={__version__},<0.3"]' in (project / "pyproject.toml").read_text()


def test_every_kind_has_an_example(tmp_path: Path) -> None:
    assert list(EXAMPLES) == list(KINDS)
    project = create_plugin("srkit-clouds", tmp_path, KINDS)
    for kind in KINDS:
        assert (project / f"src/srkit_clouds/{kind}.py").is_file()
        assert (project / f"tests/test_{kind}.py").is_file()
    hooks = (project / "src/srkit_clouds/__init__.py").read_text()
    assert hooks.count("@hookimpl") == len(KINDS)


def test_only_the_chosen_kinds(tmp_path: Path) -> None:
    project = create_plugin("srkit-clouds", tmp_path, ["metrics"])
    modules = sorted(path.name for path in project.rglob("*.py"))
    assert modules == ["__init__.py", "metrics.py", "test_metrics.py", "test_plugin.py"]


def test_an_unknown_kind(tmp_path: Path) -> None:
    with pytest.raises(PluginError) as caught:
        create_plugin("srkit-clouds", tmp_path, ["metric"])
    assert str(caught.value) == "unknown kind of component 'metric'; did you mean 'metrics'?"
    assert list(tmp_path.iterdir()) == []


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


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("class", "try 'srkit-class'"),
        ("torch", "try 'srkit-torch'"),
        ("srkit", "choose another one"),
        ("srkit-photos", "choose another one"),
    ],
)
def test_a_name_that_is_taken(name: str, advice: str) -> None:
    with pytest.raises(PluginError) as caught:
        package_name(name)
    assert str(caught.value) == f"the plugin name '{name}' is taken or already installed; {advice}"
