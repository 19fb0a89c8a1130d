"""The JSON schema of recipes, with the options of every component that is installed."""

from __future__ import annotations

from typing import Any

from srkit.components.options import options, options_model
from srkit.components.registry import Component, Registry
from srkit.recipe.parts import DiscriminatorSpec, LossSpec, MetricSpec, Spec, TeacherSpec
from srkit.recipe.recipe import Recipe

#: The class of each kind's entry in a recipe.
SPECS: dict[str, type[Spec]] = {
    "datasets": Spec,
    "degradations": Spec,
    "stretches": Spec,
    "constraints": Spec,
    "generators": Spec,
    "discriminators": DiscriminatorSpec,
    "losses": LossSpec,
    "teachers": TeacherSpec,
    "metrics": MetricSpec,
}

#: The keys of a recipe that hold one component, and its kind.
SINGLE = {
    "generator": "generators",
    "constraint": "constraints",
    "degradation": "degradations",
    "discriminator": "discriminators",
    "stretch": "stretches",
}
#: The kinds of which a recipe holds several by name.
NAMED = ("losses", "teachers", "metrics")
#: A part of a component's entry: the recipe that is extended says the rest.
PART: dict[str, Any] = {"type": "object", "not": {"required": ["type"]}}


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
        entries = {c.name: _entry(c, spec, definitions) for c in registry.components(kind)}
        definitions[kind] = {"anyOf": list(entries.values())}
        if kind in properties:  # these are named, and an entry's name stands for its type
            named = {name: _either(_untyped(entry), kind) for name, entry in entries.items()}
            properties[kind] = {
                "type": "object",
                "properties": named,
                "additionalProperties": _either(kind, PART),
            }
    for key, kind in SINGLE.items():
        properties[key] = _either(kind, PART)
    several = {"type": "array", "items": _reference("degradations"), "minItems": 1}
    properties["degradation"] = _either("degradations", several, PART)
    definitions["Source"]["properties"]["dataset"] = {"anyOf": [_reference("datasets"), PART]}
    properties["extends"] = {"type": "string", "description": "a recipe that this one changes"}
    whole = {"if": {"not": {"required": ["extends"]}}, "then": {"properties": _whole(properties)}}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, **whole}


def _whole(properties: dict[str, Any]) -> dict[str, Any]:
    """Demand of a recipe that extends none that its components are no mere parts."""
    typed = {"anyOf": [{"required": ["type"]}, {"type": "null"}]}
    entries: dict[str, Any] = dict.fromkeys(SINGLE, typed)
    for kind in NAMED:
        named = dict.fromkeys(properties[kind]["properties"], True)
        entries[kind] = {"properties": named, "additionalProperties": typed}
    source = {"properties": {"dataset": typed}}
    splits = dict.fromkeys(("train", "validation", "test"), source)
    return {**entries, "data": {"properties": splits}}


def _reference(kind: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{kind}"}


def _either(*choices: dict[str, Any] | str) -> dict[str, Any]:
    """Allow any of these entries or kinds, or null, which takes an inherited one out."""
    entries = [_reference(each) if isinstance(each, str) else each for each in choices]
    return {"anyOf": [*entries, {"type": "null"}]}


def _entry(component: Component, spec: type[Spec], definitions: dict[str, Any]) -> dict[str, Any]:
    """Merge a component's own options with those of every entry of its kind."""
    own = options_model(component.factory).model_json_schema()
    definitions.update(own.get("$defs", {}))
    properties = {**spec.model_json_schema()["properties"], **own.get("properties", {})}
    for option in options(component.factory):
        properties[option.name]["description"] = option.meaning
    properties["type"] = {"const": component.name, "description": component.summary}
    return {
        "type": "object",
        "properties": properties,
        "required": ["type", *own.get("required", [])],
        "additionalProperties": False,
    }


def _untyped(entry: dict[str, Any]) -> dict[str, Any]:
    """Give an entry whose type need not be stated."""
    return {**entry, "required": [name for name in entry["required"] if name != "type"]}
