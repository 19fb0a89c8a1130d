from __future__ import annotations

from typing import Any

import pytest
import torch
from published_networks import check_against, count
from spandrel.architectures.SwinIR import SwinIR as Theirs
from srkit_generators.swinir import SwinIR
from srkit_generators.windows import divide, join

from srkit.errors import WeightsError
from srkit.interfaces import Image
from srkit.models.open import Model
from srkit.upscaling.upscaler import ImageUpscaler

pytestmark = pytest.mark.filterwarnings("ignore:torch.meshgrid")

LIGHT: dict[str, Any] = {"groups": 4, "features": 60, "upsampler": "direct"}
LARGE: dict[str, Any] = {
    "groups": 9,
    "features": 240,
    "heads": 8,
    "connection": "bottleneck",
    "upsampler": "nearest",
}
NAMES = {
    "pixel_shuffle": "pixelshuffle",
    "direct": "pixelshuffledirect",
    "nearest": "nearest+conv",
}


def small(scale: int = 2, channels: int = 3, window: int = 4, **options: Any) -> SwinIR:
    torch.manual_seed(0)
    sizes = {"groups": 2, "blocks": 2, "features": 12, "heads": 2}
    return SwinIR(scale=scale, channels=channels, window=window, **sizes | options)


def make_theirs(scale: int, upsampler: str, connection: str = "plain") -> Theirs:
    return Theirs(
        img_size=16,
        window_size=4,
        embed_dim=12,
        depths=[2, 2],
        num_heads=[2, 2],
        mlp_ratio=2,
        upscale=scale,
        upsampler=NAMES[upsampler],
        resi_connection="1conv" if connection == "plain" else "3conv",
    )


@pytest.mark.parametrize(
    ("scale", "classical", "light"),
    [(2, 11_752_487, 878), (3, 11_937_127, 886), (4, 11_900_199, 897)],
)
def test_published_parameter_counts(scale: int, classical: int, light: int) -> None:
    """The paper does not count the biases of attention: 24 layers of 15^2 for 6 heads."""
    with torch.device("meta"):
        assert count(SwinIR(scale=scale, channels=3)) == classical
        small_count = count(SwinIR(scale=scale, channels=3, **LIGHT)) - 24 * 15**2 * 6
    assert round(small_count / 1000) == light


def test_the_large_network_for_photographs_has_the_parameters_of_the_authors() -> None:
    with torch.device("meta"):
        assert count(SwinIR(scale=4, channels=3, **LARGE)) == 28_013_059


@pytest.mark.parametrize("upsampler", NAMES)
@pytest.mark.parametrize(("scale", "connection"), [(2, "plain"), (4, "bottleneck"), (3, "plain")])
def test_equals_spandrel(upsampler: str, scale: int, connection: str) -> None:
    if upsampler == "nearest" and scale == 3:
        scale = 8
    ours = small(scale, upsampler=upsampler, connection=connection)
    check_against(make_theirs(scale, upsampler, connection), ours)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (4, 4), (11, 3)])
@pytest.mark.parametrize("channels", [1, 4])
def test_any_size_and_channels(size: tuple[int, int], channels: int) -> None:
    net = small(3, channels, upsampler="direct")
    assert net(torch.rand(2, channels, *size)).shape == (2, channels, 3 * size[0], 3 * size[1])


def test_windows_are_divided_and_joined() -> None:
    image = torch.arange(2 * 3 * 4 * 6).reshape(2, 3, 4, 6)
    windows = divide(image, 2)
    assert windows.shape == (2, 3, 6, 4)
    assert torch.equal(windows[0, 0, 1], image[0, 0, :2, 2:4].flatten())
    joined = join(windows.permute(0, 2, 3, 1), 2, 4, 6)
    assert torch.equal(joined, image.permute(0, 2, 3, 1))


def test_tiles_begin_where_windows_begin() -> None:
    """At other places, SR differs by more than rounding wherever the margin ends."""
    net = small(blocks=1, groups=2, upsampler="direct").eval()
    upscaled = [
        ImageUpscaler(Model("swinir", net, 2, 3), precision="fp32", tile=tile)(
            Image(torch.rand(3, 50, 43, generator=torch.Generator().manual_seed(1)))
        ).pixels
        for tile in (1000, 13)
    ]
    torch.testing.assert_close(upscaled[1], upscaled[0], rtol=0, atol=1e-5)


def test_stages_and_errors() -> None:
    assert list(small(4, upsampler="nearest").stages()) == [
        "head", "start", "body.0", "body.1", "norm", "body_end", "narrow", "upsample", "refine",
        "tail",
    ]  # fmt: skip
    assert list(small(upsampler="direct").stages())[-2:] == ["upsample", "tail"]
    with pytest.raises(
        ValueError, match=r"^swinir with nearest supports the scales 2, 4 and 8; got 3$"
    ):
        small(3, upsampler="nearest")
    with pytest.raises(ValueError, match=r"^features=10 is not a multiple of heads=4$"):
        small(features=10, heads=4)
    with pytest.raises(WeightsError, match=r"^these are not weights of swinir: their first keys"):
        small().adapt({"fc.weight": torch.zeros(1)})
