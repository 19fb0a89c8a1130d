"""The data set of simulated galaxies with known parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt

from srkit.interfaces import Sample
from srkit_astro.extra import needs
from srkit_astro.instruments.cameras import AcsF814W, HscI
from srkit_astro.simulation.cache import SampleCache
from srkit_astro.simulation.galaxy_population import GalaxyPopulation
from srkit_astro.simulation.lens_population import Galaxy
from srkit_astro.simulation.observations import ACS, HSC, CameraPair, random_streams

#: Galaxies down to 23.5 mag in i, with the number counts of a deep survey.
DEEP = GalaxyPopulation()


class GalaxySimulation:
    """Galaxies observed by Hubble (HR) and Hyper Suprime-Cam (LR); needs ``srkit[astro]``.

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

    channels = 1
    classes = None
    notes: Sequence[str] = ()

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
        _renderer()  # imported before workers are started, which inherit it
        self.population = population
        self.split, self.length, self.seed = split, length, seed
        self.cameras = CameraPair(
            scale,
            size,
            oversampling,
            hr_camera,
            lr_camera,
            hr_noise,
            lr_noise,
            white,
            with_lr=lr == "camera",
        )
        self.cache = SampleCache()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.length:
            raise IndexError(f"no galaxy {index}: there are {self.length}")
        return self.cache.get(index, self._simulate)

    def _simulate(self, index: int) -> Sample:
        _, hr_noise, lr_noise = random_streams(self.seed, self.split, index, 3)
        name = f"{self.split}_{index:06d}"
        return self.cameras.sample(name, self.observe(index), (hr_noise, lr_noise))

    def galaxy(self, index: int) -> Galaxy:
        """Return the true parameters of a sample."""
        return self.population.draw(random_streams(self.seed, self.split, index, 1)[0])

    def observe(self, index: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return HR and LR of a sample without noise, ``(H, W)`` and ``(h, w)``."""
        return self.cameras.observe(_renderer()(self.galaxy(index), *self.cameras.sampling))


def _renderer() -> Callable[..., NDArray[Any]]:
    """Import the renderer when it is needed: importing lenstronomy takes seconds."""
    with needs("lenstronomy"):
        from srkit_astro.simulation.sky import render_galaxy
    return render_galaxy
