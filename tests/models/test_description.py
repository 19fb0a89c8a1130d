"""The output of `srkit models`, on the command line and as JSON."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from command_line import Srkit
from safetensors.torch import save_file
from srkit_generators.rrdb import RRDB

from srkit.components.registry import Registry
from srkit.models.description import describe
from srkit.models.open import open_model

SMALL = ("edsr", "blocks=2", "features=8", "--scale", "2")


def test_a_generator_by_name(srkit: Srkit) -> None:
    done = srkit("models", "show", *SMALL, "--depth", "1")
    assert (done.status, done.err) == (0, "")
    lines = [re.split(r"  +", line.strip()) for line in done.out.splitlines()]
    assert lines == [
        ["edsr: EDSR, scale 2, 3 channels"],
        ["parameters", "5,699"],
        ["multiply-adds", "25,657,344 for 64 x 64 LR pixels"],
        ["receptive field", "16 x 16 LR pixels; 95 % of the gradient within 9 x 9"],
        [""],
        ["layer", "type", "output", "parameters", "multiply-adds"],
        ["head", "Conv2d", "8 x 64 x 64", "224", "884,736"],
        ["body", "Sequential", "8 x 64 x 64", "2,336", "9,437,184"],
        ["body_end", "Conv2d", "8 x 64 x 64", "584", "2,359,296"],
        ["upsample", "Sequential", "8 x 128 x 128", "2,336", "9,437,184"],
        ["tail", "Conv2d", "3 x 128 x 128", "219", "3,538,944"],
    ]


def test_as_json(srkit: Srkit) -> None:
    done = srkit("models", "show", *SMALL, "--size", "20x30", "--channels", "1", "--json")
    tree = json.loads(done.out)
    assert (tree["type"], tree["scale"], tree["channels"]) == ("EDSR", 2, 1)
    assert tree["size"] == [20, 30]
    assert tree["provenance"] == {"path": None, "sha256": None, "recipe": None, "srkit": None}
    assert tree["layers"][-1]["output"] == [1, 1, 40, 60]
    assert tree["stages"][-1]["name"] == "SR"
    # Each LR pixel costs the same.
    assert tree["multiply_adds"] == sum(
        each["multiply_adds"] for each in tree["layers"] if each["depth"] == 1
    )


def test_a_weight_file_and_its_graph(srkit: Srkit, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_file(RRDB(scale=4, channels=3, blocks=1, features=8).state_dict(), path)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    done = srkit("models", "show", path, "--size", "16x16", "--graph", "graph.png")
    assert (done.status, done.err) == (0, "graph: graph.png\n")
    assert done.out.startswith(
        "mine: Foreign, scale 4, 3 channels\n"
        f"file             {path}\nsha256           {checksum}\n"
        "parameters       "
    )
    assert (tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")


def test_an_interpolation(registry: Registry) -> None:
    description = describe(open_model("bicubic", registry, scale=2), (8, 8))
    assert description["parameters"] == 0
    assert description["layers"] == []
    stages = [(stage["name"], stage["sources"]) for stage in description["stages"]]
    assert stages == [("SR", ("LR",))]
    assert description["channels"] is None
    field = description["receptive_field"]
    assert (field["height"], field["width"], field["bounded"]) == (4, 4, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["edsr", "block=2", "features=a"],
            "edsr: 2 problems\n  generator.features: got 'a'; expected a valid integer\n"
            "  generator.block: unknown key 'block'; did you mean 'blocks'?",
        ),
        (
            ["edsr", "blocks"],
            "edsr: 1 problem\n  generator.blocks: expected key=value, such as "
            "training.batch_size=8",
        ),
        (["edsr", "--scale", "5"], "edsr: 1 problem\n  generator: edsr supports the "
         "scales 1, 2, 3, 4 and 8; got 5"),
        (["edsr", "--size", "64"], "--size: got '64'; expected HEIGHTxWIDTH, such as 64x64"),
        (
            ["rrdb_small_x4", "blocks=2"],
            "'rrdb_small_x4' is not a generator; only generators have options and channels",
        ),
        (["rrdb_small_x4", "--scale", "2"],
         "rrdb_small_x4: a model of scale 4; expected scale 2"),
        ([*SMALL, "--graph", "x.gif"], "x.gif: ends in '.gif'; expected .png, .svg, .pdf"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_reported(arguments: list[str], message: str, srkit: Srkit) -> None:
    done = srkit("models", "show", *arguments)
    assert (done.status, done.err) == (1, f"error: {message}\n")


def test_interpolation_on_the_command_line(srkit: Srkit, registry: Registry) -> None:
    pair = ("rrdb_small_x4", "rrdb_small_x4")
    done = srkit("models", "interpolate", *pair, "--weight", "0.8", "-o", "blend.safetensors")
    assert (done.status, done.err) == (0, "")
    assert done.out == "blend.safetensors: 0.2 of rrdb_small_x4 and 0.8 of rrdb_small_x4\n"
    assert open_model("blend.safetensors", registry).provenance.recipe == "rrdb_small_x4"
    assert srkit("models", "interpolate", *pair, "--weight", "2", "-o", "x").status == 2
