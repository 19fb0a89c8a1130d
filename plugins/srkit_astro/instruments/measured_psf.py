"""The PSF of a frame, measured from its own stars.

The mean of the stars on a grid finer than the pixels of the frame is the effective PSF (ePSF) of
Anderson and King (2000), built with photutils. An ePSF contains the pixel of the frame. As
elsewhere in srkit, the PSF is that in front of the pixels: the average over a pixel is divided out.

References
----------
J. Anderson and I. King, "Toward high-precision astrometry with WFPC2. I. Deriving an accurate
point-spread function", PASP 112 (2000) 1360.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from srkit.errors import DataError
from srkit.interfaces import Image
from srkit.report import BETTER, GREY, style
from srkit_astro.extra import needs
from srkit_astro.files.fits import Fits, bad_pixels
from srkit_astro.files.wcs import pixel_scale
from srkit_astro.instruments.psf_images import half_maximum_width
from srkit_astro.instruments.psf_matching import matching_kernels
from srkit_astro.instruments.stars import Flags, Star, find_stars
from srkit_astro.moments import Floats, adaptive_moments

with needs("photutils"):
    from photutils.psf import EPSFBuilder, EPSFStar, EPSFStars

#: Smallest number of stars.
FEWEST = 5
#: FWHM in pixels below which the grid is three times finer than the pixels. An odd number keeps the
#: centre of a pixel at that of a sample.
COARSE = 6.0
#: Samples per FWHM above which the stronger smoothing of photutils still conserves the peak.
FINE = 10.0
#: Flux of the brightest star in the fits of photutils, whose tolerances are absolute.
COUNTS = 1e5
#: Penalty of the division by the pixel, see :func:`.psf_matching.matching_kernels`.
PENALTY = 1e-2


@dataclass(frozen=True, slots=True)
class MeasuredPsf:
    """The PSF of a frame.

    Parameters
    ----------
    image
        Light per sample, ``(k, k)`` with odd k and a sum of 1, without the pixel of the frame.
    observed
        The image of a star on the same grid, with the pixel; the sum is 1.
    oversampling
        Samples per pixel of the frame along a side.
    stars
        The stars, brightest first.
    fwhm
        Full width at half maximum of `observed`, in pixels of the frame.
    ellipticity, angle
        ``(a² - b²) / (a² + b²)`` of the adaptive moments of `observed`, and the direction of the
        longer axis in degrees from x towards y.
    pixel_scale
        Side of a pixel of the frame in arcsec, if its WCS states it.
    """

    image: Floats
    observed: Floats
    oversampling: int
    stars: Sequence[Star]
    fwhm: float
    ellipticity: float
    angle: float
    pixel_scale: float | None = None

    def __str__(self) -> str:
        return (
            f"FWHM {self.fwhm:.2f} pixels, ellipticity {self.ellipticity:.3f}, "
            f"{len(self.stars)} stars"
        )


def measure_psf(
    values: Floats,
    bad: Flags | None = None,
    *,
    saturation: float = math.inf,
    fewest: int = FEWEST,
) -> MeasuredPsf:
    """Measure the PSF of a frame from its stars.

    Parameters
    ----------
    values
        The frame, ``(H, W)``, in any unit that is linear in flux.
    bad
        Pixels without a valid value, ``(H, W)``; those that are not finite always count as such.
    saturation
        Value at which pixels are saturated. Stars with a flat top are recognised without it, too.
    fewest
        Smallest number of stars.

    Raises
    ------
    DataError
        If there are fewer stars; the message counts the sources rejected for each reason.
    """
    invalid = ~np.isfinite(values) | (values >= saturation)
    stars = find_stars(values, invalid if bad is None else bad | invalid, fewest)
    fwhm = half_maximum_width(stars[0].values)
    oversampling = 3 if fwhm < COARSE else 1
    smoothing = "quadratic" if fwhm * oversampling > FINE else "quartic"
    builder = EPSFBuilder(
        oversampling=oversampling, smoothing_kernel=smoothing, maxiters=10, progress_bar=False
    )
    unit = max(star.values.sum() for star in stars) / COUNTS
    cutouts = [
        EPSFStar(s.values / unit, weights=s.weight, cutout_center=(s.x - s.column, s.y - s.row))
        for s in stars
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # samples that no star reaches are interpolated
        epsf, _ = builder(EPSFStars(cutouts))
    observed = np.asarray(epsf.data, float) / epsf.data.sum()
    fwhm = half_maximum_width(observed)
    centre = len(observed) // 2
    moments = adaptive_moments(observed, centre, centre, fwhm / 2.3548)
    shape = complex(math.nan) if moments is None else moments.ellipticity
    return MeasuredPsf(
        _without_pixel(observed, oversampling),
        observed,
        oversampling,
        stars,
        fwhm / oversampling,
        abs(shape),
        math.degrees(math.atan2(shape.imag, shape.real)) / 2,
    )


def psf_of_image(
    image: Image, where: str, *, fewest: int = FEWEST, saturation: float | None = None
) -> MeasuredPsf:
    """Measure the PSF of an image read from FITS, without its masked pixels.

    Parameters
    ----------
    image
        The image.
    where
        Its name, for errors.
    fewest
        Smallest number of stars.
    saturation
        Value at which pixels are saturated; by default ``SATURATE`` of the header, if it has it.

    Raises
    ------
    DataError
        If the image has several planes or too few stars.
    """
    header = image.metadata["header"]
    if len(image.pixels) != 1:
        raise DataError(f"{where}: contains {len(image.pixels)} planes; expected one band")
    stated = header.get("SATURATE") if saturation is None else saturation
    level = float(stated) if isinstance(stated, int | float) and stated > 0 else math.inf
    bad = bad_pixels(image)[0].numpy()
    try:
        values = image.pixels[0].double().numpy()
        measured = measure_psf(values, bad, saturation=level, fewest=fewest)
        tables = image.metadata.get("wcs_tables", ())
        return replace(measured, pixel_scale=pixel_scale(header, tables))
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def measure_file(
    path: Path, fewest: int, saturation: float | None, hdu: str | None = None
) -> MeasuredPsf:
    """Measure the PSF of a FITS file, once while it does not change; see :func:`psf_of_image`."""
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    return _measure_file(path, fewest, saturation, hdu, path.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _measure_file(
    path: Path, fewest: int, saturation: float | None, hdu: str | None, _: int
) -> MeasuredPsf:
    image = Fits().select(hdu).read(path)
    return psf_of_image(image, str(path), fewest=fewest, saturation=saturation)


def _without_pixel(observed: Floats, oversampling: int) -> Floats:
    """Divide out the average over the samples of a pixel."""
    pixel = np.zeros_like(observed)
    middle, half = len(observed) // 2, oversampling // 2
    pixel[middle - half : middle + half + 1, middle - half : middle + half + 1] = 1
    both = (torch.from_numpy(each / each.sum())[None] for each in (pixel, observed))
    return matching_kernels(*both, PENALTY)[0].numpy()


def psf_figure(measured: MeasuredPsf) -> Figure:
    """Draw the mean star, and the profile of all stars with it."""
    with style():
        figure = Figure(figsize=(8, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.4))
        observed, finer = measured.observed, measured.oversampling
        peak, half = observed.max(), len(observed) / 2 / finer
        left.grid(visible=False)
        shown = left.imshow(
            np.maximum(observed / peak, 1e-4),
            norm="log",
            origin="lower",
            extent=(-half, half, -half, half),
        )
        figure.colorbar(shown, ax=left, label="brightness / peak")
        left.set(
            title=str(measured).replace(", ", "\n", 1), xlabel="x [pixels]", ylabel="y [pixels]"
        )
        radius, value = _profile(measured)
        right.plot(radius, value, ".", color=GREY, markersize=1.5, rasterized=True, label="stars")
        rows, columns = np.indices(observed.shape)
        middle = len(observed) // 2
        distance = np.hypot(rows - middle, columns - middle).ravel() / finer
        right.plot(
            distance, observed.ravel() / peak, ".", color=BETTER, markersize=1.5, label="their mean"
        )
        right.set(xlabel="distance [pixels]", ylabel="brightness / peak", yscale="log")
        right.set(xlim=(0, half), ylim=(1e-4, 1.5))
        right.legend()
    return figure


def _profile(measured: MeasuredPsf) -> tuple[Floats, Floats]:
    """Return distance and brightness, relative to the peak of the PSF, of the stars' pixels."""
    radii, values = [], []
    for star in measured.stars:
        rows, columns = np.indices(star.values.shape)
        radius = np.hypot(rows + star.row - star.y, columns + star.column - star.x)
        used = star.weight > 0
        scale = star.values[used].sum() * measured.observed.max() * measured.oversampling**2
        radii.append(radius[used])
        values.append(star.values[used] / scale)
    return np.concatenate(radii), np.concatenate(values)
