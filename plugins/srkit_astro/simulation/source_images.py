"""Images of real galaxies, as sources of simulated lenses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srkit.errors import DataError
from srkit_astro.files.masked_images import MaskedImage, find_images, read_masked_image
from srkit_astro.files.wcs import pixel_scale
from srkit_astro.instruments.cameras import Floats


@dataclass(frozen=True, slots=True)
class SourceImage:
    """The image of a galaxy, with a total flux of 1.

    Parameters
    ----------
    path
        The file.
    light
        Fraction of the flux of the galaxy per arcsec², ``(H, W)``.
    pixel
        Side of a pixel in arcsec.
    angle
        Angle by which the image is rotated from x towards y, in radians.
    """

    path: Path
    light: Floats
    pixel: float
    angle: float = 0.0


class SourceFolder:
    """The images of galaxies in a folder and its subfolders, ``.npy`` or FITS.

    Parameters
    ----------
    folder
        The folder. Each file has one galaxy at the centre, with the sky subtracted. All are read at
        once.
    pixel_scale
        Side of a pixel in arcsec, for files without a WCS.

    Raises
    ------
    DataError
        If there are no images, or one cannot be used.
    """

    def __init__(self, folder: Path, pixel_scale: float | None) -> None:
        found = find_images(folder)
        paths = [path for name in sorted(found) for path in found[name]]
        self.images = [read_source(path, pixel_scale) for path in paths]

    def draw(self, rng: np.random.Generator) -> SourceImage:
        """Draw an image and a random rotation."""
        image = self.images[rng.integers(len(self.images))]
        angle = float(rng.uniform(0, 2 * math.pi))
        return SourceImage(image.path, image.light, image.pixel, angle)


def read_source(path: Path, pixel_scale: float | None) -> SourceImage:
    """Read the image of a galaxy and normalise its flux to 1.

    Raises
    ------
    DataError
        If it is damaged, constant or without flux, or has several bands, bad pixels or no pixel
        scale.
    """
    image = read_masked_image(path)
    pixel = _pixel_scale(image, pixel_scale)
    if len(image.values) != 1:
        raise DataError(f"{path}: contains {len(image.values)} planes; expected one band")
    bad = int(image.bad.sum())
    if bad:
        raise DataError(
            f"{path}: {bad} of {image.bad.numel()} pixels have no value (NaN, infinite or masked); "
            "fill them, or remove the file"
        )
    values = image.values[0].double().numpy()
    if values.min() == values.max():
        raise DataError(
            f"{path}: every pixel has the value {values[0, 0]:g}; expected the image of a galaxy"
        )
    total = float(values.sum())
    if total <= 0:
        raise DataError(
            f"{path}: the total flux is {total:g}; expected more than 0, with the sky subtracted"
        )
    return SourceImage(path, values / (total * pixel**2), pixel)


def _pixel_scale(image: MaskedImage, given: float | None) -> float:
    try:
        stated = None if image.header is None else pixel_scale(image.header)
    except DataError as error:
        raise DataError(f"{image.path}: {error}") from error
    pixel = stated or given
    if pixel is None:
        raise DataError(
            f"{image.path}: has no pixel scale; set source_pixel_scale, the side of a pixel in "
            "arcsec"
        )
    return pixel
