"""Word the problems that pydantic finds in a recipe or in a component's options."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from srkit.errors import nearest

#: Plain words for what pydantic expected, by the type of its error.
WORDS = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "keys and values",
    "int_from_float": "a valid integer",
    "list_type": "a list",
    "model_type": "keys and values",
    "path_type": "a path",
    "string_pattern_mismatch": "text that matches {pattern}",
    "too_long": "at most {max_length} items",
    "too_short": "at least {min_length} items",
    "tuple_type": "a list",
}


def explain(
    error: ValidationError, path: str, model: type[BaseModel], beside: Iterable[str] = ()
) -> list[str]:
    """Word each problem as ``path.key: what was found; what was expected``.

    Parameters
    ----------
    error
        The problems.
    path
        Where the options are in the recipe.
    model
        The model that refused them.
    beside
        Further keys that the recipe's entry can have beside the component's options.
    """
    problems: dict[str, str] = {}
    for details in error.errors(include_url=False):
        keys, holder = _follow(model, details["loc"])
        where = ".".join([*filter(None, [path]), *keys])
        known = [*_fields(holder), *(beside if holder is model else ())]
        found, expected = _explain_one(details, keys[-1] if keys else path, known)
        if found and where in problems:
            # Each member of a union reports its own problem with the same value.
            problems[where] += f" or {expected}"
        else:
            problems[where] = f"{where}: {found}{expected}"
    return list(problems.values())


def _explain_one(details: ErrorDetails, key: str, known: list[str]) -> tuple[str, str]:
    """Word what was found (empty if the message says it) and what was expected."""
    if details["type"] == "extra_forbidden":
        return "", f"unknown key '{key}'; {nearest(key, known)}"
    if details["type"] == "missing":
        return "", "missing; it has no default"
    if details["type"] == "value_error":
        return "", details["msg"].removeprefix("Value error, ")
    if details["type"] in WORDS:
        expected = WORDS[details["type"]].format(**details.get("ctx", {}))
    else:
        expected = details["msg"].removeprefix("Input should be ").partition(", unable to parse")[0]
        if expected.startswith(("greater than", "less than")):
            expected = f"a number {expected}"
    return f"got {details['input']!r}; expected ", expected


def _follow(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[list[str], Any]:
    """Return the keys of an error's location as the user wrote them, and the last key's parent.

    A location also names members of unions, which are not keys.
    """
    keys: list[str] = []
    current: Any = model
    holder: Any = None
    for part in location:
        current = _plain(current)
        if get_origin(current) in (Union, UnionType):
            members = [_plain(member) for member in get_args(current)]
            current = next((m for m in members if getattr(m, "__name__", "") == part), members[0])
            continue
        keys.append(str(part))
        holder, current = current, _inside(current, part)
    return keys, holder


def _inside(annotation: Any, part: int | str) -> Any:
    """Return the type of a model's field or of a container's items."""
    if _is_model(annotation):
        field = annotation.model_fields.get(str(part))
        return field.annotation if field else None
    return get_args(annotation)[-1] if get_args(annotation) else None


def _plain(annotation: Any) -> Any:
    """Remove constraints and ``| None`` from a type."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not NoneType]
        return _plain(members[0]) if len(members) == 1 else annotation
    return annotation


def _fields(holder: Any) -> Iterable[str]:
    return holder.model_fields if _is_model(holder) else ()


def _is_model(annotation: Any) -> bool:
    return inspect.isclass(annotation) and issubclass(annotation, BaseModel)
