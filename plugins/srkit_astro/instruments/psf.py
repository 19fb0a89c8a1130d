"""Point spread functions, integrated over the pixels of the HR grid.

A PSF says where on the sky the light of a point goes. Its kernel holds the share of the light that
each HR pixel gathers when the point lies in the middle of the central pixel: integrals over the
pixels, which do not depend on how finely the PSF is sampled, and a sum of 1. Angles are in arcsec.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from astropy.io import fits
from pydantic import AfterValidator, Discriminator, Field, FiniteFloat, Tag, model_validator
from torch import Tensor

from srkit.components import Options
from srkit.errors import DataError
from srkit_astro.extra import needs
from srkit_astro.instruments.ranges import Positive, PositiveRange, draw, ends, ordered

#: FWHM of a Gaussian in its standard deviations.
FWHM = 2 * math.sqrt(2 * math.log(2))

#: What a Moffat profile's kernel may leave out.
WINGS = 1e-3

#: Sides of the kernels that make sense: below, the PSF falls between the quadrature's nodes.
FINEST, LARGEST = 0.1, 1024

_Slope = Annotated[FiniteFloat, Field(gt=1)]
SlopeRange = _Slope | Annotated[tuple[_Slope, _Slope], AfterValidator(ordered)]


class _Model(Options):
    """What the PSFs share: parameters that may be ranges."""

    @property
    def varies(self) -> bool:
        """Whether a parameter is a range."""
        return bool(self._ranges)

    @property
    def _ranges(self) -> dict[str, tuple[float, float]]:
        return {name: value for name, value in self if isinstance(value, tuple)}

    def corners(self) -> list[Self]:
        """List the PSFs at the ends of all ranges."""
        names = list(self._ranges)
        choices = itertools.product(*self._ranges.values())
        return [self.model_copy(update=dict(zip(names, c, strict=True))) for c in choices]


class GaussianPsf(_Model):
    """Gaussian, cut at 2.5 FWHM, beyond which lies 3e-8 of its light.

    Parameters
    ----------
    fwhm
        Full width at half maximum.
    """

    type: Literal["gaussian"]
    fwhm: PositiveRange

    @property
    def reach(self) -> float:
        """Radius at which it is cut."""
        return 2.5 * ends(self.fwhm)[1]

    @property
    def finest(self) -> float:
        """Smallest FWHM."""
        return ends(self.fwhm)[0]

    def integrate(
        self, pixel: float, half: int, sources: Sequence[torch.Generator], device: torch.device
    ) -> Tensor:
        """Integrate over pixels by the error function: ``(N, k, k)``."""
        sigma = draw(self.fwhm, sources).to(device)[:, None] / (FWHM * pixel)
        edges = torch.arange(-half, half + 2, dtype=torch.float64, device=device) - 0.5
        share: Tensor = torch.erf(edges / (math.sqrt(2) * sigma)).diff()
        return share[:, :, None] * share[:, None, :]


class MoffatPsf(_Model):
    """Moffat profile ``(1 + (r / a)**2)**-beta``, the usual model of seeing.

    Cut at the radius that holds 99.9 % of its light, or at 20 FWHM if that is less.

    Parameters
    ----------
    fwhm
        Full width at half maximum.
    beta
        Slope of the wings: 4.765 for Kolmogorov turbulence, 2.5 to 4 as observed.

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
    def reach(self) -> float:
        """Radius at which it is cut."""
        fwhm, beta = ends(self.fwhm)[1], ends(self.beta)[0]
        radius = math.sqrt(WINGS ** (1 / (1 - beta)) - 1) / _moffat_width(beta)
        return float(fwhm * min(radius, 20))

    @property
    def finest(self) -> float:
        """Smallest FWHM."""
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

        return _quadrature(profile, pixel, half, self.finest, device)


class AiryPsf(_Model):
    """Airy pattern of a round aperture in focus, with a central obscuration or without.

    Cut at 25 lambda / D; about 1 % of its light lies beyond. Give `fwhm` or `lambda_over_d`.

    Parameters
    ----------
    fwhm
        Full width at half maximum; 1.029 lambda / D without obscuration.
    lambda_over_d
        Wavelength over the diameter of the aperture, as an angle.
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
        """The width as the recipe has it, and lambda / D in such widths."""
        if self.lambda_over_d is not None:
            return self.lambda_over_d, 1.0
        assert self.fwhm is not None
        return self.fwhm, 1 / _airy_fwhm(self.obscuration)

    @property
    def reach(self) -> float:
        """Radius at which it is cut."""
        width, unit = self._unit
        return 25 * unit * ends(width)[1]

    @property
    def finest(self) -> float:
        """Smallest FWHM."""
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

        return _quadrature(profile, pixel, half, self.finest, device)


class PsfImage(_Model):
    """An image of a PSF, resampled onto the HR pixels.

    Its values are light per pixel, as those of a star's image are, and its centre is the middle
    of the frame. Along each axis a quintic spline goes through the light up to each edge of the
    image's own pixels, and the light up to each edge of an HR pixel is read off it, so that none
    is lost. That is good to 2e-4 of the peak where the image's pixels are at most a fifth of the
    FWHM, and to 3e-3 where they are a third.

    Parameters
    ----------
    file
        FITS, whose first 2-D image is read, or NPY.
    pixel_scale
        Side of the image's pixels.
    """

    type: Literal["image"]
    file: Path
    pixel_scale: Positive

    @cached_property
    def light(self) -> Tensor:
        """The image, ``(H, W)`` float64.

        Raises
        ------
        DataError
            If the file is missing or damaged, or holds no PSF.
        """
        values = _read(self.file)
        if values.ndim != 2:
            raise DataError(f"{self.file}: has the shape {values.shape}; expected (H, W)")
        if not np.isfinite(values).all():
            bad = np.count_nonzero(~np.isfinite(values))
            raise DataError(f"{self.file}: {bad} of {values.size} values are not finite")
        if values.sum() <= 0:
            raise DataError(f"{self.file}: the values of a PSF have to sum to more than 0")
        return torch.from_numpy(values.astype(np.float64))

    @property
    def reach(self) -> float:
        """Half of its longer side."""
        return self.pixel_scale * max(self.light.shape) / 2

    @property
    def finest(self) -> float:
        """Infinite: an image is integrated exactly at any width."""
        return math.inf

    def integrate(
        self, pixel: float, half: int, sources: Sequence[torch.Generator], device: torch.device
    ) -> Tensor:
        """Integrate over pixels by resampling: ``(1, k, k)``."""
        rows, columns = (
            _resampling(side, pixel / self.pixel_scale, half) for side in self.light.shape
        )
        return (rows @ self.light @ columns.T)[None].to(device)


def _class_name(given: Any) -> str | None:
    """Tell by its type which class a PSF is of; a recipe's errors are attributed by that name."""
    if isinstance(given, _Model):
        return type(given).__name__
    return CLASSES.get(str(given.get("type"))) if isinstance(given, Mapping) else None


CLASSES = {
    "gaussian": "GaussianPsf",
    "moffat": "MoffatPsf",
    "airy": "AiryPsf",
    "image": "PsfImage",
}

#: A PSF as a recipe has it: ``{type: moffat, fwhm: 0.6, beta: 3}``.
Psf = Annotated[
    Annotated[GaussianPsf, Tag("GaussianPsf")]
    | Annotated[MoffatPsf, Tag("MoffatPsf")]
    | Annotated[AiryPsf, Tag("AiryPsf")]
    | Annotated[PsfImage, Tag("PsfImage")],
    Discriminator(
        _class_name,
        custom_error_type="psf_type",
        custom_error_message=f"a PSF whose type is one of {', '.join(CLASSES)}",
    ),
]


def half_width(psf: Psf, pixel: float) -> int:
    """Count the HR pixels from the central one to the kernel's edge.

    Raises
    ------
    ValueError
        If the PSF is too narrow or too wide for such pixels, as with a wrong unit.
    """
    if psf.finest < FINEST * pixel:
        raise ValueError(
            f"a PSF of FWHM {psf.finest:g} arcsec is below a tenth of an HR pixel of {pixel:g} "
            "arcsec; both have to be in arcsec"
        )
    half = math.ceil(psf.reach / pixel)
    if half > LARGEST:
        raise ValueError(
            f"the PSF reaches {psf.reach:g} arcsec, {half} HR pixels of {pixel:g} arcsec; expected "
            f"at most {LARGEST}; both have to be in arcsec"
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
        The PSF; each of its ranges is drawn from, once for each source.
    pixel
        Side of an HR pixel in arcsec.
    half
        Pixels from the central one to the edge, from :func:`half_width`.
    sources
        Random numbers on the CPU, one for each sample; needed if the PSF varies.
    device
        Where to compute.

    Returns
    -------
    Tensor
        ``(N, k, k)`` float64 with ``k = 2 half + 1`` and a sum of 1 each; N is 1 unless the PSF
        varies.
    """
    light: Tensor = psf.integrate(pixel, half, sources, device or torch.device("cpu"))
    return light / light.sum((-2, -1), keepdim=True)


def _quadrature(
    profile: Callable[[Tensor], Tensor],
    pixel: float,
    half: int,
    fwhm: float,
    device: torch.device,
) -> Tensor:
    """Integrate a round profile of the squared radius over pixels, by Gauss and Legendre.

    The rule has more nodes the narrower the profile is: errors are below 1e-5 of the peak.
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
    """FWHM over the radius `a`; of a number or a tensor."""
    return 2 * (2 ** (1 / beta) - 1) ** 0.5


def _airy(radius: Tensor, obscuration: float) -> Tensor:
    """Intensity relative to the centre; the radius is in lambda / D."""

    def amplitude(u: Tensor) -> Tensor:
        u = u.clamp(min=1e-6)  # where 2 J1(u) / u is 1 to double precision
        relative: Tensor = 2 * torch.special.bessel_j1(u) / u
        return relative

    u = math.pi * radius
    inner = obscuration**2 * amplitude(obscuration * u) if obscuration else 0.0
    intensity: Tensor = ((amplitude(u) - inner) / (1 - obscuration**2)) ** 2
    return intensity


@lru_cache
def _airy_fwhm(obscuration: float) -> float:
    """FWHM in lambda / D, by bisection."""
    low, high = 0.0, 0.6
    for _ in range(50):
        middle = (low + high) / 2
        above = _airy(torch.tensor(middle, dtype=torch.float64), obscuration) > 0.5
        low, high = (middle, high) if above else (low, middle)
    return 2 * low


def _read(path: Path) -> np.ndarray[Any, Any]:
    """Read an array from FITS or NPY."""
    try:
        if path.suffix.lower() == ".npy":
            return np.asarray(np.load(path, allow_pickle=False))
        with fits.open(path) as hdus:
            images = (hdu.data for hdu in hdus if hdu.is_image and hdu.header["NAXIS"] == 2)
            return np.asarray(next(images))
    except StopIteration:
        raise DataError(f"{path}: holds no 2-D image; expected one of a PSF") from None
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as FITS or NPY: {error}") from error


def _resampling(count: int, ratio: float, half: int) -> Tensor:
    """Make the matrix from `count` pixels to ``2 half + 1`` that are `ratio` times as wide."""
    with needs("scipy"):
        from scipy.interpolate import make_interp_spline
    edges = np.arange(count + 1) - count / 2
    upto = np.vstack([np.zeros(count), np.cumsum(np.eye(count), axis=0)])
    wanted = (np.arange(-half, half + 2) - 0.5) * ratio
    flat = [(1, np.zeros(count)), (2, np.zeros(count))]  # no light at the image's borders
    spline = make_interp_spline(edges, upto, k=5, bc_type=(flat, flat))
    return torch.from_numpy(np.diff(spline(wanted.clip(edges[0], edges[-1])), axis=0))
