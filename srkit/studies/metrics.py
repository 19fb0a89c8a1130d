"""Metrics of single images, without a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.errors import DataError, PluginError
from srkit.images.formats import Formats
from srkit.interfaces import Batch, Metric, TeacherMetric


def build_metrics(
    names: Sequence[str], registry: Registry, scale: int, channels: int
) -> dict[str, Metric]:
    """Build metrics with their default options.

    Raises
    ------
    PluginError
        If a name is unknown, or a metric needs a teacher, which only a recipe has.
    SrkitError
        If a metric cannot be built, for example because its weights are missing.
    """
    supplied: dict[str, Any] = {"scale": scale, "channels": channels}
    metrics: dict[str, Metric] = {}
    for name in names:
        factory = registry.get("metrics", name).factory
        metric = build(factory, {}, **supplied, formats=Formats.of(registry))
        if isinstance(metric, TeacherMetric):
            raise PluginError(f"metric '{name}' needs a teacher; use 'srkit eval' to measure it")
        metrics[name] = metric
    return metrics


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
