"""The description of a model: origin, costs, receptive field, layers and stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from srkit.models.costs import Layer, count_multiply_adds, count_parameters, list_layers
from srkit.models.data_flow import Stage, trace_stages
from srkit.models.open import Model
from srkit.models.receptive_field import ReceptiveField, receptive_field


@dataclass(frozen=True, slots=True)
class Description:
    """The description of a model, as JSON shows it.

    Parameters
    ----------
    name, type
        Name of the model, and class of its network.
    scale
        Side of the SR image over the side of the LR image.
    channels
        Channels of the images; None for any number.
    provenance
        Origin of the model, see :meth:`srkit.models.open.Provenance.dump`.
    parameters
        Parameters of the whole network.
    size
        Height and width of the LR image for which multiply-adds and shapes are given.
    multiply_adds
        Multiply-adds of the whole network.
    receptive_field
        Its receptive field.
    layers
        Layers and blocks in the order of execution.
    stages
        Its stages with their inputs; the last is SR.
    """

    name: str
    type: str
    scale: int
    channels: int | None
    provenance: dict[str, Any]
    parameters: int
    size: tuple[int, int]
    multiply_adds: int
    receptive_field: ReceptiveField
    layers: list[Layer]
    stages: list[Stage]


def describe(model: Model, size: tuple[int, int] = (64, 64), depth: int = 2) -> Description:
    """Describe a model by running it on an image of noise.

    Parameters
    ----------
    model
        The model.
    size
        Height and width of the LR image.
    depth
        Number of levels of nested blocks to list.
    """
    network: Any = model.generator
    channels = model.channels or 1
    lr = torch.rand(1, channels, *size, generator=torch.Generator().manual_seed(0))
    return Description(
        name=model.name,
        type=type(network).__name__,
        scale=model.scale,
        channels=model.channels,
        provenance=model.provenance.dump(),
        parameters=count_parameters(network),
        size=size,
        multiply_adds=count_multiply_adds(network, lr)[""],
        receptive_field=receptive_field(network, channels),
        layers=list_layers(network, lr, depth),
        stages=trace_stages(network, network.stages(), lr),
    )


def print_description(description: Description, console: Console) -> None:
    """Print the facts and the layers."""
    facts = [f"{name:<15}  {text}" for name, text in _facts(description).items()]
    for line in (_title(description), *facts):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if not description.layers:
        return
    layers = Table("layer", "type", "output", box=None, pad_edge=False, header_style="bold")
    layers.add_column("parameters", justify="right")
    layers.add_column("multiply-adds", justify="right")
    for layer in description.layers:
        indent = "  " * (layer.depth - 1)
        layers.add_row(
            indent + layer.name,
            layer.type,
            " x ".join(map(str, layer.output[1:])),
            f"{layer.parameters:,}" if layer.parameters else "",
            f"{layer.multiply_adds:,}" if layer.multiply_adds else "",
        )
    console.print()
    console.print(layers, highlight=False)


def _title(model: Description) -> str:
    channels = {None: "any number of channels", 1: "1 channel"}.get(
        model.channels, f"{model.channels} channels"
    )
    return f"{model.name}: {model.type}, scale {model.scale}, {channels}"


def _facts(model: Description) -> dict[str, str]:
    origin, field = model.provenance, model.receptive_field
    height, width = model.size
    facts = {
        "file": origin["path"],
        "sha256": origin["sha256"],
        "recipe": f"{origin['recipe']}, srkit {origin['srkit']}" if origin["srkit"] else "",
        "parameters": f"{model.parameters:,}",
        "multiply-adds": f"{model.multiply_adds:,} for {height} x {width} LR pixels",
        "receptive field": (
            f"{'' if field.bounded else 'at least '}{field.height} x {field.width} LR pixels; "
            f"95 % of the gradient within {field.core} x {field.core}"
        ),
    }
    return {name: text for name, text in facts.items() if text}
