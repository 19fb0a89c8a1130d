"""PSF matching: kernels that convert one PSF to a broader one."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.fft import fft2, fftshift, ifft2, ifftshift

#: Largest gain of a matching kernel at any frequency. For a broader target it is below 1, except
#: for the far wings of the source.
GAIN = 1.01


def matching_kernels(source: Tensor, target: Tensor, regularisation: float) -> Tensor:
    """Divide two PSFs in Fourier space, with a penalty on the roughness of the kernel.

    The kernel K minimises ``|T - K S|**2 + regularisation |D K|**2`` at each frequency, where D is
    the Laplacian. There is no penalty at frequency zero, so that K conserves the flux.
    ``photutils.psf_matching.make_wiener_kernel`` computes the same for one pair of NumPy arrays;
    here a batch of PSFs, which differ from sample to sample, is processed on its device.

    Parameters
    ----------
    source, target
        ``(N, k, k)`` float64, centred, with odd sides; N may be 1 in either.
    regularisation
        Weight of the penalty.

    Returns
    -------
    Tensor
        ``(N, k, k)``, each with a sum of 1.

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
    """Return whether a kernel amplifies some frequency, as one to a narrower PSF does."""
    return bool((fft2(kernel).abs() > GAIN).any())
