"""How SR becomes LR again: by the degradation that its model was trained on, or a plain one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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

#: LR pixels per side of the image with which a degradation is tested, and the tolerance.
TEST_SIDE, TOLERANCE = 16, 1e-4


@dataclass(frozen=True, slots=True)
class ForwardModel:
    """A map from SR to the grid of LR.

    Parameters
    ----------
    apply
        From SR ``(N, C, H, W)`` and the size of LR in pixels to ``(N, C, *size)``.
    name
        Short description.
    reason
        Why it was chosen.
    """

    apply: Callable[[Tensor, tuple[int, int]], Tensor]
    name: str
    reason: str


def forward_model(
    model: Model, scale: float, registry: Registry, *, measured: bool
) -> ForwardModel:
    """Choose how SR of a model is degraded again.

    The degradation of the model's recipe is used if it has this scale, is deterministic, and, for
    measured values, keeps the flux and does not round. If it adds noise, it is used without. Else
    SR is averaged over LR pixels or, for other images and scales that are not integers, resized by
    an antialiased bicubic kernel.

    Parameters
    ----------
    model
        Produced SR.
    scale
        SR pixels per LR pixel along a side.
    registry
        The available components.
    measured
        Whether the images have measured values.
    """
    own = _of_recipe(model, scale, registry, measured)
    if isinstance(own, ForwardModel):
        return own
    average = measured and scale == round(scale)
    kernel: Kernel = "area" if average else "bicubic"
    name = "averaged over LR pixels" if average else "bicubic"
    return ForwardModel(
        lambda sr, size: resize(sr, size, factor=1 / scale, kernel=kernel), name, own
    )


def _of_recipe(
    model: Model, scale: float, registry: Registry, measured: bool
) -> ForwardModel | str:
    """Return the degradation of the model's recipe, or why it cannot be used."""
    path = model.provenance.path
    state = read_state(path) if model.recipe is not None and path is not None else None
    given = None if state is None else state["recipe"].get("degradation")
    if given is None:
        return "the model has no recipe with a degradation"
    steps = given if isinstance(given, list) else [given]
    name = ", then ".join(step["type"] for step in steps)
    subject = f"the degradation of the model, {name},"
    if scale != model.scale:
        return f"{subject} is for scale {model.scale}"
    try:
        degradation = join([_build(step, model, registry) for step in steps])
    except (SrkitError, ValueError, ValidationError, TypeError) as error:
        return f"{subject} cannot be built ({' '.join(str(error).split())})"
    if abs(degradation.factor * scale - 1) > 1e-6:
        return f"{subject} has the factor {degradation.factor:g}, not 1 / {scale:g}"
    # Without its noise; not part of the protocol, since few degradations add noise.
    expected: Callable[..., Tensor] = getattr(degradation, "expected", degradation)
    side = TEST_SIDE * round(scale)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand((1, model.channels or 1, side, side), generator=generator)
    lr = expected(image, [0])
    if not torch.equal(lr, expected(image, [1])):
        return f"{subject} is random"
    # Other units and a pedestal have to come out unchanged.
    if measured and not torch.allclose(
        expected(0.1 * image + 0.3, [0]), 0.1 * lr + 0.3, atol=TOLERANCE
    ):
        return f"{subject} rounds or changes values"
    noisy = not torch.equal(degradation(image, [0]), lr)
    return ForwardModel(
        lambda sr, size: expected(sr, [0] * len(sr)),
        f"{name} of {model.provenance.recipe}{' without its noise' if noisy else ''}",
        "it is the degradation of the model",
    )


def _build(spec: Mapping[str, Any], model: Model, registry: Registry) -> Degradation:
    options = dict(spec)
    factory = registry.get("degradations", options.pop("type")).factory
    built: Degradation = build(factory, options, scale=model.scale, channels=model.channels)
    return built
