"""The ways to look at LR: itself, interpolated, deconvolved, and restored by the model."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from astropy.io.fits import PrimaryHDU

from srkit import Upscaler
from srkit.functional import measure_noise, resize
from srkit.interfaces import Batch
from srkit_astro.deconvolution import RichardsonLucy
from srkit_astro.files.fits import Fits
from srkit_astro.instruments.psf import Psf
from srkit_astro.validation.frames import Window
from srkit_astro.validation.sources import Floats

#: The row of LR itself in every table, and the interpolations with which models are compared.
LR, INTERPOLATIONS = "LR", ("bicubic", "lanczos")


@dataclass(frozen=True, slots=True)
class Method:
    """A way to restore LR.

    Parameters
    ----------
    name
        Name in tables.
    restore
        From the pixels of a window to those of SR, ``(H, W)``, in flux per area of an LR pixel.
    """

    name: str
    restore: Callable[[Window, Floats], Floats]

    def __call__(self, window: Window, pixels: Floats) -> Floats:
        """Restore other pixels with the header of a window."""
        return self.restore(window, pixels)


class Restorer:
    """Restores a window with a model, as `srkit upscale` restores a file.

    Parameters
    ----------
    model
        The model, as for :class:`srkit.Upscaler`.
    scale
        SR pixels per LR pixel along a side; that of the model by default.
    zero_point
        AB magnitude of one unit, for frames that do not state it.

    Attributes
    ----------
    notes
        What was guessed, as the keys.
    """

    def __init__(self, model: str, scale: float | None, zero_point: float | None) -> None:
        self.model = model
        self.upscaler = Upscaler(model, scale=scale, zero_point=zero_point)
        self.notes: dict[str, None] = {}

    def __call__(self, window: Window, pixels: Floats) -> Floats:
        """Restore pixels with the header of a window; return flux per area of an LR pixel."""
        lr = window.with_pixels(pixels)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            restored = self.upscaler(PrimaryHDU(lr.pixels[0].numpy(), lr.metadata["header"]))
        self.notes |= dict.fromkeys(str(each.message) for each in caught if _is_note(each))
        sr = np.asarray(restored.data, np.float64)
        scale = sr.shape[0] / pixels.shape[0]
        return np.asarray(Fits().brightness(lr, torch.from_numpy(sr), scale).numpy())


def _is_note(warning: warnings.WarningMessage) -> bool:
    return issubclass(warning.category, UserWarning)


def interpolation(kernel: str, scale: float) -> Method:
    """Return an interpolation, see :func:`srkit.functional.resize`."""

    def restore(_: Window, pixels: Floats) -> Floats:
        lr = torch.from_numpy(pixels)[None, None]
        return np.asarray(resize(lr, factor=scale, kernel=kernel)[0, 0].numpy())

    return Method(kernel, restore)


class Deconvolver:
    """Deconvolves a window by Richardson and Lucy, see :class:`.RichardsonLucy`.

    The noise variance is that of the background of the window.

    Parameters
    ----------
    psf
        The PSF of LR.
    scale
        SR pixels per LR pixel along a side.
    """

    def __init__(self, psf: Psf, scale: int) -> None:
        self.scale = scale
        self._deconvolve = RichardsonLucy(psf=psf)
        self._variances: dict[str, float] = {}

    def __call__(self, window: Window, pixels: Floats) -> Floats:
        """Deconvolve pixels of a window; return flux per area of an LR pixel."""
        if window.name not in self._variances:
            known = np.where(window.bad, np.nan, window.pixels)
            self._variances[window.name] = measure_noise(known).rms ** 2
        lr = torch.from_numpy(pixels)[None, None].float()  # several times faster
        start = resize(lr, factor=self.scale, kernel="bicubic")
        variance = torch.full_like(lr, self._variances[window.name])
        pixel = (window.pixel_scale or 1.0) / self.scale
        batch = Batch([window.name], start, [0], lr, variance=variance, pixel_scale=pixel)
        return np.asarray(self._deconvolve(start, batch)[0, 0].numpy())


def methods_of(restorer: Restorer, window: Window, psf: Psf) -> list[Method]:
    """Return LR, its interpolations, Richardson-Lucy deconvolution and the model.

    Parameters
    ----------
    restorer
        Restores by the model.
    window
        A window, which is restored to find the scale of the model.
    psf
        The PSF of LR.
    """
    own = len(restorer(window, window.pixels)) / len(window.pixels)
    methods = [Method(LR, lambda _, pixels: pixels)]
    names = [name for name in INTERPOLATIONS if name != restorer.model]
    methods += [interpolation(name, own) for name in names]
    if own == round(own):
        methods.append(Method("richardson_lucy", Deconvolver(psf, round(own))))
    else:
        restorer.notes["no Richardson-Lucy deconvolution, which needs an integer scale"] = None
    return [*methods, Method(Path(restorer.model).name, restorer)]
