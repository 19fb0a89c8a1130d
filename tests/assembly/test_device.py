"""The device and the precision in which a recipe's networks run."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from accelerate import Accelerator

from srkit.assembly.assembly import Assembly
from srkit.assembly.device import autocast, memory_format, set_up_process
from srkit.errors import RecipeError
from srkit.interfaces import Dataset, Generator
from srkit.recipe.recipe import Recipe, parse_recipe

CPU = torch.device("cpu")


def recipe_in(precision: str) -> Recipe:
    return parse_recipe({"name": "small", "training": {"precision": precision}}, "test.yaml")


@pytest.mark.parametrize("precisions", [("bf16", "fp32"), ("fp32", "bf16")])
def test_recipes_of_one_process_keep_their_own_precision(precisions: tuple[str, str]) -> None:
    """A notebook trains several recipes, and may use Accelerate itself in between."""
    dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16}
    values = torch.ones(2, 2)
    for precision in precisions:
        recipe = recipe_in(precision)
        process = set_up_process(recipe, "test.yaml")
        assert (process.num_processes, process.is_main_process) == (1, True)
        Accelerator()
        with autocast(Assembly(recipe, 4), process.device):
            assert (values @ values).dtype == dtypes[precision]


def test_fp16_needs_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RecipeError) as caught:
        set_up_process(recipe_in("fp16"), "test.yaml")
    assert caught.value.problems == ["training.precision: fp16 needs a CUDA GPU; use auto"]
    with autocast(Assembly(recipe_in("fp16"), 4), CPU):  # a recipe is checked on a CPU, too
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_an_assembly_that_is_trained_has_the_memory_format_of_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = SimpleNamespace(channels_last=True)
    evaluated = Assembly(recipe_in("fp32"), 4, generator=cast(Generator, generator))
    trained = replace(evaluated, data={"train": cast(Dataset, [])})
    for limit, expected in (
        ("AVX2", torch.contiguous_format),
        ("AVX512_CORE", torch.channels_last),
    ):
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
        monkeypatch.setattr(torch.cpu, "_is_avx512_supported", lambda: True)
        assert memory_format(trained, CPU) == expected
        assert memory_format(evaluated, CPU) == torch.channels_last
