"""What can be told of one image or pair without knowing the others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srkit.functional.resizing import resize
from srkit.interfaces import VOID, Sample

#: Side of the small grey image that the perceptual hash is made of, and of the hash itself.
SMALL, BITS = 32, 8
#: Pairs are compared within this many LR pixels around their middle.
LARGEST = 512


@dataclass(frozen=True, slots=True)
class Look:
    """What an image looks like; numbers that need values are None where there is none.

    Parameters
    ----------
    name
        As its data set calls it.
    size, channels
        Height and width in pixels, and channels, of HR.
    lr_size
        Height and width of LR, where there is one.
    label
        Class index, where there is one.
    kind
        What its values are, such as ``8 bits``; empty where nothing tells.
    low, high, mean
        Of the values of HR that are finite.
    unfinite
        Values of HR and LR that are NaN or infinite.
    flat
        Whether all values of HR or of LR are the same.
    digest
        Of the values of HR: equal for equal images only.
    hash
        64 bits that pictures alike have nearly in common; None for a flat one, and for measured
        values: one round galaxy looks like another.
    small
        The grey image behind it: zero mean, unit variance.
    shift
        Pixels of LR that LR lies below and right of HR; None without LR.
    drawn
        Classes of its mask's pixels, or of its boxes; None without either.
    boxed
        Whether these are of boxes.
    unknown
        Share of the mask's pixels whose class is unknown.
    """

    name: str
    size: tuple[int, int]
    channels: int
    lr_size: tuple[int, int] | None = None
    label: int | None = None
    kind: str = ""
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    unfinite: int = 0
    flat: bool = False
    digest: bytes = b""
    hash: int | None = None
    small: NDArray[np.float32] | None = None
    shift: tuple[float, float] | None = None
    drawn: tuple[int, ...] | None = None
    boxed: bool = False
    unknown: float = 0.0


def look_at(sample: Sample, kind: str = "") -> Look:
    """Measure an image or a pair.

    Parameters
    ----------
    sample
        HR, with LR or without.
    kind
        See :class:`Look`.
    """
    hr, lr = sample.hr.float(), None if sample.lr is None else sample.lr.float()
    images = [hr] if lr is None else [hr, lr]
    unfinite = sum(int((~image.isfinite()).sum()) for image in images)
    finite = hr[hr.isfinite()]
    flat = any(_is_flat(image) for image in images)
    picture = kind.startswith(("8 ", "16 ")) or (not kind and len(hr) == 3 and not sample.unit)
    found = perceptual_hash(hr) if picture and not flat else None
    sides = hr.shape[-2:]
    return Look(
        name=sample.name,
        size=(sides[0], sides[1]),
        channels=len(hr),
        lr_size=None if lr is None else (lr.shape[-2], lr.shape[-1]),
        label=sample.label,
        kind=kind,
        low=float(finite.min()) if finite.numel() else None,
        high=float(finite.max()) if finite.numel() else None,
        mean=float(finite.double().mean()) if finite.numel() else None,
        unfinite=unfinite,
        flat=flat,
        digest=digest_of(hr),
        hash=None if found is None else found[0],
        small=None if found is None else found[1],
        shift=None if lr is None or flat else shift_between(hr, lr),
        drawn=_drawn(sample),
        boxed=sample.boxes is not None,
        unknown=0.0 if sample.mask is None else float((sample.mask == VOID).float().mean()),
    )


def _drawn(sample: Sample) -> tuple[int, ...] | None:
    """List the classes that occur in an image's mask, or among its boxes."""
    if sample.boxes is not None:
        return tuple(np.unique(sample.boxes.labels).tolist())
    if sample.mask is None:
        return None
    return tuple(np.unique(sample.mask[sample.mask != VOID]).tolist())


def digest_of(image: Tensor) -> bytes:
    """Give 16 bytes that only images with the same shape and values have in common."""
    values = image.contiguous().numpy()
    return blake2b(str(values.shape).encode() + values.tobytes(), digest_size=16).digest()


def perceptual_hash(image: Tensor) -> tuple[int, NDArray[np.float32]]:
    """Hash what an image shows, whatever its size and compression (Zauner 2010, sec. 3.2.1).

    The mean over the channels, 32 x 32 pixels; of its cosine transform the 8 x 8 lowest waves but
    the constant ones; which of these are above their median.

    Parameters
    ----------
    image
        ``(C, H, W)``; values that are not finite count as 0.

    Returns
    -------
    hash
        64 bits.
    small
        The 32 x 32 pixels, with zero mean and unit variance.
    """
    grey = torch.nan_to_num(image, 0, 0, 0).mean(0)[None, None]
    small = resize(grey, (SMALL, SMALL), kernel="bilinear")
    pixels = small[0, 0].double().numpy()
    pixels = (pixels - pixels.mean()) / max(pixels.std(), 1e-12)
    waves = _waves()
    strengths = (waves @ pixels @ waves.T).ravel()
    above = strengths > np.median(strengths)
    return int.from_bytes(np.packbits(above).tobytes(), "big"), pixels.astype(np.float32)


@lru_cache(maxsize=1)
def _waves() -> NDArray[np.float64]:
    """The lowest waves of the cosine transform but the constant one: ``(BITS, SMALL)``."""
    places, orders = np.arange(SMALL) + 0.5, np.arange(1, BITS + 1)
    return np.cos(np.pi * orders[:, None] * places / SMALL)


def shift_between(hr: Tensor, lr: Tensor) -> tuple[float, float]:
    """Measure how far LR lies from HR by the peak of their cross-correlation.

    HR is averaged over LR's pixels; both lose their means and fade towards their borders, and all
    waves count by the root of their strength. Around the peak, the correlation is worked out every
    1/40 pixel (Guizar-Sicairos et al. 2008, Optics Letters 33, 156).

    Parameters
    ----------
    hr, lr
        ``(C, H, W)`` and ``(C, h, w)`` of the same view.

    Returns
    -------
    tuple of float
        LR pixels that LR lies below and right of HR.
    """
    size = (lr.shape[-2], lr.shape[-1])
    averaged = resize(hr[None], size, kernel="bilinear")[0]
    first, second = (_faded(image) for image in (averaged, lr))
    spectra = torch.fft.fft2(second) * torch.fft.fft2(first).conj()
    spectra = spectra / spectra.abs().sqrt().clamp_min(1e-12)  # else broad waves hide the fine ones
    peak = int(torch.fft.ifft2(spectra).real.argmax())
    return _refine(spectra, *divmod(peak, spectra.shape[1]))


def _faded(image: Tensor) -> Tensor:
    """Take the middle of the mean over the channels, centred, within a Hann window."""
    grey = torch.nan_to_num(image, 0, 0, 0).double().mean(0)
    top, left = (max(0, (side - LARGEST) // 2) for side in grey.shape)
    grey = grey[top : top + LARGEST, left : left + LARGEST]
    rows, columns = (torch.hann_window(side + 2, periodic=False)[1:-1] for side in grey.shape)
    return (grey - grey.mean()) * rows[:, None].double() * columns.double()


def _refine(spectra: Tensor, row: int, column: int) -> tuple[float, float]:
    """Find the peak between pixels: the inverse transform, finer, within a pixel around it."""
    steps = torch.linspace(-1, 1, 81, dtype=torch.float64)
    places = [
        (peak - side if peak > side / 2 else peak) + steps
        for peak, side in zip((row, column), spectra.shape, strict=True)
    ]
    down, right = (
        torch.exp(2j * torch.pi * place[:, None] * torch.fft.fftfreq(side, dtype=torch.float64))
        for place, side in zip(places, spectra.shape, strict=True)
    )
    best = int((down @ spectra @ right.T).real.argmax())
    y, x = divmod(best, len(steps))
    return float(places[0][y]), float(places[1][x])


def _is_flat(image: Tensor) -> bool:
    values = image[image.isfinite()]
    return not values.numel() or bool(values.min() == values.max())
