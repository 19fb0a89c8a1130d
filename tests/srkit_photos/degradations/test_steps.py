"""Resizing compared with OpenCV, and steps applied to batches."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from srkit_photos.degradations import steps
from srkit_photos.degradations.blur_kernels import Kernel
from srkit_photos.degradations.steps import (
    Blur,
    GaussianNoise,
    Interpolation,
    Jpeg,
    PoissonNoise,
    Quantise,
    Resize,
    Step,
    Subsample,
    take_all,
)

from srkit.functional.resizing import resize

OPENCV = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.rand(3, 36, 48, generator=torch.Generator().manual_seed(0))


def opencv(image: torch.Tensor, size: tuple[int, int], interpolation: Interpolation) -> np.ndarray:
    pixels = image.permute(1, 2, 0).numpy()
    made = cv2.resize(pixels, size[::-1], interpolation=OPENCV[interpolation])
    return made.transpose(2, 0, 1)


@pytest.mark.parametrize("size", [(36, 48), (18, 24), (9, 16), (23, 31), (54, 71), (5, 80)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_interpolation_equals_opencv(
    image: torch.Tensor, size: tuple[int, int], interpolation: Interpolation
) -> None:
    (found,) = Resize.take([Resize(size, interpolation)], [image])
    np.testing.assert_allclose(found.numpy(), opencv(image, size, interpolation), atol=2e-5)


@pytest.mark.parametrize("size", [(18, 24), (12, 16), (9, 48)])
def test_area_equals_opencv_for_integer_factors(image: torch.Tensor, size: tuple[int, int]) -> None:
    (found,) = Resize.take([Resize(size, "area")], [image])
    np.testing.assert_allclose(found.numpy(), opencv(image, size, "area"), atol=1e-6)


def test_imresize_equals_matlab(image: torch.Tensor) -> None:
    (found,) = Resize.take([Resize((18, 24), "imresize")], [image])
    assert torch.equal(found, resize(image[None], factor=0.5)[0])


def test_subsampling_after_a_shifted_blur_is_centred_on_the_pixels() -> None:
    ramp = torch.arange(32.0).expand(1, 32, 32) / 31
    shifted = Blur(Kernel("gaussian", 25, (1.5, 1.5), shift=-1.5))
    (blurred,) = Blur.take([shifted], [ramp])
    (found,) = Subsample.take([Subsample(4)], [blurred])
    expected = ramp.reshape(1, 32, 8, 4).mean(-1)[:, ::4]
    torch.testing.assert_close(found[..., 2:-2], expected[..., 2:-2], atol=1e-3, rtol=0)


def test_quantise_rounds_to_grey_levels() -> None:
    (found,) = Quantise.take([Quantise()], [torch.tensor([[[-0.2, 0.5, 0.7512, 1.3]]])])
    torch.testing.assert_close(found, torch.tensor([[[0, 128, 192, 255]]]) / 255)


def programmes() -> list[list[Step]]:
    """Return programmes of different orders and sizes that end with the same size."""
    blur, sinc = Kernel("gaussian", 9, (2.0, 1.0), 0.5), Kernel("sinc", 13, cutoff=1.0)
    end = Resize((12, 16), "bilinear")
    return [
        [Blur(blur), Resize((20, 30), "area"), GaussianNoise(9.0, 1), Jpeg(60), end, Quantise()],
        [Resize((41, 50), "bicubic"), Jpeg(50), Blur(sinc), PoissonNoise(1.0, 2), end, Quantise()],
        [end],
        [PoissonNoise(1.0, 2, grey=True), Subsample(3), Jpeg(90)],
        [GaussianNoise(9.0, 1), Blur(blur), Jpeg(30), end, Blur(sinc), Quantise()],
    ]


def test_steps_on_a_batch_equal_steps_on_single_images(image: torch.Tensor) -> None:
    """Use the GPU code path on the CPU: a common canvas for images of different sizes."""
    drawn = programmes()
    images = [torch.rand(image.shape, generator=torch.Generator().manual_seed(i)) for i in range(5)]
    together = torch.stack(steps._walk(list(images), drawn))
    alone = take_all(torch.stack(images), drawn)
    # Float errors occasionally change a grey level where a value is halfway between two.
    assert (together - alone).abs().mean() < 1e-4
    assert math.isclose(float((together - alone).abs().max()), 0, abs_tol=3 / 255)


def test_steps_of_the_same_kind_are_batched(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    real = steps.through_files

    def counting(images: list[torch.Tensor], qualities: list[int]) -> list[torch.Tensor]:
        taken.append(len(images))
        return real(images, qualities)

    monkeypatch.setattr(steps, "through_files", counting)
    drawn: list[list[Step]] = [[Jpeg(50)], [Quantise(), Jpeg(40)], [Jpeg(30), Quantise()]]
    steps._walk(list(torch.rand(3, 3, 16, 16)), drawn)
    assert taken == [2, 1]
