"""How SR becomes LR again: as the recipe of its model or the user states, or by plain averaging."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from srkit.assembly.chain import join
from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.errors import DataError, SrkitError
from srkit.functional.resizing import Kernel, resize
from srkit.images._levels import is_measured
from srkit.interfaces import (
    Batch,
    Degradation,
    Image,
    Observation,
    ObservedFormat,
    Observing,
)
from srkit.models.open import Interpolation, Model
from srkit.weights.checkpoints import read_state

#: LR pixels per side of the images with which degradations and constraints are tested, and the
#: tolerance.
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
    stated
        Whether the recipe or the user states that LR was made in this way, or it is a picture, for
        which that is usual. Otherwise, differences from LR do not mean that SR is wrong.
    """

    apply: Callable[[Tensor, tuple[int, int]], Tensor]
    name: str
    reason: str
    stated: bool = True


@dataclass(frozen=True, slots=True)
class GivenPsf:
    """A PSF that the user states.

    Parameters
    ----------
    text
        As on the command line.
    path
        The file of LR.
    image_format
        Its format, which knows the PSF.
    """

    text: str
    path: Path
    image_format: object


def forward_model(
    model: Model, lr: Image, scale: float, registry: Registry, given: GivenPsf | None = None
) -> ForwardModel:
    """Choose how SR of a model is degraded again.

    Measured values at an integer scale are observed with the PSF that the user gives, or those that
    the constraint of the model's recipe or one of its metrics states. Otherwise, the degradation of
    the recipe is used if it has this scale, is deterministic, and, for measured values, keeps the
    flux and does not round. If it adds noise, it is used without. Else SR is averaged over LR
    pixels or, for other images and scales that are not integers, resized by an antialiased bicubic
    kernel.

    Parameters
    ----------
    model
        Produced SR.
    lr
        The input, with its ``pixel_scale`` among the metadata if it is known.
    scale
        SR pixels per LR pixel along a side.
    registry
        The available components.
    given
        The PSF of LR, if the user states it.

    Raises
    ------
    DataError
        If the given PSF cannot be used.
    """
    measured = is_measured(lr)
    average = measured and scale == round(scale)
    stated = _stated(model, registry) if measured else None
    own = _degradation(model, scale, registry)
    if given is not None:
        by_recipe = stated[0] if stated else None if isinstance(own, str) else own
        observation = _given(given, model, lr, scale, by_recipe)
        return _observing(observation, "it is given by the user", model, lr, scale)
    if stated is not None and average:
        return _observing(*stated, model, lr, scale)
    why = own if isinstance(own, str) else _degrading(own, model, measured)
    if isinstance(why, ForwardModel):
        return why
    if stated is not None:
        why = f"SR is observed with the PSFs of its recipe at integer scales only, got {scale:g}"
    kernel: Kernel = "area" if average else "bicubic"
    name = "averaged over LR pixels" if average else "bicubic"
    return ForwardModel(
        lambda sr, size: resize(sr, size, factor=1 / scale, kernel=kernel),
        name,
        why,
        stated=not measured,
    )


def _given(
    given: GivenPsf, model: Model, lr: Image, scale: float, by_recipe: object
) -> Observation:
    if isinstance(model.generator, Interpolation):
        raise DataError(
            f"{given.path}: '{model.name}' leaves the PSF of LR as it is, and its SR is not "
            "observed with a PSF; drop --psf"
        )
    if not isinstance(given.image_format, ObservedFormat):
        raise DataError(f"{given.path}: only frames in FITS have a PSF; drop --psf")
    if scale != round(scale):
        raise DataError(
            f"{given.path}: SR is observed with a PSF at integer scales only, got {scale:g}; drop "
            "--psf"
        )
    side = _pixel_scale(model, lr, scale)
    known = {} if side is None else {"pixel_scale": side * scale}
    described = replace(lr, metadata={**lr.metadata, **known})
    return given.image_format.observation(described, given.path, given.text, by_recipe)


def _observing(
    observation: Observation, reason: str, model: Model, lr: Image, scale: float
) -> ForwardModel:
    side = _pixel_scale(model, lr, scale)

    def apply(sr: Tensor, size: tuple[int, int]) -> Tensor:
        try:
            return observation(sr, round(scale), side)
        except ValueError as error:
            raise DataError(f"SR cannot be observed by the {observation.name}: {error}") from error

    return ForwardModel(apply, observation.name, reason)


def _pixel_scale(model: Model, lr: Image, scale: float) -> float | None:
    """Return the side of an SR pixel in arcsec: by the file, or as the model was trained."""
    by_file, trained = lr.metadata.get("pixel_scale"), model.quantity.pixel_scale
    if by_file:
        return float(by_file) / scale
    return None if trained is None else trained * model.scale / scale


def _stated(model: Model, registry: Registry) -> tuple[Observation, str] | None:
    """Return the observation that the constraint of a model or a metric of its recipe states."""
    found: list[tuple[str, object]] = [("constraint", model.constraint)]
    for name, spec in _recipe(model).get("metrics", {}).items():
        options = {key: value for key, value in spec.items() if key not in ("type", "teacher")}
        if options.get("psf") is not None:
            factory = registry.get("metrics", spec.get("type") or name).factory
            supplied = {"scale": model.scale, "channels": model.channels}
            found.append((f"metric {name}", build(factory, options, **supplied)))
    for name, part in found:
        if isinstance(part, Observing) and part.observation is not None:
            return part.observation, f"the {name} of the model's recipe states it"
    return None


def _recipe(model: Model) -> Mapping[str, Any]:
    """Return the recipe with which a model was trained, as in its checkpoint; or an empty one."""
    path = model.provenance.path
    state = read_state(path) if model.recipe is not None and path is not None else None
    return {} if state is None else state["recipe"]


def _degradation(model: Model, scale: float, registry: Registry) -> Degradation | str:
    """Return the degradation of the model's recipe, or why it cannot be used."""
    given = _recipe(model).get("degradation")
    if given is None:
        if isinstance(model.generator, Interpolation):
            return "an interpolation makes no statement on how LR was made"
        return "the model has no recipe that states a PSF or a degradation"
    steps = given if isinstance(given, list) else [given]
    subject = f"the degradation of the model, {_name(steps)},"
    if scale != model.scale:
        return f"{subject} is for scale {model.scale}"
    try:
        degradation = join([_build(step, model, registry) for step in steps])
    except (SrkitError, ValueError, ValidationError, TypeError) as error:
        return f"{subject} cannot be built ({' '.join(str(error).split())})"
    if abs(degradation.factor * scale - 1) > 1e-6:
        return f"{subject} has the factor {degradation.factor:g}, not 1 / {scale:g}"
    return degradation


def _degrading(degradation: Degradation, model: Model, measured: bool) -> ForwardModel | str:
    """Return the degradation of the model's recipe as a forward model, or why it cannot be one."""
    given = _recipe(model)["degradation"]
    name = _name(given if isinstance(given, list) else [given])
    subject = f"the degradation of the model, {name},"
    # Without its noise; not part of the protocol, since few degradations add noise.
    expected: Callable[..., Tensor] = getattr(degradation, "expected", degradation)
    side = TEST_SIDE * model.scale
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


def _name(steps: Sequence[Mapping[str, Any]]) -> str:
    return ", then ".join(step["type"] for step in steps)


def _build(spec: Mapping[str, Any], model: Model, registry: Registry) -> Degradation:
    options = dict(spec)
    factory = registry.get("degradations", options.pop("type")).factory
    built: Degradation = build(factory, options, scale=model.scale, channels=model.channels)
    return built


def agrees_by_construction(model: Model, scale: float, forward: ForwardModel) -> bool:
    """Return whether SR agrees with any LR, whatever the network does.

    Its constraint is applied to random images, or an interpolation to a random LR: if the result,
    degraded again, is LR, a comparison with LR cannot find a fault of the model.

    Parameters
    ----------
    model
        The model.
    scale
        SR pixels per LR pixel along a side; SR of another scale than the model's is resized.
    forward
        How SR is degraded again.
    """
    if scale != model.scale:
        return False
    generator = torch.Generator().manual_seed(0)
    channels, small, large = model.channels or 1, TEST_SIDE, TEST_SIDE * model.scale
    lr, sr = (
        torch.rand((1, channels, side, side), generator=generator, dtype=torch.float64)
        for side in (small, large)
    )
    if model.constraint is not None:
        side = model.quantity.pixel_scale
        sr = model.constraint(sr, Batch(["random"], sr, [0], lr=lr, pixel_scale=side))
    elif isinstance(model.generator, Interpolation):
        sr = model.generator(lr)
    again = forward.apply(sr, (small, small))
    return torch.allclose(again, lr, atol=TOLERANCE, rtol=0)
