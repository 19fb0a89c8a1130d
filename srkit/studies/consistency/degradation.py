"""How SR becomes LR again: by the degradation that its model was trained on, or a plain one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from srkit.assembly.chain import join
from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.errors import SrkitError
from srkit.functional.resizing import Kernel, resize
from srkit.interfaces import Degradation
from srkit.models.open import Model
from srkit.weights.checkpoints import read_state

#: LR pixels of a side, and how far answers may differ, when a degradation is tried.
TRIED, ALIKE = 16, 1e-4


@dataclass(frozen=True, slots=True)
class Redegradation:
    """A way from SR back to the grid of LR.

    Parameters
    ----------
    apply
        From SR ``(N, C, H, W)`` and the size of LR in pixels to ``(N, C, *size)``.
    name
        What it does, in a few words.
    reason
        Why it was chosen.
    """

    apply: Callable[[Tensor, tuple[int, int]], Tensor]
    name: str
    reason: str


def redegradation(
    model: Model, scale: float, registry: Registry, *, measured: bool
) -> Redegradation:
    """Choose how SR of a model is degraded again.

    The model's own degradation serves if its recipe has one, it gives LR of this scale and always
    the same, and, for measured values, changes no flux and rounds nothing. One that adds noise
    serves without it. Else SR is averaged over LR pixels, or for pictures and broken scales shrunk
    by an antialiased bicubic kernel.

    Parameters
    ----------
    model
        What SR was made by.
    scale
        SR pixels for each LR pixel along a side.
    registry
        Where degradations come from.
    measured
        Whether the images are of measured values.
    """
    own = _own(model, scale, registry, measured)
    if isinstance(own, Redegradation):
        return own
    whole = measured and scale == round(scale)
    kernel: Kernel = "area" if whole else "bicubic"
    name = "averaged over LR pixels" if whole else "bicubic"
    return Redegradation(partial(_shrink, scale=scale, kernel=kernel), name, own)


def _shrink(sr: Tensor, size: tuple[int, int], scale: float, kernel: Kernel) -> Tensor:
    return resize(sr, size, factor=1 / scale, kernel=kernel)


def _own(model: Model, scale: float, registry: Registry, measured: bool) -> Redegradation | str:
    """Give the model's own degradation, or say why it does not serve."""
    path = model.provenance.path
    state = read_state(path) if model.recipe is not None and path is not None else None
    given = None if state is None else state["recipe"].get("degradation")
    if given is None:
        return "the model tells no degradation of its own"
    steps = given if isinstance(given, list) else [given]
    name = ", then ".join(step["type"] for step in steps)
    if scale != model.scale:
        return f"the model's own, {name}, is for scale {model.scale}"
    try:
        degradation = join([_build(step, model, registry) for step in steps])
    except (SrkitError, ValueError, ValidationError, TypeError) as error:
        reason = " ".join(str(error).split())
        return f"the model's own, {name}, cannot be built here ({reason})"
    if abs(degradation.factor * scale - 1) > 1e-6:
        return f"the model's own, {name}, is not for its scale: its SR is resized to HR"
    # What a telescope sees before its noise; none of the protocol, since few have any.
    quiet: Callable[..., Tensor] = getattr(degradation, "expected", degradation)
    if not _same_each_time(quiet, model, scale):
        return f"the model's own, {name}, is random"
    if measured and not _keeps_flux(quiet, model, scale):
        return f"the model's own, {name}, rounds or changes values"
    image = _tried(model, scale)
    noisy = not torch.equal(degradation(image, [0]), quiet(image, [0]))
    noiseless = " without its noise" if noisy else ""
    told = f"{name} of {model.provenance.recipe}{noiseless}"
    return Redegradation(
        lambda sr, size: quiet(sr, [0] * len(sr)), told, "it is the model's own degradation"
    )


def _build(spec: Mapping[str, Any], model: Model, registry: Registry) -> Degradation:
    options = dict(spec)
    factory = registry.get("degradations", options.pop("type")).factory
    built: Degradation = build(factory, options, scale=model.scale, channels=model.channels)
    return built


def _tried(model: Model, scale: float) -> Tensor:
    side = TRIED * round(scale)
    generator = torch.Generator().manual_seed(0)
    return torch.rand((1, model.channels or 1, side, side), generator=generator)


def _same_each_time(degrade: Callable[..., Tensor], model: Model, scale: float) -> bool:
    image = _tried(model, scale)
    return torch.equal(degrade(image, [0]), degrade(image, [1]))


def _keeps_flux(degrade: Callable[..., Tensor], model: Model, scale: float) -> bool:
    """Tell whether other units of the values, and a pedestal, come out as they went in."""
    image = _tried(model, scale)
    expected = 0.1 * degrade(image, [0]) + 0.3
    return torch.allclose(degrade(0.1 * image + 0.3, [0]), expected, atol=ALIKE)
