"""Derive options from a factory's signature, check them, and build the component."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
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
    """Return the parameters that the core supplies to a kind; commands and downloads get none."""
    return frozenset() if kind in ("commands", "downloads") else SUPPLIED


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


class Options(BaseModel):
    """A set of options in a recipe; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())

    @field_validator("*", mode="wrap")
    @classmethod
    def _refuse_booleans(cls, given: Any, check: ValidatorFunctionWrapHandler) -> Any:
        """Refuse YAML's booleans, such as `on`, where pydantic would convert them to numbers."""
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
        Its default as text, or None if it is required.
    meaning
        Its description in the factory's docstring.
    """

    name: str
    type: str
    default: str | None
    meaning: str


@lru_cache(maxsize=256)  # pydantic takes milliseconds for a model
def options_model(
    factory: Callable[..., Any], supplied: frozenset[str] = SUPPLIED
) -> type[BaseModel]:
    """Derive a pydantic model of a component's options from its signature.

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
    """Describe the options that a user can set."""
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
        With all problems at once; :func:`explain` words them.
    """
    model = options_model(factory, supplied)
    checked = model.model_validate(dict(given))
    return {name: getattr(checked, name) for name in model.model_fields}


def build(factory: Callable[..., Any], given: Mapping[str, Any], **supplied: Any) -> Any:
    """Build a component from its options and from the supplied parameters that it has.

    By default, `scales` consists of `scale` alone, and `least_side` is 0.

    Parameters
    ----------
    factory
        The component's factory.
    given
        Its options as a recipe sets them.
    **supplied
        Values of :data:`SUPPLIED`; those that the factory does not have are ignored.

    Raises
    ------
    pydantic.ValidationError
        If an option is unknown, missing or of the wrong type.
    """
    if "scale" in supplied:
        supplied.setdefault("scales", (supplied["scale"],))
    supplied.setdefault("least_side", 0)
    options = validate(factory, given)
    wanted = supplied_parameters(factory)
    missing = wanted - supplied.keys()
    if missing:
        raise TypeError(f"{factory} needs {sorted(missing)}, which the caller does not supply")
    return factory(**options, **{name: supplied[name] for name in wanted})


def downloads(factory: Callable[..., Any], given: Mapping[str, Any]) -> list[str]:
    """List the addresses from which building a component with these options would download.

    They are reported by the factory's attribute ``downloads``, a function of the options.
    """
    listing = getattr(factory, "downloads", None)
    return [] if listing is None else list(listing(**validate(factory, given)))


def supplied_parameters(factory: Callable[..., Any]) -> frozenset[str]:
    """Return which of :data:`SUPPLIED` are parameters of a factory."""
    return SUPPLIED & _parameters(factory).keys()


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


def _parameters(factory: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """Return the annotation and the default of each parameter of a class or function."""
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
    """Write a type briefly, such as ``int > 0 | None`` or ``'rgb' | 'y'``."""
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
    """Write the limits of a number that ``Field`` or ``PositiveInt`` of pydantic set."""
    limits = extra.metadata if isinstance(extra, FieldInfo) else [extra]
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    return " and".join(
        f" {sign} {getattr(limit, name)}"
        for limit in limits
        for name, sign in signs.items()
        if hasattr(limit, name)
    )
