"""TIFF, through tifffile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tifffile import PHOTOMETRIC, TiffFile, TiffPage, imwrite

from srkit.errors import DataError
from srkit.interfaces import Image
from srkit_photos.arrays import (
    ORIENTATION,
    Values,
    damaged,
    to_image,
    to_levels,
    to_values,
    upright,
)


class Tiff:
    """TIFF: integers of 8 or 16 bits, or 32-bit floats, which keep their values.

    Files with LZW or JPEG compression need the package ``imagecodecs``.
    """

    suffixes = (".tif", ".tiff")

    def read(self, path: Path) -> Image:
        """Read the first page, turned upright; palettes and CMYK become RGB.

        Raises
        ------
        DataError
            If the file is damaged, or holds something other than a picture.
        """
        try:
            with TiffFile(path) as file:
                return _image(path, file)
        except DataError:
            raise
        except Exception as error:  # tifffile raises many kinds for a damaged file
            raise damaged(path, error) from error

    def write(self, path: Path, image: Image) -> None:
        """Write floats as they are, or integers where the metadata say ``bits: 8`` or 16."""
        bits = image.metadata.get("bits")
        values = to_levels(path, image, bits) if bits in (8, 16) else to_values(path, image)
        imwrite(
            path,
            values,
            photometric="rgb" if len(image.pixels) == 3 else "minisblack",
            extrasamples=("unassalpha",) if "alpha" in image.metadata else None,
            compression="zlib",
            metadata=None,
        )


def _image(path: Path, file: TiffFile) -> Image:
    page = file.pages[0].aspage()
    if page.axes not in ("YX", "YXS", "SYX"):
        raise DataError(f"{path}: its axes are {page.axes}; expected a flat picture")
    values = _depth(path, page.asarray())
    if page.axes == "SYX":
        values = np.moveaxis(values, 0, -1)
    values = _colours(path, page, values)
    alpha = len(page.extrasamples) == 1
    colours = (1 if values.ndim == 2 else values.shape[2]) - alpha
    if colours not in (1, 3):
        raise DataError(f"{path}: it has {colours} channels; expected grey or RGB")
    return to_image(upright(values, page.tags.valueof(ORIENTATION, 1)), alpha=alpha)


def _depth(path: Path, values: Values) -> Values:
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype in (np.uint8, np.uint16):
        return values
    if np.issubdtype(values.dtype, np.floating):
        return values.astype(np.float32)
    raise DataError(f"{path}: its values are {values.dtype}; expected uint8, uint16 or floats")


def _colours(path: Path, page: TiffPage, values: Values) -> Values:
    if page.photometric in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB):
        return values
    name = PHOTOMETRIC(page.photometric).name
    if not np.issubdtype(values.dtype, np.integer):
        raise DataError(f"{path}: floats as {name}; expected grey or RGB")
    white = np.iinfo(values.dtype).max
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        return white - values
    if page.photometric == PHOTOMETRIC.PALETTE and page.colormap is not None:
        # Some writers store 8-bit colours times 256, others times 257.
        return (page.colormap >> 8).astype(np.uint8).T[values]
    if page.photometric == PHOTOMETRIC.SEPARATED and values.shape[-1] == 4:
        light = white - values.astype(np.uint32)
        return (light[..., :3] * light[..., 3:] // white).astype(values.dtype)
    raise DataError(f"{path}: its colours are {name}; expected grey, RGB, palette or CMYK")
