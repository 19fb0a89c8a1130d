"""The description of a model: origin, costs, receptive field, layers and stages."""

from __future__ import annotations

from dataclasses import asdict, dataclass
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
    """The description of a model.

    Parameters
    ----------
    model
        The model.
    size
        Height and width of the LR image for which multiply-adds and shapes are given.
    parameters, multiply_adds
        Of the whole network.
    field
        Its receptive field.
    layers
        Layers and blocks in the order of execution.
    stages
        Its stages with their inputs; the last is SR.
    """

    model: Model
    size: tuple[int, int]
    parameters: int
    multiply_adds: int
    field: ReceptiveField
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
        model,
        size,
        count_parameters(network),
        count_multiply_adds(network, lr)[""],
        receptive_field(network, channels),
        list_layers(network, lr, depth),
        trace_stages(network, network.stages(), lr),
    )


def as_json(description: Description) -> dict[str, Any]:
    """Return a description as plain data."""
    model = description.model
    return {
        "name": model.name,
        "type": type(model.generator).__name__,
        "scale": model.scale,
        "channels": model.channels,
        "provenance": model.provenance.dump(),
        "parameters": description.parameters,
        "size": list(description.size),
        "multiply_adds": description.multiply_adds,
        "receptive_field": asdict(description.field),
        "layers": [asdict(layer) for layer in description.layers],
        "stages": [asdict(stage) for stage in description.stages],
    }


def print_description(description: Description, console: Console) -> None:
    """Print the facts and the layers."""
    facts = [f"{name:<15}  {text}" for name, text in _facts(description).items()]
    for line in (_title(description.model), *facts):
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


def _title(model: Model) -> str:
    channels = {None: "any number of channels", 1: "1 channel"}.get(
        model.channels, f"{model.channels} channels"
    )
    return f"{model.name}: {type(model.generator).__name__}, scale {model.scale}, {channels}"


def _facts(description: Description) -> dict[str, str]:
    origin, field = description.model.provenance, description.field
    height, width = description.size
    facts = {
        "file": str(origin.path or ""),
        "sha256": origin.sha256 or "",
        "recipe": f"{origin.recipe}, srkit {origin.srkit}" if origin.srkit else "",
        "parameters": f"{description.parameters:,}",
        "multiply-adds": f"{description.multiply_adds:,} for {height} x {width} LR pixels",
        "receptive field": (
            f"{'' if field.bounded else 'at least '}{field.height} x {field.width} LR pixels; "
            f"95 % of the gradient within {field.core} x {field.core}"
        ),
    }
    return {name: text for name, text in facts.items() if text}
