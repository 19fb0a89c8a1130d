"""The sky behind every camera: a lens galaxy and the images of what lies behind it.

lenstronomy bends the light and gives the profiles. It was chosen over caustics by
``benchmarks/lens_simulation.py``; :mod:`srkit_astro.simulation.lens_simulation` has the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel
from numpy.typing import NDArray

from srkit_astro.instruments.cameras import flux_of
from srkit_astro.simulation.lens_population import Galaxy, Lens
from srkit_astro.simulation.source_images import SourceImage
from srkit_astro.simulation.substructure import CORE, Subhalo, Vortex

Floats = NDArray[Any]
#: Places computed at a time: what they take stays in the cache, which halves the time.
PART = 16384
#: A galaxy's cusp is averaged over pixels within so many of them, by so many samples a side.
CUSP, FINER = 4, 12

Substructure = tuple[Subhalo, ...] | Vortex
#: From x and y in arcsec to count / s / arcsec².
Brightness = Callable[[Floats, Floats], Floats]


def grid(count: int, pixel: float) -> tuple[Floats, Floats]:
    """Give x and y in arcsec of the centres of ``(count, count)`` pixels around the origin."""
    axis = (np.arange(count) - (count - 1) / 2) * pixel
    x, y = np.meshgrid(axis, axis)
    return x, y


def render(
    lens: Lens,
    substructure: Substructure,
    count: int,
    pixel: float,
    image: SourceImage | None = None,
) -> Floats:
    """Give the surface brightness of a lens before any PSF.

    Parameters
    ----------
    lens
        The galaxies and the smooth mass.
    substructure
        What bends light besides; an empty tuple where nothing does.
    count, pixel
        Pixels on a side, and their side in arcsec. They are sampled at their centres, but for the
        cusp of the lens galaxy, which is averaged.
    image
        What the source looks like, with its magnitude and place; by default it has its profile.

    Returns
    -------
    ndarray
        ``(count, count)``, in count / s / arcsec².
    """
    arcs = render_arcs(lens, substructure, count, pixel, image)
    return render_galaxy(lens.light, count, pixel) + arcs


def render_arcs(
    lens: Lens,
    substructure: Substructure,
    count: int,
    pixel: float,
    image: SourceImage | None = None,
) -> Floats:
    """Give the part of a lens's surface brightness that is its source's; see :func:`render`."""
    source = lens.source
    behind = pictured(image, source) if image else partial(surface_brightness, source)

    def arcs(x: Floats, y: Floats) -> Floats:
        return behind(*trace(lens, substructure, x, y))

    return _sampled(arcs, count, pixel)


def render_galaxy(galaxy: Galaxy, count: int, pixel: float) -> Floats:
    """Give the surface brightness of a galaxy before any PSF; see :func:`render`."""

    def light(x: Floats, y: Floats) -> Floats:
        return surface_brightness(galaxy, x, y)

    sky = _sampled(light, count, pixel)
    x, y = grid(count, pixel)
    near = np.hypot(x - galaxy.x, y - galaxy.y) < CUSP * pixel
    sky[near] = pixel_mean(galaxy, x[near], y[near], pixel)
    return sky


def _sampled(brightness: Brightness, count: int, pixel: float) -> Floats:
    """Evaluate a brightness at the centres of ``(count, count)`` pixels."""
    x, y = (places.ravel() for places in grid(count, pixel))
    parts = [slice(start, start + PART) for start in range(0, count**2, PART)]
    return np.concatenate([brightness(x[part], y[part]) for part in parts]).reshape(count, count)


def pixel_mean(galaxy: Galaxy, x: Floats, y: Floats, pixel: float) -> Floats:
    """Average a profile over pixels around places in arcsec: count / s / arcsec²."""
    offset_x, offset_y = (places.ravel() for places in grid(FINER, pixel / FINER))
    places = (np.add.outer(x, offset_x).ravel(), np.add.outer(y, offset_y).ravel())
    samples = surface_brightness(galaxy, *places)
    return np.asarray(samples.reshape(-1, FINER**2).mean(1))


def trace(lens: Lens, substructure: Substructure, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Follow light from places in the image back to the source plane; all in arcsec."""
    light = lens.light
    e1, e2 = ellipticity(light)
    centre = {"center_x": light.x, "center_y": light.y}
    models = ["SIE", "SHEAR"]
    settings: list[dict[str, float]] = [
        {"theta_E": lens.einstein_radius, "e1": e1, "e2": e2, **centre},
        {"gamma1": lens.shear[0], "gamma2": lens.shear[1], "ra_0": light.x, "dec_0": light.y},
    ]
    subhalos = () if isinstance(substructure, Vortex) else substructure
    for halo in subhalos:
        models.append("PJAFFE")
        settings.append(
            {
                "sigma0": halo.mass / (2 * CORE * halo.tidal_radius),
                "Ra": CORE,
                "Rs": halo.tidal_radius,
                "center_x": halo.x,
                "center_y": halo.y,
            }
        )
    source_x, source_y = LensModel(models).ray_shooting(x, y, settings)
    if isinstance(substructure, Vortex):
        bent_x, bent_y = substructure.deflect(x, y)
        source_x, source_y = source_x - bent_x, source_y - bent_y
    return source_x, source_y


def surface_brightness(galaxy: Galaxy, x: Floats, y: Floats) -> Floats:
    """Evaluate a galaxy's profile at places in arcsec: count / s / arcsec²."""
    model = LightModel(["SERSIC_ELLIPSE"])
    e1, e2 = ellipticity(galaxy)
    settings = {
        "amp": 1.0,
        "R_sersic": galaxy.radius,
        "n_sersic": galaxy.index,
        "e1": e1,
        "e2": e2,
        "center_x": galaxy.x,
        "center_y": galaxy.y,
    }
    (unit_flux,) = model.total_flux([settings])
    shape: Floats = model.surface_brightness(x, y, [settings])
    return np.asarray(shape * (flux_of(galaxy.magnitude) / unit_flux))


def pictured(image: SourceImage, galaxy: Galaxy) -> Brightness:
    """Give an image the magnitude and the place of a galaxy; between pixels it is bilinear."""
    model = LightModel(["INTERPOL"])
    settings = {
        "image": image.light,
        "amp": flux_of(galaxy.magnitude),
        "scale": image.pixel,
        "phi_G": image.angle,
        "center_x": galaxy.x,
        "center_y": galaxy.y,
    }

    def brightness(x: Floats, y: Floats) -> Floats:
        return np.asarray(model.surface_brightness(x, y, [settings]))

    return brightness


def ellipticity(galaxy: Galaxy) -> tuple[float, float]:
    """Give the two components of lenstronomy's ellipticity, (1 - q) / (1 + q) long."""
    length = (1 - galaxy.axis_ratio) / (1 + galaxy.axis_ratio)
    return length * math.cos(2 * galaxy.angle), length * math.sin(2 * galaxy.angle)
