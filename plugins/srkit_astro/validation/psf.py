"""The PSF of LR with which sources are injected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from srkit.errors import DataError
from srkit_astro.instruments.given_psf import observation
from srkit_astro.instruments.psf import Psf, StarsPsf, half_width, kernels
from srkit_astro.instruments.psf_images import half_maximum_width
from srkit_astro.validation.frames import Window
from srkit_astro.validation.sources import FINE, Renderer

#: Options of constraints, degradations and metrics that are the PSF of LR.
OPTIONS = ("psf", "target")


def renderer_of(psf: Psf, pixel: float) -> Renderer:
    """Return what renders sources with a PSF.

    Parameters
    ----------
    psf
        The PSF of LR, without the averaging over its pixels.
    pixel
        Side of an LR pixel, in the unit of the PSF.

    Raises
    ------
    DataError
        If the PSF has a range, or is too narrow or too wide for the pixels.
    """
    if psf.varies:
        raise DataError("the PSF of the recipe is a range; state the one of the frame with --psf")
    try:
        half = half_width(psf, pixel / FINE)
    except ValueError as error:
        raise DataError(f"--psf: {error}") from error
    kernel = np.asarray(kernels(psf, pixel / FINE, half)[0].numpy())
    return Renderer(kernel, half_maximum_width(kernel) / FINE)


def given_psf(text: str, window: Window, path: Path) -> tuple[Psf, str]:
    """Return the PSF that ``--psf`` states, as for `srkit upscale`, and its origin in words.

    Parameters
    ----------
    text
        The PSF; ``stars`` is that of the stars of the frame.
    window
        A window of the frame.
    path
        The frame.

    Raises
    ------
    DataError
        If it cannot be read or measured.
    """
    found = observation(window.image, path, text, None)
    assert found.psf is not None
    if isinstance(found.psf, StarsPsf):
        return found.psf, f"measured from {len(found.psf.measured.stars)} stars of {path.name}"
    return found.psf, found.name


def psf_of_recipe(recipe: Any) -> Psf | None:
    """Return the PSF of LR that a recipe states; None if it states none."""
    specs = [] if recipe.constraint is None else [recipe.constraint]
    specs += [spec for _, spec in recipe.degradation_steps()]
    specs += recipe.metrics.values()
    stated = (spec.options.get(option) for spec in specs for option in OPTIONS)
    found = next((each for each in stated if each is not None), None)
    return None if found is None else TypeAdapter[Psf](Psf).validate_python(found)
