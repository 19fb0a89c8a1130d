from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from srkit import hookimpl
from srkit.assembly import complete
from srkit.recipe import load_recipe
from srkit.registry import Registry
from srkit.schema import SPECS, recipe_schema

RECIPES = sorted((Path(__file__).resolve().parents[1] / "recipes").glob("*.yaml"))

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
LIMITS: dict[str, Callable[[Any, Any], object]] = {
    "minimum": lambda value, limit: value >= limit,
    "maximum": lambda value, limit: value <= limit,
    "exclusiveMinimum": lambda value, limit: value > limit,
    "exclusiveMaximum": lambda value, limit: value < limit,
    "minItems": lambda value, limit: len(value) >= limit,
    "maxItems": lambda value, limit: len(value) <= limit,
    "minLength": lambda value, limit: len(value) >= limit,
    "pattern": lambda value, pattern: not isinstance(value, str) or re.search(pattern, value),
    "const": lambda value, const: value == const,
    "enum": lambda value, choices: value in choices,
    "required": lambda value, names: all(name in value for name in names),
}
#: Keywords that say nothing about what is valid, or that :func:`fits` reads itself.
OTHER = {"$defs", "$schema", "title", "description", "default", "format"} | {
    "$ref",
    "anyOf",
    "oneOf",
    "discriminator",
    "type",
    "properties",
    "additionalProperties",
    "items",
    "prefixItems",
}


def fits(value: Any, schema: dict[str, Any], definitions: dict[str, Any]) -> bool:
    """Tell whether a value is valid, by the keywords of JSON Schema 2020-12 that srkit uses."""
    assert schema.keys() <= OTHER | LIMITS.keys(), schema.keys() - OTHER - LIMITS.keys()
    if "$ref" in schema:
        return fits(value, definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    if "anyOf" in schema:
        return any(fits(value, choice, definitions) for choice in schema["anyOf"])
    if "oneOf" in schema:
        return sum(fits(value, choice, definitions) for choice in schema["oneOf"]) == 1
    names = schema.get("type", [])
    if names and not any(
        _is(value, name) for name in ([names] if isinstance(names, str) else names)
    ):
        return False
    if not all(check(value, schema[key]) for key, check in LIMITS.items() if key in schema):
        return False
    return all(fits(inner, rule, definitions) for inner, rule in _inside(value, schema))


def _is(value: Any, name: str) -> bool:
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _inside(value: Any, schema: dict[str, Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Pair what a container holds with the schema that it has to fit."""
    if isinstance(value, list):
        first = schema.get("prefixItems", [])
        rules = [*first, *[schema.get("items", {})] * (len(value) - len(first))]
        yield from zip(value, rules, strict=False)
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        for key, inner in value.items():
            rule = known.get(key, others)
            yield inner, _NOTHING if rule is False else {} if rule is True else rule


_NOTHING: dict[str, Any] = {"enum": []}


@pytest.fixture(scope="module")
def schema(registry: Registry) -> dict[str, Any]:
    return recipe_schema(registry)


def good(tree: dict[str, Any], schema: dict[str, Any]) -> bool:
    return fits({"name": "small", **tree}, schema, schema["$defs"])


def test_the_schema_is_json_and_every_reference_leads_somewhere(schema: dict[str, Any]) -> None:
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    text = json.dumps(schema)
    assert json.loads(text) == schema
    references = set(re.findall(r'"\$ref": "([^"]*)"', text))
    assert references <= {f"#/$defs/{name}" for name in schema["$defs"]}


@pytest.mark.parametrize("kind", SPECS)
def test_every_component_is_listed(kind: str, schema: dict[str, Any], registry: Registry) -> None:
    entries = schema["$defs"][kind]["anyOf"]
    types = [entry["properties"]["type"] for entry in entries]
    assert [(each["const"], each["description"]) for each in types] == [
        (component.name, component.summary) for component in registry.components(kind)
    ]


def test_options_carry_their_meaning_and_limits(schema: dict[str, Any]) -> None:
    rrdb = next(
        entry
        for entry in schema["$defs"]["generators"]["anyOf"]
        if entry["properties"]["type"]["const"] == "rrdb"
    )
    assert rrdb["properties"].keys() == {"type", "blocks", "features", "growth", "activation"}
    growth = rrdb["properties"]["growth"]
    assert (growth["type"], growth["exclusiveMinimum"], growth["default"]) == ("integer", 0, 32)
    assert growth["description"] == "Channels that each dense convolution adds."


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
@pytest.mark.parametrize("sample", [False, True], ids=["full", "sample"])
def test_a_shipped_recipe_fits(
    path: Path, sample: bool, schema: dict[str, Any], registry: Registry
) -> None:
    recipe = load_recipe(path, sample=sample)
    assert good(recipe.dump(), schema)
    assert good(complete(recipe, registry, str(path))[0].dump(), schema)


@pytest.mark.parametrize(
    "tree",
    [
        {"extends": "base.yaml"},
        {"generator": {"type": "rrdb", "blocks": 4}},
        {"generator": None},
        {"losses": {"l1": {}, "mse": None, "logit_kl": {"temperature": 2.0, "weight": 0.1}}},
        {"losses": {"pixels": {"type": "charbonnier", "epsilon": 0.01}}},
        {"losses": {"l1": {"type": "charbonnier", "epsilon": 0.01}}},
        {"teachers": {"efficientnet_lite0": {}, "judge": {"type": "timm", "model": "x"}}},
        {"training": {"duration": "10 epochs", "validate_every": 5, "optimiser": {"lr": 0.1}}},
        {"discriminator": {"type": "unet_sn", "loss": "hinge", "optimiser": {"type": "sgd"}}},
        {"data": {"train": {"dataset": {"type": "sample_photos", "split": "train"}, "crop": 64}}},
    ],
)
def test_what_fits(tree: dict[str, Any], schema: dict[str, Any]) -> None:
    assert good(tree, schema)


@pytest.mark.parametrize(
    "tree",
    [
        {"name": "a/b"},
        {"trainin": {}},
        {"scale": "four"},
        {"training": {"batchsize": 3}},
        {"training": {"duration": "soon"}},
        {"training": {"optimiser": {"type": "adm"}}},
        {"generator": {"type": "rdbb"}},
        {"generator": {"blocks": 4}},
        {"generator": {"type": "rrdb", "block": 4}},
        {"generator": {"type": "rrdb", "blocks": 0}},
        {"losses": {"l1": {"wieght": 1}}},
        {"losses": {"unknown": {}}},
        {"losses": {"pixels": {"weight": 1}}},
        {"data": {"train": {"dataset": {"type": "sample_photos"}}}},
        {"data": {"train": {"dataset": {"type": "sample_photos", "split": "all"}}}},
        {"discriminator": {"type": "unet_sn", "optimizer": {}}},
    ],
)
def test_what_does_not_fit(tree: dict[str, Any], schema: dict[str, Any]) -> None:
    assert not good(tree, schema)


class Kernel(BaseModel):
    width: int


class Blur:
    """Blur.

    Parameters
    ----------
    kernel
        What to convolve with.
    """

    def __init__(self, *, kernel: Kernel) -> None: ...


def test_an_option_may_have_options_of_its_own() -> None:
    @hookimpl
    def srkit_degradations() -> dict[str, Any]:
        return {"blur": Blur}

    registry = Registry()
    plugin = SimpleNamespace(srkit_degradations=srkit_degradations)
    registry.register(plugin, "blur", distribution="srkit-blur", version="1.5")
    schema = recipe_schema(registry)
    assert good({"degradation": {"type": "blur", "kernel": {"width": 3}}}, schema)
    assert not good({"degradation": {"type": "blur", "kernel": {"width": "x"}}}, schema)
