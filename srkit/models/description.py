"""The description of a model: origin, costs, receptive field, layers and stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from srkit.models.costs import count_multiply_adds, count_parameters, list_layers
from srkit.models.data_flow import trace_stages
from srkit.models.open import Model
from srkit.models.receptive_field import receptive_field


def describe(model: Model, size: tuple[int, int] = (64, 64), depth: int = 2) -> dict[str, Any]:
    """Describe a model by running it on an image of noise.

    Parameters
    ----------
    model
        The model.
    size
        Height and width of the LR image.
    depth
        Number of levels of nested blocks to list.

    Returns
    -------
    dict
        Plain data: ``name`` and ``type`` (the class of the network), ``scale``, ``channels`` (None
        for any number), ``provenance`` (the origin), ``parameters``, ``size`` (of the LR image),
        ``multiply_adds``, ``receptive_field``, ``layers`` in the order of execution, and ``stages``
        with their inputs, of which SR is the last.
    """
    network: Any = model.generator
    channels = model.channels or 1
    lr = torch.rand(1, channels, *size, generator=torch.Generator().manual_seed(0))
    return {
        "name": model.name,
        "type": type(network).__name__,
        "scale": model.scale,
        "channels": model.channels,
        "provenance": model.provenance.dump(),
        "parameters": count_parameters(network),
        "size": list(size),
        "multiply_adds": count_multiply_adds(network, lr)[""],
        "receptive_field": asdict(receptive_field(network, channels)),
        "layers": [asdict(layer) for layer in list_layers(network, lr, depth)],
        "stages": [asdict(stage) for stage in trace_stages(network, network.stages(), lr)],
    }


def print_description(description: Mapping[str, Any], console: Console) -> None:
    """Print the facts and the layers."""
    for line in (_title(description), *_facts(description)):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if not description["layers"]:
        return
    layers = Table("layer", "type", "output", box=None, pad_edge=False, header_style="bold")
    layers.add_column("parameters", justify="right")
    layers.add_column("multiply-adds", justify="right")
    for layer in description["layers"]:
        layers.add_row(
            "  " * (layer["depth"] - 1) + layer["name"],
            layer["type"],
            " x ".join(map(str, layer["output"][1:])),
            *(f"{layer[key]:,}" if layer[key] else "" for key in ("parameters", "multiply_adds")),
        )
    console.print()
    console.print(layers, highlight=False)


def _title(model: Mapping[str, Any]) -> str:
    names = {None: "any number of channels", 1: "1 channel"}
    channels = names.get(model["channels"], f"{model['channels']} channels")
    return f"{model['name']}: {model['type']}, scale {model['scale']}, {channels}"


def _facts(model: Mapping[str, Any]) -> Iterator[str]:
    origin, field, (height, width) = model["provenance"], model["receptive_field"], model["size"]
    facts = {
        "file": origin["path"],
        "sha256": origin["sha256"],
        "recipe": f"{origin['recipe']}, srkit {origin['srkit']}" if origin["srkit"] else "",
        "parameters": f"{model['parameters']:,}",
        "multiply-adds": f"{model['multiply_adds']:,} for {height} x {width} LR pixels",
        "receptive field": (
            f"{'' if field['bounded'] else 'at least '}{field['height']} x {field['width']} LR "
            f"pixels; 95 % of the gradient within {field['core']} x {field['core']}"
        ),
    }
    yield from (f"{name:<15}  {text}" for name, text in facts.items() if text)
