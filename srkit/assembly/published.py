"""The published weights of all generators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from srkit.components.registry import OWN, Component, Registry
from srkit.errors import PluginError
from srkit.interfaces import Published
from srkit.weights.files import published_of


def published_models(registry: Registry) -> dict[str, tuple[Component, Published]]:
    """Return the published weights of all generators by name, each with its generator.

    srkit's own keep their names. Others of the same name are found as ``distribution/name``, as are
    the weights of several plugins with the same name.
    """
    rivals: dict[str, list[tuple[Component, Published]]] = {}
    for component, factory in importable_generators(registry):
        for name, one in published_of(factory).items():
            rivals.setdefault(name, []).append((component, one))
    found: dict[str, tuple[Component, Published]] = {}
    for name, offers in rivals.items():
        keeps = len(offers) == 1 or offers[0][0].distribution == OWN
        for number, (component, one) in enumerate(offers):
            own_name = name if keeps and number == 0 else f"{component.distribution}/{name}"
            found[own_name] = (component, one)
    return found


def importable_generators(registry: Registry) -> Iterator[tuple[Component, Callable[..., Any]]]:
    """Iterate over the generators that can be imported, srkit's own first."""
    listed = registry.components("generators")
    for component in sorted(listed, key=lambda each: each.distribution != OWN):
        try:
            factory = component.factory
        except PluginError:
            continue  # reported when it is used
        yield component, factory
