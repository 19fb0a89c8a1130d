"""The JSON schema of recipes, with the options of every component that is installed."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from srkit.components import options_model
from srkit.recipe import DiscriminatorSpec, LossSpec, MetricSpec, Recipe, Spec, TeacherSpec
from srkit.registry import Registry

#: The class of each kind's entry in a recipe.
SPECS: dict[str, type[Spec]] = {
    "datasets": Spec,
    "degradations": Spec,
    "generators": Spec,
    "discriminators": DiscriminatorSpec,
    "losses": LossSpec,
    "teachers": TeacherSpec,
    "metrics": MetricSpec,
}


def recipe_schema(registry: Registry) -> dict[str, Any]:
    """Make the schema; editors complete and check recipes with it.

    Returns
    -------
    dict
        JSON Schema 2020-12. A component's entry is one of those registered for its kind.
    """
    schema = Recipe.model_json_schema()
    definitions = schema["$defs"]
    properties = schema["properties"]
    for kind, spec in SPECS.items():
        definitions[kind] = {"anyOf": [_entry(c, spec) for c in _models(registry, kind)]}
    for key in ("generator", "degradation", "discriminator"):
        properties[key] = _either(f"{key}s")
    for key in ("teachers", "losses", "metrics"):
        # A loss or metric may leave its type out: its key says it.
        names = {name: _untyped(model, SPECS[key]) for name, model in _models(registry, key)}
        properties[key] = {"type": "object", "additionalProperties": _either(key)}
        if key != "teachers":
            properties[key]["properties"] = names
    definitions["Source"]["properties"]["dataset"] = {"$ref": "#/$defs/datasets"}
    properties["extends"] = {"type": "string", "description": "a recipe that this one changes"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _either(kind: str) -> dict[str, Any]:
    return {"anyOf": [{"$ref": f"#/$defs/{kind}"}, {"type": "null"}]}


def _models(registry: Registry, kind: str) -> list[tuple[str, type[BaseModel]]]:
    return [(c.name, options_model(c.factory)) for c in registry.components(kind)]


def _untyped(model: type[BaseModel], spec: type[Spec]) -> dict[str, Any]:
    """Merge a component's own options with those of every entry of its kind."""
    own = model.model_json_schema(ref_template="#/$defs/{model}")
    common = spec.model_json_schema(ref_template="#/$defs/{model}")
    properties = {**common["properties"], **own.get("properties", {})}
    required = own.get("required", [])
    merged = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**merged, "required": required} if required else merged


def _entry(named: tuple[str, type[BaseModel]], spec: type[Spec]) -> dict[str, Any]:
    name, model = named
    entry = _untyped(model, spec)
    entry["properties"]["type"] = {"const": name, "description": (model.__doc__ or "").strip()}
    entry["required"] = ["type", *entry.get("required", [])]
    return entry
