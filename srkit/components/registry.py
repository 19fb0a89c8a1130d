"""Discover plugins, attribute components to distributions, look components up."""

from __future__ import annotations

import ast
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from importlib import import_module, metadata
from importlib.metadata import Distribution, EntryPoint
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from threading import RLock
from types import FunctionType, ModuleType
from typing import Any

import pluggy

from srkit import hookspecs
from srkit.errors import PluginError, nearest

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("srkit_"))
KINDS = tuple(name.removeprefix("srkit_") for name in HOOKS)
GROUP = "srkit"
#: The statement in a plugin of the interface versions that it supports.
API = "SRKIT_API"
#: Groups of the command line to which plugins can add commands.
COMMAND_GROUPS = ("data", "hub", "models", "plugin", "recipe")
#: The distribution whose components keep their names.
OWN = "srkit"
#: Held while standard output is redirected: threads that end in another order would lose it.
LOADING = RLock()
#: The distribution and version of each package, or module, that a registered plugin comes from.
OWNERS = {OWN: OWN}


@dataclass(frozen=True, slots=True)
class Component:
    """A component: what a plugin offers under a name.

    Parameters
    ----------
    kind, name
        Its kind, one of :data:`KINDS`, and the name that recipes use.
    reference
        The factory, or its import path ``"module:name"``.
    distribution, version
        The distribution that offers it.
    """

    kind: str
    name: str
    reference: Callable[..., Any] | str
    distribution: str
    version: str

    @property
    def title(self) -> str:
        """Kind and name, such as ``loss 'l1'``."""
        return f"{singular(self.kind)} '{self.name}'"

    @property
    def source(self) -> str:
        """Distribution and version, such as ``srkit 0.1.0``."""
        return f"{self.distribution} {self.version}".strip()

    @property
    def factory(self) -> Callable[..., Any]:
        """The factory, imported now if it is given as a path."""
        if not isinstance(self.reference, str):
            return self.reference
        module, _, attribute = self.reference.partition(":")
        try:
            if module not in sys.modules:
                with LOADING, redirect_stdout(sys.stderr):  # standard output is for results
                    import_module(module)
            factory = getattr(import_module(module), attribute)
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"{self.title} of {self.source} cannot be imported from '{self.reference}': "
                f"{type(error).__name__}: {error}"
            ) from error
        if not callable(factory):
            raise PluginError(
                f"{self.title} of {self.source}: '{self.reference}' is not a class or function"
            )
        return factory  # type: ignore[no-any-return]

    @property
    def summary(self) -> str:
        """First line of the factory's docstring, read without importing a lazy factory."""
        if isinstance(self.reference, str):
            doc = _docstring(self.reference)
        else:
            doc = self.reference.__doc__
        return doc.strip().splitlines()[0] if doc and doc.strip() else ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A plugin, or one of its components, that cannot be used, or a remark on a plugin.

    Parameters
    ----------
    plugin
        Name of the entry point.
    distribution, version
        The distribution that offers it.
    reason
        One line for the user.
    details
        The traceback, if there was one.
    """

    plugin: str
    distribution: str
    version: str
    reason: str
    details: str = ""

    @property
    def source(self) -> str:
        """Distribution and version, such as ``srkit 0.1.0``."""
        return f"{self.distribution} {self.version}".strip()


class Registry:
    """The components of a set of plugins.

    Use :meth:`discover` for those that are installed, or :meth:`register` to add plugins by hand.
    """

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._components: dict[tuple[str, str], list[Component]] = {}
        self._origins: dict[str, str] = {}
        self.failures: list[Failure] = []
        self.remarks: list[Failure] = []

    @classmethod
    def discover(cls, dists: Iterable[Distribution] | None = None) -> Registry:
        """Load every plugin of the entry point group ``srkit``.

        Each is loaded on its own: one that fails is recorded in `failures` and affects no other.

        Parameters
        ----------
        dists
            Distributions to search; by default all that are installed.
        """
        registry = cls()
        searched = metadata.distributions() if dists is None else dists
        for point, name, version in _entry_points(searched):
            try:
                with registry._watched(point.name, name, version):
                    plugin = point.load()
            except (Exception, SystemExit) as error:
                # Another version of the interface explains the error best.
                problem = _api_problem(_stated_api(point.module), name, version)
                reason = f"import of '{point.value}' failed: {type(error).__name__}: {error}"
                details = "" if problem else traceback.format_exc()
                registry._fail(point.name, name, version, problem or reason, details)
            else:
                registry.register(plugin, point.name, distribution=name, version=version)
        return registry

    def register(self, plugin: Any, name: str, *, distribution: str, version: str = "") -> None:
        """Add a plugin's components; problems are recorded in `failures`, other facts in `remarks`.

        Parameters
        ----------
        plugin
            Module or object with hook implementations.
        name
            Name of the entry point; only one plugin can have it.
        distribution, version
            The distribution that its components are attributed to.
        """
        problem = _api_problem(getattr(plugin, API, 1), distribution, version)
        if not problem and name in self._origins:
            problem = (
                f"the entry point name '{name}' is taken by {self._origins[name]}; "
                f"{distribution} has to rename its own"
            )
        if problem:
            return self._fail(name, distribution, version, problem)
        self._origins[name] = distribution
        for forgotten in _unmarked_hooks(plugin):
            reason = f"function '{forgotten}' lacks the decorator @hookimpl, so it is not called"
            hint = "" if forgotten in HOOKS else f"; {nearest(forgotten, HOOKS)}"
            self._fail(name, distribution, version, reason + hint)
        try:
            self._manager.register(plugin, name)
            self._check_hooks(plugin)
        except Exception as error:
            self._manager.unregister(name=name)
            return self._fail(name, distribution, version, str(error), traceback.format_exc())
        for caller in self._manager.get_hookcallers(plugin) or ():
            kind = caller.name.removeprefix("srkit_")
            if kind not in KINDS:
                continue  # an `optionalhook` of another version of the interface
            implementation = next(i for i in caller.get_hookimpls() if i.plugin is plugin)
            try:
                with self._watched(name, distribution, version):
                    offered = _checked(implementation.function(), caller.name)
            except (Exception, SystemExit) as error:
                reason = f"{caller.name} failed: {type(error).__name__}: {error}"
                self._fail(name, distribution, version, reason, traceback.format_exc())
                continue
            for key, reference in offered.items():
                owned = plugin if isinstance(plugin, ModuleType) else reference
                _record_owner(owned, f"{distribution} {version}".strip())
                self._add(name, Component(kind, key, reference, distribution, version))
        return None

    @contextmanager
    def _watched(self, plugin: str, distribution: str, version: str) -> Iterator[None]:
        """Record what a plugin prints and of what it warns; nothing reaches standard output."""
        printed = StringIO()
        with (
            LOADING,
            warnings.catch_warnings(record=True) as caught,
            redirect_stdout(printed),
        ):
            warnings.resetwarnings()
            for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning):
                warnings.simplefilter("ignore", category)  # as Python does by default
            yield
        lines = [f"prints '{line}'" for line in printed.getvalue().splitlines()[:1]]
        lines += [f"{each.category.__name__}: {each.message}" for each in caught]
        self.remarks += [
            Failure(plugin, distribution, version, f"when it is loaded: {line}") for line in lines
        ]

    def _check_hooks(self, plugin: Any) -> None:
        """Refuse a misspelt hook; pluggy's own check would blame it on later plugins, too."""
        for caller in self._manager.get_hookcallers(plugin) or ():
            own = [each for each in caller.get_hookimpls() if each.plugin is plugin]
            if caller.name not in HOOKS and not all(each.optionalhook for each in own):
                raise PluginError(f"unknown hook '{caller.name}'; {nearest(caller.name, HOOKS)}")

    def _add(self, plugin: str, component: Component) -> None:
        rivals = self._components.setdefault((component.kind, component.name), [])
        if any(each.distribution == component.distribution for each in rivals):
            reason = f"{component.title} is offered twice by its distribution; only one is used"
            return self._fail(plugin, component.distribution, component.version, reason)
        if rivals:
            own, other = component.distribution, rivals[0].distribution
            reached = f"'{own}/{component.name}'"
            if other == OWN:
                reason = f"{component.title} is srkit's own; this one is reached as {reached}"
            else:
                reason = (
                    f"{component.title} is also offered by {other}; they are reached as "
                    f"'{other}/{component.name}' and {reached}"
                )
            self.remarks.append(Failure(plugin, own, component.version, reason))
        return rivals.append(component)

    def _fail(
        self, plugin: str, distribution: str, version: str, reason: str, details: str = ""
    ) -> None:
        self.failures.append(Failure(plugin, distribution, version, reason, details))

    def names(self, kind: str) -> list[str]:
        """List the names of a kind, sorted; of those offered twice, as ``distribution/name``."""
        self._check_kind(kind)
        groups = [rivals for (k, _), rivals in self._components.items() if k == kind]
        return sorted(each.name for rivals in groups for each in _named(rivals))

    @property
    def distributions(self) -> dict[str, str]:
        """Versions of the distributions that offer components."""
        offered = (each for rivals in self._components.values() for each in rivals)
        return {each.distribution: each.version for each in offered}

    def components(self, kind: str) -> list[Component]:
        """List the components of a kind, sorted by name."""
        return [self.get(kind, name) for name in self.names(kind)]

    def get(self, kind: str, name: str) -> Component:
        """Look a component up.

        Raises
        ------
        PluginError
            If it is unknown, or offered by two distributions, none of which is srkit. If plugins
            failed, to which an unknown component may belong, the message gives their reasons;
            otherwise the known names.
        """
        self._check_kind(kind)
        distribution, _, own_name = name.partition("/")
        plain = self._components.get((kind, name), [])
        for component in [*_named(plain), *_named(self._components.get((kind, own_name), []))]:
            if component.name == name or (component.distribution, component.name) == (
                distribution,
                own_name,
            ):
                return component
        if plain:
            owners = " and ".join(component.distribution for component in plain)
            names = " or ".join(f"'{component.name}'" for component in _named(plain))
            raise PluginError(f"{plain[0].title} is offered by {owners}; write {names}")
        unknown = f"unknown {singular(kind)} '{name}'"
        causes = "; ".join(
            f"plugin '{failure.plugin}' of {failure.distribution} could not be used "
            f"({failure.reason})"
            for failure in self.failures
        )
        hint = nearest(name, self.names(kind))
        if causes and not hint.startswith("did you mean"):
            raise PluginError(f"{unknown}; {causes}")
        raise PluginError("; ".join(filter(None, [unknown, causes, hint])))

    @staticmethod
    def _check_kind(kind: str) -> None:
        if kind not in KINDS:
            raise PluginError(f"unknown kind of component '{kind}'; {nearest(kind, KINDS)}")


def _named(rivals: Sequence[Component]) -> list[Component]:
    """Return components of one name with the names by which they are reached.

    srkit's own keeps the name, as does the only one; others get that of their distribution before.
    """
    own = [each for each in rivals if each.distribution == OWN]
    keeper = own[0] if own else rivals[0] if len(rivals) == 1 else None
    return [
        each if each is keeper else replace(each, name=f"{each.distribution}/{each.name}")
        for each in rivals
    ]


def _record_owner(owned: Any, source: str) -> None:
    """Remember the distribution of a plugin's package, or of the module of a factory."""
    if isinstance(owned, ModuleType):
        module = owned.__name__.partition(".")[0]
    elif isinstance(owned, str):
        module = owned.partition(":")[0]
    else:
        module = owned.__module__
    OWNERS[module] = OWN if source.partition(" ")[0] == OWN else source


def owner_of(module: str) -> str | None:
    """Return the distribution of a module, with its version; None if no plugin has it."""
    while module not in OWNERS:
        module, dot, _ = module.rpartition(".")
        if not dot:
            return None
    return OWNERS[module]


def _unmarked_hooks(plugin: Any) -> list[str]:
    """List the functions of a plugin that have the name of a hook, or nearly, without its mark."""
    return [
        name
        for name, value in getattr(plugin, "__dict__", {}).items()
        if isinstance(value, FunctionType)
        and not hasattr(value, "srkit_impl")
        and get_close_matches(name, HOOKS, n=1, cutoff=0.85)
    ]


def singular(kind: str) -> str:
    """Return a kind as a noun: ``loss`` for ``losses``, ``image format`` for ``image_formats``."""
    ending = "es" if kind in ("losses", "stretches") else "s"
    return kind.removesuffix(ending).replace("_", " ")


def _api_problem(stated: Any, distribution: str, installed: str) -> str:
    """Return why a plugin that states these versions cannot be used; empty if it can."""
    versions = stated if isinstance(stated, tuple) and stated else (stated,)
    ours = hookspecs.API_VERSION
    plugin = f"{distribution} {installed}".strip()
    if any(type(each) is not int for each in versions):
        return (
            f"{plugin}: {API} is {stated!r}; expected a version of the plugin interface, such as "
            f"{ours}, or a tuple of versions"
        )
    if ours in versions:
        return ""
    if min(versions) > ours:
        advice = "install a newer srkit"
    else:
        advice = f"install a newer {distribution}"
        if max(versions) >= 1:  # the first version of the interface
            advice += " or an older srkit"
    noun = "version" if len(versions) == 1 else "versions"
    return (
        f"{plugin} supports {noun} {' and '.join(map(str, versions))} of the plugin interface, "
        f"but srkit {metadata.version('srkit')} has version {ours}; {advice}"
    )


def _entry_points(dists: Iterable[Distribution]) -> list[tuple[EntryPoint, str, str]]:
    """List the entry points of the group once each, with distribution and version, in order."""
    found: dict[tuple[str, str, str], tuple[EntryPoint, str, str]] = {}
    for dist in dists:
        points = [point for point in dist.entry_points if point.group == GROUP]
        for point in points:
            key = (dist.name, point.name, point.value)
            # A distribution can be on sys.path twice; the first is the one that is imported.
            found.setdefault(key, (point, dist.name, dist.version))
    # First-party plugins first, so that a clash is blamed on the newcomer.
    return sorted(found.values(), key=lambda row: (row[1] != OWN, row[1], row[0].name))


def _checked(offered: Any, hook: str) -> Mapping[str, Callable[..., Any] | str]:
    if not isinstance(offered, Mapping):
        raise TypeError(f"{hook} must return a mapping name -> factory, got {offered!r}")
    for name, reference in offered.items():
        importable = isinstance(reference, str) and reference.count(":") == 1
        if not isinstance(name, str) or not (importable or callable(reference)):
            raise TypeError(
                f"{hook} offers {name!r}: {reference!r}; expected a name and a class, a function "
                "or an import path 'module:name'"
            )
        if hook == "srkit_commands":
            _check_command_name(name)
    return offered


def _check_command_name(name: str) -> None:
    group, space, command = name.rpartition(" ")
    known = group in COMMAND_GROUPS if space else command not in COMMAND_GROUPS
    if not command or not known:
        raise ValueError(
            f"'{name}': expected a command, such as 'stars', or a group and a command, such as "
            f"'data stars'; the groups are {', '.join(COMMAND_GROUPS)}"
        )


def _docstring(reference: str) -> str | None:
    """Read the docstring of ``module:name`` from the source, since an import may import torch."""
    module, _, attribute = reference.partition(":")
    for node in _statements(module):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == attribute:
            return ast.get_docstring(node)
    return None


def _stated_api(module: str) -> Any:
    """Read the statement of versions from the source of a module that cannot be imported."""
    for node in _statements(module):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            if isinstance(target, ast.Name) and target.id == API:
                with suppress(ValueError):
                    return ast.literal_eval(node.value)
    return 1


@lru_cache(maxsize=256)  # many components share a module
def _statements(module: str) -> list[ast.stmt]:
    """Parse a module's source without importing it; an unreadable module has no statements."""
    try:
        spec = find_spec(module)
        if spec is None or spec.origin is None:
            return []
        return ast.parse(Path(spec.origin).read_bytes()).body
    except Exception:
        return []  # the import of the module reports what is wrong
