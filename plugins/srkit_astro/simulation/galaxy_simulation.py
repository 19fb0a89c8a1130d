"""The data set of simulated galaxies with known parameters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from srkit_astro.instruments.cameras import AcsF814W, Floats, HscI
from srkit_astro.simulation.galaxy_population import GalaxyPopulation
from srkit_astro.simulation.lens_population import Galaxy
from srkit_astro.simulation.observations import ACS, HSC, CameraPair, Simulation, renderer

#: Galaxies down to 23.5 mag in i, with the number counts of a deep survey.
DEEP = GalaxyPopulation()


class GalaxySimulation(Simulation):
    """Galaxies observed by Hubble (HR) and Hyper Suprime-Cam (LR); needs srkit[astro].

    Each image shows a single galaxy with an elliptical Sérsic profile. The cameras and the unit are
    those of `lens_simulation`. Sample i only depends on the seed, the split and i; noise and
    cameras do not change the galaxy. ``galaxy(i)`` returns its true parameters. Each process caches
    up to 256 MiB of samples and simulates further ones every time.

    Parameters
    ----------
    split
        Different splits have different galaxies.
    length
        Number of galaxies.
    size
        Side of LR in pixels; the side of HR is the scale times as large.
    seed
        Different seeds give different galaxies.
    population
        Ranges of ``magnitude``, half-light ``radius`` and Sérsic ``index``, within which galaxies
        are distributed as in deep surveys.
    hr_camera
        Parameters that differ from those of ACS in F814W: ``fwhm``, ``beta``, ``exposure``,
        ``frames``, ``sky``, ``read_noise``, ``detector_pixel``, ``zero_point``. The pixels of HR
        are those of LR divided by the scale.
    lr_camera
        Parameters that differ from those of HSC's Wide layer in i: as for `hr_camera`, and
        ``pixel``.
    lr
        ``camera`` simulates LR; with ``none``, the degradation of the recipe computes it from HR.
    hr_noise, lr_noise
        Whether to add noise; without that of LR there is no variance.
    white
        Surface brightness in AB mag / arcsec² of the upper end of the data range; the lower is 0.
    oversampling
        Samples of the sky per HR pixel along a side.

    Raises
    ------
    PluginError
        If lenstronomy is not installed.
    """

    def __init__(
        self,
        *,
        scale: int,
        split: Literal["train", "validation", "test"] = "train",
        length: PositiveInt = 1000,
        size: Annotated[int, Field(ge=8)] = 64,
        seed: NonNegativeInt = 0,
        population: GalaxyPopulation = DEEP,
        hr_camera: AcsF814W = ACS,
        lr_camera: HscI = HSC,
        lr: Literal["camera", "none"] = "camera",
        hr_noise: bool = True,
        lr_noise: bool = True,
        white: float = 19.0,
        oversampling: PositiveInt = 2,
    ) -> None:
        renderer()  # imported before workers are started, which inherit it
        self.population = population
        with_lr = lr == "camera"
        cameras = CameraPair(
            scale, size, oversampling, hr_camera, lr_camera, hr_noise, lr_noise, white, with_lr
        )
        super().__init__(cameras, seed, split, range(length))

    def galaxy(self, index: int) -> Galaxy:
        """Return the true parameters of a sample."""
        return self.population.draw(self._streams(index)[0])

    def observe(self, index: int) -> tuple[Floats, Floats]:
        """Return HR and LR of a sample without noise, ``(H, W)`` and ``(h, w)``."""
        sky = renderer().render_galaxy(self.galaxy(index), *self.cameras.sampling)
        return self.cameras.observe(sky)
