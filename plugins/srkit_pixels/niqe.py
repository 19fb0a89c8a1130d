"""NIQE: the naturalness of a picture, measured without HR.

None of the libraries that srkit depends on provides it. The tests compare it with basicsr.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import NonNegativeInt
from scipy.ndimage import gaussian_filter
from scipy.special import gamma
from torch import Tensor

from srkit.components import Registry
from srkit.errors import DataError
from srkit.functional import check_equal_shapes, metric_input, resize
from srkit.images import Formats
from srkit.interfaces import Batch
from srkit.system import check_replaceable, write_file

Floats = NDArray[np.float64]

#: Side of a block in pixels, and sharpness of a block in focus relative to the sharpest block of
#: the picture; both as in the authors' release.
BLOCK, SHARP = 96, 0.75
#: Standard deviation of the window of local means in pixels, and its radius.
SIGMA, RADIUS = 7 / 6, 3
#: Largest difference, of 255, that counts as 0.
FLAT = 1e-4
#: Number of features of a block: 18 on each of two scales.
FEATURES = 36
#: Offsets of neighbours whose products are used: horizontal, vertical and the two diagonals.
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
#: Shapes of the distribution to choose from, and the ratio of its moments for each.
SHAPES = np.arange(200, 10001) / 1000
RATIOS = gamma(2 / SHAPES) ** 2 / (gamma(1 / SHAPES) * gamma(3 / SHAPES))
PUBLISHED = "niqe_pristine.npz"


@dataclass(frozen=True, slots=True)
class Pristine:
    """The features of blocks of pristine pictures: a multivariate normal distribution.

    Parameters
    ----------
    mean
        ``(36,)``.
    covariance
        ``(36, 36)``.
    """

    mean: Floats
    covariance: Floats

    @classmethod
    def read(cls, path: Path) -> Pristine:
        """Read a file written by :meth:`write`.

        Raises
        ------
        DataError
            If the file is missing, damaged, or contains something else.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                mean, covariance = arrays["mean"], arrays["covariance"]
        except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise DataError(
                f"{path}: cannot be read as parameters of NIQE ({error}); create them with "
                "'srkit data fit-niqe'"
            ) from error
        if mean.shape != (FEATURES,) or covariance.shape != (FEATURES, FEATURES):
            raise DataError(
                f"{path}: the mean has the shape {mean.shape} and the covariance "
                f"{covariance.shape}; expected ({FEATURES},) and ({FEATURES}, {FEATURES})"
            )
        return cls(mean, covariance)

    def write(self, path: Path) -> None:
        """Write a NumPy archive of ``mean`` and ``covariance``."""
        archive = io.BytesIO()
        np.savez(archive, mean=self.mean, covariance=self.covariance)
        write_file(path, archive.getvalue())


class NIQE:
    """Natural image quality evaluator (Mittal, Soundararajan & Bovik 2013), without reference.

    The distance of the statistics of 96 x 96 blocks of a picture from those of pristine pictures;
    smaller is more natural. Undefined for pictures with fewer than two blocks, and noisy for
    pictures with few blocks, such as those of Set5. It is only meaningful for photographs.

    Parameters
    ----------
    crop
        Pixels to crop at each border.
    model
        Statistics of pristine pictures, a file of `srkit data fit-niqe`; by default those of the
        authors for 125 photographs.

    Raises
    ------
    DataError
        If the file does not contain such statistics.
    """

    higher_is_better = False
    unit = ""

    def __init__(self, *, crop: NonNegativeInt = 0, model: Path | None = None) -> None:
        self.crop = crop
        known = Path(str(files("srkit_pixels"))) / PUBLISHED
        self.pristine = Pristine.read(known if model is None else model)
        source = "the authors' pristine pictures" if model is None else model.name
        cropped = f"{crop} pixels cropped" if crop else "not cropped"
        self.protocol = (
            f"Y of BT.601 (16 to 235) or grey, clipped and rounded to 8 bits, {cropped}, "
            f"blocks of {BLOCK} x {BLOCK}, compared with {source}"
        )

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Measure ``(N, C, H, W)`` images: shape ``(N,)``, NaN for fewer than two blocks."""
        check_equal_shapes(sr, batch.hr)
        channel: Any = "rgb" if sr.shape[1] == 1 else "y"
        view = metric_input(
            sr, data_range=batch.data_range, channel=channel, crop=self.crop, quantize=True
        )
        grey = (255 * view[:, 0]).cpu().double().numpy().round()
        return sr.new_tensor([distance(self.pristine, each) for each in grey], dtype=torch.float32)


def distance(pristine: Pristine, grey: Floats) -> float:
    """Return the distance of a picture, ``(H, W)`` in [0, 255], from pristine ones: equation 10."""
    if (grey.shape[0] // BLOCK) * (grey.shape[1] // BLOCK) < 2:
        return float("nan")
    found, _ = features(grey)
    whole = found[np.isfinite(found).all(1)]
    if len(whole) < 2:
        return float("nan")
    difference = pristine.mean - np.nanmean(found, 0)
    spread = np.linalg.pinv((pristine.covariance + np.cov(whole, rowvar=False)) / 2)
    return float(np.sqrt(difference @ spread @ difference))


def features(grey: Floats) -> tuple[Floats, Floats]:
    """Compute the features of each block of a picture.

    Parameters
    ----------
    grey
        ``(H, W)`` in [0, 255].

    Returns
    -------
    features
        ``(B, 36)``; NaN for flat blocks.
    sharpness
        ``(B,)``: mean of the local standard deviation.
    """
    height, width = (side // BLOCK * BLOCK for side in grey.shape)
    fine = grey[:height, :width]
    coarse = resize(torch.from_numpy(fine)[None, None], factor=0.5)[0, 0].numpy()
    scales, sharpness = [], np.empty(0)
    for picture, side in ((fine, BLOCK), (coarse, BLOCK // 2)):
        mean = _smooth(picture)
        deviation = np.sqrt(np.abs(_smooth(picture**2) - mean**2))
        # In flat areas, rounding must not decide on the sign of a value.
        difference = np.where(np.abs(picture - mean) < FLAT, 0.0, picture - mean)
        scales.append(_block_features(_blocks(difference / (deviation + 1), side)))
        if side == BLOCK:
            sharpness = _blocks(deviation, side).mean((1, 2))
    return np.concatenate(scales, axis=1), sharpness


def _smooth(picture: Floats) -> Floats:
    smoothed: Floats = gaussian_filter(picture, SIGMA, mode="nearest", radius=RADIUS)
    return smoothed


def _blocks(picture: Floats, side: int) -> Floats:
    """Cut a picture into blocks, ``(B, side, side)``."""
    rows, columns = (n // side for n in picture.shape)
    cut = picture.reshape(rows, side, columns, side).swapaxes(1, 2)
    return cut.reshape(-1, side, side)


def _block_features(blocks: Floats) -> Floats:
    """Return features of the values of each block and the products of neighbours: ``(B, 18)``."""
    shape, left, right = _fit(blocks)
    found = [shape, (left + right) / 2]
    for step in NEIGHBOURS:
        shape, left, right = _fit(blocks * np.roll(blocks, step, (1, 2)))
        mean = (right - left) * gamma(2 / shape) / gamma(1 / shape)
        found += [shape, mean, left, right]
    return np.stack(found, axis=1)


def _fit(blocks: Floats) -> tuple[Floats, Floats, Floats]:
    """Fit an asymmetric generalised normal distribution to each block, by its moments.

    Returns shape, left scale and right scale, each ``(B,)`` (Lasmar, Stitou & Berthoumieu 2009).
    """
    values = blocks.reshape(len(blocks), -1)
    with np.errstate(divide="ignore", invalid="ignore"):  # NaN for flat blocks
        left, right = (
            np.sqrt((values**2 * side).sum(1) / side.sum(1)) for side in (values < 0, values > 0)
        )
        asymmetry = left / right
        ratio = np.abs(values).mean(1) ** 2 / (values**2).mean(1)
        ratio *= (asymmetry**3 + 1) * (asymmetry + 1) / (asymmetry**2 + 1) ** 2
    # The nearest of the given shapes, as in the authors' release.
    above = np.clip(np.searchsorted(RATIOS, ratio), 1, len(SHAPES) - 1)
    nearer = above - (ratio - RATIOS[above - 1] < RATIOS[above] - ratio)
    shape = np.where(np.isfinite(ratio), SHAPES[nearer], np.nan)
    scale = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * scale, right * scale


def fit(pictures: Iterable[Floats]) -> Pristine:
    """Fit the distribution of features to the sharp blocks of pristine pictures.

    Parameters
    ----------
    pictures
        ``(H, W)`` in [0, 255], at least 96 pixels wide and high.

    Raises
    ------
    ValueError
        If there are fewer than 37 sharp blocks, which are needed for the covariance.
    """
    chosen = []
    for picture in pictures:
        found, sharpness = features(picture)
        chosen.append(found[(sharpness > SHARP * sharpness.max()) & np.isfinite(found).all(1)])
    blocks = np.concatenate(chosen) if chosen else np.empty((0, FEATURES))
    if len(blocks) <= FEATURES:
        raise ValueError(
            f"found {len(blocks)} sharp blocks of {BLOCK} x {BLOCK} pixels; at least "
            f"{FEATURES + 1} are needed, and several hundred recommended"
        )
    return Pristine(blocks.mean(0), np.cov(blocks, rowvar=False))


def fit_niqe(*, pictures: Path, out: Path, overwrite: bool = False) -> None:
    """Fit the statistics of NIQE to a folder of pristine pictures.

    The sharp blocks of each picture are used (Mittal, Soundararajan & Bovik 2013, section II.C).
    Set the option `model` of the metric to the file.

    Parameters
    ----------
    pictures
        Folder of pictures without blur, noise or compression.
    out
        Output file, NAME.npz.
    overwrite
        Replace an existing file.

    Raises
    ------
    DataError
        If the folder contains no pictures or too few, or one of them is too small.
    """
    check_replaceable(out, overwrite=overwrite)
    formats = Formats.of(Registry.discover())
    paths = sorted(path for path in pictures.glob("*") if formats.knows(path))
    if not paths:
        raise DataError(f"{pictures}: contains no pictures; expected a folder of pristine ones")
    try:
        pristine = fit(_grey(path, formats) for path in paths)
    except ValueError as error:
        raise DataError(f"{pictures}: {error}") from error
    pristine.write(out)
    print(f"{out}: statistics of {len(paths)} pictures")


def _grey(path: Path, formats: Formats) -> Floats:
    image = formats.read(path)
    channel: Any = "rgb" if len(image.pixels) == 1 else "y"
    view = metric_input(
        image.pixels[None], data_range=image.data_range, channel=channel, quantize=True
    )
    if min(view.shape[-2:]) < BLOCK:
        raise DataError(
            f"{path}: the picture has {view.shape[-2]} x {view.shape[-1]} pixels; expected at "
            f"least {BLOCK} x {BLOCK}"
        )
    grey: Floats = (255 * view[0, 0]).double().numpy().round()
    return grey
