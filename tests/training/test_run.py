from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from training_setup import last, make_pictures, make_tree, run, steps

from srkit.assembly.start import begin_from, begin_head_from
from srkit.assembly.variance_head import VarianceHead
from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.errors import WeightsError
from srkit.interfaces import Generator
from srkit.recipe.recipe import Recipe, parse_recipe
from srkit.training.run import Best

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


def test_a_head_starts_afresh_or_goes_on_and_says_so(tmp_path: Path, registry: Registry) -> None:
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
    # And a network that no longer says how sure it is starts from one that does.
    plain = make_tree(pictures, steps(1), {"start": {"weights": str(tmp_path / "unsure")}})
    run(plain, tmp_path / "plain again", registry)
    assert "uncertainty" not in last(tmp_path / "plain again").groups

    head = VarianceHead(channels=3, features=4)
    begin_head_from(head, str(tmp_path / "unsure"))
    for key, value in head.state_dict().items():
        assert torch.equal(value, groups["uncertainty"][key])
    with pytest.raises(WeightsError) as caught:
        begin_head_from(VarianceHead(channels=3, features=6), str(tmp_path / "unsure"))
    assert str(caught.value) == (
        f"{tmp_path / 'unsure'}: its head that predicts the variance has 4 features, not 6; set "
        "uncertainty.features=4"
    )
