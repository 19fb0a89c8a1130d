"""Pairs of single galaxies whose true parameters are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt

from srkit.interfaces import Sample
from srkit_astro.extra import needs
from srkit_astro.instruments.cameras import AcsF814W, HscI
from srkit_astro.simulation.cache import Memory
from srkit_astro.simulation.galaxy_population import GalaxyPopulation
from srkit_astro.simulation.lens_population import Galaxy
from srkit_astro.simulation.observations import ACS, HSC, TwoCameras, random_streams

#: Galaxies to 23.5 mag in i, as many as a deep survey finds.
DEEP = GalaxyPopulation()


class GalaxySimulation:
    """Galaxies as Hubble (HR) and Subaru's Hyper Suprime-Cam (LR) see them, ``srkit[astro]``.

    A single galaxy with an elliptical Sérsic profile, seen by the cameras of `lens_simulation` and
    with the same unit. Sample i depends on the seed, the split and i only; the noise and the
    cameras do not change which galaxy it is. ``galaxy(i)`` gives its true parameters. A process
    keeps 256 MiB of samples, and simulates what is beyond each time.

    Parameters
    ----------
    split
        Splits share no galaxy.
    length
        Number of galaxies.
    size
        Side of LR in pixels; HR has the scale times as many.
    seed
        Other seeds give other galaxies.
    population
        Ranges of ``magnitude``, half-light ``radius`` and Sérsic ``index``, within which galaxies
        are distributed as in deep surveys.
    hr_camera
        What differs from ACS in F814W: ``fwhm``, ``beta``, ``exposure``, ``frames``, ``sky``,
        ``read_noise``, ``detector_pixel``, ``zero_point``. Its images are drizzled to LR's pixel
        over the scale.
    lr_camera
        What differs from HSC's i in the Wide layer: as for `hr_camera`, and ``pixel``.
    lr
        What makes LR: its ``camera``; or, with ``none``, the recipe's degradation makes it of HR.
    hr_noise, lr_noise
        Whether to add noise; there is no variance without LR's.
    white
        Surface brightness in AB mag / arcsec² of the data range's upper end; the lower is 0.
    oversampling
        Samples of the sky along an HR pixel.

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
        _renderer()  # imported before there are workers, which inherit it
        self.population = population
        self.split, self.length, self.seed = split, length, seed
        self.cameras = TwoCameras(
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
        self.memory = Memory()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.length:
            raise IndexError(f"no galaxy {index}: there are {self.length}")
        return self.memory.sample(index, self._make)

    def _make(self, index: int) -> Sample:
        _, hr_noise, lr_noise = random_streams(self.seed, self.split, index, 3)
        name = f"{self.split}_{index:06d}"
        return self.cameras.sample(name, self.observe(index), (hr_noise, lr_noise))

    def galaxy(self, index: int) -> Galaxy:
        """Give the true parameters of a sample."""
        return self.population.draw(random_streams(self.seed, self.split, index, 1)[0])

    def observe(self, index: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Give HR and LR of a sample without noise, ``(H, W)`` and ``(h, w)``."""
        return self.cameras.observe(_renderer()(self.galaxy(index), *self.cameras.samples))


def _renderer() -> Callable[..., NDArray[Any]]:
    """Import what draws the sky only now: lenstronomy takes seconds."""
    with needs("lenstronomy"):
        from srkit_astro.simulation.sky import render_galaxy
    return render_galaxy
