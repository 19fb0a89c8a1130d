"""Measurements of a single image or pair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dctn
from torch import Tensor

from srkit.dataprep.check.shifts import Shift, shift_between
from srkit.functional.resizing import resize
from srkit.interfaces import VOID, Sample
from srkit.system.digests import digest_of_image

#: Side of the small grey image that is hashed, and of the hash itself.
SMALL, BITS = 32, 8


@dataclass(frozen=True, slots=True)
class Measurements:
    """Measurements of an image or a pair.

    Parameters
    ----------
    name
        Name in its data set.
    size, channels
        Height and width of HR in pixels, and its channels.
    lr_size
        Height and width of LR; None without LR.
    label
        Class index, if it has one.
    kind
        Type of the stored values, such as ``8 bits``; empty if unknown.
    low, high, mean
        Of the finite values of HR; None if there are none.
    not_finite
        Number of values of HR and LR that are NaN or infinite.
    flat
        Whether all values of HR or of LR are the same.
    digest
        Of the values of HR; equal for equal images only.
    hash
        64 bits, most of which similar photographs have in common. None for flat images and for
        measured values, since one round galaxy looks like another.
    grey
        The small grey image that was hashed, with zero mean and unit variance.
    shift
        The offset of LR from HR; None without LR.
    classes
        Classes in its mask or of its boxes; None without either.
    boxed
        Whether these are the classes of boxes.
    unknown
        Fraction of the mask whose class is unknown.
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
    not_finite: int = 0
    flat: bool = False
    digest: bytes = b""
    hash: int | None = None
    grey: NDArray[np.float32] | None = None
    shift: Shift | None = None
    classes: tuple[int, ...] | None = None
    boxed: bool = False
    unknown: float = 0.0


def measure(sample: Sample, kind: str = "") -> Measurements:
    """Measure an image or a pair.

    Parameters
    ----------
    sample
        HR, with or without LR.
    kind
        Type of the stored values, see :class:`Measurements`.
    """
    hr, lr = sample.hr.float(), None if sample.lr is None else sample.lr.float()
    images = [hr] if lr is None else [hr, lr]
    finite = hr[hr.isfinite()]
    flat = any(_is_flat(image) for image in images)
    photograph = kind.startswith(("8 ", "16 ")) or (not kind and len(hr) == 3 and not sample.unit)
    hashed, grey = perceptual_hash(hr) if photograph and not flat else (None, None)
    return Measurements(
        name=sample.name,
        size=(hr.shape[-2], hr.shape[-1]),
        channels=len(hr),
        lr_size=None if lr is None else (lr.shape[-2], lr.shape[-1]),
        label=sample.label,
        kind=kind,
        low=float(finite.min()) if finite.numel() else None,
        high=float(finite.max()) if finite.numel() else None,
        mean=float(finite.double().mean()) if finite.numel() else None,
        not_finite=sum(int((~image.isfinite()).sum()) for image in images),
        flat=flat,
        digest=digest_of_image(hr),
        hash=hashed,
        grey=grey,
        shift=None if lr is None or flat else shift_between(hr, lr),
        classes=_classes(sample),
        boxed=sample.boxes is not None,
        unknown=0.0 if sample.mask is None else float((sample.mask == VOID).float().mean()),
    )


def _classes(sample: Sample) -> tuple[int, ...] | None:
    """Return the classes that occur in an image's mask or among its boxes."""
    if sample.boxes is not None:
        return tuple(np.unique(sample.boxes.labels).tolist())
    if sample.mask is None:
        return None
    return tuple(np.unique(sample.mask[sample.mask != VOID]).tolist())


def perceptual_hash(image: Tensor) -> tuple[int, NDArray[np.float32]]:
    """Hash the content of an image, whatever its size and compression (Zauner 2010, sec. 3.2.1).

    The mean of the channels is resized to 32 x 32 pixels. Of its cosine transform, the 8 x 8 lowest
    frequencies without the constant ones are compared with their median.

    Parameters
    ----------
    image
        ``(C, H, W)``; values that are not finite count as 0.

    Returns
    -------
    hash
        64 bits.
    grey
        The 32 x 32 pixels, with zero mean and unit variance.
    """
    grey = torch.nan_to_num(image, 0, 0, 0).mean(0)[None, None]
    small = resize(grey, (SMALL, SMALL), kernel="bilinear")
    pixels = small[0, 0].double().numpy()
    pixels = (pixels - pixels.mean()) / max(pixels.std(), 1e-12)
    strengths = dctn(pixels)[1 : BITS + 1, 1 : BITS + 1].ravel()
    above = strengths > np.median(strengths)
    return int.from_bytes(np.packbits(above).tobytes(), "big"), pixels.astype(np.float32)


def _is_flat(image: Tensor) -> bool:
    values = image[image.isfinite()]
    return not values.numel() or bool(values.min() == values.max())
