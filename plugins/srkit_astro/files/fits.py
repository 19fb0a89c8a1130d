"""The image format FITS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from srkit.errors import DataError
from srkit.interfaces import FormatLimits, Image, ImageSink, ImageSource

# astropy takes half a second to import, so it is imported only when there is a FITS file.
if TYPE_CHECKING:
    from srkit.interfaces import Upscaled

SUFFIXES = tuple(f".{name}{pack}" for pack in ("", ".gz", ".fz") for name in ("fits", "fit", "fts"))

#: Classes of astropy that hold an image.
_OBJECTS = {"NDData", "Cutout2D", "PrimaryHDU", "ImageHDU", "CompImageHDU", "HDUList"}
_OBJECTS |= {"Quantity", "MaskedNDArray"}
_HEADER = "the header cannot be used"

#: Planes of a bit mask (``MP_name = bit`` in its header, as written by the HSC pipeline) that flag
#: invalid values; other planes, such as DETECTED, are only descriptive.
BAD_PLANES = (
    *("BAD", "CR", "EDGE", "NO_DATA", "SAT", "SUSPECT", "UNMASKEDNAN", "SRINTRP", "SRNEAR"),
)


class Fits:
    """FITS: reads any numeric type and writes float32; nothing is scaled or clipped.

    The image is the extension ``SCI``, ``SCIENCE``, ``IMAGE``, ``DATA`` or ``FLUX``, or else the
    first with at least two axes; :meth:`select` chooses another. The planes of a cube become
    channels. ``BSCALE``, ``BZERO`` and ``BLANK`` are applied;
    NaN is preserved. Integers above 2**24 and doubles are rounded to float32. The data range is
    that of the finite values.

    The metadata are ``frame`` (True), ``header`` (that of the image with WCS and ``BUNIT``, and the
    keywords inherited from an empty primary header), ``mask`` and ``mask_header`` (flags as stored,
    or int64 if they are scaled, ``(1, H, W)`` or one per channel), and ``variance`` (float32, in
    the square of ``BUNIT``, from a plane of variance, standard deviation or inverse variance), and
    ``wcs_tables`` (extensions to which the WCS refers). All are written back; without a header,
    ``unit`` is written as ``BUNIT``. ``.gz`` compresses the whole file, ``.fz`` the tiles of each
    image, both losslessly.
    """

    suffixes = SUFFIXES
    windowed = (".fits", ".fit", ".fts")
    signature = rb"SIMPLE  =|\x1f\x8b"
    limits = FormatLimits((32,), frozenset({"header", "mask", "variance", "spread"}))

    #: Name or number of the extension with the image; None for the default.
    extension: str | None = None

    def select(self, extension: str | None) -> Self:
        """Return the format that reads an extension by name or number, such as ``SCI,2``."""
        chosen = type(self)()
        chosen.extension = extension
        return chosen

    def read(self, path: Path) -> Image:
        """Read a file.

        Raises
        ------
        DataError
            If the file is damaged, or contains no image that can be read as float32 channels, or
            not the extension.
        """
        from srkit_astro.files.fits_io import read

        return read(path, self.extension)

    def calibrate(self, image: Image) -> Image:
        """Add the zero point, the pixel scale and the unit of the header to the metadata.

        If the zero point cannot be read, ``zero_point_error`` says why.

        Raises
        ------
        DataError
            If the values are magnitudes, or the WCS is inconsistent.
        """
        from srkit_astro.files.calibration import (
            physical_type,
            pixel_area,
            zero_point,
            zero_point_of_pixels,
        )
        from srkit_astro.files.quiet import fenced
        from srkit_astro.files.wcs import pixel_scale

        header = image.metadata["header"]
        found: dict[str, Any] = {"unit": header.get("BUNIT")}
        with fenced(_HEADER):
            physical_type(header)  # raises if the values are magnitudes
            found["pixel_scale"] = pixel_scale(header, image.metadata.get("wcs_tables", ()))
            try:
                found["zero_point"] = zero_point(header)
                if found["zero_point"] is None:
                    area = pixel_area(header, found["pixel_scale"])
                    found["zero_point"] = zero_point_of_pixels(header, area)
            except DataError as error:  # only some models need it, and the user may state it
                found["zero_point_error"] = str(error)
        known = {name: value for name, value in found.items() if value is not None}
        return replace(image, metadata={**image.metadata, **known})

    def enlarge(self, lr: Image, upscaled: Upscaled, scale: float, history: Sequence[str]) -> Image:
        """Return SR with the updated metadata of its LR file; see :func:`.sr_image.enlarge`."""
        from srkit_astro.files.quiet import fenced
        from srkit_astro.files.sr_image import enlarge

        with fenced(_HEADER):
            return enlarge(
                lr,
                upscaled.pixels,
                scale,
                sigma=upscaled.sigma,
                change=upscaled.change,
                marks=upscaled.marks,
                history=history,
            )

    def open_source(self, path: Path) -> ImageSource | None:
        """Open a file to be read by rows; return None if it is compressed."""
        from srkit_astro.files.fits_frames import open_source

        return open_source(path, self.extension)

    def open_sink(self, path: Path, outline: Image, *, fresh: bool) -> ImageSink:
        """Open a file to be written by windows, from the beginning unless `fresh` is False."""
        from srkit_astro.files.fits_frames import FitsSink
        from srkit_astro.files.quiet import quiet

        with quiet():
            return FitsSink(path, outline, fresh=fresh)

    def brightness(self, lr: Image, pixels: Tensor, scale: float) -> Tensor:
        """Convert SR as returned by :meth:`enlarge` to flux per area of an LR pixel."""
        from srkit_astro.files.calibration import per_lr_area, type_of_values

        return pixels * per_lr_area(type_of_values(lr)[0], scale)

    def residual(self, lr: Image, pixels: Tensor, history: Sequence[str]) -> Image:
        """Return residuals as an image with the header, mask and variance of LR."""
        header = lr.metadata["header"].copy()
        for line in history:
            header.add_history(line)
        return replace(lr, pixels=pixels, metadata={**lr.metadata, "header": header})

    def sky(
        self, image: Image, points: Sequence[tuple[float, float]]
    ) -> list[tuple[float, float]] | None:
        """Return RA and Dec (ICRS, degrees) of pixels (x, y), from 0; None without a WCS."""
        from srkit_astro.files.quiet import fenced
        from srkit_astro.files.wcs import radec

        with fenced(_HEADER):
            return radec(image.metadata["header"], points, image.metadata.get("wcs_tables", ()))

    def from_object(self, value: object) -> Image | None:
        """Convert an object of astropy to the image that its file would contain; None for others.

        CCDData, NDData and their kind, Cutout2D, HDUs of images and lists of HDUs, Quantity and
        masked arrays of astropy.
        """
        if _OBJECTS.isdisjoint(kind.__name__ for kind in type(value).__mro__):
            return None  # avoids importing astropy.nddata, which is slow
        from srkit_astro.files.objects import image_of
        from srkit_astro.files.quiet import fenced

        with fenced(f"the {type(value).__name__} cannot be used"):
            return image_of(value)

    def to_object(self, image: Image, like: object) -> Any:
        """Convert SR to the class of the object that LR came from, by default to CCDData."""
        from srkit_astro.files.objects import object_of
        from srkit_astro.files.quiet import fenced

        name = "CCDData" if like is None else type(like).__name__
        with fenced(f"SR cannot be converted to {name}"):
            return object_of(image, like)

    def write(self, path: Path, image: Image) -> None:
        """Write the image and, if it has them, the extensions ``MASK``, ``UNCERT``, ``SPREAD``.

        ``SPREAD`` is the standard deviation over flips and rotations of LR, which is not an error.

        Raises
        ------
        DataError
            If a plane has a different size, or the header cannot be written.
        OutputError
            If the file cannot be written; a previous file is left unchanged.
        """
        from srkit_astro.files.fits_io import write
        from srkit_astro.files.quiet import fenced

        with fenced(f"{path}: cannot be written as FITS"):
            write(path, image)


def saturated_pixels(image: Image) -> Tensor:
    """Return which pixels of an image read from FITS are saturated, ``(C, H, W)``."""
    return image.pixels >= image.metadata.get("saturation", math.inf)


def bad_pixels(image: Image) -> Tensor:
    """Return which pixels of an image read from FITS have no valid value.

    Returns
    -------
    Tensor
        ``(C, H, W)`` bool: True if the value is not finite, saturated or flagged. If the mask names
        its bits (``MP_...``), only the flags of `BAD_PLANES` count, otherwise those that mean an
        unusable value at this telescope, or any.
    """
    bad = ~image.pixels.isfinite() | saturated_pixels(image)
    flags = image.metadata.get("mask")
    if flags is None:
        return bad
    from srkit_astro.files.unusable import flagged

    headers = (image.metadata.get(name, {}) for name in ("header", "mask_header"))
    flagged_too: Tensor = bad | torch.from_numpy(flagged(flags.numpy(), *headers, BAD_PLANES))
    return flagged_too
