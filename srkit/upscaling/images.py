"""Restore images together with their metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from srkit import __version__
from srkit.interfaces import CalibratedFormat, EnlargingFormat, Image, Upscaled
from srkit.upscaling.alpha import upscale_pictures
from srkit.upscaling.holes import with_all_values
from srkit.upscaling.upscaler import ImageUpscaler


def upscale_images(
    images: Sequence[Image],
    image_format: object,
    upscaler: ImageUpscaler,
    metadata: Mapping[str, Any],
    report: Callable[[int, int], None] = lambda done, total: None,
) -> list[tuple[Image, list[str]]]:
    """Restore images, and collect messages for the user.

    Parameters
    ----------
    images
        The images, as their format reads them.
    image_format
        Interprets their metadata, if it is a :class:`srkit.interfaces.CalibratedFormat`, and
        updates them, if it is a :class:`srkit.interfaces.EnlargingFormat`.
    upscaler
        Restores them.
    metadata
        Metadata that the user states for all images, such as ``zero_point``.
    report
        Receives the LR pixels done and in total, for each band.

    Returns
    -------
    list of tuple
        SR and the messages for each image.

    Raises
    ------
    DataError
        If an image cannot be restored.
    """
    sources = [describe_source(image, image_format, metadata) for image in images]
    if upscaler.interpolates:
        sources = [with_all_values(image) for image in sources]
    lines = history(upscaler, metadata)
    found = []
    for lr, parts in zip(sources, upscale_pictures(upscaler, sources, report), strict=True):
        sr = finish_image(lr, image_format, upscaler, lines, *parts)
        notes = lr.metadata.get("notes", []), parts[0].notes, sr.metadata.get("notes", [])
        if parts[0].guesses:
            guesses = [*sr.metadata.get("guesses", []), *parts[0].guesses]
            sr = replace(sr, metadata={**sr.metadata, "guesses": guesses})
        found.append((sr, [note for some in notes for note in some]))
    return found


def describe_source(image: Image, image_format: object, metadata: Mapping[str, Any]) -> Image:
    """Add metadata that the file and the user state."""
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
    """Give SR the metadata of its LR file, and its opacity.

    Without a head that predicts the variance, what is estimated is the spread of the self-ensemble:
    ``spread`` among the metadata, a standard deviation, in place of ``variance``.
    """
    if isinstance(image_format, EnlargingFormat):
        sr = image_format.enlarge(lr, upscaled, upscaler.scale, lines)
    else:
        kept = {key: lr.metadata[key] for key in ("bits",) if key in lr.metadata}
        sr = Image(upscaled.pixels, lr.data_range, kept)
    if upscaled.sigma is not None and upscaler.model.head is None and "variance" in sr.metadata:
        others = {key: value for key, value in sr.metadata.items() if key != "variance"}
        sr = replace(sr, metadata={**others, "spread": sr.metadata["variance"].sqrt()})
    return sr if alpha is None else replace(sr, metadata={**sr.metadata, "alpha": alpha})


def history(upscaler: ImageUpscaler, metadata: Mapping[str, Any]) -> list[str]:
    """Describe how an image is restored, in lines for the header of its file."""
    model, network = upscaler.model, upscaler.network
    origin = model.provenance
    lines = [f"srkit {__version__} upscale: scale {upscaler.scale:g}, model {model.name}"]
    if origin.recipe is not None:
        lines.append(f"recipe {origin.recipe}, trained with srkit {origin.srkit}")
    if origin.sha256 is not None:
        lines.append(f"sha256 of the weights {origin.sha256}")
    if network.engine != "torch":
        lines.append(f"network run by {network.engine}")
    scattered = network.uncertainty and model.head is None
    if network.self_ensemble or scattered:
        lines.append("mean over eight flips and rotations")
    if scattered:
        lines.append("SPREAD is the standard deviation of these, which is not an error")
    if "zero_point" in metadata:
        lines.append(f"zero point {metadata['zero_point']:g} by the user")
    return lines
