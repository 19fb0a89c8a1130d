"""Create a plugin distribution, for `srkit plugin new`."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from jinja2 import Environment, PackageLoader, StrictUndefined

from srkit.components.registry import KINDS
from srkit.errors import PluginError, nearest
from srkit.hookspecs import API_VERSION

#: The folder in the templates that is renamed to the package.
PACKAGE = "PACKAGE"
#: The example of each kind: its name after that of the package, its factory, and what it is.
EXAMPLES = {
    "datasets": ("_arrays", "Arrays", "data sets"),
    "augmentations": ("_gamma", "Gamma", "random changes of training data"),
    "degradations": ("_blur", "Blur", "degradations from HR to LR"),
    "stretches": ("_root", "Root", "invertible maps from flux to the input of networks"),
    "constraints": ("_mean", "SameMean", "final steps that make SR consistent with LR"),
    "generators": ("_net", "Net", "super-resolution networks"),
    "discriminators": ("_critic", "Critic", "discriminators"),
    "games": ("_game", "Wasserstein", "adversarial games"),
    "losses": ("_slopes", "Slopes", "losses"),
    "teachers": ("_classifier", "Classifier", "networks to learn from"),
    "metrics": ("_largest_error", "LargestError", "metrics"),
    "optimisers": ("_signs", "signs", "optimisers"),
    "schedules": ("_halving", "Halving", "schedules of the learning rate"),
    "trackers": ("_csv", "CSV", "trackers"),
    "image_formats": ("_raw", "Raw", "image file formats"),
    "downloads": ("_pictures", "pictures", "data for srkit data get"),
    "commands": ("-brightness", "brightness", "commands of srkit data"),
}
#: Kinds of which a new plugin has an example by default.
DEFAULT = ("degradations", "generators")


@dataclass(frozen=True, slots=True)
class Part:
    """An example in a new plugin, for its templates."""

    kind: str
    name: str
    factory: str
    title: str


def create_plugin(name: str, folder: Path, kinds: Sequence[str] = DEFAULT) -> Path:
    """Write a plugin with an example of some kinds of components, and tests that pass.

    Parameters
    ----------
    name
        Name of the distribution, such as ``srkit-clouds``; the package is ``srkit_clouds``.
    folder
        Parent of the project's folder, which has the name of the distribution.
    kinds
        The kinds.

    Returns
    -------
    Path
        The project's folder.

    Raises
    ------
    PluginError
        If the name is not valid, the project's folder exists, or a kind is unknown.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise PluginError(f"unknown kind of component '{kind}'; {nearest(kind, KINDS)}")
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
        "parts": [_part(kind, name, package) for kind in KINDS if kind in kinds],
    }
    environment = Environment(
        loader=PackageLoader("srkit.components", "templates/plugin"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    for path in environment.list_templates():
        kind = PurePosixPath(path).name.partition(".")[0].removeprefix("test_")
        if kind in KINDS and kind not in kinds:
            continue
        target = project / path.replace(PACKAGE, package).removesuffix(".j2")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(environment.get_template(path).render(values), encoding="utf-8")
    return project


def _part(kind: str, distribution: str, package: str) -> Part:
    """Return the example of a kind; only commands have a name with spaces and hyphens."""
    suffix, factory, title = EXAMPLES[kind]
    name = f"data {distribution}" if kind == "commands" else package
    return Part(kind, name + suffix, factory, title)


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
