"""Pairs of strong lenses, simulated as they are asked for.

lenstronomy renders them, with numba. caustics, with torch, is the other well-kept simulator: the
two agree to 1e-8 of the peak, so realism is no reason to prefer one. On one core lenstronomy made
77 pairs / s, caustics 51, and 65 in float32 (``benchmarks/lens_simulation.py``; 64 px to 128 px);
it is imported in 3 s rather than 12.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor

from srkit.interfaces import Sample
from srkit_astro.extra import needs
from srkit_astro.instruments.cameras import AcsF814W, HscI
from srkit_astro.simulation.cache import Memory
from srkit_astro.simulation.lens_population import POPULATIONS, Lens, Population
from srkit_astro.simulation.observations import ACS, HSC, TwoCameras, random_streams
from srkit_astro.simulation.source_images import SourceFolder
from srkit_astro.simulation.substructure import Subhalo, Vortex, draw_subhalos, draw_vortex

#: The kinds of dark matter by label.
CLASSES = ("none", "cdm", "vortex")


class LensSimulation:
    """Strong lenses as Hubble (HR) and Subaru's Hyper Suprime-Cam (LR) see them, ``srkit[astro]``.

    A singular isothermal ellipsoid with external shear and a de Vaucouleurs galaxy on it bends
    the light of an exponential galaxy. One sky, sampled finer than HR, is convolved with either
    camera's PSF and averaged over its pixels, so that HR and LR hold the same flux before noise.
    Sample i depends on the seed, the split and i only; the noise and the cameras do not change
    which lens it is. A process keeps 256 MiB of samples, and simulates what is beyond each time.

    Values are surface brightness: count / s per area of an LR pixel, at the AB zero point 27.0.
    Sky noise makes some negative. The variance is that of LR's noise, which the noise-free image
    has.

    Parameters
    ----------
    split
        Splits share no lens.
    length
        Number of lenses.
    folds, fold
        For cross-validation among the lenses of ``train``: every `folds`-th of them, from number
        `fold` on, validates and the others train; of classes every `folds`-th three, one of each.
        `length` counts both.
    size
        Side of LR in pixels; HR has the scale times as many.
    seed
        Other seeds give other lenses.
    population
        Which lenses: those found in HSC (``sugohi``), nearer ones (``slacs``), or ``sugohi`` with
        other ``redshift``, ``source_redshift``, ``einstein_radius``, ``source_magnitude``,
        ``arc_magnitude``, ``arc_length``, ``contrast`` or ``shear``.
    sources
        Folder of images of galaxies, ``.npy`` or FITS, that are the source's light in place of its
        profile: one galaxy in the middle of each, the sky subtracted. They keep their angular
        size, get the magnitude that was drawn, and are turned by any angle.
    source_pixel_scale
        Side of the pixels of `sources` in arcsec, for files without a WCS.
    substructure
        Dark matter besides the smooth halo: ``none``, subhalos (``cdm``), a line of mass
        (``vortex``), or ``all`` three in turn, as classes.
    substructure_share
        Mass of the substructure over the mass within the Einstein radius.
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
        Surface brightness in AB mag / arcsec² of the data range's upper end; the lower is 0. LR
        of ``sugohi`` rarely exceeds the default, centres of galaxies in HR do.
    oversampling
        Samples of the sky along an HR pixel.
    arcs
        Where given, samples have masks: 1 where the source's light in HR, without noise and behind
        HR's PSF, is at least this share of its brightest pixel, else 0.

    Raises
    ------
    PluginError
        If lenstronomy is not installed.
    DataError
        If the folder of sources holds no image, or one that cannot be used.
    ValueError
        If a population has no lenses, a pixel scale no sources, or there is no such fold.
    """

    channels = 1

    def __init__(
        self,
        *,
        scale: int,
        split: Literal["train", "validation", "test"] = "train",
        length: PositiveInt = 1000,
        folds: Annotated[int, Field(ge=2)] | None = None,
        fold: NonNegativeInt | None = None,
        size: Annotated[int, Field(ge=8)] = 64,
        seed: NonNegativeInt = 0,
        population: Literal["slacs", "sugohi"] | Population = "sugohi",
        sources: Path | None = None,
        source_pixel_scale: PositiveFloat | None = None,
        substructure: Literal["none", "cdm", "vortex", "all"] = "none",
        substructure_share: Annotated[float, Field(gt=0, le=0.2)] = 0.03,
        hr_camera: AcsF814W = ACS,
        lr_camera: HscI = HSC,
        lr: Literal["camera", "none"] = "camera",
        hr_noise: bool = True,
        lr_noise: bool = True,
        white: float = 19.0,
        oversampling: PositiveInt = 2,
        arcs: Annotated[float, Field(gt=0, lt=1)] | None = None,
    ) -> None:
        _renderer()  # imported before there are workers, which inherit it
        self.classes = CLASSES if substructure == "all" else None
        self.population = POPULATIONS[population] if isinstance(population, str) else population
        self.population.draw(np.random.default_rng(0))  # an impossible one is told of at once
        if sources is None and source_pixel_scale is not None:
            raise ValueError("source_pixel_scale is that of images; name their folder in sources")
        self.sources = None if sources is None else SourceFolder(sources, source_pixel_scale)
        self.notes: Sequence[str] = ()
        if self.sources:
            self.notes = (f"{len(self.sources.images)} galaxies of {sources} are the sources",)
        self.seed = seed
        together = len(CLASSES) if self.classes else 1
        self.pool, self.numbers = _lenses(split, length, folds, fold, together)
        self.substructure, self.share = substructure, substructure_share
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
        self.arcs = arcs
        self.memory = Memory()

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f"no lens {index}: there are {len(self)}")
        return self.memory.sample(index, self._make)

    def _make(self, index: int) -> Sample:
        number = self.numbers[index]
        _, hr_noise, lr_noise, _ = self._streams(index)
        sample = self.cameras.sample(
            f"{self.pool}_{number:06d}",
            self.observe(index),
            (hr_noise, lr_noise),
            label=number % len(CLASSES) if self.classes is not None else None,
        )
        return sample if self.arcs is None else replace(sample, mask=self._mask(index, self.arcs))

    def lens(self, index: int) -> tuple[Lens, tuple[Subhalo, ...] | Vortex]:
        """Give the lens of a sample, and its substructure."""
        rng, *_ = self._streams(index)
        lens = self.population.draw(rng)
        number = self.numbers[index]
        kind = CLASSES[number % len(CLASSES)] if self.substructure == "all" else self.substructure
        if kind == "none":
            return lens, ()
        draw = draw_subhalos if kind == "cdm" else draw_vortex
        return lens, draw(lens, self.share, rng)

    def observe(self, index: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Give HR and LR of a sample without noise, ``(H, W)`` and ``(h, w)``."""
        return self.cameras.observe(self._render(index, _renderer().render))

    def _mask(self, index: int, share: float) -> Tensor:
        """Tell which HR pixels of a sample belong to its arcs, ``(H, W)``."""
        light, _ = self.cameras.observe(self._render(index, _renderer().render_arcs))
        return torch.from_numpy((light >= share * light.max()).astype(np.int64))

    def _render(self, index: int, render: Callable[..., NDArray[Any]]) -> NDArray[Any]:
        image = () if self.sources is None else (self.sources.draw(self._streams(index)[3]),)
        return render(*self.lens(index), *self.cameras.samples, *image)

    def _streams(self, index: int) -> list[np.random.Generator]:
        """Give the random numbers of a sample: lens, noise of HR, noise of LR, source image."""
        return random_streams(self.seed, self.pool, self.numbers[index], 4)


def _lenses(
    split: str, length: int, folds: int | None, fold: int | None, together: int
) -> tuple[str, Sequence[int]]:
    """Say which split's lenses are taken, and their numbers in it; `together` share a fold."""
    if (folds is None) != (fold is None):
        raise ValueError("folds and fold go together: how many, and which of them validates")
    if folds is None or fold is None:
        return split, range(length)
    if fold >= folds:
        raise ValueError(f"fold is {fold}; expected 0 to {folds - 1} for {folds} folds")
    if split == "test":
        raise ValueError("folds are of the lenses that train and validate; leave them out of test")
    if length < folds * together:
        raise ValueError(
            f"length is {length}; expected at least {folds * together}, {together} for each of "
            f"{folds} folds"
        )
    chosen = split == "validation"
    return "train", [n for n in range(length) if (n // together % folds == fold) == chosen]


def _renderer() -> ModuleType:
    """Import what draws the sky only now: lenstronomy takes seconds."""
    with needs("lenstronomy"):
        return import_module("srkit_astro.simulation.sky")
