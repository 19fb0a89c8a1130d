"""The reference, generated from the schema of recipes, the registry, the commands and `__all__`."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from docstring_parser import DocstringStyle, parse
from mkdocs.structure.files import File
from typer.core import TyperGroup

from srkit.cli import app
from srkit.components.commands import LazyCommand, make_command
from srkit.components.options import options, supplied_to
from srkit.components.registry import KINDS, Component, Registry
from srkit.recipe.schema import recipe_schema

ROOT = Path(__file__).resolve().parents[2]
#: The public rooms, in the order of the reference.
PUBLIC = (ROOT / "tests/public_api.txt").read_text("utf-8").splitlines()
ROOMS = list(dict.fromkeys(name.rpartition(".")[0] for name in PUBLIC))


#: Where a page has a table of recipe keys.
KEYS = re.compile(r"<!-- keys of (\w+) -->")
#: Headings of the parts of a recipe that are not called like their classes.
ANCHORS = {
    "DataSpec": "data",
    "LossSpec": "losses-and-metrics",
    "MetricSpec": "losses-and-metrics",
    "MixSpec": "data",
    "RangeSpec": "variants-and-search",
    "SearchSpec": "variants-and-search",
    "Source": "data",
    "TeacherSpec": "teachers",
    "WeightSpec": "weights-that-change",
}
#: Limits of numbers in a schema.
LIMITS = {"exclusiveMinimum": "&gt;", "minimum": "≥", "exclusiveMaximum": "&lt;", "maximum": "≤"}


def on_config(config: Any) -> Any:
    """Put the pages of all kinds and rooms where the navigation names their folder."""
    generated = {
        "reference/components/": [
            {title_of_kind(kind): f"reference/components/{kind}.md"} for kind in KINDS
        ],
        "reference/python/": [f"reference/python/{room}.md" for room in ROOMS],
    }
    for section in config.nav:
        for entries in section.values():
            for entry in entries if isinstance(entries, list) else ():
                entry |= {key: generated.get(str(value), value) for key, value in entry.items()}
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages, which the navigation of mkdocs.yml names."""
    registry = Registry.discover()
    if registry.failures:
        raise SystemExit("\n".join(failure.reason for failure in registry.failures))
    pages = {
        "commands.md": commands_page(),
        **{f"components/{kind}.md": kind_page(kind, registry) for kind in KINDS},
        **{f"python/{room}.md": room_page(room) for room in ROOMS},
    }
    for name, text in pages.items():
        files.append(File.generated(config, f"reference/{name}", content=text))
    return files


def title_of_kind(kind: str) -> str:
    """Return the heading of a kind of components."""
    return kind.replace("_", " ").replace("datasets", "data sets").capitalize()


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the tables of recipe keys where comments name a part of a recipe."""
    if "<!-- keys of " not in markdown:
        return markdown
    schema = recipe_schema(Registry.discover())
    parts = {"Recipe": schema, **schema["$defs"]}
    return KEYS.sub(lambda match: key_table(parts[match[1]], schema), markdown)


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def code(text: str) -> str:
    """Return code that may contain the bars of a table."""
    return f"<code>{html.escape(text).replace('|', '&#124;')}</code>" if text else ""


def plain(text: str) -> str:
    """Return text of a docstring for a cell or a paragraph of Markdown."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text.replace("``", "`"))
    return text.replace("|", "&#124;").replace("[", "\\[").replace("<", "&lt;").replace("*", "\\*")


# --- recipes ---


def key_table(part: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """List the keys of a part: type, default and meaning."""
    required = part.get("required", [])
    rows = []
    for key, entry in part["properties"].items():
        default = "required" if key in required else default_text(entry)
        meaning = plain(entry.get("description", ""))
        rows.append([code(key), type_text(entry, schema), default, meaning])
    return table(["Key", "Type", "Default", "Meaning"], rows)


def default_text(entry: Mapping[str, Any]) -> str:
    """Return the default of a key."""
    default = entry.get("default")
    if default is None or isinstance(default, dict):  # those of a part are in its own table
        return ""
    return code(str(default).lower() if isinstance(default, bool) else str(default))


def type_text(entry: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Write a type of the schema briefly."""
    if reference := entry.get("$ref"):
        name = reference.rpartition("/")[2]
        if name in KINDS:
            return f"[{name}](components/{name}.md)"
        part = schema["$defs"][name]
        if name == "Spec":
            return "component"
        if not part.get("properties"):
            return type_text(part, schema)
        title = name.removesuffix("Spec").lower()
        return f"[{title}](#{ANCHORS.get(name, title)})"
    if "const" in entry:
        return code(str(entry["const"]))
    if "enum" in entry:
        return " or ".join(code(str(each)) for each in entry["enum"])
    choices = entry.get("anyOf") or entry.get("oneOf")
    if choices:
        texts = [type_text(each, schema) for each in choices if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(text for text in texts if text))
    kind = entry.get("type", "")
    if isinstance(kind, list):
        return " or ".join(type_text({**entry, "type": each}, schema) for each in kind)
    if kind == "array":
        items = entry.get("items") or {}
        return f"list of {type_text(items, schema) or 'values'}"
    if kind == "object":
        if "not" in entry:
            return ""
        values = entry.get("additionalProperties")
        inner = type_text(values, schema) if isinstance(values, dict) else ""
        return f"mapping to {inner}" if inner else "mapping"
    bounds = [f"{sign} {entry[key]}" for key, sign in LIMITS.items() if key in entry]
    names = {"string": "text", "boolean": "true or false"}
    return " ".join([names.get(kind, kind), ", ".join(bounds)]).strip()


# --- components ---


def kind_page(kind: str, registry: Registry) -> str:
    """Describe the components of a kind with their options."""
    components = registry.components(kind)
    lines = [f"# {title_of_kind(kind)}\n", f"As `srkit plugins {kind}` lists them.\n"]
    rows = [[f"[{code(each.name)}](#{anchor(each)})", plain(each.summary)] for each in components]
    lines.append(table(["Name", "Summary"], rows))
    for component in components:
        lines += component_section(component)
    return "\n".join(lines)


def anchor(component: Component) -> str:
    """Return the anchor of a component."""
    return re.sub(r"[^\w-]", "-", component.name)


def component_section(component: Component) -> Iterator[str]:
    """Describe a component: its docstring, and its options as a table."""
    factory = component.factory
    yield f"## {component.name} {{ #{anchor(component)} }}\n"
    yield docstring(factory)
    found = options(factory, supplied_to(component.kind))
    if found:
        rows = [
            [code(o.name), code(o.type), code(o.default or "") or "required", plain(o.meaning)]
            for o in found
        ]
        yield table(["Option", "Type", "Default", "Meaning"], rows)


def docstring(factory: Callable[..., Any]) -> str:
    """Return the description of a docstring."""
    parsed = parse(inspect.getdoc(factory) or "", DocstringStyle.NUMPYDOC)
    paragraphs = [parsed.short_description, parsed.long_description]
    return plain("\n\n".join(text for text in paragraphs if text)) + "\n"


# --- commands ---


def commands_page() -> str:
    """Describe every command, as `srkit COMMAND --help` does."""
    lines = ["# Commands\n", "As `srkit COMMAND --help` prints them.\n"]
    for path, command in commands("srkit", typer.main.get_command(app)):
        lines += command_section(path, command)
    return "\n".join(lines)


def commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Iterate over the commands of a group, and of the groups in it."""
    if not isinstance(command, TyperGroup):
        yield path, make_command(command.component) if isinstance(command, LazyCommand) else command
        return
    context = typer.Context(command, resilient_parsing=True)
    for name in command.list_commands(context):
        yield from commands(f"{path} {name}", command.get_command(context, name))


def command_section(path: str, command: Any) -> Iterator[str]:
    """Describe a command: usage, help, arguments and options."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    given = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    shape = [argument_text(p) for p in arguments] + (["[OPTIONS]"] if given else [])
    yield f"## {path}\n"
    yield f"```\n{' '.join([path, *shape])}\n```\n"
    yield plain(command.help or "").replace("\\\\[", "\\[") + "\n"
    rows = [[code(argument_text(p)), "", plain(p.help or "")] for p in arguments]
    for p in given:
        names = code(", ".join([*p.opts, *p.secondary_opts]))
        rows.append([names, code(option_default(p)), plain(p.help or "")])
    if rows:
        yield table(["Argument or option", "Default", "Meaning"], rows)


def argument_text(parameter: Any) -> str:
    """Return the placeholder of an argument."""
    name = parameter.metavar or parameter.name.upper()
    if name.startswith("["):
        return str(name)
    name += "..." if parameter.nargs == -1 else ""
    return name if parameter.required else f"[{name}]"


def option_default(parameter: Any) -> str:
    """Return the default of an option; nothing for flags and for options without one."""
    default = parameter.default
    return "" if default in (None, False, ()) or callable(default) else str(default)


# --- Python ---


def room_page(room: str) -> str:
    """Let mkdocstrings describe what a public room exports, and list its constants."""
    module = import_module(room)
    lines = [f"# {room}\n", plain((inspect.getdoc(module) or "").split("\n")[0]) + "\n"]
    constants = []
    for name in module.__all__:
        value = getattr(module, name)
        home = getattr(value, "__module__", "")
        if home != room and home in ROOMS:
            lines.append(f"`{room}.{name}` is [`{home}.{name}`]({home}.md#{home}.{name}).\n")
        elif home.startswith("srkit") and (inspect.isclass(value) or inspect.isfunction(value)):
            lines.append(f"::: {home}.{value.__name__}\n")
        elif not name.startswith("__"):
            text = repr(value)
            constants.append([code(name), code(text if len(text) < 80 else type(value).__name__)])
    if constants:
        lines += ["## Constants and types\n", table(["Name", "Value or type"], constants)]
    return "\n".join(lines)
