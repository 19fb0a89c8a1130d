"""What commands import: only what they need, so that they start fast."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import yaml
from astropy.io import fits

#: What no command imports that only prints.
HEAVY = ("astropy", "jinja2", "matplotlib", "numpy", "scipy", "torch", "yaml")
#: What neither upscaling a picture nor checking a recipe without a teacher needs.
UNNEEDED = (
    "jinja2",
    "lenstronomy",
    "matplotlib",
    "onnx",
    "openvino",
    "photutils",
    "ray",
    "scipy",
    "spandrel",
    "sympy",
    "tifffile",
    "timm",
    "torch._inductor",
    "torchmetrics",
    "torchvision",
    "triton",
)
#: Run commands one after another; after each, print which of these are imported.
CODE = f"""
import json, sys, srkit
def report(name):
    found = sorted(set({(*HEAVY, *UNNEEDED, "accelerate", "kornia")}) & set(sys.modules))
    print(json.dumps([name, found]), file=sys.stderr)
report("import srkit")
from srkit.cli import main
for name, *arguments in json.loads(sys.argv[1]):
    sys.argv = ["srkit", *arguments]
    try:
        main()
    except SystemExit as end:
        assert not end.code, end
        report(name)
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The listed packages that are imported after each command; the later include the earlier."""
    folder = tmp_path_factory.mktemp("startup")
    picture, frame, recipe = folder / "photos" / "a.png", folder / "a.fits", folder / "r.yaml"
    picture.parent.mkdir()
    PIL.Image.new("RGB", (32, 32)).save(picture)
    fits.writeto(frame, np.ones((8, 8), np.float32))
    tree = {
        "name": "r",
        "scale": 2,
        "degradation": {"type": "bicubic"},
        "generator": {"type": "srcnn"},
        "losses": {"l1": {}},
        "metrics": {"psnr_y": {}},
        "data": {
            "train": {"dataset": {"type": "image_folder", "root": str(picture.parent)}, "crop": 16},
        },
        "training": {"duration": 1},
    }
    recipe.write_text(yaml.safe_dump(tree))
    commands = [
        ["--help", "--help"],
        ["--version", "--version"],
        ["train --help", "train", "--help"],
        ["data --help", "data", "--help"],
        ["plugins", "plugins"],
        ["interpolate", "upscale", str(picture), "-m", "bicubic", "-o", str(folder / "x.png")],
        ["upscale", "upscale", str(picture), "-o", str(folder / "sr.png")],
        ["upscale a frame", "upscale", str(frame)],
        ["recipe check", "recipe", "check", str(recipe)],
    ]
    process = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(commands)], capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    assert "Draw pairs" in process.stdout
    assert "rrdb" in process.stdout
    lines = [line for line in process.stderr.splitlines() if line.startswith("[")]
    return {name: set(found) for name, found in map(json.loads, lines)}


@pytest.mark.parametrize(
    "command",
    ["import srkit", "--help", "--version", "train --help", "data --help", "plugins"],
)
def test_nothing_heavy_is_imported(imported: dict[str, set[str]], command: str) -> None:
    assert imported[command] == set()


@pytest.mark.parametrize("command", ["interpolate", "upscale"])
def test_a_picture_needs_torch_alone(imported: dict[str, set[str]], command: str) -> None:
    assert imported[command] == {"numpy", "torch", "yaml"}


def test_a_frame_needs_astropy_as_well(imported: dict[str, set[str]]) -> None:
    assert imported["upscale a frame"] == {"astropy", "numpy", "torch", "yaml"}


def test_a_check_of_a_recipe_draws_nothing(imported: dict[str, set[str]]) -> None:
    assert not imported["recipe check"] & set(UNNEEDED)
