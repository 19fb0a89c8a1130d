"""The JSON schema of recipes, with the options of all installed components."""

from __future__ import annotations

from typing import Any

from srkit.components.options import options, options_model
from srkit.components.registry import Component, Registry
from srkit.recipe.parts import (
    DiscriminatorSpec,
    GameSpec,
    LossSpec,
    MetricSpec,
    OptimiserSpec,
    ScheduleSpec,
    Spec,
    TeacherSpec,
)
from srkit.recipe.recipe import Recipe

#: Class of a component in a recipe, by kind.
SPECS: dict[str, type[Spec]] = {
    "datasets": Spec,
    "augmentations": Spec,
    "degradations": Spec,
    "stretches": Spec,
    "constraints": Spec,
    "generators": Spec,
    "discriminators": DiscriminatorSpec,
    "games": GameSpec,
    "losses": LossSpec,
    "teachers": TeacherSpec,
    "metrics": MetricSpec,
    "optimisers": OptimiserSpec,
    "schedules": ScheduleSpec,
    "trackers": Spec,
}

#: Keys of a recipe with a single component, and its kind.
SINGLE = {
    "generator": "generators",
    "constraint": "constraints",
    "degradation": "degradations",
    "discriminator": "discriminators",
    "stretch": "stretches",
}
#: Kinds of which a recipe has several components, by name.
NAMED = ("losses", "teachers", "metrics")
#: A component without `type`: `extends` supplies the rest.
PART: dict[str, Any] = {"type": "object", "not": {"required": ["type"]}}


def recipe_schema(registry: Registry) -> dict[str, Any]:
    """Return the schema by which editors complete and check recipes.

    Returns
    -------
    dict
        JSON Schema 2020-12, in which a component is one of those registered for its kind.
    """
    schema = Recipe.model_json_schema()
    definitions = schema["$defs"]
    properties = schema["properties"]
    parts = [
        properties,
        *(part["properties"] for part in definitions.values() if "properties" in part),
    ]
    meanings = [{key: each.get("description") for key, each in part.items()} for part in parts]
    for kind, spec in SPECS.items():
        entries = {c.name: _entry(c, spec, definitions) for c in registry.components(kind)}
        definitions[kind] = {"anyOf": list(entries.values())}
        holder = definitions["TrainingSpec"]["properties"] if kind == "trackers" else properties
        if kind in holder:  # by name, which is the default of the type
            named = {name: _either(_untyped(entry), kind) for name, entry in entries.items()}
            holder[kind] = {
                "type": "object",
                "properties": named,
                "additionalProperties": _either(kind, PART),
            }
    for key, kind in SINGLE.items():
        properties[key] = _either(kind, PART)
    for kind in ("optimisers", "schedules"):
        definitions[SPECS[kind].__name__] = {"anyOf": [_reference(kind), PART]}
    names = {"enum": [component.name for component in registry.components("games")]}
    definitions["GameSpec"] = {"anyOf": [names, _reference("games"), PART]}
    several = {"type": "array", "items": _reference("degradations"), "minItems": 1}
    properties["degradation"] = _either("degradations", several, PART)
    baselines = definitions["EvaluationSpec"]["properties"]["baselines"]["items"]
    baselines["oneOf"][1] = _reference("constraints")
    augmentations = [component.name for component in registry.components("augmentations")]
    definitions["Source"]["properties"]["augment"]["items"] = {
        "anyOf": [{"enum": augmentations}, _reference("augmentations")]
    }
    definitions["Source"]["properties"]["dataset"] = {"anyOf": [_reference("datasets"), PART]}
    for part, known in zip(parts, meanings, strict=True):
        for key, meaning in known.items():
            if meaning is not None:
                part[key]["description"] = meaning
    properties["extends"] = {
        "type": "string",
        "description": "Another recipe that this one changes",
    }
    whole = {"if": {"not": {"required": ["extends"]}}, "then": {"properties": _whole(properties)}}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, **whole}


def _whole(properties: dict[str, Any]) -> dict[str, Any]:
    """Require complete components in a recipe that does not extend another one."""
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
    """Allow any of these entries or kinds, or null, which removes an inherited one."""
    entries = [_reference(each) if isinstance(each, str) else each for each in choices]
    return {"anyOf": [*entries, {"type": "null"}]}


def _entry(component: Component, spec: type[Spec], definitions: dict[str, Any]) -> dict[str, Any]:
    """Merge the options of a component with those of its kind."""
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
    """Return an entry whose type is optional."""
    return {**entry, "required": [name for name in entry["required"] if name != "type"]}
