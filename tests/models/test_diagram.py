from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srkit.errors import OutputError
from srkit.models.data_flow import SR, Stage
from srkit.models.diagram import draw_flow, merge_chains


def stage(name: str, *sources: str, kind: str = "Block", parameters: int = 10) -> Stage:
    return Stage(name, kind, parameters, (1, 8, 4, 4), sources)


FLOW = [
    stage("head", "LR", kind="Conv2d"),
    stage("body.0", "head"),
    stage("body.1", "body.0"),
    stage("body.2", "body.1", "body.0"),
    stage("body.3", "body.2", "head"),
    stage("tail", "body.3", "body.0", "head", kind="Conv2d"),
    Stage(SR, "", 0, (1, 3, 8, 8), ("tail", "LR")),
]


def test_chains_of_equal_stages_are_merged() -> None:
    """Except for a stage with another input, and one of another size."""

    def summed(stages: list[Stage]) -> list[tuple[str, str, int, set[str]]]:
        return [(b.name, b.type, b.parameters, {*b.sources}) for b in merge_chains(stages)]

    assert summed(FLOW) == [
        ("head", "Conv2d", 10, {"LR"}),
        ("body.0 … body.2", "3 × Block", 30, {"head"}),
        ("body.3", "Block", 10, {"body.0 … body.2", "head"}),
        ("tail", "Conv2d", 10, {"body.3", "body.0 … body.2", "head"}),
        (SR, "", 0, {"tail", "LR"}),
    ]
    chain = [stage("a", "LR"), stage("b", "a"), stage("c", "b", parameters=9)]
    assert summed(chain) == [("a … b", "2 × Block", 20, {"LR"}), ("c", "Block", 9, {"a … b"})]


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_file_formats(ending: str, tmp_path: Path) -> None:
    path = draw_flow(FLOW, "a $network$", tmp_path / f"flow.{ending}")
    content = path.read_bytes()
    if ending == "svg":
        assert content.count(b'<g id="patch_') >= len(FLOW) + 5
    elif ending == "pdf":
        assert content.startswith(b"%PDF")
    else:
        pixels = np.asarray(Image.open(path).convert("L"))
        assert pixels.shape[0] > pixels.shape[1] / 2
        assert 0.02 < (pixels < 250).mean() < 0.7
        rim = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert rim.min() == 255, "something is cut off"


def test_other_extensions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "flow.gif"
    message = f"{path}: ends in '.gif'; expected .png, .svg, .pdf"
    with pytest.raises(OutputError, match=f"^{re.escape(message)}$"):
        draw_flow(FLOW, "", path)
