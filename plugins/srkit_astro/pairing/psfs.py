"""The PSFs of the images that pairs are cut out of, measured from their stars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from astropy.io.fits import Header, PrimaryHDU

from srkit.errors import DataError
from srkit.system import write_file
from srkit_astro.instruments.measured_psf import MeasuredPsf, measure_psf
from srkit_astro.moments import Floats
from srkit_astro.pairing.sky_images import SkyImage

#: Side of the part of an image in which stars are searched, in pixels.
LARGEST = 4096


@dataclass(frozen=True, slots=True)
class FramePsf:
    """The PSF of an image.

    Parameters
    ----------
    image
        The image.
    side
        ``lr`` or ``hr``.
    name
        Name of the file of the PSF, unique among those of a side.
    measured
        The measurement, or None if there are too few stars.
    problem
        The reason if there is none.
    """

    image: SkyImage
    side: str
    name: str
    measured: MeasuredPsf | None
    problem: str = ""

    @property
    def path(self) -> str:
        """Path of the file within the folder of the pairs."""
        return f"psf/{self.side}/{self.name}.fits"

    @property
    def fwhm(self) -> float:
        """FWHM of the stars in arcsec, NaN if it is not known."""
        scale = self.image.pixel_scale
        return float("nan") if self.measured is None else self.measured.fwhm * scale

    @property
    def note(self) -> str:
        """A line for headers."""
        if self.measured is None:
            return f"PSF of {self.image.path.name}: not measured"
        count = len(self.measured.stars)
        return f"PSF of {self.image.path.name}: FWHM {self.fwhm:.3f} arcsec, {count} stars"

    def samples(self) -> Floats:
        """Return light per sample, as the PSF of a recipe.

        For LR it is the PSF in front of the pixels, over which SR is averaged. HR has been
        resampled, so that its PSF includes the pixels of its own image.
        """
        assert self.measured is not None
        return self.measured.image if self.side == "lr" else self.measured.observed


def measure_psfs(images: Sequence[SkyImage], side: str) -> list[FramePsf]:
    """Measure the PSF of each image, of a large one in its central part."""
    found: list[FramePsf] = []
    for image in images:
        name, taken = image.path.name.split(".")[0], {each.name for each in found}
        number = 1
        while (unique := name if number == 1 else f"{name}-{number}") in taken:
            number += 1
        part = tuple(
            slice(max((length - LARGEST) // 2, 0), (length + LARGEST) // 2)
            for length in image.values.shape
        )
        try:
            measured = measure_psf(image.values[part], image.bad[part])
        except DataError as error:
            found.append(FramePsf(image, side, unique, None, str(error)))
        else:
            found.append(FramePsf(image, side, unique, measured))
    return found


def write_psfs(psfs: Sequence[FramePsf], out: Path) -> None:
    """Write the PSFs that are known, each with its pixel scale.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    for psf in psfs:
        if psf.measured is None:
            continue
        header = Header()
        header["PIXELSCL"] = (
            psf.image.pixel_scale / psf.measured.oversampling,
            "[arcsec] side of a sample",
        )
        header["OVERSAMP"] = (psf.measured.oversampling, "samples per pixel of the image")
        header["NSTARS"] = (len(psf.measured.stars), "number of stars")
        header["FWHM"] = (round(psf.fwhm, 4), "[arcsec] FWHM of the stars")
        header["ELLIPT"] = (round(psf.measured.ellipticity, 4), "(a**2 - b**2) / (a**2 + b**2)")
        hdu = PrimaryHDU(psf.samples().astype(np.float32), header)
        content = BytesIO()
        hdu.writeto(content)
        write_file(out / psf.path, content.getvalue())
