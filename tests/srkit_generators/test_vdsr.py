from __future__ import annotations

import re

import pytest
import torch
from srkit_generators.vdsr import VDSR
from torch.nn import functional as F

from srkit.data.scales import set_scale
from srkit.errors import WeightsError
from srkit.functional.resizing import resize
from srkit.interfaces import Generator, MultiScale
from srkit.testing import check_generator


def small(channels: int = 3, *, luminance: bool = False) -> VDSR:
    torch.manual_seed(0)
    return VDSR(scales=(2, 3, 4), channels=channels, depth=4, features=8, luminance=luminance)


def test_published_parameter_counts() -> None:
    """20 layers of 64 filters on luminance: 64 * 9 * (1 + 18 * 64 + 1) weights."""
    for net in (VDSR(scales=[2], channels=1), VDSR(scales=[2], channels=3, luminance=True)):
        weights = [p.numel() for name, p in net.named_parameters() if name.endswith("weight")]
        assert len(weights) == 20
        assert sum(weights) == 664_704
        assert sum(p.numel() for p in net.parameters()) == 664_704 + 19 * 64 + 1
    colour = VDSR(scales=[2], channels=3)
    assert sum(p.numel() for n, p in colour.named_parameters() if n.endswith("weight")) == 667_008


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_shapes_at_every_scale(scale: int, channels: int) -> None:
    net = small(channels)
    assert isinstance(net, Generator) and isinstance(net, MultiScale)
    set_scale(net, scale)
    assert net(torch.rand(2, channels, 5, 7)).shape == (2, channels, 5 * scale, 7 * scale)


def test_equals_its_definition() -> None:
    net = small()
    set_scale(net, 3)
    lr = torch.rand(1, 3, 6, 5)
    enlarged = x = resize(lr, factor=3)
    state = net.state_dict()
    for name in ("head.conv", "body.0.conv", "body.1.conv"):
        x = F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1).clamp(min=0)
    x = F.conv2d(x, state["tail.weight"], state["tail.bias"], padding=1)
    torch.testing.assert_close(net(lr), enlarged + x)


def test_initial_weights_follow_he_et_al() -> None:
    net = VDSR(scales=[2], channels=1)
    for block in net.body:
        weight = block.get_parameter("conv.weight")
        assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.03)


def test_only_luminance_is_restored() -> None:
    """Compared with a conversion to YCbCr and back with the matrices of BT.601."""
    net = small(luminance=True)
    with torch.no_grad():
        net.tail.weight.mul_(5)
    lr = torch.rand(2, 3, 6, 5)
    to_y = torch.tensor(
        [[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]
    ).double()
    enlarged, sr = resize(lr, factor=2).double(), net(lr).double()
    before, after = (torch.einsum("ij,njhw->nihw", to_y / 255, x) for x in (enlarged, sr))
    # The chroma is unchanged.
    torch.testing.assert_close(after[:, 1:], before[:, 1:], rtol=0, atol=1e-5)
    y = (before[:, :1] + 16 / 255).float()
    residual = net.tail(net.body(net.head(y)))
    change = (after - before)[:, :1]
    torch.testing.assert_close(change, residual.double(), rtol=0, atol=1e-5)
    assert residual.std() > 0.05


@pytest.mark.parametrize("luminance", [True, False])
def test_contract_at_several_scales(luminance: bool) -> None:
    check_generator(small(luminance=luminance))


def test_bad_options() -> None:
    with pytest.raises(ValueError, match=r"^vdsr supports the scales 1, 2, 3, 4 and 8; got 5$"):
        VDSR(scales=[2, 5], channels=3)
    with pytest.raises(ValueError, match=r"^luminance requires images of 3 channels; got 4$"):
        VDSR(scales=[2], channels=4, luminance=True)


def test_foreign_weights_are_refused() -> None:
    message = (
        "these are not weights of vdsr: their first keys are a.weight; expected keys such as "
        "head.conv.weight, head.conv.bias, body.0.conv.weight"
    )
    with pytest.raises(WeightsError, match=f"^{re.escape(message)}$"):
        small().adapt({"a.weight": torch.zeros(1)})
