"""Images of real galaxies that stand in for the analytic sources of lenses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srkit.errors import DataError
from srkit_astro.files.masked_images import MaskedImage, find_images, read_masked_image
from srkit_astro.files.wcs import pixel_scale


@dataclass(frozen=True, slots=True)
class SourceImage:
    """The light of a galaxy, as a picture shows it.

    Parameters
    ----------
    path
        Where it is from.
    light
        Share of the galaxy's flux per arcsec², ``(H, W)``.
    pixel
        Side of a pixel in arcsec.
    angle
        By how much it is turned from x towards y, in radians.
    """

    path: Path
    light: NDArray[Any]
    pixel: float
    angle: float = 0.0


class SourceFolder:
    """The galaxies of a folder and its subfolders, ``.npy`` or FITS, all read at once.

    Parameters
    ----------
    folder
        Each file holds one galaxy in the middle of its image, the sky subtracted.
    pixel_scale
        Side of a pixel in arcsec, for files without a WCS.

    Raises
    ------
    DataError
        If there is no image, or one cannot be used.
    """

    def __init__(self, folder: Path, pixel_scale: float | None) -> None:
        found = find_images(folder)
        paths = [path for name in sorted(found) for path in found[name]]
        self.images = [read_source(path, pixel_scale) for path in paths]

    def draw(self, rng: np.random.Generator) -> SourceImage:
        """Draw a galaxy, and turn it by any angle."""
        image = self.images[rng.integers(len(self.images))]
        angle = float(rng.uniform(0, 2 * math.pi))
        return SourceImage(image.path, image.light, image.pixel, angle)


def read_source(path: Path, pixel_scale: float | None) -> SourceImage:
    """Read a galaxy's image and bring its flux to 1.

    Raises
    ------
    DataError
        If it is damaged, has several bands, bad pixels, no contrast, no flux or no pixel scale.
    """
    exposure = read_masked_image(path)
    pixel = _pixel(exposure, pixel_scale)
    if len(exposure.values) != 1:
        raise DataError(f"{path}: holds {len(exposure.values)} planes; expected one band")
    bad = int(exposure.bad.sum())
    if bad:
        raise DataError(
            f"{path}: {bad} of {exposure.bad.numel()} pixels have no value (NaN, infinite or "
            "masked); fill them, or remove the file"
        )
    values = exposure.values[0].double().numpy()
    if values.min() == values.max():
        raise DataError(
            f"{path}: every pixel has the value {values[0, 0]:g}; expected the image of a galaxy"
        )
    total = float(values.sum())
    if total <= 0:
        raise DataError(
            f"{path}: its light adds up to {total:g}; expected more than 0, the sky subtracted"
        )
    return SourceImage(path, values / (total * pixel**2), pixel)


def _pixel(exposure: MaskedImage, given: float | None) -> float:
    try:
        stated = None if exposure.header is None else pixel_scale(exposure.header)
    except DataError as error:
        raise DataError(f"{exposure.path}: {error}") from error
    pixel = stated or given
    if pixel is None:
        raise DataError(
            f"{exposure.path}: states no pixel scale; set source_pixel_scale, the side of a pixel "
            "in arcsec"
        )
    return pixel
