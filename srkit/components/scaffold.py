"""Create a plugin distribution, for `srkit plugin new`."""

from __future__ import annotations

import keyword
import re
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from srkit.errors import PluginError
from srkit.hookspecs import API_VERSION

#: The folder in the templates that is renamed to the package.
PACKAGE = "PACKAGE"


def create_plugin(name: str, folder: Path) -> Path:
    """Write a plugin with an example degradation, an example generator, and tests that pass.

    Parameters
    ----------
    name
        Name of the distribution, such as ``srkit-clouds``; the package is ``srkit_clouds``.
    folder
        Parent of the project's folder, which has the name of the distribution.

    Returns
    -------
    Path
        The project's folder.

    Raises
    ------
    PluginError
        If the name is not valid, or the project's folder exists.
    """
    package = package_name(name)
    project = folder / name
    if project.exists():
        raise PluginError(f"{project}: already exists; choose another name or folder")
    installed = version("srkit")
    values = {
        "distribution": name,
        "package": package,
        "srkit_version": installed,
        "next_version": next_version(installed),
        "api_version": API_VERSION,
    }
    environment = Environment(
        loader=PackageLoader("srkit.components", "templates/plugin"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    for path in environment.list_templates():
        target = project / path.replace(PACKAGE, package).removesuffix(".j2")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(environment.get_template(path).render(values), encoding="utf-8")
    return project


def package_name(name: str) -> str:
    """Return the import name of a distribution.

    Raises
    ------
    PluginError
        If `name` is not the name of a distribution whose package Python can import.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name):
        raise PluginError(
            f"invalid plugin name '{name}'; expected words of lower-case letters and digits, "
            "joined by single hyphens or underscores, such as 'srkit-clouds'"
        )
    package = name.replace("-", "_")
    if keyword.iskeyword(package) or find_spec(package) is not None:
        advice = "choose another one" if name.startswith("srkit") else f"try 'srkit-{name}'"
        raise PluginError(f"the plugin name '{name}' is taken or already installed; {advice}")
    return package


def next_version(version: str) -> str:
    """Return the next version that may change the plugin interface: a minor one before 1.0."""
    major, minor = map(int, re.findall(r"\d+", version)[:2])
    return f"0.{minor + 1}" if major == 0 else str(major + 1)
