"""Restore images with all that their files say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from srkit import __version__
from srkit.interfaces import CalibratedFormat, EnlargingFormat, Image, Upscaled
from srkit.models.open import Model
from srkit.upscaling.opacity import upscale_pictures
from srkit.upscaling.upscaler import ImageUpscaler


def upscale_images(
    images: Sequence[Image],
    image_format: object,
    upscaler: ImageUpscaler,
    metadata: Mapping[str, Any],
    report: Callable[[int, int], None] = lambda done, total: None,
) -> list[tuple[Image, list[str]]]:
    """Restore images, and tell what the user should know of how each was made.

    Parameters
    ----------
    images
        As their format reads them.
    image_format
        Knows what their metadata mean: ``calibrate`` and ``enlarge`` are asked, where it has them.
    upscaler
        What restores.
    metadata
        What the user says of all images in place of their files, such as ``zero_point``.
    report
        Called with the LR pixels done and in all, for each band.

    Raises
    ------
    DataError
        If an image cannot be restored.
    """
    given = [describe_source(image, image_format, metadata) for image in images]
    found = []
    for lr, parts in zip(given, upscale_pictures(upscaler, given, report), strict=True):
        sr = finish_image(lr, image_format, upscaler, history(upscaler, metadata), *parts)
        told = lr.metadata.get("notes", []), parts[0].notes, sr.metadata.get("notes", [])
        found.append((sr, [note for notes in told for note in notes]))
    return found


def describe_source(image: Image, image_format: object, metadata: Mapping[str, Any]) -> Image:
    """Note what the file and the user say of an image that is to be restored."""
    known = image_format.calibrate(image) if isinstance(image_format, CalibratedFormat) else image
    return replace(known, metadata={**known.metadata, **metadata})


def finish_image(
    lr: Image,
    image_format: object,
    upscaler: ImageUpscaler,
    lines: Sequence[str],
    upscaled: Upscaled,
    alpha: Tensor | None,
) -> Image:
    """Give SR what its LR file says, and its opacity."""
    if isinstance(image_format, EnlargingFormat):
        sr = image_format.enlarge(lr, upscaled, upscaler.scale, lines)
    else:
        kept = {key: lr.metadata[key] for key in ("bits",) if key in lr.metadata}
        sr = Image(upscaled.pixels, lr.data_range, kept)
    return sr if alpha is None else replace(sr, metadata={**sr.metadata, "alpha": alpha})


def history(upscaler: ImageUpscaler, given: Mapping[str, Any]) -> list[str]:
    """Say by what an image was restored, and what the user gave, in lines for its header."""
    model: Model = upscaler.model
    origin = model.provenance
    lines = [f"srkit {__version__} upscale: scale {upscaler.scale:g}, model {model.name}"]
    if origin.recipe is not None:
        lines.append(f"recipe {origin.recipe}, trained with srkit {origin.srkit}")
    if origin.sha256 is not None:
        lines.append(f"sha256 of the weights {origin.sha256}")
    if upscaler.engine != "torch":
        lines.append(f"network run by {upscaler.engine}")
    if upscaler.self_ensemble:
        lines.append("mean over eight flips and turns")
    if upscaler.uncertainty and model.head is None:
        lines.append("mean over eight flips and turns; UNCERTAINTY is their scatter, no error bar")
    if "zero_point" in given:
        lines.append(f"zero point {given['zero_point']:g} by the user")
    return lines
