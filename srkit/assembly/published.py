"""The published weights of all generators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from srkit.components.registry import Component, Registry
from srkit.errors import PluginError
from srkit.interfaces import Published


def published_models(registry: Registry) -> dict[str, tuple[Component, Published]]:
    """Return the published weights of all generators by name, each with its generator."""
    found: dict[str, tuple[Component, Published]] = {}
    for component, factory in importable_generators(registry):
        weights: Mapping[str, Published] = getattr(factory, "published", {})
        found |= {name: (component, one) for name, one in weights.items()}
    return found


def importable_generators(registry: Registry) -> Iterator[tuple[Component, Callable[..., Any]]]:
    """Iterate over the generators that can be imported."""
    for component in registry.components("generators"):
        try:
            factory = component.factory
        except PluginError:
            continue  # reported when it is used
        yield component, factory
