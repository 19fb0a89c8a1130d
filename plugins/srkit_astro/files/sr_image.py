"""SR images with the header and mask of their LR file, updated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from astropy.io.fits import Header
from torch import Tensor

from srkit.errors import DataError
from srkit.functional import resize_mask
from srkit.interfaces import Image
from srkit_astro.files.calibration import PhysicalType, per_lr_area, to_file_values, type_of_values
from srkit_astro.files.keywords import mosaic_of, update
from srkit_astro.files.noise_cards import describe, middle_of, reserve
from srkit_astro.files.wcs import subdivided, subdivided_tables

#: Smallest relative change of the flux that is reported; interpolation changes less at the borders.
NOTICED = 0.01


def enlarge(
    lr: Image,
    sr: Tensor,
    scale: float,
    *,
    sigma: Tensor | None = None,
    change: float | None = None,
    marks: Tensor | None = None,
    values: PhysicalType | None = None,
    history: Sequence[str] = (),
) -> Image:
    """Return SR as an image with the WCS, the mask and the kind of values of its LR file.

    The mask is that of LR, enlarged. The variance is that of SR if `sigma` is given, and is
    otherwise left out, since the noise of SR differs from that of LR. The header states the noise
    of SR, see :mod:`srkit_astro.files.noise_cards`.

    Parameters
    ----------
    lr
        The LR image as read by :class:`srkit_astro.files.fits.Fits`.
    sr
        ``(C, scale H, scale W)``, in flux per area of an LR pixel.
    scale
        SR pixels per LR pixel along a side.
    sigma
        Standard deviation of `sr`, in its shape and unit.
    change
        Relative change of the flux, see :func:`flux_change`; by default it is measured.
    marks
        Where SR depends on pixels without a usable value, see :class:`srkit.interfaces.Upscaled`.
    values
        Whether the values of the file are flux or surface brightness; by default according to
        its header, see :func:`srkit_astro.files.calibration.type_of_values`.
    history
        Lines for the header, such as recipe, version and checkpoint.

    Raises
    ------
    DataError
        If the WCS cannot be subdivided, the values are magnitudes, or the variance is too small or
        too large for float32.
    """
    given, tables = lr.metadata.get("header", Header()), lr.metadata.get("wcs_tables", ())
    header, guesses = subdivided(given, scale, tables), list[str]()
    if values is None:
        values, assumed = type_of_values(lr)
        if assumed is not None:
            guesses.append(assumed)
            header.add_history(f"{assumed[0].upper()}{assumed[1:]}.")
    notes = list(guesses)
    pattern = mosaic_of(header)
    if pattern and len(sr) == 1:
        notes.append(
            f"the pixels are a colour mosaic ({pattern}), which is restored as one band and mixes "
            "its colours; debayer it first"
        )
    notes += update(header, scale, flux=values == "flux")
    pixels = to_file_values(sr, header, values, scale)
    for line in history:
        header.add_history(line)
    reserve(header, sr.shape)
    if change is None:  # otherwise these are not the pixels of the whole image
        describe(header, pixels[:, *map(middle_of, sr.shape[-2:])].numpy())
    if marks is not None:
        header.add_history("Pixels without a usable value were interpolated: see bits of MASK.")
    change = _change(lr, sr, marks) if change is None else change
    if abs(change) > NOTICED:
        header.add_history(f"Total flux changed by {change:+.1%} of the sum of |flux|.")
        text = f"the model changes the total flux by {change:+.1%} of the sum of |flux|"
        notes.append(f"{text}; a model with the constraint 'flux' conserves it")
    if "variance" in lr.metadata and sigma is None:
        lost = "the variance of LR does not apply to SR and is left out (see --uncertainty)"
        notes.append(lost)
        guesses.append(lost)
    metadata: dict[str, Any] = {"header": header, "bits": 32, "notes": notes, "guesses": guesses}
    if tables:
        metadata["wcs_tables"] = subdivided_tables(tables, scale)
    if "mask" in lr.metadata:
        mask = resize_mask(lr.metadata["mask"], sr.shape[-2:])
        mask_header = lr.metadata["mask_header"].copy()
        update(mask_header, scale, flux=False)
        metadata |= {"mask": mask, "mask_header": mask_header}
    if marks is not None:
        metadata |= _marked(metadata, marks)
    area = per_lr_area(values, scale)
    if sigma is not None:
        metadata["variance"] = _variance(sigma, area)
    low, high = (value / area for value in lr.data_range)
    return Image(pixels, (low, high), metadata)


#: The first bit of `MARKS` in flags of a type, and the type that has room for them.
_ROOM = {
    None: (0, torch.uint8),
    torch.uint8: (8, torch.int16),
    torch.int16: (16, torch.int32),
    torch.int32: (32, torch.int64),
    torch.int64: (61, torch.int64),
}
#: Names and meanings of the bits that mark SR.
MARKS = {"SRINTRP": "bit: LR has no usable value", "SRNEAR": "bit: SR depends on such pixels"}


def _marked(metadata: dict[str, Any], marks: Tensor) -> dict[str, Any]:
    """Add the bits of `MARKS` to the flags of an image, if it has any."""
    flags, header = metadata.get("mask"), metadata.get("mask_header", Header())
    first, kind = _ROOM[None if flags is None else flags.dtype]
    found = torch.zeros_like(marks, dtype=kind)
    if flags is not None:
        own = 2**first - 1 if first < 61 else -1
        found = found | (flags.to(kind) & own)  # without the sign
    named = any(key.startswith("MP_") for key in header)
    for bit, (name, meaning) in enumerate(MARKS.items()):
        found = found | ((marks == bit + 1).to(kind) << (first + bit))
        header[f"HIERARCH MP_{name}" if named else name] = (first + bit, meaning)
    return {"mask": found, "mask_header": header}


def _change(lr: Image, sr: Tensor, marks: Tensor | None) -> float:
    """Return the change of the flux where LR has usable values."""
    if marks is None:
        return flux_change(lr.pixels, sr)
    bad = lr.metadata.get("unusable", torch.zeros((), dtype=torch.bool))
    return flux_change(lr.pixels.masked_fill(bad, torch.nan), sr.masked_fill(marks == 1, torch.nan))


def _variance(sigma: Tensor, area: float) -> Tensor:
    """Return the variance in the values of the file.

    Raises
    ------
    DataError
        If it is too small or too large for float32.
    """
    variance: Tensor = (sigma / area) ** 2
    if not sigma.is_meta and ((variance == 0) & (sigma != 0) | variance.isinf()).any():
        raise DataError(
            f"the variance of SR (standard deviations up to {float(sigma.max()):.3g}) does not fit "
            "in float32; convert the file to another unit"
        )
    return variance


def flux_change(lr: Tensor, sr: Tensor) -> float:
    """Return the total flux of SR minus that of LR, over the sum of the absolute values of LR.

    Both are ``(C, H, W)`` in flux per the same area; NaN is ignored. Absolute values are used
    because the total flux of a sky-subtracted image can be close to 0.
    """
    scatter, *means = (each.nanmean(dtype=torch.float64) for each in (lr.abs(), sr, lr))
    return float((means[0] - means[1]) / scatter) if scatter > 0 else 0.0
