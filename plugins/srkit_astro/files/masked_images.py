"""Images with their bad pixels and noise, read from NumPy arrays and FITS."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from astropy.io.fits import Header
from torch import Tensor

from srkit.errors import DataError
from srkit_astro.files.fits import SUFFIXES, Fits, bad_pixels, saturated_pixels
from srkit_astro.files.planes import CHOOSE

#: File name extensions that can be read.
READABLE = (".npy", *SUFFIXES)
#: Prefix or suffix of file names that does not count: LR_12.npy pairs with HR_12.npy.
_SIDE = re.compile(r"^(lr|hr)[_-]|[_-](lr|hr)$", re.IGNORECASE)

#: Largest fraction of pixels that may be filled.
MOST_FILLED = 0.1
#: Number of valid neighbours needed to fill a pixel.
_NEIGHBOURS = 5


@dataclass(frozen=True, slots=True)
class MaskedImage:
    """An image with its bad pixels and noise.

    Parameters
    ----------
    path
        The file.
    values
        ``(C, H, W)`` float32.
    bad
        Pixels without a valid value, ``(C, H, W)``.
    saturated
        Number of those that are saturated, by the header or the values.
    variance
        Variance of the noise, ``(C, H, W)`` or ``(1, H, W)``, if the file has it.
    header
        The header, if the file is FITS.
    """

    path: Path
    values: Tensor
    bad: Tensor
    saturated: int = 0
    variance: Tensor | None = None
    header: Header | None = None


def find_images(folder: Path, remedy: str = "") -> dict[str, list[Path]]:
    """Find the images in a folder and its subfolders.

    Their names are the relative paths without extension and without the prefix or suffix ``lr`` or
    ``hr``: ``LR_12.npy``, ``12_hr.npy`` and ``12.fits`` are all named ``12``. Hidden files are
    ignored. The error says how to obtain them, by the `remedy`.

    Raises
    ------
    DataError
        If the folder does not exist or contains no images.
    """
    if not folder.is_dir():
        raise DataError("; ".join(filter(None, (f"{folder}: no such folder", remedy))))
    found: dict[str, list[Path]] = {}
    for inside, _, files in os.walk(folder, followlinks=True):
        for file in sorted(files):
            suffix = max((s for s in READABLE if file.lower().endswith(s)), key=len, default=None)
            if suffix is None or file.startswith("."):
                continue
            stem = _SIDE.sub("", file[: -len(suffix)])
            name = Path(inside, stem).relative_to(folder).as_posix()
            found.setdefault(name, []).append(Path(inside, file))
    if not found:
        lacks = f"{folder}: contains no images; expected {', '.join(READABLE)}"
        raise DataError("; ".join(filter(None, (lacks, remedy))))
    return found


def read_masked_image(
    path: Path, extension: str | None = None, choose: str = "copy it into a file of its own"
) -> MaskedImage:
    """Read ``(H, W)`` or ``(C, H, W)`` floats from ``.npy``, or an image from FITS.

    Parameters
    ----------
    path
        The file.
    extension
        Name or number of the extension of a FITS file with the image.
    choose
        What to do if there are several, for the error message.

    Raises
    ------
    DataError
        If the file is damaged, contains something else, or it is unclear which image is meant.
    """
    if path.suffix.lower() == ".npy":
        values = torch.from_numpy(_array(path))
        return MaskedImage(path, values, ~values.isfinite())
    image = Fits().select(extension).read(path)
    for guess in image.metadata.get("guesses", []):
        raise DataError(f"{path}: {guess.replace(CHOOSE, choose)}")
    metadata: Mapping[str, object] = image.metadata
    variance, header = metadata.get("variance"), metadata["header"]
    assert isinstance(header, Header)
    assert variance is None or isinstance(variance, Tensor)
    saturated = int(saturated_pixels(image).sum())
    return MaskedImage(path, image.pixels, bad_pixels(image), saturated, variance, header)


def _array(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    try:
        stored = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(
            f"{path}: cannot be read as .npy ({error}); copy it again or remove it"
        ) from error
    if stored.ndim not in (2, 3) or stored.size == 0:
        raise DataError(f"{path}: the shape is {stored.shape}; expected (H, W) or (1, H, W)")
    if not np.issubdtype(stored.dtype, np.floating):
        raise DataError(f"{path}: the values are {stored.dtype}; expected floats")
    with np.errstate(over="ignore"):
        values = stored.astype(np.float32)
    if np.isinf(values).sum() > np.isinf(stored).sum():
        raise DataError(f"{path}: values do not fit in float32; convert them to another unit")
    return np.ascontiguousarray(values.reshape(-1, *stored.shape[-2:]))


def fill_bad_pixels(image: MaskedImage) -> Tensor:
    """Return the values of an image, with bad ones replaced by the median of their neighbours.

    The neighbours are the valid pixels of the smallest surrounding square with at least five.

    Raises
    ------
    DataError
        If more than a tenth of the pixels are bad.
    """
    count, total = int(image.bad.sum()), image.bad.numel()
    if count > MOST_FILLED * total:
        raise DataError(
            f"{image.path}: {count} of {total} pixels have no value (NaN, masked or saturated); "
            "at most a tenth can be filled"
        )
    values = image.values.clone()
    for channel, y, x in image.bad.nonzero().tolist():
        values[channel, y, x] = _median_around(image, channel, y, x)
    return values


def _median_around(image: MaskedImage, channel: int, y: int, x: int) -> Tensor:
    for distance in range(1, max(image.values.shape)):
        square = (
            channel,
            slice(max(y - distance, 0), y + distance + 1),
            slice(max(x - distance, 0), x + distance + 1),
        )
        valid = image.values[square][~image.bad[square]]
        if len(valid) >= _NEIGHBOURS:
            break
    # Unlike torch.median, the mean of the two middle values of an even number.
    return valid.quantile(0.5)
