"""A third party's distribution, built, installed and trained beside srkit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from srkit.components.registry import KINDS

EXAMPLE = Path(__file__).resolve().parent / "plugin_example"
NAME = "srkit-plugin-example"


def run(*arguments: str, cwd: Path, path: Path | None = None) -> str:
    """Run a Python module, with `path` ahead of what is installed."""
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin's wheel installed, and nothing else."""
    folder = tmp_path_factory.mktemp("example")
    run("build", "--wheel", "--no-isolation", "--outdir", str(folder), str(EXAMPLE), cwd=folder)
    (wheel,) = folder.glob("*.whl")
    site = folder / "site"
    pip = ("pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index")
    run(*pip, "--target", str(site), str(wheel), cwd=folder)
    return site


def test_the_wheel_holds_the_package_and_its_entry_point(site: Path) -> None:
    (wheel,) = site.parent.glob("*.whl")
    with ZipFile(wheel) as archive:
        packages = {name.split("/")[0] for name in archive.namelist()}
        (points,) = (n for n in archive.namelist() if n.endswith("entry_points.txt"))
        text = archive.read(points).decode()
    assert packages == {"srkit_plugin_example", "srkit_plugin_example-1.2.3.dist-info"}
    assert text.split() == ["[srkit]", "example", "=", "srkit_plugin_example"]


def test_every_kind_is_listed_as_the_plugins_own(site: Path, tmp_path: Path) -> None:
    listed = json.loads(run("srkit", "plugins", "--json", cwd=tmp_path, path=site))
    assert listed["failures"] == []
    found = {c["kind"]: c for c in listed["components"] if c["distribution"] == NAME}
    assert sorted(found) == sorted(KINDS)
    assert {component["version"] for component in found.values()} == {"1.2.3"}
    assert found["degradations"]["options"] == [
        {
            "name": "noise",
            "type": "float >= 0",
            "default": "0.01",
            "meaning": "Standard deviation of the noise, in units of the data.",
        }
    ]


def test_the_components_keep_their_contracts(site: Path) -> None:
    """The checks over the whole registry take in whatever is installed."""
    contracts = str(EXAMPLE.parent / "test_contracts.py")
    options = ("-q", "-k", "example", "-p", "no:cacheprovider")
    output = run("pytest", *options, contracts, cwd=EXAMPLE.parent, path=site)
    assert "12 passed" in output


def test_two_steps_of_its_recipe(site: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    recipe = str(EXAMPLE / "recipe.yaml")
    run("srkit", "train", recipe, "--out", str(out), cwd=tmp_path, path=site)
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert max(record["step"] for record in records) == 2
    named = {key for record in records for key in record}
    assert {"loss/example_loss", "loss/logit_mse", "example_metric"} <= named


def test_its_command(site: Path, tmp_path: Path) -> None:
    listed = run("srkit", "data", "--help", cwd=tmp_path, path=site)
    assert "Write an image whose brightness rises to the right." in listed
    out = run("srkit", "data", "example-ramp", "--out=r.pfm", "--size=3", cwd=tmp_path, path=site)
    assert out == "r.pfm\n"
    assert (tmp_path / "r.pfm").read_bytes().startswith(b"Pf\n3 3\n")
