"""Types of values in recipes: scales, crops, frozen stages, axes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    WithJsonSchema,
)

from srkit.components.durations import Length, parse_length
from srkit.system.files import is_file_name


def file_name(given: str) -> str:
    """Check that a folder can have this name on every system."""
    if not is_file_name(given):
        raise ValueError(f"got {given!r}; expected a name that a folder can have on Windows, too")
    return given


def _lr_side(given: str) -> str:
    """Check that text is a number of LR pixels."""
    if not re.fullmatch(r"[1-9]\d* LR", given):
        raise ValueError(
            f"got {given!r}; expected a number of HR pixels, or of LR pixels such as '48 LR'"
        )
    return given


Positive = Annotated[int, Field(gt=0)]

#: One scale, or several, one of which is drawn in each step of training.
Scale = Annotated[
    Annotated[Positive, Tag("int")] | Annotated[list[Positive], Field(min_length=1), Tag("list")],
    Discriminator(lambda given: "list" if isinstance(given, list) else "int"),
]

#: Side of a crop: a number of HR pixels, or of LR pixels as in ``48 LR``.
Crop = Annotated[
    Annotated[Positive, Tag("int")] | Annotated[str, BeforeValidator(_lr_side), Tag("str")],
    Discriminator(
        lambda given: "str" if isinstance(given, str) and not given.isdecimal() else "int"
    ),
]


def without_nulls(given: Any) -> Any:
    """Remove entries that another recipe or the sample sets to null."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        return given
    return {name: entry for name, entry in given.items() if entry is not None}


def set_names(given: Any) -> Any:
    """Check the names of several data sets, which name folders, too; remove null entries."""
    entries = without_nulls(given)
    for name in entries:
        if not re.fullmatch(r"\w[\w-]*", str(name)) or re.fullmatch(r"x\d+", str(name)):
            raise ValueError(
                f"'{name}' cannot be the name of a data set; expected letters, digits, '_' and "
                "'-', and not a scale such as x4"
            )
        file_name(str(name))
    if len({str(name).lower() for name in entries}) < len(entries):
        raise ValueError("names of data sets may not differ by upper and lower case only")
    return entries


def with_types(given: Any) -> Any:
    """Set the types of components to their names, and remove null entries."""
    if not isinstance(given, Mapping):
        return given
    return {
        name: {"type": name, **spec} if isinstance(spec, Mapping) else spec
        for name, spec in given.items()
        if spec is not None
    }


def _span(given: Any) -> Any:
    if given == "always":
        return given
    try:
        return parse_length(given)
    except ValueError as error:
        raise ValueError(f"{error}, or 'always'") from None


#: How long to freeze a stage.
Span = Annotated[
    Length | Literal["always"],
    BeforeValidator(_span),
    PlainSerializer(str),
    WithJsonSchema({"type": ["integer", "string"]}),
]

#: Stages to freeze permanently, or how long to freeze each.
Freeze = Annotated[
    Annotated[list[str], Tag("list")]
    | Annotated[dict[str, Span], BeforeValidator(without_nulls), Tag("dict")],
    Discriminator(lambda given: "dict" if isinstance(given, dict) else "list"),
]


def _axis(given: Any) -> Any:
    """Check an axis, with better messages than those of a union of types."""
    if isinstance(given, list):
        return given
    if not isinstance(given, Mapping):
        raise ValueError(
            f"got {given!r}; expected a list of values, or names with the changes that each makes"
        )
    chosen: dict[str, Any] = without_nulls(given)
    for name, changes in chosen.items():
        if not isinstance(changes, Mapping):
            raise ValueError(
                f"{name} is {changes!r}; expected changes such as {{training.batch_size: 8}}"
            )
    return chosen


Axis = Annotated[list[Any] | dict[str, dict[str, Any]], BeforeValidator(_axis)]
