"""Degradations that only downscale the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from srkit.functional import Kernel, resize

#: Side of the LR image over the side of the HR image.
Factor = Annotated[float, Field(gt=0, le=1)]


class _Shrink:
    """Downscale with one kernel; see :func:`srkit.functional.resize`."""

    kernel: ClassVar[Kernel]

    def __init__(
        self,
        *,
        scale: int,
        factor: Factor | None = None,
        quantize: bool = False,
        antialias: bool = True,
    ) -> None:
        self.factor = 1 / scale if factor is None else factor
        if not 0 < self.factor <= 1:
            raise ValueError(f"the factor must be above 0 and at most 1, got {self.factor}")
        self.quantize = quantize
        self.antialias = antialias

    def __call__(self, hr: Tensor, seeds: Sequence[int]) -> Tensor:
        """Downscale ``(N, C, H, W)`` images to ``ceil(factor * side)``; deterministic."""
        if not self.quantize:
            return self._resize(hr)
        levels = torch.floor(hr * 255 + 0.5).clamp(0, 255).to(torch.uint8)
        return self._resize(levels).to(hr.dtype) / 255

    def _resize(self, images: Tensor) -> Tensor:
        return resize(images, factor=self.factor, kernel=self.kernel, antialias=self.antialias)


class Bicubic(_Shrink):
    """Downscale by Keys' cubic convolution, like MATLAB's imresize; overshoot at edges is kept.

    Parameters
    ----------
    factor
        Side of the LR image over the side of the HR image; 1 / scale by default.
    quantize
        Compute in 8-bit grey levels, as for a picture file: data in [0, 1] only. The result equals
        MATLAB's for 8-bit pictures.
    antialias
        Widen the kernel by 1 / factor to avoid aliasing.

    References
    ----------
    R. Keys, "Cubic convolution interpolation for digital image processing", IEEE Transactions on
    Acoustics, Speech, and Signal Processing 29 (1981) 1153.
    """

    kernel = "bicubic"


class Bilinear(_Shrink):
    """Downscale by linear interpolation.

    Parameters
    ----------
    factor
        Side of the LR image over the side of the HR image; 1 / scale by default.
    quantize
        Compute in 8-bit grey levels, as for a picture file: data in [0, 1] only.
    antialias
        Widen the kernel by 1 / factor to avoid aliasing.
    """

    kernel = "bilinear"


class Lanczos(_Shrink):
    """Downscale by a windowed sinc of three lobes; overshoot at edges is kept.

    Parameters
    ----------
    factor
        Side of the LR image over the side of the HR image; 1 / scale by default.
    quantize
        Compute in 8-bit grey levels, as for a picture file: data in [0, 1] only.
    antialias
        Widen the kernel by 1 / factor to avoid aliasing.

    References
    ----------
    C. Duchon, "Lanczos filtering in one and two dimensions", Journal of Applied Meteorology 18
    (1979) 1016.
    """

    kernel = "lanczos"


class _Plain(_Shrink):
    """Downscale with a kernel of fixed width."""

    def __init__(self, *, scale: int, factor: Factor | None = None, quantize: bool = False) -> None:
        super().__init__(scale=scale, factor=factor, quantize=quantize)


class Area(_Plain):
    """Downscale by averaging the pixels whose centres lie in the LR pixel.

    Parameters
    ----------
    factor
        Side of the LR image over the side of the HR image; 1 / scale by default.
    quantize
        Compute in 8-bit grey levels, as for a picture file: data in [0, 1] only.
    """

    kernel = "area"


class Nearest(_Plain):
    """Downscale by taking the pixel nearest to the LR pixel's centre, with aliasing.

    Parameters
    ----------
    factor
        Side of the LR image over the side of the HR image; 1 / scale by default.
    quantize
        Round to 8-bit grey levels, as for a picture file: data in [0, 1] only.
    """

    kernel = "nearest"
