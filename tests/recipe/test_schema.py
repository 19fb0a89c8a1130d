from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from srkit import hookimpl
from srkit.assembly.build import complete
from srkit.components.registry import Registry
from srkit.recipe.recipe import load_recipe
from srkit.recipe.schema import SPECS, recipe_schema

RECIPES = sorted((Path(__file__).resolve().parents[2] / "recipes").glob("*.yaml"))


@pytest.fixture(scope="module")
def schema(registry: Registry) -> dict[str, Any]:
    return recipe_schema(registry)


def good(tree: dict[str, Any], schema: dict[str, Any]) -> bool:
    return Draft202012Validator(schema).is_valid({"name": "small", **tree})


def test_the_schema_is_json_and_all_references_are_defined(schema: dict[str, Any]) -> None:
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


def test_keys_have_their_meaning(schema: dict[str, Any]) -> None:
    keys = {**schema["properties"], **schema["$defs"]["Source"]["properties"]}
    assert [key for key, entry in keys.items() if not entry.get("description")] == []
    assert keys["generator"]["description"] == "The super-resolution network"


def test_options_have_their_meaning_and_limits(schema: dict[str, Any]) -> None:
    rrdb = next(
        entry
        for entry in schema["$defs"]["generators"]["anyOf"]
        if entry["properties"]["type"]["const"] == "rrdb"
    )
    assert rrdb["properties"].keys() == {"type", "blocks", "features", "growth", "activation"}
    growth = rrdb["properties"]["growth"]
    assert (growth["type"], growth["exclusiveMinimum"], growth["default"]) == ("integer", 0, 32)
    assert growth["description"] == "Channels that each dense convolution appends."


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
@pytest.mark.parametrize("sample", [False, True], ids=["full", "sample"])
def test_a_shipped_recipe_is_valid(
    path: Path, sample: bool, schema: dict[str, Any], registry: Registry
) -> None:
    recipe = load_recipe(path, sample=sample)
    assert good(recipe.dump(), schema)
    assert good(complete(recipe, registry, str(path))[0].dump(), schema)


@pytest.mark.parametrize(
    "tree",
    [
        {"extends": "base.yaml"},
        {"extends": "base.yaml", "generator": {"blocks": 4}, "losses": {"pixels": {"weight": 1}}},
        {"extends": "base.yaml", "data": {"train": {"dataset": {"length": 100}}}},
        {"generator": {"type": "rrdb", "blocks": 4}},
        {"generator": None},
        {"losses": {"l1": {}, "mse": None, "logit_kl": {"temperature": 2.0, "weight": 0.1}}},
        {"losses": {"pixels": {"type": "charbonnier", "epsilon": 0.01}}},
        {"losses": {"l1": {"type": "charbonnier", "epsilon": 0.01}}},
        {"teachers": {"efficientnet_lite0": {}, "judge": {"type": "timm", "model": "x"}}},
        {"training": {"duration": "10 epochs", "validate_every": 5, "optimiser": {"lr": 0.1}}},
        {"discriminator": {"type": "unet_sn", "loss": "hinge", "optimiser": {"type": "sgd"}}},
        {"discriminator": {"type": "unet_sn", "loss": {"type": "vanilla", "r1": 10}}},
        {"data": {"train": {"dataset": {"type": "sample_photos", "split": "train"}, "crop": 64}}},
    ],
)
def test_valid_recipes(tree: dict[str, Any], schema: dict[str, Any]) -> None:
    assert good(tree, schema)


@pytest.mark.parametrize(
    "tree",
    [
        {"name": "a/b"},
        {"trainin": {}},
        {"extends": "base.yaml", "trainin": {}},
        {"extends": "base.yaml", "generator": {"type": "rrdb", "block": 4}},
        {"data": {"train": {"dataset": {"length": 100}}}},
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
        {"discriminator": {"type": "unet_sn", "loss": "vanila"}},
        {"discriminator": {"type": "unet_sn", "loss": {"type": "vanilla", "r2": 10}}},
    ],
)
def test_invalid_recipes(tree: dict[str, Any], schema: dict[str, Any]) -> None:
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


def test_an_option_with_options() -> None:
    @hookimpl
    def srkit_degradations() -> dict[str, Any]:
        return {"blur": Blur}

    registry = Registry()
    plugin = SimpleNamespace(srkit_degradations=srkit_degradations)
    registry.register(plugin, "blur", distribution="srkit-blur", version="1.5")
    schema = recipe_schema(registry)
    assert good({"degradation": {"type": "blur", "kernel": {"width": 3}}}, schema)
    assert not good({"degradation": {"type": "blur", "kernel": {"width": "x"}}}, schema)
