"""One side of a pair, as its file has it: NumPy arrays and FITS."""

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
from srkit_astro.files.fits import SUFFIXES, Fits, bad_pixels

#: Endings that can be read.
ENDINGS = (".npy", *SUFFIXES)
#: What a name may have before or behind it in its folder: LR_12.npy pairs with HR_12.npy.
_SIDE = re.compile(r"^(lr|hr)[_-]|[_-](lr|hr)$", re.IGNORECASE)

#: The share of an image's pixels that may be filled.
FILLED_AT_MOST = 0.1
#: Valid neighbours that a filled value needs.
_NEIGHBOURS = 5


@dataclass(frozen=True, slots=True)
class Exposure:
    """An image with what is known of its pixels.

    Parameters
    ----------
    path
        The file.
    values
        ``(C, H, W)`` float32.
    bad
        Pixels without a value to trust, ``(C, H, W)``.
    variance
        Variance of the noise, ``(C, H, W)`` or ``(1, H, W)``, where the file has it.
    header
        Of a FITS file.
    """

    path: Path
    values: Tensor
    bad: Tensor
    variance: Tensor | None = None
    header: Header | None = None


def find_exposures(folder: Path) -> dict[str, list[Path]]:
    """Find the files under a folder by name: the relative path less its ending and its side.

    ``LR_12.npy``, ``12_hr.npy`` and ``12.fits`` all have the name ``12``. Hidden files are left
    out.

    Raises
    ------
    DataError
        If the folder is missing or holds no such file.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    found: dict[str, list[Path]] = {}
    for inside, _, files in os.walk(folder, followlinks=True):
        for file in sorted(files):
            ending = max((e for e in ENDINGS if file.lower().endswith(e)), key=len, default=None)
            if ending is None or file.startswith("."):
                continue
            stem = _SIDE.sub("", file[: -len(ending)])
            name = Path(inside, stem).relative_to(folder).as_posix()
            found.setdefault(name, []).append(Path(inside, file))
    if not found:
        raise DataError(f"{folder}: holds no images; looked for {', '.join(ENDINGS)}")
    return found


def read_exposure(path: Path) -> Exposure:
    """Read ``(H, W)`` or ``(C, H, W)`` floats from ``.npy``, or an image from FITS.

    Raises
    ------
    DataError
        If the file is damaged or holds something else.
    """
    if path.suffix.lower() == ".npy":
        values = torch.from_numpy(_array(path))
        return Exposure(path, values, ~values.isfinite())
    image = Fits().read(path)
    metadata: Mapping[str, object] = image.metadata
    variance, header = metadata.get("variance"), metadata["header"]
    assert isinstance(header, Header)
    assert variance is None or isinstance(variance, Tensor)
    return Exposure(path, image.pixels, bad_pixels(image), variance, header)


def _array(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    try:
        stored = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(
            f"{path}: not a whole .npy file ({error}); copy it again, or remove it"
        ) from error
    if stored.ndim not in (2, 3) or stored.size == 0:
        raise DataError(f"{path}: has the shape {stored.shape}; expected (H, W) or (1, H, W)")
    if not np.issubdtype(stored.dtype, np.floating):
        raise DataError(f"{path}: its values are {stored.dtype}; expected floats")
    with np.errstate(over="ignore"):
        values = stored.astype(np.float32)
    if np.isinf(values).sum() > np.isinf(stored).sum():
        raise DataError(f"{path}: holds values that do not fit in float32; scale it")
    return np.ascontiguousarray(values.reshape(-1, *stored.shape[-2:]))


def fill(exposure: Exposure) -> Tensor:
    """Give the values with the median of their neighbours in place of bad ones.

    The neighbours are the valid pixels of the smallest square around that has five of them.

    Raises
    ------
    DataError
        If more than a tenth of the pixels are bad: what is made up is no data then.
    """
    count, total = int(exposure.bad.sum()), exposure.bad.numel()
    if count > FILLED_AT_MOST * total:
        raise DataError(
            f"{exposure.path}: {count} of {total} pixels have no value (NaN or masked); at most a "
            "tenth can be filled"
        )
    values = exposure.values.clone()
    for channel, y, x in exposure.bad.nonzero().tolist():
        values[channel, y, x] = _median_around(exposure, channel, y, x)
    return values


def _median_around(exposure: Exposure, channel: int, y: int, x: int) -> Tensor:
    for reach in range(1, max(exposure.values.shape)):
        square = (
            channel,
            slice(max(y - reach, 0), y + reach + 1),
            slice(max(x - reach, 0), x + reach + 1),
        )
        valid = exposure.values[square][~exposure.bad[square]]
        if len(valid) >= _NEIGHBOURS:
            break
    # As NumPy has it: the mean of the middle two of an even number.
    return valid.quantile(0.5)
