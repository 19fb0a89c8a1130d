"""Images of the sky at a common zero point, with mask, variance and WCS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io.fits import Header
from astropy.wcs import WCS
from numpy.typing import NDArray

from srkit.errors import DataError
from srkit.images import split_selection
from srkit_astro.files.calibration import (
    ZERO_POINTS,
    physical_type,
    pixel_area,
    zero_point_of_pixels,
)
from srkit_astro.files.calibration import zero_point as stated_zero_point
from srkit_astro.files.fits import Fits, bad_pixels
from srkit_astro.files.keywords import convert_part
from srkit_astro.files.planes import CHOOSE
from srkit_astro.files.wcs import celestial, pixel_scale_of
from srkit_astro.instruments.cameras import UNIT, ZERO_POINT
from srkit_astro.instruments.gain import Gain, gain_of

Plane = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SkyImage:
    """One band of an image of the sky.

    Parameters
    ----------
    path
        The file.
    values
        Flux per pixel in :data:`UNIT` at :data:`ZERO_POINT`, ``(H, W)``; 0 where `bad`.
    bad
        Pixels without a valid value, ``(H, W)``.
    variance
        Variance of the noise in the square of that unit, ``(H, W)``, if the file has it.
    mask
        The bits of the file's mask, ``(H, W)`` int64, and the header that names them, if the file
        has a mask.
    header
        The header of the image, with its zero point updated.
    wcs
        Its celestial WCS.
    gain
        Electrons per unit of the values, if the header or the variance states it.
    """

    path: Path
    values: Plane
    bad: Flags
    variance: Plane | None
    mask: tuple[NDArray[np.int64], Header] | None
    header: Header
    wcs: WCS
    gain: Gain | None = None

    @property
    def pixel_scale(self) -> float:
        """Side of a pixel in arcsec: the square root of its area."""
        return pixel_scale_of(self.wcs)

    def pixel_at(self, ra: float, dec: float) -> tuple[float, float] | None:
        """Return the row and column of a position in degrees, or None if outside the image.

        The centre of the first pixel is at (0, 0).
        """
        x, y = (float(v) for v in self.wcs.all_world2pix(ra, dec, 0, quiet=True))
        height, width = self.values.shape
        # Positions that the projection cannot show are NaN, for which every comparison is False.
        return (y, x) if -0.5 <= y < height - 0.5 and -0.5 <= x < width - 0.5 else None

    def overlaps(self, other: SkyImage) -> bool:
        """Return whether two images share a part of the sky, by a grid of positions on each."""
        return any(
            b.pixel_at(*point) for a, b in ((self, other), (other, self)) for point in a._grid()
        )

    def _grid(self) -> list[tuple[float, float]]:
        height, width = self.values.shape
        y, x = np.meshgrid(np.linspace(0, height - 1, 9), np.linspace(0, width - 1, 9))
        ra, dec = self.wcs.all_pix2world(x.ravel(), y.ravel(), 0)
        return list(zip(ra.tolist(), dec.tolist(), strict=True))


def read_sky_image(
    path: Path, zero_point: float | None, option: str, extension: str | None = None
) -> SkyImage:
    """Read an image and convert it to :data:`ZERO_POINT`.

    Parameters
    ----------
    path
        A FITS file with flux per pixel, or flux density per solid angle; ``FILE[EXTENSION]`` is one
        of its images.
    zero_point
        AB magnitude of one unit of its values; overrides the header.
    option
        Name of the option that sets `zero_point`, for the error message.
    extension
        Name or number of the image, if `path` names none.

    Raises
    ------
    DataError
        If the file is missing, contains several bands or another level, or has no celestial WCS or
        no zero point.
    """
    path, own = split_selection(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    extension = own or extension
    image = Fits().select(extension).read(path)
    for guess in image.metadata.get("guesses", []):
        choose = f"choose with {option.replace('zero-point', 'hdu')}"
        raise DataError(f"{path}: {guess.replace(CHOOSE, choose)}")
    header: Header = image.metadata["header"]
    if len(image.pixels) != 1:
        raise DataError(f"{path}: contains {len(image.pixels)} planes; expected one band")
    try:
        wcs = celestial(header)
        zero_point = _zero_point(header, wcs, zero_point)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    if wcs is None:
        raise DataError(
            f"{path}: has no celestial WCS (such as CTYPE1 = RA---TAN, CTYPE2 = DEC--TAN); solve "
            "its astrometry first"
        )
    if zero_point is None:
        raise DataError(
            f"{path}: the header has no zero point (FLUXMAG0, MAGZERO, or PHOTFLAM with "
            f"PHOTPLAM); set {option}, the AB magnitude of one unit of its values"
        )
    factor = 10 ** (0.4 * (ZERO_POINT - zero_point))
    bad = bad_pixels(image)[0].numpy()
    variance, mask = (image.metadata.get(name) for name in ("variance", "mask"))
    if mask is not None:
        convert_part(image.metadata["mask_header"], 1)
    gain = gain_of(image)
    return SkyImage(
        path,
        np.where(bad, 0.0, factor * image.pixels[0].double().numpy()),
        bad,
        None if variance is None else factor**2 * variance[0].double().numpy(),
        None if mask is None else (mask[0].long().numpy(), image.metadata["mask_header"]),
        _at_zero_point(header, factor),
        wcs,
        None if gain is None else replace(gain, electrons=gain.electrons / factor),
    )


def _zero_point(header: Header, wcs: WCS | None, given: float | None) -> float | None:
    """Return the AB magnitude of the flux in a pixel whose value is 1, if it is known.

    Raises
    ------
    DataError
        If the values are a level whose flux in a pixel is unknown, such as Jy / beam.
    """
    if physical_type(header) != "surface_brightness":
        return stated_zero_point(header) if given is None else given
    side = None if wcs is None else pixel_scale_of(wcs)
    point = zero_point_of_pixels(header, pixel_area(header, side))
    if point is None and wcs is not None:
        raise DataError(
            f"BUNIT is '{header['BUNIT']}', a level; expected flux per pixel, or flux density per "
            "solid angle such as MJy / sr"
        )
    return point if given is None else given


def _at_zero_point(header: Header, factor: float) -> Header:
    """Return the header for values in :data:`UNIT`, which are multiplied by the factor."""
    header = header.copy()
    convert_part(header, factor)
    for key in (*ZERO_POINTS, "FLUXMAG0", "PHOTFLAM", "PHOTPLAM", "PHOTZPT", "BUNIT"):
        header.remove(key, ignore_missing=True, remove_all=True)
    header["BUNIT"] = (UNIT, "flux per pixel")
    header["MAGZERO"] = (ZERO_POINT, "AB magnitude of one unit")
    return header
