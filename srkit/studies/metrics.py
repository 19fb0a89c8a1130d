"""Metrics of single images, without a recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from srkit.components.options import build, options, options_model, supplied_parameters, validate
from srkit.components.problems import explain
from srkit.components.registry import Registry
from srkit.errors import DataError, PluginError
from srkit.images.formats import Formats
from srkit.interfaces import Batch, Metric, PooledMetric, TeacherMetric


def build_metrics(
    names: Sequence[str], registry: Registry, scale: int, channels: int
) -> dict[str, Metric]:
    """Build metrics with their default options.

    A metric that requires one option has its value after a slash, such as ``pyiqa/musiq``.

    Raises
    ------
    PluginError
        If a name is unknown, or a metric needs what only a recipe has, such as a teacher.
    SrkitError
        If a metric cannot be built, for example because its weights are missing.
    """
    supplied: dict[str, Any] = {"scale": scale, "channels": channels}
    metrics: dict[str, Metric] = {}
    for name in names:
        factory, given = _chosen(name, registry)
        metric = build(factory, given, **supplied, formats=Formats.of(registry))
        if isinstance(metric, TeacherMetric):
            raise PluginError(f"metric '{name}' needs a teacher; use 'srkit eval' to measure it")
        if isinstance(metric, PooledMetric):
            raise PluginError(f"metric '{name}' has no value of an image; use 'srkit eval'")
        metrics[name] = metric
    return metrics


def _chosen(name: str, registry: Registry) -> tuple[Callable[..., Any], dict[str, str]]:
    """Return the factory of a metric and its options."""
    plain, _, value = name.partition("/")
    own = plain if value and plain in registry.names("metrics") else name
    factory = registry.get("metrics", own).factory
    if "open_network" in supplied_parameters(factory):
        raise PluginError(f"metric '{own}' compares with another network; use 'srkit eval'")
    missing = [option.name for option in options(factory) if option.default is None]
    if own != name and len(missing) == 1:
        try:
            validate(factory, {missing[0]: value})
        except ValidationError as error:
            raise PluginError(
                "; ".join(explain(error, f"metric '{own}'", options_model(factory)))
            ) from error
        return factory, {missing[0]: value}
    if missing:
        hint = f"write {name}/{missing[0].upper()}, or use" if len(missing) == 1 else "use"
        raise PluginError(f"metric '{name}' requires {' and '.join(missing)}; {hint} 'srkit eval'")
    return factory, {}


def measure_image(sr: Tensor, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, float]:
    """Compute each metric of one SR image.

    Parameters
    ----------
    sr
        ``(1, C, H, W)``.
    batch
        Its HR and LR.
    metrics
        The metrics by name.

    Raises
    ------
    DataError
        If a metric cannot measure the image.
    """
    values = {}
    for name, metric in metrics.items():
        try:
            values[name] = float(metric(sr, batch))
        except ValueError as error:
            raise DataError(f"metric '{name}' on {batch.names[0]}: {error}") from error
    return values
