from __future__ import annotations

import pytest
import torch
from srkit_generators.rdn import RDN

from srkit.errors import WeightsError
from srkit.interfaces import Generator


def small(scale: int = 2, channels: int = 3) -> RDN:
    torch.manual_seed(0)
    return RDN(scale=scale, channels=channels, blocks=2, layers=3, growth=4, features=8)


def convolution(inputs: int, outputs: int, kernel: int = 3) -> int:
    return inputs * outputs * kernel**2 + outputs


def published(scale: int, *, blocks: int, layers: int, growth: int) -> int:
    """Add up the layers of the paper's figure 2, with G0 = 64."""
    shallow = convolution(3, 64) + convolution(64, 64)
    dense = sum(convolution(64 + i * growth, growth) for i in range(layers))
    block = dense + convolution(64 + layers * growth, 64, 1)
    fusion = convolution(blocks * 64, 64, 1) + convolution(64, 64)
    enlarging = {2: 1, 3: 1, 4: 2}[scale] * convolution(64, 64 * (9 if scale == 3 else 4))
    return shallow + blocks * block + fusion + enlarging + convolution(64, 3)


@pytest.mark.parametrize(("scale", "count"), [(2, 22_123_395), (3, 22_308_035), (4, 22_271_107)])
def test_published_parameter_counts(scale: int, count: int) -> None:
    assert published(scale, blocks=16, layers=8, growth=64) == count
    with torch.device("meta"):
        net = RDN(scale=scale, channels=3)
        smaller = RDN(scale=scale, channels=3, blocks=20, layers=6, growth=32)
    assert sum(p.numel() for p in net.parameters()) == count
    # Configuration A of EDSR-PyTorch, whose B is the network above.
    expected = published(scale, blocks=20, layers=6, growth=32)
    assert sum(p.numel() for p in smaller.parameters()) == expected


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_shapes(scale: int, channels: int) -> None:
    net = small(scale, channels)
    assert isinstance(net, Generator)
    assert net(torch.rand(2, channels, 5, 7)).shape == (2, channels, 5 * scale, 7 * scale)


def test_equals_its_definition() -> None:
    """Equations 3 to 10 of the paper; the blocks are tested in test_dense_blocks.py."""
    net = small()
    lr = torch.rand(1, 3, 5, 4)
    f_minus_1 = net.head(lr)
    f_0 = net.shallow(f_minus_1)
    f_1 = net.body[0](f_0)
    f_2 = net.body[1](f_1)
    weights = net.fuse[0].weight[:, :, 0, 0]
    fused = torch.einsum("oc,nchw->nohw", weights, torch.cat((f_1, f_2), 1))
    f_gf = net.fuse[1](fused + net.fuse[0].bias.view(1, -1, 1, 1))
    expected = net.tail(net.upsample(f_gf + f_minus_1))
    torch.testing.assert_close(net(lr), expected)


def test_other_blocks_are_fused_too() -> None:
    net = RDN(scale=3, channels=1, blocks=[1, "attention x2"], layers=2, growth=4, features=8)
    assert net.fuse[0].in_channels == 3 * 8
    assert net(torch.rand(1, 1, 4, 3)).shape == (1, 1, 12, 9)


def test_refuses_scale_5() -> None:
    with pytest.raises(ValueError, match=r"^rdn supports the scales 1, 2, 3, 4 and 8; got 5$"):
        RDN(scale=5, channels=3)


def test_stages_and_names() -> None:
    net = small()
    expected = ["head", "shallow", "body.0", "body.1", "fuse", "upsample", "tail"]
    assert list(net.stages()) == expected
    net.load_state_dict(net.adapt(net.state_dict()), strict=True)
    with pytest.raises(WeightsError, match=r"^these are not weights of rdn: their first keys are "):
        net.adapt({"fc.weight": torch.zeros(1)})
