"""The ways to look at LR: itself, interpolated, deconvolved, and restored by the model."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from astropy.io.fits import PrimaryHDU

from srkit import Upscaler
from srkit_astro.files.fits import Fits
from srkit_astro.validation.frames import Window
from srkit_astro.validation.sources import Floats

#: The row of LR itself in every table.
LR = "LR"


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
        What was guessed.
    """

    def __init__(self, model: str, scale: float | None, zero_point: float | None) -> None:
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


def methods_of(
    model: str, scale: float | None, zero_point: float | None, window: Window
) -> tuple[list[Method], Restorer]:
    """Return LR, Lanczos interpolation and the model.

    Parameters
    ----------
    model, scale, zero_point
        As for :class:`Restorer`.
    window
        A window, which is restored to find the scale of the model.
    """
    restorer = Restorer(model, scale, zero_point)
    own = len(restorer(window, window.pixels)) / len(window.pixels)
    lanczos = Restorer("lanczos", own, zero_point)
    methods = [Method(LR, lambda _, pixels: pixels), Method("lanczos", lanczos)]
    return [*(each for each in methods if each.name != model), Method(model, restorer)], restorer
