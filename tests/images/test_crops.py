"""Parts of images."""

from __future__ import annotations

import torch

from srkit.images import crop_image
from srkit.interfaces import Image


def test_planes_are_cut_like_the_pixels() -> None:
    pixels = torch.arange(60.0).view(3, 4, 5)
    planes = {"alpha": pixels[:1], "unusable": pixels > 20, "mask": pixels[0].int()}
    psf, header = torch.ones(3, 3), {"unit": "Jy"}
    image = Image(pixels, (0.0, 60.0), {**planes, "psf": psf, "header": header})
    part = crop_image(image, slice(1, 3), slice(2, 5))
    assert torch.equal(part.pixels, pixels[:, 1:3, 2:5])
    for name, plane in planes.items():
        assert torch.equal(part.metadata[name], plane[..., 1:3, 2:5])
    assert part.metadata["psf"] is psf
    assert part.metadata["header"] is header
    assert part.data_range == image.data_range
