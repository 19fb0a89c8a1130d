from __future__ import annotations

import pytest
import torch
from srkit_generators.srresnet import SRResNet
from torch.nn import functional as F

from srkit.errors import WeightsError
from srkit.interfaces import Generator


def small(scale: int = 2, channels: int = 3) -> SRResNet:
    torch.manual_seed(0)
    return SRResNet(scale=scale, channels=channels, blocks=2, features=8)


def test_published_parameter_counts() -> None:
    """As in krasserm/super-resolution at x4, where Keras also counts 4,224 statistics."""
    with torch.device("meta"):
        net = SRResNet(scale=4, channels=3)
        half_dense = SRResNet(scale=4, channels=3, blocks=[8, "dense x8"])
    assert sum(p.numel() for p in net.parameters()) == 1_550_659
    statistics = [b.numel() for name, b in net.named_buffers() if "num_batches" not in name]
    assert sum(statistics) == 4_224
    own = 2 * (64 * 64 * 9 + 64) + 2 * 128 + 64
    dense = 1_364_544 + 8 * 64  # with its slopes
    assert sum(p.numel() for p in half_dense.parameters()) == 1_550_659 + 8 * (dense - own)


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_shapes(scale: int, channels: int) -> None:
    net = small(scale, channels)
    assert isinstance(net, Generator)
    assert net(torch.rand(2, channels, 5, 7)).shape == (2, channels, 5 * scale, 7 * scale)


def test_equals_its_definition() -> None:
    """Figure 4 of the paper, step by step, in evaluation mode with known statistics."""
    net = small(4).eval()
    state = net.state_dict()
    for name, buffer in net.named_buffers():
        if buffer.is_floating_point():
            buffer.copy_(torch.rand_like(buffer) + (0.5 if "var" in name else -0.5))

    def convolve(x: torch.Tensor, name: str) -> torch.Tensor:
        weight = state[f"{name}.weight"]
        return F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def normalise(x: torch.Tensor, name: str) -> torch.Tensor:
        mean, variance, weight, bias = (
            state[f"{name}.{part}"].view(1, -1, 1, 1)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * weight + bias

    def prelu(x: torch.Tensor, name: str) -> torch.Tensor:
        return torch.where(x > 0, x, state[f"{name}.weight"].view(1, -1, 1, 1) * x)

    lr = torch.rand(1, 3, 5, 4)
    shallow = x = prelu(convolve(lr, "head.conv"), "head.activation")
    for block in ("body.0", "body.1"):
        inner = normalise(convolve(x, f"{block}.conv1"), f"{block}.bn1")
        inner = convolve(prelu(inner, f"{block}.activation"), f"{block}.conv2")
        x = x + normalise(inner, f"{block}.bn2")
    x = shallow + normalise(convolve(x, "body_end.conv"), "body_end.bn")
    for step in (0, 1):
        x = F.pixel_shuffle(convolve(x, f"upsample.conv{step}"), 2)
        x = prelu(x, f"upsample.activation{step}")
    torch.testing.assert_close(net(lr), convolve(x, "tail"), rtol=1e-4, atol=1e-5)


def test_global_residual_is_added_to_the_enlarged_image() -> None:
    plain = small(4).eval()
    net = SRResNet(scale=4, channels=3, blocks=2, features=8, global_residual=True).eval()
    net.load_state_dict(plain.state_dict())
    lr = torch.rand(1, 3, 6, 5)
    enlarged = F.interpolate(lr, scale_factor=4, mode="bicubic")
    torch.testing.assert_close(net(lr), plain(lr) + enlarged)


def test_refuses_scale_5() -> None:
    with pytest.raises(ValueError, match=r"^srresnet supports the scales 1, 2, 3, 4 and 8; got 5$"):
        SRResNet(scale=5, channels=3)


def test_stages_and_names() -> None:
    net = small(1)
    assert list(net.stages()) == ["head", "body.0", "body.1", "body_end", "upsample", "tail"]
    net.load_state_dict(net.adapt(net.state_dict()), strict=True)
    with pytest.raises(
        WeightsError, match=r"^these are not weights of srresnet: their first keys "
    ):
        net.adapt({"fc.weight": torch.zeros(1)})
