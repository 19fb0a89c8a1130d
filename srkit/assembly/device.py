"""The device and the precision of a recipe, and its networks and batches on that device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env
from torch import nn

from srkit.assembly.assembly import Assembly
from srkit.data.crops import check_pair
from srkit.errors import DataError, RecipeError
from srkit.interfaces import Batch, Extent
from srkit.interfaces._contract import require_lr, unchanged
from srkit.recipe.recipe import Recipe
from srkit.system.devices import default_device
from srkit.system.memory import keep_freed_memory
from srkit.system.precision import (
    DTYPES,
    Precision,
    fastest_precision,
    trains_in_channels_last,
)


def prepare(batch: Batch, assembly: Assembly, device: torch.device) -> Batch:
    """Move a batch to the device and degrade its HR, unless it contains real pairs.

    Raises
    ------
    DataError
        If there are neither LR images nor a degradation, if the degradation is for another size of
        pixels, or if the sizes of a pair do not fit the scale.
    """
    batch = batch.to(device, memory_format(assembly, device))
    if batch.lr is not None and assembly.generator is not None:
        (height, width), (rows, columns) = batch.hr.shape[2:], batch.lr.shape[2:]
        extent = Extent(batch.names[0], (height, width), (rows, columns))
        check_pair(extent, assembly.scale)  # SR of another size would be resized to HR
    if batch.lr is not None or assembly.generator is None:
        return batch
    if assembly.degradation is None:
        raise DataError(
            f"{batch.names[0]}: the data set has no LR images; add a degradation to the recipe"
        )
    expected = getattr(assembly.degradation, "pixel_scale", None)
    if expected and batch.pixel_scale and abs(expected / batch.pixel_scale - 1) > 0.01:
        raise DataError(
            f"{batch.names[0]}: an HR pixel is {batch.pixel_scale:g} arcsec wide, but the "
            f"degradation expects {expected:g}; set degradation.pixel_scale to that of the data"
        )
    with assembly.blamed("degradation"):
        with unchanged("a degradation", batch.hr):
            lr = assembly.degradation(batch.hr, batch.seeds)
        require_lr(lr, batch.hr, assembly.degradation.factor)
    variance_of = getattr(assembly.degradation, "variance", None)
    variance = batch.variance if variance_of is None else variance_of(lr, batch.seeds)
    return replace(batch, lr=lr, factor=assembly.degradation.factor, variance=variance)


def memory_format(assembly: Assembly, device: torch.device) -> torch.memory_format:
    """Return the memory format in which the generator, or else the teacher, is faster.

    Neither is built if both wait for runs that the recipe needs. An assembly with training data is
    trained.
    """
    leading: Any = assembly.generator or next(iter(assembly.teachers.values()), None)
    faster = getattr(leading, "channels_last", False)
    if "train" in assembly.data:
        faster = faster and trains_in_channels_last(
            device, precision_on(assembly.recipe, device)[0]
        )
    return torch.channels_last if faster else torch.contiguous_format


@contextmanager
def evaluating(assembly: Assembly) -> Iterator[None]:
    """Put every network in evaluation mode, and restore the modes afterwards."""
    networks: list[nn.Module] = list(assembly.networks().values())
    modes = {module: module.training for network in networks for module in network.modules()}
    for module in networks:
        module.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def set_up_process(recipe: Recipe, source: str) -> PartialState:
    """Choose the device and join the other processes, if `srkit` or `accelerate` started several.

    Raises
    ------
    RecipeError
        If the device cannot compute in the recipe's precision.
    """
    cpu = default_device().type == "cpu" or parse_flag_from_env("ACCELERATE_USE_CPU")
    process = PartialState(cpu=cpu)
    if recipe.training.precision == "fp16" and process.device.type != "cuda":
        raise RecipeError(source, ["training.precision: fp16 needs a CUDA GPU; use auto"])
    if process.device.type == "cpu":
        keep_freed_memory()
    return process


def precision_on(recipe: Recipe, device: torch.device) -> tuple[Precision, str]:
    """Return the precision in which the networks of a recipe run on a device, and why."""
    precision = recipe.training.precision
    return fastest_precision(device) if precision == "auto" else (precision, "set in the recipe")


def autocast(assembly: Assembly, device: torch.device) -> torch.autocast:
    """Return the context in which networks run in the recipe's precision; fp16 only on a GPU."""
    precision, _ = precision_on(assembly.recipe, device)
    enabled = precision == "bf16" or (precision == "fp16" and device.type == "cuda")
    return torch.autocast(device.type, DTYPES[precision], enabled=enabled)


def move(assembly: Assembly, device: torch.device) -> None:
    """Move every network to the device, in the faster memory format."""
    chosen: Any = memory_format(assembly, device)
    for module in assembly.networks().values():
        module.to(device).to(memory_format=chosen)
