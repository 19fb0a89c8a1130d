from __future__ import annotations

from typing import Any

import pytest
import torch
from srkit_generators.srcnn import SRCNN
from torch.nn import functional as F

from srkit.errors import WeightsError
from srkit.functional.resizing import resize
from srkit.functional.similarity import luma
from srkit.interfaces import Generator

RGB: dict[str, Any] = {"kernels": (5, 3, 9), "features": (64, 128)}
SHUFFLED: dict[str, Any] = {
    "kernels": (5, 3, 5),
    "features": (64, 128),
    "shuffle": 2,
    "residual": True,
    "activation": "leaky_relu",
}


@pytest.mark.parametrize(
    ("kernels", "weights"), [((9, 1, 5), 8_032), ((9, 3, 5), 24_416), ((9, 5, 5), 57_184)]
)
def test_published_counts_of_weights(kernels: tuple[int, int, int], weights: int) -> None:
    """Dong et al. (2016), section 4.3.2; they count no biases."""
    net = SRCNN(scale=3, channels=1, kernels=kernels)
    assert sum(p.numel() for p in net.parameters() if p.ndim > 1) == weights
    assert sum(p.numel() for p in net.parameters() if p.ndim == 1) == 64 + 32 + 1


@pytest.mark.parametrize(("form", "count"), [(RGB, 109_827), (SHUFFLED, 81_123)])
def test_counts_of_the_variants_for_rgb(form: dict[str, Any], count: int) -> None:
    net = SRCNN(scale=2, channels=3, **form)
    assert sum(p.numel() for p in net.parameters()) == count


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_shapes(scale: int, channels: int) -> None:
    net = SRCNN(scale=scale, channels=channels)
    assert isinstance(net, Generator)
    assert net(torch.rand(2, channels, 5, 7)).shape == (2, channels, 5 * scale, 7 * scale)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_shapes_with_a_shuffle(scale: int) -> None:
    net = SRCNN(scale=scale, channels=3, **SHUFFLED)
    assert net(torch.rand(1, 3, 5, 7)).shape == (1, 3, 5 * scale, 7 * scale)


def test_equals_three_convolutions_of_the_bicubic_image() -> None:
    torch.manual_seed(0)
    net = SRCNN(scale=3, channels=1)
    lr = torch.rand(1, 1, 6, 5)
    x = resize(lr, factor=3)
    first, second = net.extraction[0], net.mapping[0]
    for layer, side in ((first, 9), (second, 1), (net.reconstruction, 5)):
        border = side // 2
        x = F.conv2d(F.pad(x, (border,) * 4, "replicate"), layer.weight, layer.bias)
        if layer is not net.reconstruction:
            x = x.clamp(min=0)
    torch.testing.assert_close(net(lr), x)


def test_the_residual_adds_the_bicubic_image() -> None:
    net = SRCNN(scale=4, channels=3, **SHUFFLED)
    with torch.no_grad():
        net.reconstruction.weight.zero_()
        assert net.reconstruction.bias is not None
        net.reconstruction.bias.zero_()
    lr = torch.rand(1, 3, 6, 5)
    torch.testing.assert_close(net(lr), resize(lr, factor=4))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"scale": 5}, "srcnn supports the scales 1, 2, 3, 4 and 8; got 5"),
        ({"kernels": (9, 2, 5)}, "kernels: 2 is even; expected odd numbers"),
        ({"scale": 3, "shuffle": 2}, "shuffle: 2 does not divide the scale 3"),
        (
            {"scale": 3, "shuffle": 3},
            "features: 32 cannot be shuffled by 3; expected a multiple of 9",
        ),
    ],
)
def test_refuses_invalid_shapes(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{problem}$"):
        SRCNN(**{"scale": 2, "channels": 3, **options})


def test_stages_and_names() -> None:
    net = SRCNN(scale=2, channels=3)
    assert list(net.stages()) == ["extraction", "mapping", "reconstruction"]
    net.load_state_dict(net.adapt(net.state_dict()), strict=True)
    with pytest.raises(WeightsError, match=r"^these are not weights of srcnn: their first keys "):
        net.adapt({"fc.weight": torch.zeros(1)})


@pytest.mark.parametrize("variant", [{}, {"residual": True}, {"shuffle": 2, "features": (8, 4)}])
def test_only_luminance_is_restored(variant: dict[str, Any]) -> None:
    """The luminance equals that of the one-channel network; the chroma is bicubic."""
    torch.manual_seed(0)
    options: dict[str, Any] = {"features": (8, 4), **variant}
    net = SRCNN(scale=2, channels=3, luminance=True, **options)
    grey = SRCNN(scale=2, channels=1, **options)
    grey.load_state_dict(net.state_dict())
    lr = torch.rand(2, 3, 6, 5)
    enlarged, sr = resize(lr, factor=2), net(lr)
    # The weights of interpolation sum to one: Y of the enlarged image is Y of LR, enlarged.
    torch.testing.assert_close(luma(sr), grey(luma(lr)), rtol=0, atol=1e-5)
    # The chroma is the difference of each colour from Y, up to a factor.
    change = sr - enlarged
    torch.testing.assert_close(change[:, :1].expand_as(change), change, rtol=0, atol=1e-5)
    assert change.std() > 0.002


def test_luminance_of_other_than_rgb() -> None:
    with pytest.raises(ValueError, match=r"^luminance requires images of 3 channels; got 1$"):
        SRCNN(scale=2, channels=1, luminance=True)
