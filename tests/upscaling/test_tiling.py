"""Tiles join without seams."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.upscaling.tiling import FARTHEST, Tile, reach, restore_tiled, side_that_fits


def _network(convolutions: int, scale: int = 2) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 1, 3, padding=1) for _ in range(convolutions - 1)]
    return nn.Sequential(
        *layers, nn.Conv2d(1, scale**2, 3, padding=1), nn.PixelShuffle(scale)
    ).eval()


@pytest.mark.parametrize(("convolutions", "expected"), [(1, 1), (2, 2), (3, 4), (4, 4), (7, 8)])
def test_reach_covers_the_receptive_field_of_convolutions(convolutions: int, expected: int) -> None:
    network = _network(convolutions)
    for parameter in network.parameters():
        nn.init.constant_(parameter, 1.0)  # every pixel of the field has an effect
    with torch.no_grad():
        assert reach(network, 1, torch.device("cpu")) == expected


def test_reach_of_a_network_with_global_pooling() -> None:
    def average(images: Tensor) -> Tensor:
        return images + images.mean((-1, -2), keepdim=True)

    assert reach(average, 1, torch.device("cpu")) == FARTHEST


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (37, 1), (5, 6), (16, 16), (33, 47), (40, 16)])
@pytest.mark.parametrize("side", [7, 16])
def test_tiled_equals_untiled(size: tuple[int, int], side: int) -> None:
    network = (
        Registry.discover()
        .get("generators", "edsr")
        .factory(scale=3, channels=2, blocks=2, features=8)
    )
    lr = torch.rand(2, 2, *size)
    with torch.no_grad():
        margin = reach(network, 2, torch.device("cpu"))
        tiled = restore_tiled(network, lr, 3, side, lambda: margin)
        torch.testing.assert_close(tiled, network(lr), rtol=0, atol=1e-5)


def test_tiles_cover_everything_once() -> None:
    count = torch.zeros(23, 35)
    for tile in Tile(0, 0, 23, 35, 0).divided(8, 5):
        count[tile.top : tile.bottom, tile.left : tile.right] += 1
        assert tile.cut(count).shape[0] <= 8 + 2 * 5
    assert count.unique().tolist() == [1]


def test_tiles_begin_on_the_grid() -> None:
    """A network of cells of 4 x 4 pixels, each filled with its mean."""

    def fill(lr: Tensor) -> Tensor:
        height, width = lr.shape[-2:]
        padded = nn.functional.pad(lr, (0, -width % 4, 0, -height % 4), "replicate")
        filled = nn.functional.avg_pool2d(padded, 4).repeat_interleave(4, -1)
        return filled.repeat_interleave(4, -2)[..., :height, :width]

    lr = torch.rand(1, 2, 37, 22)
    margin = reach(fill, 2, torch.device("cpu"), grid=4)
    assert margin == 4
    tiled = restore_tiled(fill, lr, 1, 7, lambda: margin, grid=4)
    torch.testing.assert_close(tiled, fill(lr))
    # Without the grid, cells are divided otherwise.
    assert not torch.allclose(restore_tiled(fill, lr, 1, 7, lambda: margin), fill(lr))


def test_reach_is_that_of_every_pixel_of_a_cell() -> None:
    """The first pixel of each cell of 4 depends on itself; the last on the sixth to its right."""

    def look(lr: Tensor) -> Tensor:
        places = torch.arange(lr.shape[-1])
        return lr[..., (places + 2 * (places % 4)).clamp(max=lr.shape[-1] - 1)]

    assert reach(look, 1, torch.device("cpu"), grid=4) == 8


@pytest.mark.parametrize("first", [64, 80])  # two tiles, and one tile for the whole image
def test_a_tile_that_does_not_fit_is_divided(first: int) -> None:
    network, sides = _network(2), []

    def small_memory(part: Tensor) -> Tensor:
        if part.shape[-1] > 40:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")
        sides.append(part.shape[-1])
        whole: Tensor = network(part)
        return whole

    lr = torch.rand(1, 1, 64, 80)
    with torch.no_grad():
        torch.testing.assert_close(
            restore_tiled(small_memory, lr, 2, first, lambda: 2), network(lr), rtol=0, atol=1e-6
        )
    assert max(sides) <= 40


def test_a_tile_that_never_fits() -> None:
    def no_memory(part: Tensor) -> Tensor:
        raise MemoryError

    with pytest.raises(DataError) as caught:
        restore_tiled(no_memory, torch.rand(1, 1, 64, 64), 2, 64, lambda: 2)
    assert str(caught.value) == (
        "a tile of 16 pixels does not fit into memory; free some, or use a smaller network"
    )


def test_other_errors_are_raised() -> None:
    def wrong(part: Tensor) -> Tensor:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        restore_tiled(wrong, torch.rand(1, 1, 8, 8), 2, 8, lambda: 2)


def test_the_side_depends_on_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    network, device = _network(3), torch.device("cpu")
    # The largest layer takes 1 + 4 values of 4 bytes for a pixel, or 2 x 4 where it shuffles.
    for free, expected in ((4 * 32 * 2 * 100**2, 100 - 2 * 3), (10**12, 1024), (1, 16)):
        monkeypatch.setattr("srkit.upscaling.tiling.memory_of", lambda _, f=free: f)
        assert side_that_fits(network, 1, device, 3) == expected
