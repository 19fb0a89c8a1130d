"""Stretches: invertible functions that give bright galaxies and faint arcs similar values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor

from srkit.functional import row_medians

#: Values measured on each LR image, instead of a fixed number in the unit of the data.
OfImage = Literal["image"]
OfImageOrNoise = Literal["image", "noise"]


#: Relative rounding error of float32, and the smallest noise.
ROUNDING, SMALLEST = 2.0**-24, 1e-30


class Linear:
    """Subtract an offset and divide by a peak.

    Parameters
    ----------
    peak
        Flux above `offset` that becomes 1, in the unit of the data; ``image`` uses the maximum of
        each LR image, ``noise`` the standard deviation of its noise (:func:`noise_of`). Either
        makes metrics on stretched images look better than they are.
    offset
        Flux that becomes 0; ``image`` uses the median of each LR image.
    """

    def __init__(
        self, *, peak: PositiveFloat | OfImageOrNoise, offset: float | OfImage = 0.0
    ) -> None:
        self.peak, self.offset = peak, offset
        self.unitless = isinstance(peak, str) and offset in ("image", 0)

    def fit(self, images: Tensor) -> Tensor:
        """Return the offset and the peak of each image: ``(N, 2)``.

        Raises
        ------
        ValueError
            If the peak is measured, and an image has no pixel above its offset.
        """
        pixels = images.flatten(1).float()
        offset = (
            _median(pixels)
            if self.offset == "image"
            else pixels.new_full(pixels.shape[:1], self.offset)
        )
        if self.peak == "noise":
            return torch.stack([offset, noise_of(images)], 1)
        if self.peak != "image":
            return torch.stack([offset, torch.full_like(offset, self.peak)], 1)
        return torch.stack([offset, _peak(pixels.max(1).values, offset)], 1)

    def fit_parts(self, parts: Callable[[], Iterable[Tensor]]) -> Tensor:
        """Return the same as :meth:`fit`, for images in parts; see its errors."""
        count = len(next(iter(parts())))
        offset = (
            row_medians(lambda: (part.flatten(1) for part in parts()))
            if self.offset == "image"
            else torch.full((count,), self.offset)
        )
        if self.peak == "noise":
            highest = torch.stack([_highest(part) for part in parts()]).amax(0)
            return torch.stack([offset, _noise(row_medians(lambda: _details(parts())), highest)], 1)
        if self.peak != "image":
            return torch.stack([offset, torch.full_like(offset, self.peak)], 1)
        highest = torch.stack([part.flatten(1).amax(1).float().cpu() for part in parts()])
        return torch.stack([offset, _peak(highest.amax(0), offset)], 1)

    def __call__(self, flux: Tensor, fitted: Tensor) -> Tensor:
        """Stretch ``(N, C, H, W)`` images."""
        offset, peak = _columns(fitted)
        return self.compress((flux - offset) / peak)

    def inverse(self, stretched: Tensor, fitted: Tensor) -> Tensor:
        """Convert stretched images back to flux."""
        offset, peak = _columns(fitted)
        return self.expand(stretched) * peak + offset

    def compress(self, values: Tensor) -> Tensor:
        """Map values in units of the peak; 0 and 1 are unchanged."""
        return values

    def expand(self, values: Tensor) -> Tensor:
        """Invert :meth:`compress`."""
        return values


class Asinh(Linear):
    """Inverse hyperbolic sine (Lupton, Gunn & Szalay 1999): linear near 0, logarithmic above.

    Parameters
    ----------
    peak
        Flux above `offset` that becomes 1, in the unit of the data; ``image`` uses the maximum of
        each LR image, ``noise`` the standard deviation of its noise.
    softening
        Value at which the function turns from linear to logarithmic, in units of `peak`: about the
        noise.
    offset
        Flux that becomes 0; ``image`` uses the median of each LR image.
    """

    _curve = staticmethod(torch.asinh)

    def __init__(
        self,
        *,
        peak: PositiveFloat | OfImageOrNoise,
        softening: PositiveFloat = 0.05,
        offset: float | OfImage = 0.0,
    ) -> None:
        super().__init__(peak=peak, offset=offset)
        self.softening = softening
        self._top = float(self._curve(torch.tensor(1 / softening, dtype=torch.float64)))

    def compress(self, values: Tensor) -> Tensor:
        """Map x to asinh(x / softening) / asinh(1 / softening)."""
        return torch.asinh(values / self.softening) / self._top

    def expand(self, values: Tensor) -> Tensor:
        """Invert :meth:`compress`."""
        return torch.sinh(values * self._top) * self.softening


class Log(Asinh):
    """Symmetric logarithm: sign(x) log(1 + |x| / softening).

    Parameters
    ----------
    peak
        Flux above `offset` that becomes 1, in the unit of the data; ``image`` uses the maximum of
        each LR image, ``noise`` the standard deviation of its noise.
    softening
        Value at which the function turns from linear to logarithmic, in units of `peak`: about the
        noise.
    offset
        Flux that becomes 0; ``image`` uses the median of each LR image.
    """

    _curve = staticmethod(torch.log1p)

    def compress(self, values: Tensor) -> Tensor:
        """Map x to sign(x) log(1 + |x| / softening) / log(1 + 1 / softening)."""
        return values.sign() * torch.log1p(values.abs() / self.softening) / self._top

    def expand(self, values: Tensor) -> Tensor:
        """Invert :meth:`compress`."""
        return values.sign() * torch.expm1(values.abs() * self._top) * self.softening


def noise_of(images: Tensor) -> Tensor:
    """Estimate the standard deviation of the noise of images from their finest detail.

    It is 1.4826 times the median of the absolute diagonal differences of 2 x 2 pixels, to which
    sources hardly contribute (Donoho & Johnstone 1994, Biometrika 81, 425). Differences of exactly
    0, such as of filled pixels, are ignored.

    Parameters
    ----------
    images
        ``(N, C, H, W)``. The noise of correlated pixels is underestimated.

    Returns
    -------
    Tensor
        ``(N,)``; for an image without such differences, the rounding error of its largest value.
    """
    sizes, highest = _detail(images.float()), _highest(images)
    if not sizes.numel():
        sizes = torch.full_like(highest, torch.nan)[:, None]
    return _noise(_median(sizes), highest)


def _detail(pixels: Tensor) -> Tensor:
    """Return the absolute diagonal differences, ``(N, n)``, with NaN instead of 0."""
    a, b = pixels[..., :-1, :-1], pixels[..., :-1, 1:]
    c, d = pixels[..., 1:, :-1], pixels[..., 1:, 1:]
    sizes = ((a - b - c + d) / 2).abs().flatten(1)
    return sizes.masked_fill(sizes == 0, torch.nan)


def _details(parts: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield :func:`_detail` of images in parts, including the rows between parts."""
    above: Tensor | None = None
    for part in parts:
        pixels = part.float()
        yield _detail(pixels if above is None else torch.cat([above, pixels], -2))
        above = pixels[..., -1:, :]


def _noise(median: Tensor, highest: Tensor) -> Tensor:
    """Return the standard deviation of a normal distribution from its median absolute value."""
    none = (median == 0) | median.isnan()
    rounding = (ROUNDING * highest.to(median)).clamp(min=SMALLEST)
    return torch.where(none, rounding, 1.4826 * median)


def _highest(images: Tensor) -> Tensor:
    """Return the largest absolute value of each image, ``(N,)``."""
    return images.flatten(1).float().abs().amax(1).nan_to_num(0.0, 0.0, 0.0)


def _median(values: Tensor) -> Tensor:
    """Return the median of each row, ignoring NaN; for an even number, the lower of the two."""
    if not torch.compiler.is_compiling():
        return values.nanmedian(1).values
    # ONNX runtimes support sorting, but no median.
    none = values.isnan()
    counted = (~none).sum(1, keepdim=True)
    ordered = values.masked_fill(none, torch.inf).sort(1).values
    found = ordered.gather(1, ((counted - 1) // 2).clamp(min=0))
    return found.masked_fill(counted == 0, torch.nan)[:, 0]


def _peak(highest: Tensor, offset: Tensor) -> Tensor:
    peak = highest - offset
    if not torch.compiler.is_compiling() and not (peak > 0).all():
        raise ValueError("cannot measure the peak of an image without pixels above its offset")
    return peak


def _columns(fitted: Tensor) -> tuple[Tensor, Tensor]:
    offset, peak = fitted.unbind(1)
    return offset.view(-1, 1, 1, 1), peak.view(-1, 1, 1, 1)
