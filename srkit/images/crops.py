"""Parts of images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from srkit.interfaces import Image


def crop_image(image: Image, rows: slice, columns: slice) -> Image:
    """Cut a part out of an image and its planes: opacity, mask, variance, unusable pixels.

    Parameters
    ----------
    image
        The image; a tensor in its metadata that has its height and width is such a plane.
    rows, columns
        The part, in pixels.

    Returns
    -------
    Image
        Its pixels and planes are views.
    """
    size = image.pixels.shape[-2:]

    def cut(value: Any) -> Any:
        plane = isinstance(value, Tensor) and value.ndim > 1 and value.shape[-2:] == size
        return value[..., rows, columns] if plane else value

    metadata = {key: cut(value) for key, value in image.metadata.items()}
    return replace(image, pixels=cut(image.pixels), metadata=metadata)
