"""Networks and batches on a device."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from torch import nn

from srkit.assembly.assembly import Assembly
from srkit.errors import DataError, RecipeError
from srkit.interfaces import Batch
from srkit.recipe.recipe import Recipe
from srkit.system.allocator import keep_freed_memory
from srkit.training.fsdp import ASKED


def prepare(batch: Batch, assembly: Assembly, device: torch.device) -> Batch:
    """Move a batch to the device and make its LR, unless it has real pairs.

    Raises
    ------
    DataError
        If there is neither an LR image nor a degradation to make one, or the degradation is meant
        for pixels of another size.
    """
    batch = batch.to(device, memory_format(assembly))
    if batch.lr is not None or assembly.generator is None:
        return batch
    if assembly.degradation is None:
        raise DataError(
            f"{batch.names[0]}: the data set has no LR images; name a degradation in the recipe"
        )
    expected = getattr(assembly.degradation, "pixel_scale", None)
    if expected and batch.pixel_scale and abs(expected / batch.pixel_scale - 1) > 0.01:
        raise DataError(
            f"{batch.names[0]}: an HR pixel is {batch.pixel_scale:g} arcsec wide, but the "
            f"degradation takes it to be {expected:g}; set degradation.pixel_scale to that of the "
            "data"
        )
    lr = assembly.degradation(batch.hr, batch.seeds)
    variance_of = getattr(assembly.degradation, "variance", None)
    variance = batch.variance if variance_of is None else variance_of(lr, batch.seeds)
    return replace(batch, lr=lr, factor=assembly.degradation.factor, variance=variance)


def memory_format(assembly: Assembly) -> torch.memory_format:
    """Choose the memory format that the generator, else the teacher, runs faster in."""
    leading: Any = assembly.generator or next(iter(assembly.teachers.values()), None)
    return torch.channels_last if leading.channels_last else torch.contiguous_format


@contextmanager
def evaluating(assembly: Assembly) -> Iterator[None]:
    """Put every network in evaluation mode, and back."""
    networks: list[nn.Module] = list(assembly.networks().values())
    modes = {module: module.training for network in networks for module in network.modules()}
    for module in networks:
        module.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def make_accelerator(recipe: Recipe, source: str) -> Accelerator:
    """Set up device, precision, processes, and what the process does with freed memory."""
    precision = recipe.training.precision
    if precision == "fp16" and not torch.cuda.is_available():
        raise RecipeError(source, ["training.precision: fp16 needs a CUDA GPU; use bf16 or fp32"])
    handlers = [DistributedDataParallelKwargs(broadcast_buffers=False)]
    if not torch.cuda.is_available():
        keep_freed_memory()
    # accelerate keeps the first precision of a process for good; a notebook may run several.
    AcceleratorState._reset_state()
    with _without(ASKED):  # which would wrap networks together with their optimisers
        return Accelerator(
            mixed_precision="no" if precision == "fp32" else precision,
            cpu=not torch.cuda.is_available(),
            kwargs_handlers=handlers,
        )


@contextmanager
def _without(variable: str) -> Iterator[None]:
    """Hide a variable of the environment."""
    given = os.environ.pop(variable, None)
    try:
        yield
    finally:
        if given is not None:
            os.environ[variable] = given


def move(assembly: Assembly, accelerator: Accelerator) -> None:
    """Move every network to the device, in the memory format it runs faster in."""
    chosen: Any = memory_format(assembly)
    for module in assembly.networks().values():
        module.to(accelerator.device).to(memory_format=chosen)
