"""Point spread functions, integrated over the pixels of the HR grid.

A PSF is the distribution of the light of a point source on the sky. Its kernel contains the
fraction of the light that falls on each HR pixel if the source lies at the centre of the central
pixel. The fractions are integrals over pixels, which do not depend on how finely the PSF is
sampled, and sum to 1. Angles are in arcsec.

The kernels of astropy.convolution and the models of photutils sample a profile, or average a fixed
number of samples per pixel, on the CPU. Here the integrals are exact to 1e-5 of the peak for any
pixel scale, and a batch of PSFs with different parameters is computed on the device of the images.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
import torch
from pydantic import AfterValidator, Discriminator, Field, FiniteFloat, Tag, model_validator
from torch import Tensor

from srkit.components import Options
from srkit.errors import DataError
from srkit.functional import capable_device
from srkit_astro.instruments.psf_images import light_centre, read_psf_image
from srkit_astro.instruments.ranges import Positive, PositiveRange, draw, ends, ordered
from srkit_astro.moments import Floats

if TYPE_CHECKING:
    from srkit_astro.instruments.measured_psf import MeasuredPsf

#: Fraction of the light of a Moffat profile that its kernel may cut off.
WINGS = 1e-3

#: Smallest FWHM in HR pixels, for which the quadrature holds, and largest half width of a kernel.
FINEST, LARGEST = 0.1, 1024

#: FWHM of a Gaussian over its standard deviation.
GAUSSIAN_FWHM = math.sqrt(8 * math.log(2))

_Slope = Annotated[FiniteFloat, Field(gt=1)]
SlopeRange = _Slope | Annotated[tuple[_Slope, _Slope], AfterValidator(ordered)]


class _Model(Options):
    """A PSF whose parameters may be ranges."""

    @property
    def varies(self) -> bool:
        """Whether a parameter is a range."""
        return bool(self._ranges)

    @property
    def _ranges(self) -> dict[str, tuple[float, float]]:
        return {name: value for name, value in self if isinstance(value, tuple)}

    def extremes(self) -> list[Self]:
        """Return the PSFs at all combinations of the ends of the ranges."""
        names = list(self._ranges)
        choices = itertools.product(*self._ranges.values())
        return [self.model_copy(update=dict(zip(names, c, strict=True))) for c in choices]


class GaussianPsf(_Model):
    """Gaussian, cut at 2.5 FWHM; 3e-8 of its light lies beyond.

    Parameters
    ----------
    fwhm
        Full width at half maximum.
    """

    type: Literal["gaussian"]
    fwhm: PositiveRange

    @property
    def cut_radius(self) -> float:
        """Radius at which the PSF is cut."""
        return 2.5 * ends(self.fwhm)[1]

    @property
    def smallest_fwhm(self) -> float:
        """Smallest FWHM within the ranges."""
        return ends(self.fwhm)[0]

    def integrate(
        self, pixel: float, half: int, sources: Sequence[torch.Generator], device: torch.device
    ) -> Tensor:
        """Integrate over pixels with the error function: ``(N, k, k)``."""
        sigma = draw(self.fwhm, sources).to(device)[:, None] / (GAUSSIAN_FWHM * pixel)
        edges = torch.arange(-half, half + 2, dtype=torch.float64, device=device) - 0.5
        fraction: Tensor = torch.erf(edges / (math.sqrt(2) * sigma)).diff()
        return fraction[:, :, None] * fraction[:, None, :]


class MoffatPsf(_Model):
    """Moffat profile ``(1 + (r / a)**2)**-beta``, the usual model of seeing.

    Cut at the radius that contains 99.9 % of its light, or at 20 FWHM if that is smaller.

    Parameters
    ----------
    fwhm
        Full width at half maximum.
    beta
        Slope of the wings: 4.765 for Kolmogorov turbulence; observed values are 2.5 to 4.

    References
    ----------
    A. F. J. Moffat, "A theoretical investigation of focal stellar images", Astronomy and
    Astrophysics 3 (1969) 455. I. Trujillo et al., "The effects of seeing on Sersic profiles - II",
    MNRAS 328 (2001) 977, for beta.
    """

    type: Literal["moffat"]
    fwhm: PositiveRange
    beta: SlopeRange

    @property
    def cut_radius(self) -> float:
        """Radius at which the PSF is cut."""
        fwhm, beta = ends(self.fwhm)[1], ends(self.beta)[0]
        radius = math.sqrt(WINGS ** (1 / (1 - beta)) - 1) / _moffat_width(beta)
        return float(fwhm * min(radius, 20))

    @property
    def smallest_fwhm(self) -> float:
        """Smallest FWHM within the ranges."""
        return ends(self.fwhm)[0]

    def integrate(
        self, pixel: float, half: int, sources: Sequence[torch.Generator], device: torch.device
    ) -> Tensor:
        """Integrate over pixels by quadrature: ``(N, k, k)``."""
        fwhm = draw(self.fwhm, sources).to(device)[:, None, None]
        beta = draw(self.beta, sources).to(device)[:, None, None]
        core = (_moffat_width(beta) / fwhm) ** 2

        def profile(radius2: Tensor) -> Tensor:
            return torch.pow(1 + radius2 * core, -beta)

        return _quadrature(profile, pixel, half, self.smallest_fwhm, device)


class AiryPsf(_Model):
    """Airy pattern of a circular aperture, with or without a central obscuration.

    Cut at 25 lambda / D; about 1 % of its light lies beyond. Set either `fwhm` or `lambda_over_d`.

    Parameters
    ----------
    fwhm
        Full width at half maximum; 1.029 lambda / D without obscuration.
    lambda_over_d
        Wavelength over the diameter of the aperture, as an angle in arcsec.
    obscuration
        Diameter of the obscuration over that of the aperture; 0.33 for HST.

    References
    ----------
    C. Rivolta, "Airy disk diffraction pattern: comparison of some values of f/No. and obscuration
    ratio", Applied Optics 25 (1986) 2404.
    """

    type: Literal["airy"]
    fwhm: PositiveRange | None = None
    lambda_over_d: PositiveRange | None = None
    obscuration: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="after")
    def _one_width(self) -> Self:
        if (self.fwhm is None) == (self.lambda_over_d is None):
            raise ValueError("expected either 'fwhm' or 'lambda_over_d', in arcsec")
        return self

    @property
    def _unit(self) -> tuple[float | tuple[float, float], float]:
        """The width as set in the recipe, and lambda / D in units of it."""
        if self.lambda_over_d is not None:
            return self.lambda_over_d, 1.0
        assert self.fwhm is not None
        return self.fwhm, 1 / _airy_fwhm(self.obscuration)

    @property
    def cut_radius(self) -> float:
        """Radius at which the PSF is cut."""
        width, unit = self._unit
        return 25 * unit * ends(width)[1]

    @property
    def smallest_fwhm(self) -> float:
        """Smallest FWHM within the ranges."""
        width, unit = self._unit
        return _airy_fwhm(self.obscuration) * unit * ends(width)[0]

    def integrate(
        self, pixel: float, half: int, sources: Sequence[torch.Generator], device: torch.device
    ) -> Tensor:
        """Integrate over pixels by quadrature: ``(N, k, k)``."""
        width, unit = self._unit
        lambda_over_d = unit * draw(width, sources).to(device)[:, None, None]

        def profile(radius2: Tensor) -> Tensor:
            return _airy(radius2.sqrt() / lambda_over_d, self.obscuration)

        return _quadrature(profile, pixel, half, self.smallest_fwhm, device)


class _SampledPsf(_Model, ABC):
    """A PSF on a grid, resampled to the HR pixels.

    Along each axis, a quintic spline interpolates the cumulative light at the edges of the samples
    and is evaluated at the edges of the HR pixels, so that no light is lost. The error is 2e-4 of
    the peak if the samples are at most a fifth of the FWHM, and 3e-3 if they are a third.
    """

    file: Path
    pixel_scale: Positive | None = None

    @property
    @abstractmethod
    def image(self) -> Floats:
        """Light per sample, ``(H, W)``."""

    @property
    @abstractmethod
    def side(self) -> float:
        """Side of a sample in arcsec."""

    @cached_property
    def centre(self) -> tuple[float, float]:
        """Row and column of the centre of the light, which is put at the centre of the kernel."""
        return light_centre(self.image, self.file)

    @property
    def cut_radius(self) -> float:
        """Largest distance of an edge from the centre."""
        ends = zip(self.centre, self.image.shape, strict=True)
        return self.side * max(max(at + 0.5, side - at - 0.5) for at, side in ends)

    @property
    def smallest_fwhm(self) -> float:
        """Infinite: an image is integrated exactly, whatever its FWHM."""
        return math.inf

    def integrate(
        self, pixel: float, half: int, sources: Sequence[torch.Generator], device: torch.device
    ) -> Tensor:
        """Resample to the HR pixels: ``(1, k, k)``."""
        rows, columns = (
            _resampling(side, at, pixel / self.side, half)
            for side, at in zip(self.image.shape, self.centre, strict=True)
        )
        return (rows @ torch.from_numpy(self.image) @ columns.T)[None].to(device)


class PsfImage(_SampledPsf):
    """An image of a PSF.

    Its values are light per pixel, like those of the image of a star, at any pixel scale. It may
    have an odd or even number of pixels: the centre of its light is put at that of the kernel.

    Parameters
    ----------
    file
        A FITS file, whose first 2-D image is read, or an NPY file.
    pixel_scale
        Side of the image's pixels in arcsec; by default from the header (WCS, ``PIXELSCL``,
        ``PIXSCALE`` or ``PIXSCAL1``).
    sky
        Level to subtract, or ``border``: the median of the outermost pixels.
    """

    type: Literal["image"]
    sky: FiniteFloat | Literal["border"] = 0.0

    @cached_property
    def _read(self) -> tuple[Floats, float | None]:
        return read_psf_image(self.file, self.sky)

    @property
    def image(self) -> Floats:
        """The image, ``(H, W)``.

        Raises
        ------
        DataError
            If the file is missing or damaged, or does not contain a PSF.
        """
        return self._read[0]

    @property
    def side(self) -> float:
        """Side of a pixel in arcsec.

        Raises
        ------
        DataError
            If neither the options nor the header state it.
        """
        return _stated(self, self._read[1])


class StarsPsf(_SampledPsf):
    """A PSF measured from the stars of a frame; see :mod:`.measured_psf`.

    Stars that are faint, saturated, masked, blended or at the edge are left out. Without the pixels
    of the frame, like every PSF.

    Parameters
    ----------
    file
        A FITS file with one band.
    hdu
        Its extension, by name or number; by default that with the image.
    pixel_scale
        Side of the frame's pixels in arcsec; by default that of its WCS.
    fewest
        Smallest number of stars.
    saturation
        Value at which pixels are saturated; by default ``SATURATE`` of the header, if it has it.
    """

    type: Literal["stars"]
    hdu: str | None = None
    fewest: Annotated[int, Field(ge=1)] = 5
    saturation: Positive | None = None

    @cached_property
    def measured(self) -> MeasuredPsf:
        """The measurement.

        Raises
        ------
        DataError
            If the file cannot be read, or has too few stars.
        """
        from srkit_astro.instruments.measured_psf import measure_file  # photutils takes long

        return measure_file(self.file, self.fewest, self.saturation, self.hdu)

    @property
    def image(self) -> Floats:
        """Light per sample."""
        return self.measured.image

    @property
    def side(self) -> float:
        """Side of a sample in arcsec."""
        return _stated(self, self.measured.pixel_scale) / self.measured.oversampling


def _stated(psf: _SampledPsf, by_header: float | None) -> float:
    """Return the pixel scale of the options, or else of the header."""
    stated = by_header if psf.pixel_scale is None else psf.pixel_scale
    if stated is None:
        raise DataError(
            f"{psf.file}: its pixel scale is unknown; set 'pixel_scale', the side of its pixels in "
            "arcsec"
        )
    return stated


def _class_name(given: Any) -> str | None:
    """Return the class name for the type of a PSF; errors of a recipe refer to it."""
    if isinstance(given, _Model):
        return type(given).__name__
    return CLASSES.get(str(given.get("type"))) if isinstance(given, Mapping) else None


CLASSES = {
    "gaussian": "GaussianPsf",
    "moffat": "MoffatPsf",
    "airy": "AiryPsf",
    "image": "PsfImage",
    "stars": "StarsPsf",
}

#: A PSF as written in a recipe: ``{type: moffat, fwhm: 0.6, beta: 3}``.
Psf = Annotated[
    Annotated[GaussianPsf, Tag("GaussianPsf")]
    | Annotated[MoffatPsf, Tag("MoffatPsf")]
    | Annotated[AiryPsf, Tag("AiryPsf")]
    | Annotated[PsfImage, Tag("PsfImage")]
    | Annotated[StarsPsf, Tag("StarsPsf")],
    Discriminator(
        _class_name,
        custom_error_type="psf_type",
        custom_error_message=f"a PSF whose type is one of {', '.join(CLASSES)}",
    ),
]


def half_width(psf: Psf, pixel: float) -> int:
    """Return the number of HR pixels from the centre of a kernel to its edge.

    Raises
    ------
    ValueError
        If the PSF is too narrow or too wide for the pixels, such as in a wrong unit.
    """
    if psf.smallest_fwhm < FINEST * pixel:
        raise ValueError(
            f"the FWHM of the PSF is {psf.smallest_fwhm:g} arcsec, less than a tenth of an HR "
            f"pixel of {pixel:g} arcsec; check that both are in arcsec"
        )
    half = math.ceil(psf.cut_radius / pixel)
    if half > LARGEST:
        raise ValueError(
            f"the PSF extends to {psf.cut_radius:g} arcsec, which is {half} HR pixels of {pixel:g} "
            f"arcsec; expected at most {LARGEST}; check that both are in arcsec"
        )
    return half


def kernels(
    psf: Psf,
    pixel: float,
    half: int,
    sources: Sequence[torch.Generator] = (),
    device: torch.device | None = None,
) -> Tensor:
    """Integrate a PSF over HR pixels.

    Parameters
    ----------
    psf
        The PSF; for each of `sources`, a value is drawn from each of its ranges.
    pixel
        Side of an HR pixel in arcsec.
    half
        Number of pixels from the centre to the edge; see :func:`half_width`.
    sources
        Random generators on the CPU, one per sample; needed if the PSF varies.
    device
        The device to compute on.

    Returns
    -------
    Tensor
        ``(N, k, k)`` float64 with ``k = 2 half + 1``, each with a sum of 1; N is 1 unless the PSF
        varies.
    """
    device = capable_device(device or torch.device("cpu"))
    light: Tensor = psf.integrate(pixel, half, sources, device)
    return light / light.sum((-2, -1), keepdim=True)


def _quadrature(
    profile: Callable[[Tensor], Tensor],
    pixel: float,
    half: int,
    fwhm: float,
    device: torch.device,
) -> Tensor:
    """Integrate a circular profile, a function of the squared radius, by Gauss-Legendre quadrature.

    The number of nodes depends on the FWHM, so that errors are below 1e-5 of the peak.
    """
    count = 2 + math.ceil(4 * pixel / fwhm)
    nodes, weights = (
        torch.from_numpy(each).to(device) for each in np.polynomial.legendre.leggauss(count)
    )
    centres = torch.arange(half + 1, dtype=torch.float64, device=device)
    x = pixel * (centres[:, None] + nodes / 2).flatten()
    values = profile(x**2 + x[:, None] ** 2)
    tiles = values.reshape(-1, half + 1, count, half + 1, count)
    quadrant = (tiles @ weights).transpose(-1, -2) @ weights
    for axis in (1, 2):
        mirrored = quadrant.flip(axis).narrow(axis, 0, half)
        quadrant = torch.cat([mirrored, quadrant], axis)
    return quadrant


def _moffat_width(beta: Any) -> Any:
    """Return the FWHM in units of the radius `a`, for a number or a tensor."""
    return 2 * (2 ** (1 / beta) - 1) ** 0.5


def _airy(radius: Tensor, obscuration: float) -> Tensor:
    """Return the intensity relative to the centre; the radius is in lambda / D."""

    def amplitude(u: Tensor) -> Tensor:
        u = u.clamp(min=1e-6)  # there 2 J1(u) / u is 1 to double precision
        relative: Tensor = 2 * torch.special.bessel_j1(u) / u
        return relative

    u = math.pi * radius
    inner = obscuration**2 * amplitude(obscuration * u) if obscuration else 0.0
    intensity: Tensor = ((amplitude(u) - inner) / (1 - obscuration**2)) ** 2
    return intensity


@lru_cache
def _airy_fwhm(obscuration: float) -> float:
    """Return the FWHM in lambda / D, by bisection."""
    low, high = 0.0, 0.6
    for _ in range(50):
        middle = (low + high) / 2
        above = _airy(torch.tensor(middle, dtype=torch.float64), obscuration) > 0.5
        low, high = (middle, high) if above else (low, middle)
    return 2 * low


def _resampling(count: int, centre: float, ratio: float, half: int) -> Tensor:
    """Return the matrix from `count` pixels to ``2 half + 1`` pixels, `ratio` times wider.

    `centre` is the position among the former of the central one of the latter.
    """
    from scipy.interpolate import make_interp_spline  # here, since the import takes long

    edges = np.arange(count + 1) - 0.5 - centre
    cumulative = np.vstack([np.zeros(count), np.cumsum(np.eye(count), axis=0)])
    wanted = (np.arange(-half, half + 2) - 0.5) * ratio
    flat = [(1, np.zeros(count)), (2, np.zeros(count))]  # the light falls to 0 at the borders
    spline = make_interp_spline(edges, cumulative, k=5, bc_type=(flat, flat))
    return torch.from_numpy(np.diff(spline(wanted.clip(edges[0], edges[-1])), axis=0))
