"""PNG, JPEG and WebP, through Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import PIL.Image

from srkit.interfaces import Image
from srkit_photos import png16
from srkit_photos.arrays import ORIENTATION, Values, damaged, to_image, to_levels, upright


class _Pillow:
    """A format of Pillow's; the file's content decides how it is read, not its name."""

    suffixes: ClassVar[tuple[str, ...]]
    alpha: ClassVar[bool] = True
    settings: ClassVar[dict[str, Any]] = {}

    def read(self, path: Path) -> Image:
        """Read a picture, turned upright.

        Grey stays grey; palettes and CMYK become RGB; 16 bits stay 16; opacity goes to
        ``metadata["alpha"]``; of an animation, the first frame is read.

        Raises
        ------
        DataError
            If the file is damaged, incomplete, or so large that it may be meant to do harm.
        """
        try:
            with PIL.Image.open(path) as picture:
                orientation = picture.getexif().get(ORIENTATION, 1)
                values, alpha = _values(picture, path)
        except Exception as error:  # decoders raise many kinds for a damaged file
            raise damaged(path, error) from error
        return to_image(upright(values, orientation), alpha=alpha)

    def write(self, path: Path, image: Image) -> None:
        """Write 8 bits a channel; values outside the data range are clipped."""
        levels = to_levels(path, image, 8, alpha=self.alpha)
        PIL.Image.fromarray(levels).save(path, **self.settings)


def _values(picture: PIL.Image.Image, path: Path) -> tuple[Values, bool]:
    """Decode to ``(H, W)`` or ``(H, W, C)``, and say whether the last channel is opacity."""
    if png16.is_deep(path):
        values = png16.decode(path)
        return values, values.ndim == 3 and values.shape[2] != 3
    alpha = picture.has_transparency_data
    grey = picture.mode in ("1", "L", "LA", "La")
    mode = ("L" if grey else "RGB") + ("A" if alpha else "")
    return np.array(picture.convert(mode)), alpha


class Png(_Pillow):
    """PNG: lossless, 8 bits, or 16 where the image's metadata say ``bits: 16``."""

    suffixes = (".png",)

    def write(self, path: Path, image: Image) -> None:
        """Write 8 or 16 bits a channel; values outside the data range are clipped."""
        if image.metadata.get("bits") == 16:
            path.write_bytes(png16.encode(to_levels(path, image, 16)))
        else:
            super().write(path, image)


class Jpeg(_Pillow):
    """JPEG: 8 bits with loss, written at quality 95 with full colour; opacity is dropped."""

    suffixes = (".jpg", ".jpeg")
    alpha = False
    settings: ClassVar[dict[str, Any]] = {"quality": 95, "subsampling": 0}


class WebP(_Pillow):
    """WebP: 8 bits, written without loss; grey comes back as RGB."""

    suffixes = (".webp",)
    settings: ClassVar[dict[str, Any]] = {"lossless": True, "exact": True}
