from __future__ import annotations

from typing import Any

import pytest
import torch
from published_networks import check_against, count
from spandrel.architectures.PLKSR import PLKSR as THEIR_PLKSR
from spandrel.architectures.PLKSR import RealPLKSR as TheirRealPLKSR
from srkit_generators.plksr import PLKSR, PartialConv, RealPLKSR

from srkit.testing import check_generator


@pytest.mark.parametrize(("scale", "expected"), [(2, 7_365_324), (3, 7_373_979), (4, 7_386_096)])
def test_parameter_counts_are_those_of_the_authors_code(scale: int, expected: int) -> None:
    with torch.device("meta"):
        theirs = THEIR_PLKSR(ccm_type="DCCM", upscaling_factor=scale)
        assert count(PLKSR(scale=scale, channels=3)) == count(theirs) == expected
        tiny = PLKSR(scale=scale, channels=3, blocks=12, kernel=13, attention=False)
        theirs = THEIR_PLKSR(
            ccm_type="DCCM", upscaling_factor=scale, n_blocks=12, kernel_size=13, use_ea=False
        )
        assert count(tiny) == count(theirs)
        real = TheirRealPLKSR(upscaling_factor=scale)
        assert count(RealPLKSR(scale=scale, channels=3)) == count(real)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"ccm_type": "CCM"}, {"mixer": "ccm"}),
        ({"ccm_type": "DCCM"}, {"mixer": "dccm"}),
        ({"ccm_type": "ICCM", "use_ea": False}, {"mixer": "iccm", "attention": False}),
    ],
)
def test_plksr_equals_spandrel(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    network = THEIR_PLKSR(dim=8, n_blocks=2, upscaling_factor=3, kernel_size=5, **theirs)
    check_against(network, PLKSR(scale=3, channels=3, blocks=2, features=8, kernel=5, **ours))


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("upsampler", ["pixel_shuffle", "dysample"])
def test_realplksr_equals_spandrel(scale: int, norm: Any, upsampler: Any) -> None:
    theirs = TheirRealPLKSR(
        dim=8,
        n_blocks=2,
        upscaling_factor=scale,
        kernel_size=5,
        dysample=upsampler == "dysample",
        layer_norm=norm == "layer",
    )
    options: dict[str, Any] = {"norm": norm, "upsampler": upsampler}
    check_against(
        theirs, RealPLKSR(scale=scale, channels=3, blocks=2, features=8, kernel=5, **options)
    )


@pytest.mark.parametrize("kernel", [5, 17])
def test_gradients_in_strips_are_those_of_the_whole_kernel(kernel: int) -> None:
    layer, x = PartialConv(3, kernel), torch.rand(2, 5, 9, 8, requires_grad=True)
    with torch.no_grad():
        whole = layer(x)
    conv = layer.conv
    torch.testing.assert_close(layer(x), whole)
    weights = torch.rand_like(whole)
    expected = torch.autograd.grad((conv(x[:, :3]) * weights[:, :3]).sum(), [*conv.parameters(), x])
    found = torch.autograd.grad((layer(x) * weights)[:, :3].sum(), [*conv.parameters(), x])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 4])
def test_contract_with_dysample(channels: int) -> None:
    check_generator(
        RealPLKSR(scale=2, channels=channels, blocks=1, features=8, kernel=5, upsampler="dysample")
    )


def test_stages_and_errors() -> None:
    net = PLKSR(scale=2, channels=1, blocks=2, features=8, kernel=3)
    assert list(net.stages()) == ["head", "body.0", "body.1", "tail", "upsample"]
    with pytest.raises(ValueError, match=r"^plksr supports the scales 1, 2, 3, 4 and 8; got 5$"):
        PLKSR(scale=5, channels=3)
    with pytest.raises(ValueError, match=r"^the kernel must be odd; got 4$"):
        PLKSR(scale=2, channels=3, kernel=4)
    with pytest.raises(ValueError, match=r"^share=0\.1 of 8 features is less than one channel$"):
        RealPLKSR(scale=2, channels=3, features=8, share=0.1)
