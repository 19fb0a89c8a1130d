"""The wheel and the sdist contain all that they need."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def tracked(*folders: str) -> list[str]:
    """The files of folders that belong to the project."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def test_the_wheel_contains_every_file_of_package_plugins_and_recipes(wheel: Path) -> None:
    found = {path.relative_to(wheel).as_posix() for path in wheel.rglob("*") if path.is_file()}
    wanted = {
        *tracked("srkit"),
        *(name.removeprefix("plugins/") for name in tracked("plugins")),
        *(f"srkit/{name}" for name in tracked("recipes")),
    }
    assert wanted - found == set()
    assert {PurePosixPath(name).parts[0] for name in found - wanted} == {
        next(path.name for path in wheel.glob("*.dist-info"))
    }


def test_an_installed_package_finds_its_recipes(wheel: Path, tmp_path: Path) -> None:
    code = "from srkit.recipe.shipped import find_recipe; print(find_recipe('darionet'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(wheel / "srkit" / "recipes" / "darionet.yaml")


def test_the_sdist_contains_what_the_tests_and_the_wheel_need(tmp_path: Path) -> None:
    (path,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path))
    with tarfile.open(path) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}
    assert set(tracked("srkit", "plugins", "recipes", "tests", "docs", "*.md")) - found == set()
