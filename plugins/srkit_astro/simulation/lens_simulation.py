"""The data set of simulated strong lenses.

They are rendered by lenstronomy, which uses numba. caustics, which uses torch, is the other
maintained simulator; the two agree to 1e-8 of the peak. On one core lenstronomy simulated 77 pairs
/ s, caustics 51, and 65 in float32 (``benchmarks/lens_simulation.py``; 64 to 128 pixels); importing
it takes 3 s instead of 12 s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor

from srkit.interfaces import Sample
from srkit_astro.instruments.cameras import AcsF814W, Floats, HscI
from srkit_astro.pairs.splits import check_folds
from srkit_astro.simulation.lens_population import POPULATIONS, Lens, LensPopulation
from srkit_astro.simulation.observations import ACS, HSC, CameraPair, Simulation, renderer
from srkit_astro.simulation.source_images import SourceFolder
from srkit_astro.simulation.substructure import Subhalo, Vortex, draw_subhalos, draw_vortex

#: The kinds of dark matter by label.
CLASSES = ("none", "cdm", "vortex")


class LensSimulation(Simulation):
    """Strong lenses observed by Hubble (HR) and Hyper Suprime-Cam (LR); needs srkit[astro].

    The light of an exponential galaxy is deflected by a singular isothermal ellipsoid with external
    shear, which hosts a de Vaucouleurs galaxy. The sky, sampled more finely than HR, is convolved
    with the PSF of each camera and averaged over its pixels, so that HR and LR have the same flux
    without noise. Sample i only depends on the seed, the split and i; noise and cameras do not
    change the lens. Each process caches up to 256 MiB of samples and simulates further ones every
    time.

    Values are surface brightness in count / s per area of an LR pixel, at AB zero point 27.0. Noise
    of the sky makes some negative. The variance is that of the noise in LR, computed from the
    noise-free image.

    Parameters
    ----------
    split
        Different splits have different lenses.
    length
        Number of lenses.
    folds, fold
        For cross-validation among the lenses of ``train``: every `folds`-th lens, from number
        `fold` on, validates and the others train; with classes, every `folds`-th group of three,
        one of each class. `length` is the number of both.
    size
        Side of LR in pixels; the side of HR is the scale times as large.
    seed
        Different seeds give different lenses.
    population
        The population: lenses as found in HSC (``sugohi``), nearer ones (``slacs``), or ``sugohi``
        with other ``redshift``, ``source_redshift``, ``einstein_radius``, ``source_magnitude``,
        ``arc_magnitude``, ``arc_length``, ``contrast`` or ``shear``.
    sources
        Folder with images of galaxies, ``.npy`` or FITS, which replace the profile of the source:
        one galaxy at the centre of each, with the sky subtracted. They keep their angular size, are
        scaled to the drawn magnitude, and rotated by a random angle.
    source_pixel_scale
        Pixel scale of `sources` in arcsec, for files without a WCS.
    substructure
        Dark matter in addition to the smooth halo: ``none``, subhalos (``cdm``), a line of mass
        (``vortex``), or ``all`` three in turn, as classes.
    substructure_share
        Mass of the substructure as a fraction of the mass within the Einstein radius.
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
        LR of ``sugohi`` rarely exceeds the default, but centres of galaxies in HR do.
    oversampling
        Samples of the sky per HR pixel along a side.
    arcs
        If set, samples have masks: 1 for HR pixels in which the light of the source, convolved with
        the PSF and without noise, is at least this fraction of its brightest pixel, else 0.

    Raises
    ------
    PluginError
        If lenstronomy is not installed.
    DataError
        If the folder of sources contains no images, or an unusable one.
    ValueError
        If there are no lenses in a population, a pixel scale is set without sources, or there is
        no such fold.
    """

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
        population: Literal["slacs", "sugohi"] | LensPopulation = "sugohi",
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
        renderer()  # imported before workers are started, which inherit it
        self.classes = CLASSES if substructure == "all" else None
        self.population = POPULATIONS[population] if isinstance(population, str) else population
        self.population.draw(np.random.default_rng(0))  # an impossible population is refused here
        if sources is None and source_pixel_scale is not None:
            raise ValueError("source_pixel_scale needs sources, the folder of the images")
        self.sources = None if sources is None else SourceFolder(sources, source_pixel_scale)
        if self.sources:
            self.notes = (f"using {len(self.sources.images)} images in {sources} as sources",)
        self.substructure, self.share, self.arcs = substructure, substructure_share, arcs
        with_lr = lr == "camera"
        cameras = CameraPair(
            scale, size, oversampling, hr_camera, lr_camera, hr_noise, lr_noise, white, with_lr
        )
        group = len(CLASSES) if self.classes else 1
        super().__init__(cameras, seed, *_lenses(split, length, folds, fold, group))

    def _simulate(self, index: int) -> Sample:
        label = self.numbers[index] % len(CLASSES) if self.classes is not None else None
        mask = None if self.arcs is None else self._mask(index, self.arcs)
        return replace(super()._simulate(index), label=label, mask=mask)

    def lens(self, index: int) -> tuple[Lens, tuple[Subhalo, ...] | Vortex]:
        """Return the lens of a sample, and its substructure."""
        rng = self._streams(index)[0]
        lens = self.population.draw(rng)
        number = self.numbers[index]
        kind = CLASSES[number % len(CLASSES)] if self.substructure == "all" else self.substructure
        if kind == "none":
            return lens, ()
        draw = draw_subhalos if kind == "cdm" else draw_vortex
        return lens, draw(lens, self.share, rng)

    def observe(self, index: int) -> tuple[Floats, Floats]:
        """Return HR and LR of a sample without noise, ``(H, W)`` and ``(h, w)``."""
        return self.cameras.observe(self._render(index, renderer().render))

    def _mask(self, index: int, fraction: float) -> Tensor:
        """Return the mask of the arcs in HR, ``(H, W)``."""
        light, _ = self.cameras.observe(self._render(index, renderer().render_arcs))
        return torch.from_numpy((light >= fraction * light.max()).astype(np.int64))

    def _render(self, index: int, render: Callable[..., Floats]) -> Floats:
        image = () if self.sources is None else (self.sources.draw(self._streams(index)[3]),)
        return render(*self.lens(index), *self.cameras.sampling, *image)


def _lenses(
    split: str, length: int, folds: int | None, fold: int | None, group: int
) -> tuple[str, Sequence[int]]:
    """Return the split to draw lenses from, and their numbers in it; groups share a fold."""
    check_folds(folds, fold)
    if folds is None or fold is None:
        return split, range(length)
    if split == "test":
        raise ValueError("folds apply to train and validation; remove them from test")
    if length < folds * group:
        raise ValueError(
            f"length is {length}; expected at least {folds * group}, {group} for each of {folds} "
            "folds"
        )
    validates = split == "validation"
    return "train", [n for n in range(length) if (n // group % folds == fold) == validates]
