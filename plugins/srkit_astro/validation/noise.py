"""Pure noise: its restoration, the detections in it, and its size and correlation."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from astropy.stats import sigma_clipped_stats

from srkit.functional import Noise, measure_noise
from srkit_astro.metrics.detection import detect
from srkit_astro.validation.detection import measure_background
from srkit_astro.validation.frames import Window
from srkit_astro.validation.measure import Record, View, flux_at, fluxes, to_lr
from srkit_astro.validation.methods import Method
from srkit_astro.validation.sources import Floats

Colour: TypeAlias = Literal["white", "correlated"]

#: White noise, and noise with the autocorrelation of the frame.
COLOURS: tuple[Colour, ...] = ("white", "correlated")
#: Thresholds in units of the noise.
THRESHOLDS = (3.0, 5.0)


def draw_noise(
    noise: Noise, colour: Colour, shape: tuple[int, int], rng: np.random.Generator
) -> Floats:
    """Draw Gaussian noise.

    Parameters
    ----------
    noise
        Root mean square, and correlation of pixels.
    colour
        ``correlated`` for the correlation of `noise`; ``white`` for independent pixels of the same
        root mean square.
    shape
        Height and width; the noise is periodic.
    rng
        Source of chance.
    """
    white = rng.normal(0, noise.rms, shape)
    if colour == "white":
        return white
    half = [side // 2 for side in noise.correlation.shape]
    kernel = np.zeros(shape)
    rows, columns = (np.arange(-n, n + 1) for n in half)
    kernel[np.ix_(rows, columns)] = noise.correlation
    # A measured correlation need not be exactly that of a stationary process.
    power = np.fft.fft2(kernel).real.clip(min=0)
    drawn = np.fft.ifft2(np.fft.fft2(white) * np.sqrt(power)).real
    return np.asarray(drawn / np.sqrt(power.mean()))


def measure_pure_noise(
    method: Method,
    window: Window,
    noise: Floats,
    *,
    sky: float,
    fwhm: float,
    aperture: float,
) -> list[Record]:
    """Restore a frame of pure noise, and count the detections in it, which are all false.

    Parameters
    ----------
    method
        The way to restore.
    window
        The window whose header is used.
    noise
        The noise, ``(h, w)``.
    sky
        Level that is added.
    fwhm, aperture
        FWHM of the PSF, and radius in which the flux of detections is measured, in LR pixels.

    Returns
    -------
    list of dict
        For each threshold: the flux of each detection, the number of sources at the same multiple
        of the scatter of single pixels, and properties of the noise.
    """
    image, scale = fluxes(method, window, noise + sky)
    background = measure_background(image, scale * fwhm)
    found = measure_noise(image)
    side = len(found.correlation) // 2
    centre = found.correlation[side]
    neighbour = float((centre[side + 1] + found.correlation[side + 1, side]) / 2) if side else 0.0
    properties = {
        "rms": float(scale**2 * image.std()),  # in flux per area of an LR pixel
        "correlation": neighbour,
        "block": found.rms_of(np.ones((8, 8))) / (8 * found.rms) if found.rms else 0.0,
    }
    scatter = float(sigma_clipped_stats(image)[2])
    records: list[Record] = []
    for threshold in THRESHOLDS:
        places = to_lr(background.detect(threshold), scale)
        view = View(image, scale, background, None, places)
        records.append(
            {
                "method": method.name,
                "threshold": threshold,
                "fluxes": [flux_at(image, view, place, aperture, fwhm) for place in places],
                "by_pixel": len(detect(image, threshold * scatter)) if scatter else 0,
                **properties,
            }
        )
    return records
