"""Pairs of cutouts around positions: cut, registered, and aligned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.stats import mad_std
from rich.console import Console

from srkit.system import progress_bars
from srkit_astro.files.fits import BAD_PLANES
from srkit_astro.pairing.registration import (
    Kernel,
    RegisteredPair,
    Registration,
    fit_kernel,
    register,
)
from srkit_astro.pairing.resampling import cut, project
from srkit_astro.pairing.results import Pair, Pairing, Position
from srkit_astro.pairing.sky_images import Flags, Plane, SkyImage

#: Largest standard error of an offset that is corrected, in LR pixels.
WORST_ERROR = 0.2
#: An offset is an outlier if it differs from the mean offset of its two images by more than this
#: many standard errors and by more than this number of LR pixels.
OUTLIER, LEAST_OUTLIER = 5.0, 0.1
#: Largest number of pairs to which the kernel of two images is fitted.
KERNEL_PAIRS = 16


class RejectedError(Exception):
    """The reason why a position does not become a pair."""


@dataclass(frozen=True, slots=True)
class PairCutter:
    """Cuts pairs around positions; for the parameters see :func:`srkit_astro.pairing.pair.pair`."""

    lr_images: Sequence[SkyImage]
    hr_images: Sequence[SkyImage]
    scale: int
    size: int
    search: float
    max_bad: float
    flux_tolerance: float

    def run(self, positions: Sequence[Position], console: Console) -> Pairing:
        """Cut and register pairs, then cut HR again with the mean offset of its image corrected.

        The second registration uses one kernel for all pairs of two images: that of a single pair
        follows the noise, which changes its flux ratio.
        """
        pairing = Pairing(self.scale)
        candidates: list[Pair] = []
        with progress_bars(console) as bars:
            for position in bars.track(positions, description="cutting"):
                try:
                    candidates.append(self._candidate(position))
                except RejectedError as reason:
                    pairing.rejected.append((position, str(reason)))
            groups = _by_images(candidates).items()
            offsets = {key: _mean_offset(group) for key, group in groups}
            kernels = {key: self._kernel(group) for key, group in groups}
            for pair in bars.track(candidates, description="aligning"):
                try:
                    pairing.pairs.append(self._align(pair, offsets, kernels))
                except RejectedError as reason:
                    pairing.rejected.append((pair.position, str(reason)))
        return pairing

    def _candidate(self, position: Position) -> Pair:
        """Cut a pair by the WCS of the images and register it."""
        lr = self._cut_lr(position)
        source = next((i for i in self.hr_images if i.pixel_at(position.ra, position.dec)), None)
        if source is None:
            raise RejectedError("outside every HST image")
        hr = self._project(source, lr)
        found = self._register(lr, hr)
        if found is None:
            raise RejectedError(
                f"no offset within {self.search:g} arcsec fits: the source is too faint, or the "
                "images show different ones"
            )
        if found.error > WORST_ERROR:
            raise RejectedError(
                f"too faint to align: the offset has an error of {found.error:.2f} LR pixels"
            )
        return Pair(position, lr, hr, source, found)

    def _cut_lr(self, position: Position) -> SkyImage:
        """Cut LR out of the first image that holds the whole cutout."""
        places = [(i, i.pixel_at(position.ra, position.dec)) for i in self.lr_images]
        inside = [(image, place) for image, place in places if place is not None]
        if not inside:
            raise RejectedError("outside every HSC image")
        for image, (y, x) in inside:
            top, left = (round(v - (self.size - 1) / 2) for v in (y, x))
            height, width = image.values.shape
            if 0 <= top <= height - self.size and 0 <= left <= width - self.size:
                lr = cut(image, top, left, self.size)
                self._check_bad(lr.bad, f"HSC pixels are missing or masked{_planes_hit(lr)}")
                return lr
        raise RejectedError(
            f"too near the edge of the HSC image for a cutout of {self.size} x {self.size} pixels"
        )

    def _project(
        self, source: SkyImage, lr: SkyImage, offset: tuple[float, float] = (0.0, 0.0)
    ) -> SkyImage:
        hr = project(source, lr, self.scale, offset)
        self._check_bad(hr.bad, "HST pixels are missing or masked")
        return hr

    def _check_bad(self, bad: Flags, what: str) -> None:
        count = int(bad.sum())
        if count > self.max_bad * bad.size:
            raise RejectedError(f"{count} of {bad.size} {what}")

    def _weight(self, lr: SkyImage, hr: SkyImage) -> Plane:
        """Return the inverse standard deviation of the noise in LR; 0 for bad pixels."""
        blocks = hr.bad.reshape(self.size, self.scale, self.size, self.scale).any((1, 3))
        return np.where(lr.bad | blocks, 0.0, 1 / np.sqrt(_noise_variance(lr)))

    def _kernel(self, pairs: Sequence[Pair]) -> Kernel:
        """Fit the kernel of two images to their brightest pairs."""
        brightest = sorted(pairs, key=lambda pair: pair.before.error)[:KERNEL_PAIRS]
        return fit_kernel(
            [
                RegisteredPair(
                    p.lr.values, p.hr.values, self._weight(p.lr, p.hr), _photons(p.hr), p.before
                )
                for p in brightest
            ],
            self.scale,
        )

    def _register(
        self, lr: SkyImage, hr: SkyImage, kernel: Kernel | None = None
    ) -> Registration | None:
        return register(
            lr.values,
            hr.values,
            self.scale,
            weight=self._weight(lr, hr),
            search=self.search / lr.pixel_scale,
            photons=_photons(hr),
            kernel=kernel,
        )

    def _align(
        self,
        pair: Pair,
        offsets: Mapping[tuple[Path, Path], tuple[float, float]],
        kernels: Mapping[tuple[Path, Path], Kernel],
    ) -> Pair:
        """Cut HR again with the offset corrected, and measure the residual offset."""
        offset, kernel = offsets[_images(pair)], kernels[_images(pair)]
        dy, dx = pair.before.dy - offset[0], pair.before.dx - offset[1]
        far = max(abs(dy), abs(dx))
        if far > max(LEAST_OUTLIER, OUTLIER * pair.before.error):
            raise RejectedError(
                f"its offset differs by {far:.2f} LR pixels from the mean offset of the images"
            )
        hr = self._project(pair.source, pair.lr, offset)
        after = self._register(pair.lr, hr, kernel)
        if after is None:
            raise RejectedError("no offset fits after the correction")
        if abs(after.ratio - 1) > self.flux_tolerance:
            raise RejectedError(f"the flux in HSC is {after.ratio:.2f} times that in HST")
        return replace(pair, hr=hr, after=after)


def _images(pair: Pair) -> tuple[Path, Path]:
    return pair.lr.path, pair.source.path


def _by_images(pairs: Sequence[Pair]) -> dict[tuple[Path, Path], list[Pair]]:
    groups: dict[tuple[Path, Path], list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(_images(pair), []).append(pair)
    return groups


def _mean_offset(pairs: Sequence[Pair]) -> tuple[float, float]:
    """Average the offsets of two images, weighted by their errors; outliers are left out."""
    offsets = np.array([(p.before.dy, p.before.dx) for p in pairs])
    errors = np.array([p.before.error for p in pairs])
    far = np.abs(offsets - np.median(offsets, axis=0)).max(axis=1)
    near = far <= np.maximum(LEAST_OUTLIER, OUTLIER * errors)
    if not near.any():
        near[:] = True  # the offsets do not agree at all; each position is rejected later
    dy, dx = np.average(offsets[near], axis=0, weights=errors[near] ** -2.0)
    return float(dy), float(dx)


def _noise_variance(image: SkyImage) -> Plane | float:
    """Return the variance of the noise, estimated from the sky if the image has none."""
    if image.variance is not None:
        return np.where(image.variance > 0, image.variance, np.inf)
    return max(float(mad_std(image.values[~image.bad])), 1e-12) ** 2


def _photons(hr: SkyImage) -> Plane | None:
    """Return the variance of the photon noise of sources, if its gain is known."""
    if hr.gain is None:
        return None
    sky = np.median(hr.values[~hr.bad]) if not hr.bad.all() else 0.0
    return np.where(hr.bad, 0.0, np.clip(hr.values - sky, 0, None) / hr.gain.electrons)


def _planes_hit(image: SkyImage) -> str:
    """Name the planes of the mask that flag bad pixels of an image."""
    if image.mask is None:
        return ""
    bits, names = image.mask
    planes = [n for n in BAD_PLANES if f"MP_{n}" in names]
    hit = [n for n in planes if ((bits >> int(names[f"MP_{n}"])) & 1).any()]
    return f" ({', '.join(hit)})" if hit else ""
