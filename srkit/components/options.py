"""From a factory's signature to validated options to a built component."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from docstring_parser import DocstringStyle, parse
from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidatorFunctionWrapHandler,
    create_model,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from srkit.errors import nearest

#: Parameters that the core supplies by name; a recipe cannot set them.
SUPPLIED = frozenset({"scale", "scales", "channels", "formats", "least_side", "open_network"})


def supplied_to(kind: str) -> frozenset[str]:
    """Name the parameters that the core supplies to a kind: none to commands and downloads."""
    return frozenset() if kind in ("commands", "downloads") else SUPPLIED


#: Plainer words for what pydantic expected, by the type of its error.
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


class Options(BaseModel):
    """What a recipe may set: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())

    @field_validator("*", mode="wrap")
    @classmethod
    def _tell_truth_from_numbers(cls, given: Any, check: ValidatorFunctionWrapHandler) -> Any:
        """Refuse what YAML reads as true, such as `on`, where pydantic would take it for 1."""
        value = check(given)
        if isinstance(given, bool) and type(value) in (int, float):
            raise ValueError(f"got {given}; expected a number")
        return value


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a component, as `srkit plugins` shows it.

    Parameters
    ----------
    name
        The key in a recipe.
    type
        Its type and limits.
    default
        Its default as text, or None where it must be given.
    meaning
        From the factory's docstring.
    """

    name: str
    type: str
    default: str | None
    meaning: str


def options_model(
    factory: Callable[..., Any], supplied: frozenset[str] = SUPPLIED
) -> type[BaseModel]:
    """Make a pydantic model of what a user may set: the signature less what is supplied.

    Raises
    ------
    TypeError
        If a parameter is positional, variadic or not annotated.
    """
    fields: dict[str, Any] = {}
    for name, (annotation, default) in _parameters(factory).items():
        if name not in supplied:
            fields[name] = (annotation, ... if default is inspect.Parameter.empty else default)
    return create_model(getattr(factory, "__name__", "Options"), __base__=Options, **fields)


def options(factory: Callable[..., Any], supplied: frozenset[str] = SUPPLIED) -> list[Option]:
    """Describe what a user may set."""
    described = parse(inspect.getdoc(factory) or "", DocstringStyle.NUMPYDOC)
    meanings: dict[str, str] = {}
    for parameter in described.params:
        text = " ".join((parameter.description or "").split())
        meanings |= {name.strip(): text for name in parameter.arg_name.split(",")}
    result = []
    for name, (annotation, value) in _parameters(factory).items():
        if name not in supplied:
            default = None if value is inspect.Parameter.empty else _default_text(value)
            result.append(Option(name, _type_text(annotation), default, meanings.get(name, "")))
    return result


def validate(
    factory: Callable[..., Any], given: Mapping[str, Any], supplied: frozenset[str] = SUPPLIED
) -> dict[str, Any]:
    """Check and convert options.

    Raises
    ------
    pydantic.ValidationError
        With every problem at once; :func:`explain` words them.
    """
    model = options_model(factory, supplied)
    checked = model.model_validate(dict(given))
    return {name: getattr(checked, name) for name in model.model_fields}


def build(factory: Callable[..., Any], given: Mapping[str, Any], **supplied: Any) -> Any:
    """Build a component from its options and from those of `supplied` that it takes.

    `scales`, unless it is supplied, is the one `scale`, and `least_side` 0.

    Raises
    ------
    pydantic.ValidationError
        If an option is unknown, missing or of the wrong type.
    """
    if "scale" in supplied:
        supplied.setdefault("scales", (supplied["scale"],))
    supplied.setdefault("least_side", 0)
    options = validate(factory, given)
    wanted = wants(factory)
    missing = wanted - supplied.keys()
    if missing:
        raise TypeError(f"{factory} takes {sorted(missing)}, which is not supplied here")
    return factory(**options, **{name: supplied[name] for name in wanted})


def downloads(factory: Callable[..., Any], given: Mapping[str, Any]) -> list[str]:
    """List the addresses of what building a component with these options would download first.

    Its factory's own ``downloads``, if it has one, says so.
    """
    asked = getattr(factory, "downloads", None)
    return [] if asked is None else list(asked(**validate(factory, given)))


def wants(factory: Callable[..., Any]) -> frozenset[str]:
    """Name what a factory wants to be supplied with."""
    return SUPPLIED & _parameters(factory).keys()


def explain(
    error: ValidationError, path: str, model: type[BaseModel], beside: Iterable[str] = ()
) -> list[str]:
    """Word each problem as ``path.key: what was found; what was expected``.

    Keys of `beside` are known too: those of a recipe's entry that are not the component's own.
    """
    problems: dict[str, str] = {}
    for details in error.errors(include_url=False):
        keys, holder = _follow(model, details["loc"])
        where = ".".join([*filter(None, [path]), *keys])
        known = [*_fields(holder), *(beside if holder is model else ())]
        found, expected = _explain_one(details, keys[-1] if keys else path, known)
        if found and where in problems:
            # Each member of a union has its own complaint about the one value.
            problems[where] += f" or {expected}"
        else:
            problems[where] = f"{where}: {found}{expected}"
    return list(problems.values())


def _explain_one(details: ErrorDetails, key: str, known: list[str]) -> tuple[str, str]:
    """Word what was found (empty where the message says it) and what was expected."""
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
    return f"got {details['input']!r}; expected ", expected


def _follow(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[list[str], Any]:
    """Follow an error's location: the keys as the user wrote them, and what holds the last one.

    A location also names members of unions, which stand in no recipe.
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
    """Give the type of a model's field or of a container's items."""
    if _is_model(annotation):
        field = annotation.model_fields.get(str(part))
        return field.annotation if field else None
    return get_args(annotation)[-1] if get_args(annotation) else None


def _plain(annotation: Any) -> Any:
    """Take away constraints and ``| None``."""
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


def _parameters(factory: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """Annotation and default of each parameter of a class or function."""
    target = factory.__init__ if inspect.isclass(factory) else factory
    hints = get_type_hints(target, include_extras=True)
    found: dict[str, tuple[Any, Any]] = {}
    name = getattr(factory, "__qualname__", repr(factory))
    for parameter in inspect.signature(factory).parameters.values():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            raise TypeError(
                f"{name}: parameter '{parameter.name}' must be keyword-only; a recipe sets "
                "options by name"
            )
        if parameter.name not in hints:
            raise TypeError(f"{name}: parameter '{parameter.name}' has no type annotation")
        found[parameter.name] = (hints[parameter.name], parameter.default)
    return found


def _default_text(value: Any) -> str:
    return repr(str(value)) if isinstance(value, Path) else repr(value)


def _type_text(annotation: Any) -> str:
    """Write a type as short as a recipe's author needs it: ``int > 0 | None``, ``'rgb' | 'y'``."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_text(arguments[0]) + "".join(_bounds(extra) for extra in arguments[1:])
    if origin in (Union, UnionType):
        return " | ".join(_type_text(member) for member in arguments)
    if origin is Literal:
        return " | ".join(repr(value) for value in arguments)
    if annotation in (None, NoneType):
        return "None"
    name = getattr(origin or annotation, "__name__", str(annotation))
    items = ", ".join("..." if a is ... else _type_text(a) for a in arguments)
    return f"{name}[{items}]" if items else name


def _bounds(extra: Any) -> str:
    """Write the limits of a number that pydantic's ``Field`` or ``PositiveInt`` set."""
    limits = extra.metadata if isinstance(extra, FieldInfo) else [extra]
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    return " and".join(
        f" {sign} {getattr(limit, name)}"
        for limit in limits
        for name, sign in signs.items()
        if hasattr(limit, name)
    )
