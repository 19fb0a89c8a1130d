"""Images of PSFs: read, checked, and centred on their light."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from srkit.errors import DataError
from srkit_astro.moments import Floats

#: Keywords with the side of a pixel in arcsec, such as that of STPSF, for images without a WCS.
SCALES = ("PIXELSCL", "PIXSCALE", "PIXSCAL1")
#: Largest share of the light that a level as at the border may have, and that negative values may
#: take away.
LEVEL, NEGATIVE = 0.1, 0.2
#: Smallest distance of the centre from the borders, relative to the side.
INSIDE = 0.25
#: Samples per pixel of the interpolation in which a width is measured.
FINER = 8


def read_psf_image(path: Path, sky: float | Literal["border"]) -> tuple[Floats, float | None]:
    """Read an image of a PSF.

    Parameters
    ----------
    path
        A FITS file, whose first 2-D image is read, or an NPY file.
    sky
        Level to subtract, or ``border``: the median of the outermost pixels.

    Returns
    -------
    tuple
        The image, ``(H, W)``, and the side of its pixels in arcsec if the header states it.

    Raises
    ------
    DataError
        If the file is missing or damaged, or does not contain a PSF.
    """
    values, scale = _read(path)
    if values.ndim != 2:
        raise DataError(f"{path}: the shape is {values.shape}; expected (H, W)")
    if not np.isfinite(values).all():
        bad = np.count_nonzero(~np.isfinite(values))
        raise DataError(f"{path}: {bad} of {values.size} values are not finite")
    image = values.astype(np.float64)
    image = image - (_border_level(image) if sky == "border" else sky)
    total = image.sum()
    if total <= 0:
        raise DataError(f"{path}: the sum of the values of a PSF must be positive")
    level, negative = _border_level(image) * image.size / total, -image[image < 0].sum() / total
    if level > LEVEL:
        raise DataError(
            f"{path}: with the level at its border, {level:.0%} of the light is not that of a "
            "star; set 'sky: border' to subtract that level, or cut out a larger image"
        )
    if negative > NEGATIVE:
        raise DataError(
            f"{path}: its negative values take away {negative:.0%} of the light; correct its sky, "
            "or average more stars"
        )
    return image, scale


def _border_level(image: Floats) -> float:
    edge = np.ones(image.shape, bool)
    edge[1:-1, 1:-1] = False
    return float(np.median(image[edge]))


def _read(path: Path) -> tuple[NDArray[Any], float | None]:
    from astropy.io import fits

    from srkit_astro.files.wcs import pixel_scale

    try:
        if path.suffix.lower() == ".npy":
            return np.asarray(np.load(path, allow_pickle=False)), None
        with fits.open(path) as hdus:
            images = (hdu for hdu in hdus if hdu.is_image and hdu.header["NAXIS"] == 2)
            hdu = next(images)
            values, header = np.asarray(hdu.data), hdu.header
            scale = pixel_scale(header)
    except StopIteration:
        raise DataError(f"{path}: contains no 2-D image; expected an image of a PSF") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as FITS or NPY: {error}") from error
    stated = next((header[key] for key in SCALES if key in header), None)
    if scale is None and isinstance(stated, int | float) and stated > 0:
        scale = float(stated)
    return values, scale


def light_centre(image: Floats, path: Path) -> tuple[float, float]:
    """Return the row and column of the centre of a PSF, from 0 at that of the first pixel.

    It is the centroid under a Gaussian window of the PSF's FWHM, which the window follows.

    Raises
    ------
    DataError
        If the centre is near the border.
    """
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]].astype(float)
    row, column = (float(v) for v in np.unravel_index(image.argmax(), image.shape))
    sigma = max(half_maximum_width(image) / 2.3548, 0.5)
    for _ in range(20):
        distance2 = (rows - row) ** 2 + (columns - column) ** 2
        weighted = image * np.exp(-distance2 / (2 * sigma**2))
        offsets = (rows - row, columns - column)
        moves = [float((weighted * each).sum() / weighted.sum()) for each in offsets]
        # The window halves the shift of a Gaussian of its own width.
        row, column = row + 2 * moves[0], column + 2 * moves[1]
        if max(map(abs, moves)) < 1e-6:
            break
    shares = [(v + 0.5) / side for v, side in zip((row, column), image.shape, strict=True)]
    if not all(INSIDE <= share <= 1 - INSIDE for share in shares):
        raise DataError(
            f"{path}: the light is centred at row {row:.1f} and column {column:.1f} of "
            f"{image.shape[0]} x {image.shape[1]}; expected near the middle"
        )
    return row, column


def half_maximum_width(image: Floats) -> float:
    """Return the FWHM of a peak in pixels: the diameter of the circle of the area above half."""
    from scipy.ndimage import zoom  # only here: it takes long to import

    row, column = (int(v) for v in np.unravel_index(image.argmax(), image.shape))
    side = 4
    while True:
        top, left = max(row - side, 0), max(column - side, 0)
        part = image[top : row + side + 1, left : column + side + 1]
        above = part > image.max() / 2
        edges = (above[0], above[-1], above[:, 0], above[:, -1])
        if not any(edge.any() for edge in edges) or part.size == image.size:
            break
        side *= 2
    fine = zoom(part, FINER, order=3, mode="nearest", grid_mode=True)
    return float(2 * np.sqrt((fine > fine.max() / 2).sum() / np.pi) / FINER)
