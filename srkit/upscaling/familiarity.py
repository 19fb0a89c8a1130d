"""Whether an image is like those that a network was trained on."""

from __future__ import annotations

import torch
from torch import Tensor

from srkit.functional._lr_statistics import lr_statistics
from srkit.interfaces import Image
from srkit.models.open import Model
from srkit.upscaling.holes import unusable
from srkit.upscaling.normalisation import Normalisation

#: Side of the central part of an image on which level and noise are measured.
SIDE = 1024
#: Factor of noise and of the largest value, and multiple of the noise of the level, beyond which an
#: image differs from those of the training.
FACTOR, SIGMAS = 2.0, 5.0


def central(side: int) -> slice:
    """Return the part of an axis on which an image is measured."""
    start = max(0, (side - SIDE) // 2)
    return slice(start, min(side, start + SIDE))


def sample_of(image: Image) -> Tensor:
    """Return the central pixels of an image, NaN where they are not usable."""
    rows, columns = map(central, image.pixels.shape[-2:])
    bad = unusable(image)[..., rows, columns]
    return image.pixels[..., rows, columns].float().masked_fill(bad, torch.nan)


def differences(
    sample: Tensor, extremes: tuple[float, float], form: Normalisation, model: Model
) -> list[str]:
    """Describe how an image differs from the LR images of the training.

    Parameters
    ----------
    sample
        ``(C, h, w)``, as :func:`sample_of` returns it.
    extremes
        Smallest and largest usable value of the whole image.
    form
        Converts its values to those of the training.
    model
        The model; nothing is compared if its training did not record its LR images, or if its
        stretch is fitted to the level and the scale of each image.
    """
    trained = model.quantity.lr
    if trained is None or (model.stretch is not None and model.stretch.unitless):
        return []
    found = lr_statistics(form.scaled(sample)[None])
    low, high = form.scaled(sample.new_tensor(extremes)).tolist()
    unit = _unit(model)
    notes = []
    tolerance = SIGMAS * trained.noise[1] + trained.level[1] - trained.level[0]
    if not _within(found.level, (trained.level[0] - tolerance, trained.level[1] + tolerance)):
        notes.append(
            f"its level (median) is {_text(found.level)}{unit}, but {_text(trained.level)} in the "
            "training of the network; if the sky was subtracted there, subtract it"
        )
    if not _within(found.noise, (trained.noise[0] / FACTOR, trained.noise[1] * FACTOR)):
        notes.append(
            f"its noise is {_text(found.noise)}{unit}, but {_text(trained.noise)} in the training "
            "of the network, which may smooth too much or too little"
        )
    width = trained.values[1] - trained.values[0]
    least, most = trained.values[0] - width, trained.values[0] + FACTOR * width
    if not _within((low, high), (least, most)):
        notes.append(
            f"its values are {_text((low, high))}{unit}, but {_text(trained.values)} in the "
            "training of the network; SR of what is far beyond may be wrong"
        )
    return notes


def _within(found: tuple[float, float], allowed: tuple[float, float]) -> bool:
    return allowed[0] <= found[0] and found[1] <= allowed[1]


def _text(span: tuple[float, float]) -> str:
    first, last = (f"{value:.3g}" for value in span)
    return first if first == last else f"{first} to {last}"


def _unit(model: Model) -> str:
    quantity = model.quantity
    at = "" if quantity.zero_point is None else f" at AB {quantity.zero_point:g}"
    return f" {quantity.unit}{at}" if quantity.unit else ""
