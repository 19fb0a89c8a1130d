"""The keys `deterministic`, `tf32` and `compile` have an effect during the run, and only then."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn
from training_setup import extended, make_pictures, make_tree, run, steps

from srkit.components.registry import Registry
from srkit.errors import RecipeError, TrainingError
from srkit.interfaces import Batch


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=4)


def settings() -> dict[str, Any]:
    return {
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "products": torch.backends.cuda.matmul.allow_tf32,
        "convolutions": torch.backends.cudnn.allow_tf32,
    }


PLAIN = {"deterministic": False, "products": False, "convolutions": True}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, PLAIN),
        ({"deterministic": True}, {**PLAIN, "deterministic": True}),
        ({"tf32": True}, {**PLAIN, "products": True}),
        ({"tf32": False}, {**PLAIN, "convolutions": False}),
    ],
)
def test_settings_of_torch_during_a_run(
    keys: dict[str, bool], expected: dict[str, bool], pictures: Path, tmp_path: Path
) -> None:
    found = []

    def note(sr: Tensor, batch: Batch) -> Tensor:
        found.append(settings())
        return (sr - batch.hr).abs().mean()

    registry = extended(losses={"note": lambda: note})
    tree = make_tree(pictures, steps(1, **keys), {"losses": {"l1": None, "note": {}}})
    run(tree, tmp_path / "run", registry)
    assert found[-1] == expected
    assert settings() == PLAIN
    noted = "training.tf32: has no effect on cpu" in (tmp_path / "run" / "log.txt").read_text()
    assert noted == bool(keys.get("tf32"))


def test_an_operation_that_is_not_deterministic_is_named(pictures: Path, tmp_path: Path) -> None:
    def scatter(sr: Tensor, batch: Batch) -> Tensor:
        torch.zeros(4).put_(torch.tensor([1, 1]), torch.tensor([1.0, 2.0]))
        return (sr - batch.hr).abs().mean()

    registry = extended(losses={"scatter": lambda: scatter})
    tree = make_tree(pictures, {"losses": {"l1": None, "scatter": {}}})
    run(tree, tmp_path / "free", registry)
    tree["training"]["deterministic"] = True
    with pytest.raises(TrainingError) as caught:
        run(tree, tmp_path / "run", registry)
    assert str(caught.value) == (
        "training.deterministic: put_ has no deterministic implementation on this device; set "
        "training.deterministic=false, or use other components"
    )
    assert settings() == PLAIN


@pytest.mark.parametrize(
    ("given", "modes"),
    [(False, []), (True, ["default"]), ("max-autotune", ["max-autotune"])],
)
def test_the_mode_of_the_compiler(
    given: Any, modes: list[str], pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    with patch.object(nn.Module, "compile", autospec=True) as compiled:
        run(make_tree(pictures, steps(1, compile=given)), tmp_path / "run", registry)
    assert [call.kwargs["mode"] for call in compiled.call_args_list] == modes


def test_an_unknown_mode(pictures: Path, tmp_path: Path, registry: Registry) -> None:
    with pytest.raises(RecipeError) as caught:
        run(make_tree(pictures, steps(1, compile="fastest")), tmp_path / "run", registry)
    assert caught.value.problems == [
        "training.compile: got 'fastest'; expected true or false or 'default', 'reduce-overhead', "
        "'max-autotune' or 'max-autotune-no-cudagraphs'"
    ]
