"""Blurring compared with OpenCV and SciPy."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import scipy.ndimage
import torch
from srkit_photos.degradations.blurring import blur

#: Height and width; the smallest are mirrored several times.
SIZES = [(40, 55), (33, 20), (7, 60), (3, 2), (1, 9)]


@pytest.fixture(scope="module")
def images() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(3, *size, generator=generator) for size in SIZES]


@pytest.fixture(scope="module")
def kernels() -> torch.Tensor:
    drawn = torch.rand(len(SIZES), 13, 13, generator=torch.Generator().manual_seed(1))
    return drawn / drawn.sum((1, 2), keepdim=True)


def test_blur_equals_the_convolution_of_scipy(
    images: list[torch.Tensor], kernels: torch.Tensor
) -> None:
    for image, kernel, found in zip(images, kernels, blur(images, kernels), strict=True):
        expected = [scipy.ndimage.convolve(c, kernel.numpy(), mode="mirror") for c in image.numpy()]
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_blur_equals_the_opencv_filter_with_a_flipped_kernel(
    images: list[torch.Tensor], kernels: torch.Tensor
) -> None:
    for image, kernel, found in list(zip(images, kernels, blur(images, kernels), strict=True))[:2]:
        turned = kernel.flip((0, 1)).numpy()  # OpenCV correlates
        expected = cv2.filter2D(image.permute(1, 2, 0).numpy(), -1, turned)
        np.testing.assert_allclose(found.permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_batches_equal_single_images(images: list[torch.Tensor], kernels: torch.Tensor) -> None:
    together = blur(images, kernels)
    for place, found in enumerate(together):
        alone = blur(images[place : place + 1], kernels[place : place + 1])[0]
        torch.testing.assert_close(found, alone, atol=1e-6, rtol=0)
