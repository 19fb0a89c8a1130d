"""Derive options from a factory's signature, check them, and build the component."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from docstring_parser import DocstringStyle, parse
from pydantic import (
    BaseModel,
    ConfigDict,
    ValidatorFunctionWrapHandler,
    create_model,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

#: Parameters that the core supplies by name; a recipe cannot set them.
SUPPLIED = frozenset({"scale", "scales", "channels", "formats", "least_side", "open_network"})

#: Attribute of a factory that checks the options of its ``**options`` itself, and lists them.
VARIANTS = "variants"

#: Largest whole number that torch and numpy hold.
LARGEST = 2**63 - 1


def supplied_to(kind: str) -> frozenset[str]:
    """Return the parameters that the core supplies to a kind; commands and downloads get none."""
    return frozenset() if kind in ("commands", "downloads") else SUPPLIED


class Options(BaseModel):
    """A set of options in a recipe; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _null_is_absence(cls, given: Any) -> Any:
        """Use the default of a key that is null, unless null is a valid value."""
        if not isinstance(given, Mapping):
            return given
        return {
            key: value for key, value in given.items() if value is not None or cls._keeps_null(key)
        }

    @classmethod
    def _keeps_null(cls, key: str) -> bool:
        """Return whether a key may be null, or is an error anyway: unknown or without default."""
        known = cls.model_fields.get(key)
        return known is None or known.is_required() or type(None) in get_args(known.annotation)

    @field_validator("*", mode="wrap")
    @classmethod
    def _refuse_booleans(cls, given: Any, check: ValidatorFunctionWrapHandler) -> Any:
        """Refuse YAML's booleans, such as `on`, where pydantic would convert them to numbers."""
        value = check(given)
        if isinstance(given, bool) and type(value) in (int, float):
            raise ValueError(f"got {given}; expected a number")
        if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
            raise ValueError(f"got a number of {len(str(value))} digits; expected at most 64 bits")
        return value


class OpenOptions(Options):
    """A set of options of a factory that checks further options itself."""

    model_config = ConfigDict(extra="allow")


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

    A factory with the attribute ``variants`` accepts and checks further options itself.

    Raises
    ------
    TypeError
        If a parameter is positional, variadic or not annotated.
    """
    fields: dict[str, Any] = {}
    for name, (annotation, default) in _parameters(factory).items():
        if name not in supplied:
            fields[name] = (annotation, ... if default is inspect.Parameter.empty else default)
    base = OpenOptions if hasattr(factory, VARIANTS) else Options
    return create_model(getattr(factory, "__name__", "Options"), __base__=base, **fields)


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
        With all problems at once; :func:`srkit.components.problems.explain` words them.
    """
    model = options_model(factory, supplied)
    checked = model.model_validate(dict(given))
    return {name: getattr(checked, name) for name in model.model_fields} | (
        checked.model_extra or {}
    )


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


def _parameters(factory: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """Return the annotation and the default of each parameter of a class or function."""
    target = factory.__init__ if inspect.isclass(factory) else factory
    hints = get_type_hints(target, include_extras=True)
    found: dict[str, tuple[Any, Any]] = {}
    name = getattr(factory, "__qualname__", repr(factory))
    for parameter in inspect.signature(factory).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD and hasattr(factory, VARIANTS):
            continue
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            raise TypeError(
                f"{name}: parameter '{parameter.name}' must be keyword-only; a recipe sets "
                "options by name"
            )
        if parameter.name not in hints:
            raise TypeError(f"{name}: parameter '{parameter.name}' has no type annotation")
        found[parameter.name] = (hints[parameter.name], parameter.default)
    return found


def variants(factory: Callable[..., Any]) -> dict[str, str]:
    """Return the further options of a factory's ``**options`` by variant, as text.

    They are reported by the factory's attribute ``variants``, a function without parameters.
    """
    listing = getattr(factory, VARIANTS, None)
    return {} if listing is None else dict(listing())


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
