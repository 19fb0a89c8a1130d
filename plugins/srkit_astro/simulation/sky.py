"""The sky before any camera: the lens galaxy and the lensed images of its source.

lenstronomy provides the deflection and the profiles. For the comparison with caustics, see
:mod:`srkit_astro.simulation.lens_simulation`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel

from srkit_astro.instruments.cameras import Floats, flux_of
from srkit_astro.simulation.lens_population import Galaxy, Lens
from srkit_astro.simulation.source_images import SourceImage
from srkit_astro.simulation.substructure import CORE, Subhalo, Vortex

#: Number of positions computed at a time, so that they fit in the CPU cache: twice as fast.
PART = 16384
#: Pixels within this distance of a galaxy's centre are averaged over this many samples per side.
CUSP, FINER = 4, 12

Substructure = tuple[Subhalo, ...] | Vortex
#: A function of x and y in arcsec; returns count / s / arcsec².
Brightness = Callable[[Floats, Floats], Floats]


def grid(count: int, pixel: float) -> tuple[Floats, Floats]:
    """Return x and y in arcsec of the centres of ``(count, count)`` pixels around the origin."""
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
    """Return the surface brightness of a lens, without PSF.

    Parameters
    ----------
    lens
        The galaxies and the smooth mass.
    substructure
        Further mass; an empty tuple if there is none.
    count, pixel
        Number of pixels along a side, and their side in arcsec. Pixels are sampled at their
        centres, except at the cusp of the lens galaxy, over which they are averaged.
    image
        Image of the source, which gets its magnitude and position; by default its Sérsic profile.

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
    """Return the surface brightness of the lensed source alone; see :func:`render`."""
    source = lens.source
    brightness = image_brightness(image, source) if image else partial(surface_brightness, source)

    def arcs(x: Floats, y: Floats) -> Floats:
        return brightness(*trace(lens, substructure, x, y))

    return _sampled(arcs, count, pixel)


def render_galaxy(galaxy: Galaxy, count: int, pixel: float) -> Floats:
    """Return the surface brightness of a galaxy, without PSF; see :func:`render`."""

    def light(x: Floats, y: Floats) -> Floats:
        return surface_brightness(galaxy, x, y)

    sky = _sampled(light, count, pixel)
    x, y = grid(count, pixel)
    near = np.hypot(x - galaxy.x, y - galaxy.y) < CUSP * pixel
    sky[near] = pixel_mean(galaxy, x[near], y[near], pixel)
    return sky


def _sampled(brightness: Brightness, count: int, pixel: float) -> Floats:
    """Evaluate a surface brightness at the centres of ``(count, count)`` pixels."""
    x, y = (places.ravel() for places in grid(count, pixel))
    parts = [slice(start, start + PART) for start in range(0, count**2, PART)]
    return np.concatenate([brightness(x[part], y[part]) for part in parts]).reshape(count, count)


def pixel_mean(galaxy: Galaxy, x: Floats, y: Floats, pixel: float) -> Floats:
    """Average a profile over pixels at positions in arcsec: count / s / arcsec²."""
    offset_x, offset_y = (places.ravel() for places in grid(FINER, pixel / FINER))
    places = (np.add.outer(x, offset_x).ravel(), np.add.outer(y, offset_y).ravel())
    samples = surface_brightness(galaxy, *places)
    return np.asarray(samples.reshape(-1, FINER**2).mean(1))


def trace(lens: Lens, substructure: Substructure, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Trace positions in the image back to the source plane; all in arcsec."""
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
    """Evaluate the profile of a galaxy at positions in arcsec: count / s / arcsec²."""
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


def image_brightness(image: SourceImage, galaxy: Galaxy) -> Brightness:
    """Return an image, bilinearly interpolated, with the magnitude and position of a galaxy."""
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
    """Return the two components of the ellipticity of lenstronomy, of modulus (1 - q) / (1 + q)."""
    length = (1 - galaxy.axis_ratio) / (1 + galaxy.axis_ratio)
    return length * math.cos(2 * galaxy.angle), length * math.sin(2 * galaxy.angle)
