from __future__ import annotations

from typing import Any

import pytest

from srkit.errors import RecipeError
from srkit.recipe.recipe import parse_recipe
from srkit.recipe.variants import change, expand, gather


def variants_of(variants: Any, **more: Any) -> list[Any]:
    recipe = parse_recipe({"name": "mine", "variants": variants, **more}, "mine.yaml")
    return expand(recipe, "mine.yaml")


def problems(variants: Any, **more: Any) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        variants_of(variants, **more)
    return caught.value.problems


def test_all_combinations_with_the_last_axis_fastest() -> None:
    found = variants_of({"generator.activation": ["relu", "gelu"], "seed": [0, 1]}, repeat="seed")
    assert [(v.name, v.group, v.changes) for v in found] == [
        ("relu_seed-0", "relu", {"generator.activation": "relu", "seed": 0}),
        ("relu_seed-1", "relu", {"generator.activation": "relu", "seed": 1}),
        ("gelu_seed-0", "gelu", {"generator.activation": "gelu", "seed": 0}),
        ("gelu_seed-1", "gelu", {"generator.activation": "gelu", "seed": 1}),
    ]
    assert found[1].choices == {"generator.activation": "relu", "seed": "seed-1"}


def test_an_axis_of_named_changes() -> None:
    changes = {"base": {}, "deep": {"generator.blocks": 4, "training.ema": None}}
    found = variants_of({"ablation": changes})
    assert {v.name: v.changes for v in found} == changes
    assert [v.group for v in found] == ["base", "deep"]


def test_repetitions_alone_have_the_name_of_the_recipe() -> None:
    found = variants_of({"seed": [3, 4]}, repeat="seed")
    assert [(v.name, v.group) for v in found] == [("seed-3", "mine"), ("seed-4", "mine")]


def test_names_of_values_include_their_keys() -> None:
    found = variants_of(
        {
            "training.optimiser.lr": [1e-5, 0.01],
            "discriminator.optimiser.lr": [1],
            "training.ema": [None],
            "training.compile": [True],
        }
    )
    assert [v.name for v in found] == [
        "training.optimiser.lr-1e-05_discriminator.optimiser.lr-1_ema-null_compile-true",
        "training.optimiser.lr-0.01_discriminator.optimiser.lr-1_ema-null_compile-true",
    ]


def test_null_removes_axes_and_choices() -> None:
    found = variants_of({"seed": None, "net": {"a": {"scale": 2}, "b": None}})
    assert [v.name for v in found] == ["a"]
    assert parse_recipe({"name": "x", "variants": None}, "x").variants == {}


def test_all_problems_of_the_axes_are_reported_at_once() -> None:
    wrong = {
        "net": {
            "mine": {"name": "x"},
            "a/b": {"training.batch_size": 2},
            "con": {},
            "c": {"a..b": 1},
        },
        "seed": [0, 0, [1, 2]],
        "scale": [],
        "training.batch_size": [4],
    }
    assert problems(wrong, repeat="sed") == [
        "variants.seed: lists and mappings require names; use NAME: {seed: VALUE}",
        "variants.scale: is empty; add values or remove it",
        "variants.net: 'a/b' cannot be used as a folder name; use a name of letters, digits, "
        "_ . -, with the changes that it makes",
        "variants.net: 'con' cannot be used as a folder name; use a name of letters, digits, "
        "_ . -, with the changes that it makes",
        "variants.seed: 'seed-0' occurs 2 times",
        "variants.net: 'name' must be the same for all variants; remove it",
        "variants: 'training.batch_size' is set by net and by training.batch_size; remove all "
        "but one",
        "variants.net: 'a..b' is not a key; expected one such as training.ema",
        "repeat: unknown axis 'sed' of the variants; did you mean 'seed'?",
    ]


def test_a_recipe_without_variants() -> None:
    assert problems({}) == ["variants: missing; a sweep requires at least one axis"]


def test_two_variants_with_the_same_name() -> None:
    axes = {"one": {"a": {}, "a_b": {}}, "two": {"b_c": {}, "c": {}}}
    assert problems(axes) == ["variants: repeated names 'a_b_c'; choose other names"]


@pytest.mark.parametrize(
    ("variants", "problem"),
    [
        (
            {"seed": 3},
            "variants.seed: got 3; expected a list of values, or names with the changes that each "
            "makes",
        ),
        (
            {"net": {"a": 3}},
            "variants.net: a is 3; expected changes such as {training.batch_size: 8}",
        ),
        ([1], "variants: got [1]; expected keys and values"),
    ],
)
def test_wrong_axes(variants: Any, problem: str) -> None:
    assert problems(variants) == [problem]


def test_changes_are_applied_as_on_the_command_line() -> None:
    tree = {"generator": {"type": "edsr", "blocks": 4}, "losses": {"l1": {}}}
    changed, found = change(tree, {"generator.type": "rrdb", "losses.mse.weight": 2})
    assert changed == {"generator": {"type": "rrdb"}, "losses": {"l1": {}, "mse": {"weight": 2}}}
    assert found == []
    assert tree["generator"] == {"type": "edsr", "blocks": 4}


def test_changes_that_cannot_be_applied() -> None:
    _, found = change({"scale": 2}, {"scale.x": 3, "channels": 1})
    assert found == ["scale.x: 'x' cannot be set in the value 2"]


def test_each_problem_is_reported_once_with_its_variants() -> None:
    names = ["a", "b", "c", "d", "e", "f"]
    found = {name: ["everyone's"] for name in names} | {"a": ["everyone's", "a's own"]}
    assert gather(found) == ["everyone's", "a: a's own"]
    most = {name: ["most's"] for name in names[:5]} | {"f": []}
    assert gather(most) == ["a, b, c and 2 more: most's"]
    assert gather({"only": ["its own"]}) == ["only: its own"]
    assert gather({"a": []}) == []
