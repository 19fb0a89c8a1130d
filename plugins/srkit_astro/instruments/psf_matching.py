"""Kernels that turn one PSF into a broader one."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.fft import fft2, fftshift, ifft2, ifftshift

#: How much more than its mean a matching kernel may pass of any frequency; for a target that is
#: broader it is less, but for the far wings of the source.
GAIN = 1.01


def matching_kernels(source: Tensor, target: Tensor, regularisation: float) -> Tensor:
    """Divide two PSFs in Fourier space, with a penalty on the kernel's roughness.

    The kernel K minimises ``|T - K S|**2 + regularisation |D K|**2`` at each frequency, where D is
    the Laplacian; at the frequency zero it has no penalty, so that K keeps the flux.

    Parameters
    ----------
    source, target
        ``(N, k, k)`` float64, of odd sides, centred; N may be 1 in either.
    regularisation
        Weight of the penalty.

    Returns
    -------
    Tensor
        ``(N, k, k)`` with a sum of 1 each.

    References
    ----------
    A. Boucaud et al., "Convolution kernels for multi-wavelength imaging", Astronomy and
    Astrophysics 596 (2016) A63, arXiv:1609.02006.
    """
    sources, targets = (fft2(ifftshift(psf, (-2, -1))) for psf in (source, target))
    side = torch.fft.fftfreq(source.shape[-1], dtype=source.dtype, device=source.device)
    bend = 2 - 2 * torch.cos(2 * torch.pi * side)
    penalty = regularisation * (bend + bend[:, None]) ** 2
    kernel = targets * sources.conj() / (sources.abs() ** 2 + penalty)
    result: Tensor = fftshift(ifft2(kernel).real, (-2, -1))
    return result


def sharpens(kernel: Tensor) -> bool:
    """Tell whether a kernel amplifies some frequency, as one to a narrower PSF does."""
    return bool((fft2(kernel).abs() > GAIN).any())
