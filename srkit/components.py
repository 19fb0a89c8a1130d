"""From a factory's signature to validated options to a built component."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from docstring_parser import DocstringStyle, parse
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import ErrorDetails, PydanticUndefined

from srkit.errors import nearest

#: Parameters that the core supplies by name; a recipe cannot set them.
SUPPLIED = frozenset({"scale", "channels", "formats"})


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a component, as `srkit plugins` shows it.

    Parameters
    ----------
    name
        The key in a recipe.
    type
        Its type, as written in the signature.
    default
        Its default as text, or None where it must be given.
    meaning
        From the factory's docstring.
    """

    name: str
    type: str
    default: str | None
    meaning: str


def options_model(factory: Callable[..., Any]) -> type[BaseModel]:
    """Make a pydantic model of what a recipe may set: the signature less :data:`SUPPLIED`.

    Raises
    ------
    TypeError
        If a parameter is positional, variadic or not annotated.
    """
    fields: dict[str, Any] = {}
    for name, (annotation, default) in _parameters(factory).items():
        if name not in SUPPLIED:
            fields[name] = (annotation, ... if default is inspect.Parameter.empty else default)
    return create_model(
        getattr(factory, "__name__", "Options"),
        __config__=ConfigDict(
            extra="forbid", arbitrary_types_allowed=True, protected_namespaces=()
        ),
        **fields,
    )


def options(factory: Callable[..., Any]) -> list[Option]:
    """Describe what a recipe may set."""
    described = parse(inspect.getdoc(factory) or "", DocstringStyle.NUMPYDOC)
    meanings: dict[str, str] = {}
    for parameter in described.params:
        text = " ".join((parameter.description or "").split())
        meanings |= {name.strip(): text for name in parameter.arg_name.split(",")}
    result = []
    for name, field in options_model(factory).model_fields.items():
        default = None if field.default is PydanticUndefined else repr(field.default)
        result.append(
            Option(name, _type_text(field.annotation), default, meanings.get(name, ""))
        )
    return result


def validate(factory: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Check and convert options.

    Raises
    ------
    pydantic.ValidationError
        With every problem at once; :func:`explain` words them.
    """
    model = options_model(factory)
    checked = model.model_validate(dict(given))
    return {name: getattr(checked, name) for name in model.model_fields}


def build(factory: Callable[..., Any], given: Mapping[str, Any], **supplied: Any) -> Any:
    """Build a component from its options and from those of `supplied` that it takes.

    Raises
    ------
    pydantic.ValidationError
        If an option is unknown, missing or of the wrong type.
    """
    wanted = _parameters(factory).keys() & SUPPLIED
    missing = wanted - supplied.keys()
    if missing:
        raise TypeError(f"{factory} takes {sorted(missing)}, which is not supplied here")
    return factory(**validate(factory, given), **{name: supplied[name] for name in wanted})


def explain(error: ValidationError, path: str, model: type[BaseModel]) -> list[str]:
    """Word each problem as ``path.key: what was found; what was expected``."""
    return [_explain_one(details, path, model) for details in error.errors(include_url=False)]


def _explain_one(details: ErrorDetails, path: str, model: type[BaseModel]) -> str:
    where = ".".join([*filter(None, [path]), *(str(part) for part in details["loc"])])
    key = str(details["loc"][-1]) if details["loc"] else path
    if details["type"] == "extra_forbidden":
        known = _model_at(model, details["loc"][:-1])
        names = known.model_fields if known else ()
        return f"{where}: unknown key '{key}'; {nearest(key, names)}"
    if details["type"] == "missing":
        return f"{where}: missing; it has no default"
    expected = details["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if details["type"] == "value_error":
        return f"{where}: {expected}"
    return f"{where}: got {details['input']!r}; expected {expected}"


def _model_at(model: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel] | None:
    """Follow a location through nested models, so that its siblings can be suggested."""
    current: Any = model
    for part in location:
        if inspect.isclass(current) and issubclass(current, BaseModel):
            field = current.model_fields.get(str(part))
            current = field.annotation if field else None
        # Optional and containers: the one model inside, at whatever key.
        candidates = [
            a
            for a in _flatten(current)
            if inspect.isclass(a) and issubclass(a, BaseModel)
        ]
        current = candidates[0] if candidates else None
        if current is None:
            return None
    return current if inspect.isclass(current) and issubclass(current, BaseModel) else None


def _flatten(annotation: Any) -> list[Any]:
    arguments = getattr(annotation, "__args__", ())
    if not arguments:
        return [annotation]
    return [leaf for argument in arguments for leaf in _flatten(argument)]


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


def _type_text(annotation: Any) -> str:
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    if isinstance(annotation, type) and getattr(annotation, "__args__", ()):
        text = str(annotation)
    for noise in ("typing.", "pathlib.", "collections.abc.", "NoneType"):
        text = text.replace(noise, "" if noise != "NoneType" else "None")
    return text
