"""The weights that training starts from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from training_setup import last, make_pictures, make_tree, run, steps

from srkit.assembly.start import load_starting_head, load_starting_weights
from srkit.assembly.variance_head import VarianceHead
from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.errors import WeightsError
from srkit.interfaces import Generator
from srkit.recipe.recipe import Recipe, parse_recipe

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


def test_weights_of_a_file_except_reinitialised_ones(generator: Generator, tmp_path: Path) -> None:
    before = {key: value.clone() for key, value in generator.state_dict().items()}
    path = tmp_path / "given.safetensors"
    save_file({key: value + 1 for key, value in before.items()}, path)
    load_starting_weights(generator, starting(path, reinitialise=["conv_last.*"]))
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
        load_starting_weights(generator, starting(path, reinitialise=["tail.*"]))


def test_a_variance_head_starts_untrained_or_from_another_run(
    tmp_path: Path, registry: Registry
) -> None:
    pictures = make_pictures(tmp_path / "pictures", count=4)
    run(make_tree(pictures, steps(1)), tmp_path / "plain", registry)
    unsure = make_tree(
        pictures,
        steps(1, ema=0.5),
        {"uncertainty": {"features": 4}, "losses": {"l1": None, "gaussian_nll": {}}},
    )
    for given, line in (
        ("plain", "has no head that predicts the variance; it starts untrained"),
        ("unsure", "starts from the head of"),
    ):
        folder = tmp_path / ("unsure" if given == "plain" else "again")
        start = tmp_path / given
        run({**unsure, "start": {"weights": str(start)}}, folder, registry)
        said = (folder / "log.txt").read_text()
        expected = {
            "plain": f"uncertainty: {start} {line}",
            "unsure": f"uncertainty: {line} {start}",
        }
        assert expected[given] in said
    groups = last(tmp_path / "unsure").groups
    assert {"uncertainty", "optimiser.uncertainty"} <= groups.keys()
    # A run without a head starts from one that has a head.
    plain = make_tree(pictures, steps(1), {"start": {"weights": str(tmp_path / "unsure")}})
    run(plain, tmp_path / "plain again", registry)
    assert "uncertainty" not in last(tmp_path / "plain again").groups

    head = VarianceHead(channels=3, features=4)
    load_starting_head(head, str(tmp_path / "unsure"))
    for key, value in head.state_dict().items():
        assert torch.equal(value, groups["uncertainty"][key])
    with pytest.raises(WeightsError) as caught:
        load_starting_head(VarianceHead(channels=3, features=6), str(tmp_path / "unsure"))
    assert str(caught.value) == (
        f"{tmp_path / 'unsure'}: its head that predicts the variance has 4 features, not 6; set "
        "uncertainty.features=4"
    )
