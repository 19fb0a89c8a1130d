from __future__ import annotations

import pytest
import torch
from srkit_adversaries.patch import MultiScalePatchGAN, PatchGAN
from srkit_adversaries.unet import UNetSN
from srkit_adversaries.vgg import SRGAN
from torch import nn

from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.interfaces import Discriminator

NAMES = ["esrgan", "patchgan", "srgan", "unet_sn"]


def make(registry: Registry, name: str, channels: int = 3, features: int = 64) -> nn.Module:
    torch.manual_seed(0)
    component = registry.get("discriminators", name)
    net = build(component.factory, {"features": features}, channels=channels)
    assert isinstance(net, nn.Module)
    return net


def test_all_are_registered(registry: Registry) -> None:
    assert set(NAMES) <= set(registry.names("discriminators"))


@pytest.mark.parametrize(
    ("name", "count"),
    [
        # BasicSR's VGGStyleDiscriminator. By hand: convolutions, batch normalisation, linear
        # layers: 13,674,240 + 2 * 2,880 + (512 * 4 * 4 + 1) * 100 + 101.
        ("esrgan", 14_499_401),
        # pix2pix reports 2,768,705 with the 3 channels of its condition.
        ("patchgan", 2_768_705 - 3 * 64 * 16),
        ("multiscale_patchgan", 3 * (2_768_705 - 3 * 64 * 16)),
        # Likewise: 4,683,520 + 2 * 1,856 + (512 * 6 * 6 + 1) * 1024 + 1025.
        ("srgan", 23_563_649),
        # The released RealESRGAN_x4plus_netD.
        ("unet_sn", 4_376_897),
    ],
)
def test_parameter_counts(registry: Registry, name: str, count: int) -> None:
    assert sum(p.numel() for p in make(registry, name).parameters()) == count


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 3])
def test_scores_images_of_any_size(registry: Registry, name: str, channels: int) -> None:
    net = make(registry, name, channels, features=8)
    assert isinstance(net, Discriminator)
    for size in ((64, 64), (70, 81)):
        scores = net(torch.rand(2, channels, *size))
        assert len(scores) == 2
        assert scores.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(registry: Registry, name: str) -> None:
    net = make(registry, name, features=8)
    net(torch.rand(2, 3, 64, 64)).square().mean().backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


@pytest.mark.parametrize("name", NAMES)
def test_training_separates_smooth_from_noisy_images(registry: Registry, name: str) -> None:
    net = make(registry, name, features=4)
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    noisy = torch.rand(2, 3, 64, 64)
    smooth = nn.functional.avg_pool2d(noisy, 7, 1, 3)
    images = torch.cat([noisy, smooth])
    sign = torch.tensor([1.0] * 2 + [-1.0] * 2)
    for _ in range(12):
        loss = nn.functional.softplus(-sign * net(images).flatten(1).mean(1)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.6  # log 2 = 0.69 by chance


def test_patchgan_with_its_condition_has_the_published_parameter_count() -> None:
    net = PatchGAN(channels=6)
    assert sum(p.numel() for p in net.parameters()) == 2_768_705


def test_the_receptive_field_of_patchgan_is_70_pixels() -> None:
    net = PatchGAN(channels=1, features=2).eval()
    images = torch.rand(1, 1, 160, 160, requires_grad=True)
    scores = net(images)
    assert scores.shape == (1, 1, 18, 18)
    scores[0, 0, 9, 9].backward()
    assert images.grad is not None
    rows, columns = images.grad[0, 0].nonzero().unbind(1)
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (70, 70)


def test_each_scale_sees_half_the_resolution_of_the_one_before() -> None:
    """The mean over 3 x 3 pixels; at the border over those within the image, as in pix2pixHD."""
    net = MultiScalePatchGAN(channels=1, levels=2, features=2).eval()
    images = torch.rand(1, 1, 64, 64)
    fine, coarse = net(images)
    torch.testing.assert_close(fine, net.patchgans[0](images))
    halved = torch.empty(1, 1, 32, 32)
    for row in range(32):
        for column in range(32):
            part = images[0, 0, max(0, 2 * row - 1) : 2 * row + 2]
            halved[0, 0, row, column] = part[:, max(0, 2 * column - 1) : 2 * column + 2].mean()
    torch.testing.assert_close(coarse, net.patchgans[1](halved))


def test_features_are_what_the_logits_are_computed_from() -> None:
    images = torch.rand(1, 3, 64, 64)
    patch = PatchGAN(channels=3, features=4).eval()
    maps = patch.features(images)
    assert [tuple(each.shape[1:]) for each in maps] == [
        (4, 32, 32),
        (8, 16, 16),
        (16, 8, 8),
        (32, 7, 7),
    ]
    torch.testing.assert_close(patch.layers[-1](maps[-1]), patch(images))
    srgan = SRGAN(channels=3, features=4).eval()
    torch.testing.assert_close(srgan.head(srgan.features(images)[-1]), srgan(images))
    assert len(MultiScalePatchGAN(channels=3, levels=2, features=4).features(images)) == 8
    assert len(UNetSN(channels=3, features=4).features(images)) == 7


def test_images_without_a_single_patch_are_refused() -> None:
    message = r"^PatchGAN needs at least 24 x 24 pixels; got 23 x 40$"
    with pytest.raises(ValueError, match=message):
        PatchGAN(channels=3, features=4)(torch.rand(1, 3, 23, 40))
    with pytest.raises(ValueError, match=r"^PatchGAN needs at least 24 x 24 pixels; got 23 x 24$"):
        MultiScalePatchGAN(channels=3, levels=2, features=4)(torch.rand(1, 3, 46, 48))


def test_unet_scores_every_pixel_and_has_the_published_names() -> None:
    net = UNetSN(channels=3, features=4)
    assert net(torch.rand(1, 3, 33, 50)).shape == (1, 1, 33, 50)
    expected = {"conv0.weight", "conv0.bias", "conv9.weight", "conv9.bias"}
    for i in range(1, 9):
        expected |= {f"conv{i}.weight_{part}" for part in ("orig", "u", "v")}
    assert net.state_dict().keys() == expected


def test_unet_weights_have_a_largest_singular_value_of_one() -> None:
    torch.manual_seed(0)
    net = UNetSN(channels=3, features=4)
    for _ in range(100):
        net(torch.rand(1, 3, 16, 16))
    largest = torch.linalg.matrix_norm(net.conv4.weight.detach().flatten(1), 2)
    torch.testing.assert_close(largest, torch.tensor(1.0), rtol=1e-3, atol=0)


def test_srgan_does_not_pool_at_the_size_of_the_paper() -> None:
    net = SRGAN(channels=3, features=4).eval()
    images = torch.rand(1, 3, 96, 96)
    assert net.trunk(images).shape[-2:] == (6, 6)
    torch.testing.assert_close(net(images), net.head[1:](net.trunk(images)))
