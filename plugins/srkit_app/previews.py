"""Pictures of LR and SR for the slider."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
from astropy.visualization import AsinhStretch, ZScaleInterval

from srkit.components import Registry
from srkit.functional import Values
from srkit.images import Formats
from srkit.interfaces import Image

#: Side of the part of SR that is shown: about what a screen shows without shrinking it.
SIDE = 1024
#: Bytes of a file of SR that is shown, at most.
MOST = 2**30


def previews(source: Path, restored: Path) -> tuple[PIL.Image.Image, PIL.Image.Image] | None:
    """Draw the central part of LR and of SR.

    Parameters
    ----------
    source, restored
        The files of LR and SR.

    Returns
    -------
    tuple of PIL.Image.Image, or None
        LR, whose pixels are repeated, and SR, in the same size; None if the file is too large.
    """
    if restored.stat().st_size > MOST:
        return None
    formats = Formats.of(Registry.discover())
    lr, sr = (_drawn(formats.source(path).read_pages()[0]) for path in (source, restored))
    (height, width), scale = sr.shape[:2], sr.shape[0] / lr.shape[0]
    rows, columns = min(height, SIDE), min(width, SIDE)
    top, left = (height - rows) // 2, (width - columns) // 2
    shown = PIL.Image.fromarray(sr[top : top + rows, left : left + columns])
    across = sr.shape[1] / lr.shape[1]
    box = (left / across, top / scale, (left + columns) / across, (top + rows) / scale)
    before = PIL.Image.fromarray(lr).resize(shown.size, PIL.Image.Resampling.NEAREST, box)
    return before, shown


def _drawn(image: Image) -> Values:
    """Draw an image as ``(H, W, 3)`` bytes, measured values by ZScale and asinh as in DS9."""
    planes = image.pixels.numpy()
    planes = planes[:3] if len(planes) >= 3 else planes[:1]
    low, high = image.data_range
    if image.metadata.get("frame") or image.metadata.get("bits") == 32:
        valid = planes[np.isfinite(planes)]
        low, high = ZScaleInterval().get_limits(valid) if valid.size else (0.0, 1.0)
    shown = np.nan_to_num((planes - low) / ((high - low) or 1.0), nan=0.0).clip(0, 1)
    if image.metadata.get("frame"):
        shown = AsinhStretch()(shown)[:, ::-1]  # the first row of a frame is at the bottom
    levels: Values = (shown * 255).round().astype(np.uint8).transpose(1, 2, 0)
    return np.ascontiguousarray(np.broadcast_to(levels, (*levels.shape[:2], 3)))
