from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image as Picture
from safetensors.torch import load_file
from srkit_generators.rrdb import RRDB
from torch.nn import functional as F

from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.errors import WeightsError
from srkit.functional.resizing import resize
from srkit.functional.similarity import psnr
from srkit.interfaces import Generator
from srkit.weights.files import fetch


def small(scale: int = 4, channels: int = 3) -> RRDB:
    torch.manual_seed(0)
    return RRDB(scale=scale, channels=channels, blocks=2, features=8, growth=4)


def test_published_parameter_counts() -> None:
    with torch.device("meta"):
        counts = [
            sum(p.numel() for p in RRDB(scale=scale, channels=3).parameters())
            for scale in (1, 2, 3, 4)
        ]
    # Real-ESRGAN x4plus has 16,697,987; each further input channel adds 64 filters of 3 x 3.
    # At x3 it enlarges only once, with one convolution fewer.
    x4 = 16_697_987
    assert counts == [x4 + 45 * 64 * 9, x4 + 9 * 64 * 9, x4 - (64 * 64 * 9 + 64), x4]


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize(("channels", "size"), [(1, (7, 10)), (3, (8, 8)), (4, (1, 2))])
def test_shapes(scale: int, channels: int, size: tuple[int, int]) -> None:
    net = small(scale, channels)
    sr = net(torch.rand(2, channels, *size))
    assert isinstance(net, Generator)
    assert sr.shape == (2, channels, scale * size[0], scale * size[1])


def test_refuses_scale_8() -> None:
    with pytest.raises(ValueError, match=r"^rrdb supports the scales 1, 2, 3 and 4; got 8$"):
        RRDB(scale=8, channels=3)


def test_blocks_and_activations_are_options() -> None:
    options: dict[str, Any] = {"blocks": [1, "attention"], "activation": "prelu"}
    net = RRDB(scale=3, channels=1, features=8, growth=4, **options)
    assert net(torch.rand(1, 1, 3, 4)).shape == (1, 1, 9, 12)
    assert "body.0.rdb1.activations.0.weight" in net.state_dict()
    assert "body.1.attention.squeeze.weight" in net.state_dict()


@pytest.mark.parametrize("scale", [3, 4])
def test_stages_cover_every_parameter_once(scale: int) -> None:
    net = small(scale)
    found = [id(p) for stage in net.stages().values() for p in stage.parameters()]
    assert sorted(found) == sorted(id(p) for p in net.parameters())
    assert list(net.stages())[:2] == ["conv_first", "body.0"]
    assert list(net.stages())[-1] == "conv_last"


def old_names(net: RRDB) -> dict[str, torch.Tensor]:
    """Name the tensors as the first release of ESRGAN did."""
    outer = {
        "conv_first": "model.0",
        "conv_body": f"model.1.sub.{len(net.body)}",
        "conv_up1": "model.3",
        "conv_up2": "model.6",
        "conv_hr": "model.8",
        "conv_last": "model.10",
    }
    renamed = {}
    for name, tensor in net.state_dict().items():
        if name.startswith("body."):
            _, block, dense, conv, kind = name.split(".")
            key = f"model.1.sub.{block}.RDB{dense[-1]}.{conv}.0.{kind}"
        else:
            stem, kind = name.split(".")
            key = f"{outer[stem]}.{kind}"
        renamed[key] = tensor
    return renamed


def test_adapts_old_and_new_names() -> None:
    net, other = small(), small()
    old = old_names(net)
    assert "model.1.sub.1.RDB3.conv5.0.weight" in old
    assert "model.1.sub.2.bias" in old
    assert other.adapt(old).keys() == net.state_dict().keys()
    other.load_state_dict(other.adapt(old), strict=True)
    other.load_state_dict(other.adapt(net.state_dict()), strict=True)


def test_refuses_the_tensors_of_another_network() -> None:
    tensors = {f"layer{i}.weight": torch.zeros(1) for i in range(5)}
    message = (
        r"^these are not weights of rrdb: their first keys are layer0\.weight, layer1\.weight, "
        r"layer2\.weight; expected keys such as conv_first\.weight, conv_first\.bias, "
        r"body\.0\.rdb1\.conv1\.weight$"
    )
    with pytest.raises(WeightsError, match=message):
        small().adapt(tensors)


def test_published_weights_fit_settings_and_checksums(registry: Registry) -> None:
    component = registry.get("generators", "rrdb")
    for published in RRDB.published.values():
        settings = dict(published.settings)
        supplied = {name: settings.pop(name) for name in ("scale", "channels")}
        with torch.device("meta"):
            assert build(component.factory, settings, **supplied).scale == supplied["scale"]
        assert len(bytes.fromhex(published.sha256)) == 32
        assert published.licence in ("BSD-3-Clause", "Apache-2.0")


def test_included_weights_beat_bicubic() -> None:
    """Tested on a photograph that was not used for training."""
    published = RRDB.published["rrdb_small_x4"]
    net = RRDB(**published.settings).eval()
    net.load_state_dict(net.adapt(load_file(fetch("rrdb_small_x4", published))), strict=True)
    photo = torch.from_numpy(skimage.data.chelsea()).permute(2, 0, 1)[None].float() / 255
    hr = photo[..., :300, :448]
    lr = resize(hr, factor=0.25)
    with torch.inference_mode():
        sr = net(lr)
    bicubic = resize(lr, factor=4.0)
    assert psnr(sr, hr).item() > psnr(bicubic, hr).item() + 0.5


def pixels(path: Path) -> torch.Tensor:
    with Picture.open(path) as picture:
        content = np.asarray(picture.convert("RGB"), dtype=np.float32) / 255
    return torch.from_numpy(content).permute(2, 0, 1)[None]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("weights", "gain"), [("realsr_df2k_x4", (0.5, 2.5)), ("realesrgan_x4plus", (-5.0, 0.0))]
)
def test_real_weights_on_set5(shared: Path, weights: str, gain: tuple[float, float]) -> None:
    """PSNR above bicubic if trained for clean images, below it if trained to add detail."""
    net = RRDB(scale=4, channels=3).eval()
    tensors = load_file(shared / "data" / "weights" / f"{weights}.safetensors")
    net.load_state_dict(net.adapt(tensors), strict=True)
    net = net.to(memory_format=torch.channels_last)
    hr = pixels(shared / "data" / "set5" / "HR" / "bird.png")
    lr = pixels(shared / "data" / "set5" / "X4" / "birdx4.png")
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        sr = net(lr).float()
    bicubic = F.interpolate(lr, scale_factor=4, mode="bicubic")
    difference = (psnr(sr, hr) - psnr(bicubic, hr)).item()
    assert gain[0] < difference < gain[1]
