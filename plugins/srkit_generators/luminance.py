"""Networks that restore only the luminance of colour pictures."""

from __future__ import annotations

from torch import Tensor

from srkit.functional import LUMA


def check_luminance(channels: int) -> None:
    """Refuse images that have no luminance.

    Raises
    ------
    ValueError
        If they are not RGB.
    """
    if channels != 3:
        raise ValueError(f"luminance is for images of 3 channels; got {channels}")


def change_luminance(images: Tensor, change: Tensor) -> Tensor:
    """Add to the Y of RGB images and leave their chroma as it is.

    Parameters
    ----------
    images
        ``(N, 3, H, W)`` in [0, 1].
    change
        ``(N, 1, H, W)``, on the scale of :func:`srkit.functional.similarity.luma`.
    """
    # The inverse of the conversion has Y in R, G and B alike.
    return images + change / sum(LUMA)
