"""Start a plugin distribution: what `srkit plugin new` does."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from srkit.errors import PluginError

#: The folder in the templates that gets the package's name.
PACKAGE = "PACKAGE"


def create_plugin(name: str, folder: Path) -> Path:
    """Write a plugin with an example of a degradation and a generator, and tests that pass.

    Parameters
    ----------
    name
        Name of the distribution, such as ``srkit-clouds``; the package is ``srkit_clouds``.
    folder
        Where to make the project's folder, which gets the distribution's name.

    Returns
    -------
    Path
        The project's folder.

    Raises
    ------
    PluginError
        If the name will not do, or the project's folder exists.
    """
    package = package_name(name)
    project = folder / name
    if project.exists():
        raise PluginError(f"{project}: exists; choose another name or folder")
    values = {"distribution": name, "package": package, "srkit_version": version("srkit")}
    environment = Environment(
        undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    for path, template in _templates(files("srkit") / "templates" / "plugin"):
        target = project / path.replace(PACKAGE, package).removesuffix(".j2")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(environment.from_string(template).render(values), encoding="utf-8")
    return project


def package_name(name: str) -> str:
    """Give the import name of a distribution.

    Raises
    ------
    PluginError
        If `name` is no name of a distribution whose package Python could import.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name):
        raise PluginError(
            f"'{name}' cannot be a plugin's name; expected lower-case letters and digits in words "
            "joined by single hyphens or underscores, such as 'srkit-clouds'"
        )
    package = name.replace("-", "_")
    if keyword.iskeyword(package) or find_spec(package) is not None:
        raise PluginError(f"'{name}' cannot be a plugin's name: it is taken; try 'srkit-{name}'")
    return package


def _templates(folder: Traversable, inside: str = "") -> Iterator[tuple[str, str]]:
    """Iterate over the relative path and the text of every template."""
    for entry in folder.iterdir():
        path = f"{inside}{entry.name}"
        if entry.is_dir():
            yield from _templates(entry, f"{path}/")
        else:
            yield path, entry.read_text(encoding="utf-8")
