from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from srkit.components import build
from srkit.errors import WeightsError
from srkit.interfaces import Generator
from srkit.recipe import Recipe, parse_recipe
from srkit.registry import Registry
from srkit.runs import Best, begin_from

SMALL = {"type": "rrdb", "blocks": 1, "features": 4, "growth": 2}


@pytest.fixture
def generator(registry: Registry) -> Generator:
    options = {"blocks": 1, "features": 4, "growth": 2}
    made: Generator = build(
        registry.get("generators", "rrdb").factory, options, scale=4, channels=3
    )
    return made


def starting(path: Path, **start: list[str]) -> Recipe:
    tree = {"name": "start", "generator": SMALL, "start": {"weights": str(path), **start}}
    return parse_recipe(tree, "test")


def test_starts_from_a_file_but_for_what_is_reinitialised(
    generator: Generator, tmp_path: Path
) -> None:
    before = {key: value.clone() for key, value in generator.state_dict().items()}
    path = tmp_path / "given.safetensors"
    save_file({key: value + 1 for key, value in before.items()}, path)
    begin_from(generator, starting(path, reinitialise=["conv_last.*"]))
    for key, value in generator.state_dict().items():
        expected = before[key] if key.startswith("conv_last.") else before[key] + 1
        torch.testing.assert_close(value, expected)


def test_a_pattern_that_matches_nothing_is_refused(generator: Generator, tmp_path: Path) -> None:
    path = tmp_path / "given.safetensors"
    save_file(dict(generator.state_dict()), path)
    message = (
        r"^start\.reinitialise: 'tail\.\*' matches no weight of the generator; their names begin "
        r"with body, conv_body, conv_first, conv_hr, conv_last, conv_up1, conv_up2$"
    )
    with pytest.raises(WeightsError, match=message):
        begin_from(generator, starting(path, reinitialise=["tail.*"]))


@pytest.mark.parametrize(
    ("higher", "values", "kept"),
    [(True, [1.0, 3.0, 2.0, 3.0], (3.0, 2)), (False, [1.0, float("nan"), 0.5], (0.5, 3))],
)
def test_the_best_is_the_first_of_its_value(
    higher: bool, values: list[float], kept: tuple[float, int]
) -> None:
    best = Best("metric", higher)
    for step, value in enumerate(values, start=1):
        best.beaten_by(value, step)
    assert (best.value, best.step) == kept
