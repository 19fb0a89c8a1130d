"""Two third-party distributions, built and installed beside srkit: the example and the scaffold."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Srkit
from contract_checks import CHECKS

from srkit import testing
from srkit.components import Component, Registry, build
from srkit.components.registry import KINDS
from srkit.components.scaffold import create_plugin

EXAMPLE = Path(__file__).resolve().parent / "plugin_example"
NAME = "srkit-plugin-example"


def run(*arguments: str, cwd: Path, path: Path | None = None) -> str:
    """Run a Python module with `path` ahead of the installed packages; return its output."""
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a new plugin of every kind, srkit-clouds."""
    folder = tmp_path_factory.mktemp("plugins")
    create_plugin("srkit-clouds", folder, KINDS)
    return folder


@pytest.fixture(scope="module")
def site(projects: Path) -> Iterator[Path]:
    """A folder on sys.path into which both plugins are installed, and nothing else."""
    site = projects / "site"
    pip = ("pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index")
    offline = ("--no-build-isolation", "--target", str(site))
    run(*pip, *offline, str(EXAMPLE), str(projects / "srkit-clouds"), cwd=projects)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        yield site
    for name in [*sys.modules]:
        if name.partition(".")[0] in ("srkit_clouds", "srkit_plugin_example"):
            del sys.modules[name]


@pytest.fixture(scope="module")
def components(site: Path) -> dict[str, Component]:
    """The component of each kind that the example offers."""
    registry = Registry.discover()
    assert registry.failures == []
    offered = (component for kind in KINDS for component in registry.components(kind))
    return {each.kind: each for each in offered if each.distribution == NAME}


def test_the_wheel_contains_the_package_and_its_entry_point(site: Path) -> None:
    name = "srkit_plugin_example"
    assert {path.name for path in site.glob(f"{name}*")} == {name, f"{name}-1.2.3.dist-info"}
    points = (site / f"{name}-1.2.3.dist-info" / "entry_points.txt").read_text()
    assert points.split() == ["[srkit]", "example", "=", name]


def test_srkit_lists_the_components_of_the_plugin(site: Path, srkit: Srkit) -> None:
    listed = json.loads(srkit("plugins", "degradations", "example_blur", "--json").out)
    assert (listed["distribution"], listed["version"]) == (NAME, "1.2.3")
    assert listed["options"] == [
        {
            "name": "noise",
            "type": "float >= 0",
            "default": "0.01",
            "meaning": "Standard deviation of the noise, in units of the data.",
        }
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_component_of_each_kind_satisfies_its_contract(
    components: dict[str, Component], kind: str, tmp_path: Path
) -> None:
    component = components[kind]
    if kind == "commands":
        testing.check_command(component)
        return
    testing.check_component(component)
    built = build(component.factory, {}, scale=2, channels=3, formats=None)
    in_folder = kind in ("image_formats", "trackers")
    CHECKS[kind](built, **({"folder": tmp_path} if in_folder else {}))


def test_two_steps_of_its_recipe(site: Path, srkit: Srkit, tmp_path: Path) -> None:
    done = srkit("train", EXAMPLE / "recipe.yaml", "--out", "run")
    assert done.status == 0, done.err
    records = [
        json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    ]
    assert max(record["step"] for record in records) == 2
    named = {key for record in records for key in record}
    assert {"loss/example_loss", "loss/logit_mse", "example_metric"} <= named


def test_its_command(site: Path, srkit: Srkit, tmp_path: Path) -> None:
    assert "Write an image whose brightness rises to the right." in srkit("data", "--help").out
    done = srkit("data", "example-ramp", "--out=r.pfm", "--size=3")
    assert (done.status, done.out) == (0, "r.pfm\n")
    assert (tmp_path / "r.pfm").read_bytes().startswith(b"Pf\n3 3\n")


@pytest.mark.slow
def test_a_new_plugin_passes_its_own_tests(site: Path, projects: Path) -> None:
    report = run("pytest", "-q", cwd=projects / "srkit-clouds", path=site)
    found = re.search(r"^(\d+) passed in", report, re.MULTILINE)
    assert found and int(found[1]) > len(KINDS), report


@pytest.mark.slow
def test_a_new_plugin_passes_ruff(projects: Path) -> None:
    project = projects / "srkit-clouds"
    options = ("--isolated", "--no-cache", "--line-length=100", ".")
    run("ruff", "check", *options, cwd=project)
    run("ruff", "format", "--check", *options, cwd=project)
