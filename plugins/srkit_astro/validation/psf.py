"""The PSF of LR with which sources are injected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from srkit.errors import DataError
from srkit_astro.instruments.psf import (
    GaussianPsf,
    Psf,
    PsfImage,
    StarsPsf,
    half_width,
    kernels,
)
from srkit_astro.instruments.psf_images import half_maximum_width, read_psf_image
from srkit_astro.validation.sources import FINE, Renderer

#: Where a recipe states the PSF of LR: section and option.
STATED = (("constraint", "psf"), ("degradation", "psf"), ("degradation", "target"))


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


def stated_psf(text: str, pixel: float) -> tuple[Psf, str]:
    """Return the PSF that ``--psf`` states, and its origin in words.

    Parameters
    ----------
    text
        A FWHM in arcsec, of a Gaussian, or a file with an image of the PSF.
    pixel
        Side of an LR pixel, also that of an image of the PSF that states none.

    Raises
    ------
    DataError
        If it is none of these.
    """
    try:
        fwhm = float(text)
    except ValueError:
        path = Path(text)
        if not path.is_file():
            raise DataError(
                f"--psf: '{text}' is neither a FWHM in arcsec, nor a file with an image of the "
                "PSF, nor 'stars'"
            ) from None
        side = pixel if read_psf_image(path, 0.0)[1] is None else None
        return PsfImage(type="image", file=path, pixel_scale=side), f"of {path.name}"
    if not 0 < fwhm < float("inf"):
        raise DataError(f"--psf: got {text}; expected a positive FWHM in arcsec")
    return GaussianPsf(type="gaussian", fwhm=fwhm), "a Gaussian, as stated"


def measured_psf(frame: Path, pixel: float) -> tuple[Psf, str]:
    """Return the PSF of the stars of a frame, and its origin in words.

    Raises
    ------
    DataError
        If there are too few stars.
    """
    psf = StarsPsf(type="stars", file=frame, pixel_scale=pixel)
    return psf, f"measured from {len(psf.measured.stars)} stars of {frame.name}"


def psf_of_recipe(recipe: Any) -> Psf | None:
    """Return the PSF of LR that a recipe states; None if it states none."""
    found: Any = None
    specs = [("constraint", recipe.constraint)] if recipe.constraint is not None else []
    specs += [("degradation", spec) for _, spec in recipe.degradation_steps()]
    for place, option in STATED:
        for section, spec in specs:
            if section == place and found is None:
                found = spec.options.get(option)
    return None if found is None else TypeAdapter(Psf).validate_python(found)
