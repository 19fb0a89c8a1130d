"""FSDP2: weights, gradients and the optimiser's state divided among processes.

`accelerate launch` asks for it, and torch does it. Each process keeps a part of every tensor; whole
ones are put together for a step, for checkpoints, and for a replica that restores and is averaged.
What puts them together has to be called by all processes at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from srkit.recipe.recipe import Recipe

#: How `accelerate launch` asks for it.
ASKED = "ACCELERATE_USE_FSDP"


def asked() -> bool:
    """Tell whether weights are to be divided."""
    return os.environ.get(ASKED, "").lower() in ("1", "true")


def obstacles(recipe: Recipe) -> list[str]:
    """List what of a recipe needs a network whole while it trains."""
    start = recipe.start
    found = {
        "generator: missing; what is divided is a generator": recipe.generator is None,
        "discriminator": recipe.discriminator is not None,
        "uncertainty": recipe.uncertainty is not None,
        "start.freeze": start is not None and bool(start.frozen),
        "start.l2_sp": start is not None and start.l2_sp is not None,
        "training.precision: fp16": recipe.training.precision == "fp16",
        **{f"teachers.{name}.trainable": spec.trainable for name, spec in recipe.teachers.items()},
    }
    return [
        f"{key}: not under FSDP; use DDP, recipes/accelerate/ddp.yaml"
        for key, there in found.items()
        if there
    ]


def divide(network: nn.Module, device: torch.device) -> nn.Module:
    """Divide a network among all processes, in place."""
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    # What is divided has to lie in memory in the order of its axes.
    network.to(memory_format=torch.contiguous_format)
    fully_shard(network, mesh=mesh)
    return network


def whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put tensors together; those that are not divided are given as they are."""
    return {
        name: tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        for name, tensor in tensors.items()
    }


def parts_like(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Divide whole tensors as those of the same name are."""
    return {name: _part(tensor, own.get(name)) for name, tensor in tensors.items()}


def optimiser_parts(optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Divide an optimiser's packed state as the parameters are that it belongs to."""
    parameters = [each for group in optimiser.param_groups for each in group["params"]]
    return {
        name: _part(tensor, parameters[int(name.partition(".")[0])])
        for name, tensor in tensors.items()
    }


def _part(tensor: Tensor, like: Tensor | None) -> Tensor:
    if not isinstance(like, DTensor) or tensor.shape != like.shape:
        return tensor  # such as a count of steps
    moved = tensor.to(like.device)
    return distribute_tensor(moved, like.device_mesh, like.placements)
