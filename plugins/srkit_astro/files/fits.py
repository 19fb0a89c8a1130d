"""The image format FITS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from srkit.interfaces import FormatLimits, Image, ImageSink, ImageSource

# astropy takes half a second to import: only those wait for it who have a FITS file.
if TYPE_CHECKING:
    from srkit.interfaces import Upscaled

SUFFIXES = tuple(f".{name}{pack}" for pack in ("", ".gz", ".fz") for name in ("fits", "fit", "fts"))

#: Planes of a bit mask (``MP_name = bit`` in its header, as the HSC pipeline writes) in which the
#: value cannot be trusted; other planes, such as DETECTED, only describe.
BAD_PLANES = ("BAD", "CR", "EDGE", "NO_DATA", "SAT", "SUSPECT", "UNMASKEDNAN")


class Fits:
    """FITS: any type of number is read, float32 is written; nothing is scaled or clipped.

    The image is the extension ``SCI``, ``SCIENCE`` or ``IMAGE``, else the first with two axes or
    more. The planes of a cube become channels. ``BSCALE``, ``BZERO`` and ``BLANK`` are applied;
    NaN stays NaN. Integers above 2**24 and doubles are rounded to float32. The data range is that
    of the finite values.

    The metadata are ``frame`` (True), ``header`` (the image's, with what it inherits from an empty
    primary header, so with WCS and ``BUNIT``), ``mask`` and ``mask_header`` (flags, integers as
    stored, int64 where they are scaled, ``(1, H, W)`` or one for each channel), and ``variance``
    (from a plane of variance, standard deviation or inverse variance, float32, in ``BUNIT``
    squared). All are written back, and without a header, ``unit`` as ``BUNIT``; ``.gz`` packs the
    whole file, ``.fz`` the tiles of each image, both without loss.
    """

    suffixes = SUFFIXES
    windowed = (".fits", ".fit", ".fts")
    signature = rb"SIMPLE  =|\x1f\x8b"
    limits = FormatLimits((32,), frozenset({"header", "mask", "variance"}))

    def read(self, path: Path) -> Image:
        """Read a file.

        Raises
        ------
        DataError
            If the file is damaged, or holds no image that float32 channels can hold.
        """
        from srkit_astro.files.fits_io import read

        return read(path)

    def calibrate(self, image: Image) -> Image:
        """Note what the header tells: zero point, pixel scale and unit, for `srkit upscale`.

        Raises
        ------
        DataError
            If the values are magnitudes, or the header contradicts itself.
        """
        from srkit_astro.files.calibration import zero_point
        from srkit_astro.files.wcs import pixel_scale

        header = image.metadata["header"]
        told = {
            "zero_point": zero_point(header),
            "pixel_scale": pixel_scale(header),
            "unit": header.get("BUNIT"),
        }
        found = {name: value for name, value in told.items() if value is not None}
        return replace(image, metadata={**image.metadata, **found})

    def enlarge(self, lr: Image, upscaled: Upscaled, scale: float, history: Sequence[str]) -> Image:
        """Give SR the header, mask and kind of values of its LR file; see `sr_image.py`."""
        from srkit_astro.files.sr_image import enlarge

        sr, sigma, change = upscaled.pixels, upscaled.sigma, upscaled.change
        return enlarge(lr, sr, scale, sigma=sigma, change=change, history=history)

    def open_source(self, path: Path) -> ImageSource | None:
        """Open a file by rows; None of a compressed one."""
        from srkit_astro.files.fits_frames import open_source

        return open_source(path)

    def open_sink(self, path: Path, outline: Image, *, fresh: bool) -> ImageSink:
        """Begin a file that is written by windows, or go on with it."""
        from srkit_astro.files.fits_frames import FitsSink

        return FitsSink(path, outline, fresh=fresh)

    def brightness(self, lr: Image, pixels: Tensor, scale: float) -> Tensor:
        """Bring SR, as :meth:`enlarge` wrote it, to flux per area of an LR pixel."""
        from srkit_astro.files.calibration import per_lr_area, values_of

        return pixels * per_lr_area(values_of(lr.metadata["header"]) or "flux", scale)

    def residual(self, lr: Image, pixels: Tensor, history: Sequence[str]) -> Image:
        """Give what SR differs by from its LR, with the header, mask and variance of LR."""
        header = lr.metadata["header"].copy()
        for line in history:
            header.add_history(line)
        return replace(lr, pixels=pixels, metadata={**lr.metadata, "header": header})

    def sky(
        self, image: Image, points: Sequence[tuple[float, float]]
    ) -> list[tuple[float, float]] | None:
        """Give RA and Dec (ICRS, degrees) of pixels (x, y) from 0; None without a WCS."""
        from srkit_astro.files.wcs import radec

        return radec(image.metadata["header"], points)

    def from_object(self, value: object) -> Image | None:
        """Make an image of a CCDData, as of the file that it would be stored as; None of others."""
        if "CCDData" not in (kind.__name__ for kind in type(value).__mro__):
            return None  # before astropy.nddata, which takes long, is imported
        from srkit_astro.files import ccd_data
        from srkit_astro.files.fits_io import image_of

        return image_of(Path("CCDData"), ccd_data.to_hdus(value))

    def to_object(self, image: Image) -> Any:
        """Make a CCDData, with WCS, unit, mask and uncertainty."""
        from srkit_astro.files.ccd_data import of_hdus
        from srkit_astro.files.fits_io import to_hdus

        return of_hdus(to_hdus(Path("CCDData"), image))

    def write(self, path: Path, image: Image) -> None:
        """Write the image, then the extensions ``MASK`` and ``UNCERTAINTY`` where it has them.

        Raises
        ------
        DataError
            If a plane has another size, or the header needs tables that are not here.
        OutputError
            If the file cannot be written; what stood there before is left as it was.
        """
        from srkit_astro.files.fits_io import write

        write(path, image)


def bad_pixels(image: Image) -> Tensor:
    """Say which pixels of an image that was read from FITS have no value to trust.

    Returns
    -------
    Tensor
        ``(C, H, W)`` bool: not finite, or flagged. Any flag counts, unless the mask names its bits
        (``MP_...``): then those of `BAD_PLANES`.
    """
    bad = ~image.pixels.isfinite()
    flags = image.metadata.get("mask")
    if flags is None:
        return bad
    header: Mapping[str, Any] = image.metadata.get("mask_header", {})
    if any(key.startswith("MP_") for key in header):
        bits = sum(1 << int(header[f"MP_{name}"]) for name in BAD_PLANES if f"MP_{name}" in header)
        flags = flags.long() & bits
    flagged: Tensor = bad | (flags != 0)
    return flagged
