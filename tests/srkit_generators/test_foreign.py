"""Third-party networks: recognised, run at any size, trained, or rejected with a reason."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from spandrel import ModelLoader
from spandrel.architectures.Compact import Compact
from spandrel.architectures.DnCNN import DnCNN
from spandrel.architectures.DRUNet import DRUNet
from spandrel.architectures.ESRGAN import ESRGAN
from spandrel.architectures.FFTformer import FFTformer
from spandrel.architectures.LaMa import LaMa
from spandrel.architectures.OmniSR import OmniSR
from spandrel.architectures.SPAN import SPAN
from spandrel.architectures.SwinIR import SwinIR
from srkit_generators.foreign import Foreign, parts
from srkit_generators.layers import pad
from srkit_generators.rrdb import RRDB
from torch import Tensor, nn
from torch.nn import functional as F
from training_setup import last, make_pictures, make_tree, run, steps

from srkit.components.registry import Registry
from srkit.errors import RecipeError, WeightsError
from srkit.models.open import open_model
from srkit.testing import check_generator
from srkit.weights.files import read_tensors

#: Some architectures call it in a way that makes torch warn once.
pytestmark = pytest.mark.filterwarnings("ignore:torch.meshgrid")


def make_compact(channels: int = 3, **options: Any) -> nn.Module:
    given = {"num_in_ch": channels, "num_out_ch": channels, "num_feat": 8, "num_conv": 2}
    return Compact(**given, upscale=2, **options)


def make_esrgan(unshuffle: int | None = None) -> nn.Module:
    inputs = 3 * (unshuffle or 1) ** 2
    return ESRGAN(in_nc=inputs, num_filters=8, num_blocks=2, scale=4, shuffle_factor=unshuffle)


def make_swinir() -> nn.Module:
    network: nn.Module = SwinIR(
        img_size=64, window_size=8, embed_dim=12, depths=[2, 2], num_heads=[2, 2], mlp_ratio=2,
        upscale=2, upsampler="pixelshuffledirect",
    )  # fmt: skip
    return network


def make_span() -> nn.Module:
    return SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2)


NETWORKS = {
    "compact": (make_compact, 2, 3),
    "compact_grey": (lambda: make_compact(1), 2, 1),
    "compact_rgba": (lambda: make_compact(4), 2, 4),
    "esrgan": (make_esrgan, 4, 3),
    "esrgan_unshuffled": (lambda: make_esrgan(2), 2, 3),
    "omnisr": (lambda: OmniSR(num_feat=32, res_num=1, up_scale=2, window_size=8), 2, 3),
    "span": (make_span, 2, 3),
    "swinir": (make_swinir, 2, 3),
}


def written(network: nn.Module, path: Path) -> Path:
    """Write the weights of a network, with random values so that every tensor varies."""
    generator = torch.Generator().manual_seed(3)
    state = network.state_dict()
    for tensor in state.values():
        if tensor.is_floating_point():
            tensor += 0.05 * torch.randn(tensor.shape, generator=generator)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return path


def random(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    return {name: written(make(), folder / f"{name}.safetensors")
            for name, (make, _, _) in NETWORKS.items()}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_pictures_do_not_depend_on_the_memory_format(name: str, files: Mapping[str, Path]) -> None:
    _, _, channels = NETWORKS[name]
    network = Foreign(scale=None, channels=None, weights=files[name]).eval()
    assert network.channels_last
    lr = random(1, channels, 20, 13)
    with torch.no_grad():
        expected = network(lr)
        network.to(memory_format=torch.channels_last)
        sr = network(lr.to(memory_format=torch.channels_last))
    torch.testing.assert_close(sr, expected, rtol=1e-4, atol=1e-4)


def test_weights_of_five_dimensions_stay_as_they_are(tmp_path: Path) -> None:
    network = FFTformer(dim=8, num_blocks=[1, 1, 1], num_refinement_blocks=1)
    path = written(network, tmp_path / "fftformer.safetensors")
    assert not Foreign(scale=None, channels=None, weights=path).channels_last


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(32, 32), (13, 7)])
def test_outputs_equal_those_of_spandrel(
    name: str, size: tuple[int, int], files: Mapping[str, Path]
) -> None:
    _, scale, channels = NETWORKS[name]
    network = Foreign(scale=None, channels=None, weights=files[name]).eval()
    assert (network.scale, network.channels) == (scale, channels)
    lr = random(1, channels, *size)
    with torch.no_grad():
        sr = network(lr)
    assert sr.shape == (1, channels, scale * size[0], scale * size[1])
    theirs = ModelLoader().load_from_file(files[name])
    torch.testing.assert_close(sr.clamp(0, 1), theirs.eval()(lr), atol=1e-6, rtol=0)  # type: ignore[operator]


@pytest.mark.parametrize("name", ["esrgan", "compact_grey", "compact_rgba"])
def test_contract(name: str, files: Mapping[str, Path]) -> None:
    _, scale, channels = NETWORKS[name]
    check_generator(Foreign(scale=scale, channels=channels, weights=files[name]))


@pytest.mark.parametrize("name", NETWORKS)
def test_stages_contain_every_parameter_once(name: str, files: Mapping[str, Path]) -> None:
    network = Foreign(scale=None, channels=None, weights=files[name])
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    stages = network.stages()
    held = [id(p) for stage in stages.values() for p in stage.parameters()]
    assert sorted(held) == sorted(id(p) for p in network.parameters())
    assert len(stages) >= 4
    assert network.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_stages_go_from_input_to_output(files: Mapping[str, Path]) -> None:
    def names(name: str) -> list[str]:
        return list(Foreign(scale=None, channels=None, weights=files[name]).stages())

    assert names("compact") == [f"body.{i}" for i in range(7)]
    assert names("esrgan") == [
        "model.0", "model.1.sub.0", "model.1.sub.1", "model.1.sub.2", "model.3", "model.6",
        "model.8", "model.10",
    ]  # fmt: skip
    # The code defines them in another order: conv_cat before conv_2.
    blocks = [f"block_{i}" for i in range(1, 7)]
    assert names("span") == ["conv_1", *blocks, "conv_2", "conv_cat", "upsampler.0"]


def test_bare_parameters_form_a_stage() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.ones(1))
            self.body = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Conv2d(3, 3, 1))

    bare = Bare()
    found = dict(parts(bare))
    assert list(found) == ["body.0", "body.2", "parameters"]
    assert next(iter(found["parameters"].parameters())) is bare.gain


def test_each_channel_is_restored_separately(files: Mapping[str, Path]) -> None:
    network = Foreign(scale=2, channels=5, weights=files["compact"], each_channel=True).eval()
    assert network.channels == 5
    rgb = Foreign(scale=2, channels=3, weights=files["compact"]).eval()
    lr = random(2, 5, 6, 8)
    with torch.no_grad():
        sr = network(lr)
        for channel in range(5):
            expected = rgb(lr[:, [channel] * 3]).mean(1)
            torch.testing.assert_close(sr[:, channel], expected, atol=1e-6, rtol=0)
    check_generator(network)


def test_noise_maps_are_made_for_each_image_of_a_batch(tmp_path: Path) -> None:
    path = written(DRUNet(in_nc=4, out_nc=3, nc=[4, 4, 4, 4], nb=2), tmp_path / "x.safetensors")
    network = Foreign(scale=1, channels=3, weights=path).eval()
    lr = random(3, 3, 9, 8)
    with torch.no_grad():
        single = torch.cat([network(image) for image in lr.split(1)])
        torch.testing.assert_close(network(lr), single)


@pytest.mark.parametrize(
    ("name", "precision", "supported"),
    [
        ("esrgan", torch.float16, True),
        ("esrgan", torch.bfloat16, True),
        ("swinir", torch.float16, False),
        ("swinir", torch.bfloat16, True),
    ],
)
def test_autocast_only_for_networks_that_support_it(
    name: str, precision: torch.dtype, supported: bool, files: Mapping[str, Path]
) -> None:
    network = Foreign(scale=None, channels=None, weights=files[name]).eval()
    lr = random(1, 3, 16, 16)
    with torch.no_grad():
        exact = network(lr)
        with torch.autocast("cpu", precision):
            rounded = network(lr)
    assert torch.equal(rounded, exact) is not supported
    torch.testing.assert_close(rounded.float(), exact, atol=0.1, rtol=0.1)


def test_padding_is_by_reflection_then_repetition() -> None:
    images = random(1, 2, 3, 5)
    expected = F.pad(F.pad(images, (0, 4, 0, 2), "reflect"), (0, 2, 0, 5), "replicate")
    assert torch.equal(pad(images, 6, 7), expected)
    assert torch.equal(pad(images, 0, 0), images)


@pytest.mark.parametrize("name", ["compact", "span", "swinir"])
def test_training_changes_all_but_frozen_stages(
    name: str, files: Mapping[str, Path], tmp_path: Path, registry: Registry
) -> None:
    fresh = Foreign(scale=2, channels=3, weights=files[name])
    first, *_, end = fresh.stages()
    tree = make_tree(make_pictures(tmp_path / "pictures", count=4), steps(2))
    tree["generator"] = {"type": "foreign", "weights": str(files[name])}
    tree["start"] = {"weights": str(files[name]), "freeze": [first]}
    run(tree, tmp_path / "run", registry)
    before, after = fresh.state_dict(), last(tmp_path / "run").groups["generator"]
    assert before.keys() == after.keys()
    changed = {
        key
        for key in before
        if not torch.equal(before[key], after[key]) and ".eval_conv." not in key  # SPAN's cache
    }
    assert any(key.startswith(f"network.{end}.") for key in changed)
    assert not any(key.startswith(f"network.{first}.") for key in changed)
    model = open_model(tmp_path / "run", registry)
    assert torch.equal(model.generator.state_dict()[min(changed)], after[min(changed)])


def test_weights_of_the_same_architecture_are_accepted(tmp_path: Path) -> None:
    """Both with the keys of the file and with those of the network, which are older here."""
    rrdb = RRDB(scale=4, channels=3, blocks=2, features=8)
    path = written(rrdb, tmp_path / "rrdb.safetensors")
    network = Foreign(scale=4, channels=3, weights=path)
    adapted = network.adapt(read_tensors(path))
    assert adapted.keys() == network.state_dict().keys()
    assert "network.model.0.weight" in adapted
    assert all(torch.equal(adapted[key], value) for key, value in network.state_dict().items())
    assert network.adapt(network.state_dict()).keys() == network.state_dict().keys()
    with pytest.raises(WeightsError) as caught:
        network.adapt({"a": torch.zeros(1)})
    assert (
        str(caught.value) == "the architecture of these weights is unknown; their first keys are a"
    )


def refused(weights: Path, scale: int | None = None, channels: int | None = None) -> str:
    with pytest.raises((ValueError, WeightsError)) as caught:
        Foreign(scale=scale, channels=channels, weights=weights)
    return str(caught.value)


def test_another_scale_or_number_of_channels_is_refused(files: Mapping[str, Path]) -> None:
    path = files["compact"]
    assert refused(path, 4) == f"{path}: RealESRGAN Compact of scale 2; expected scale 4"
    assert refused(path, 2, 1) == (
        f"{path}: RealESRGAN Compact for 3 channels; expected 1; set each_channel to run it on "
        "each channel separately"
    )


def test_recipe_errors_name_the_key_of_a_wrong_scale(
    files: Mapping[str, Path], tmp_path: Path, registry: Registry
) -> None:
    tree = make_tree(make_pictures(tmp_path / "pictures", count=4), {"scale": 4})
    tree["generator"] = {"type": "foreign", "weights": str(files["compact"])}
    message = f"generator: {files['compact']}: RealESRGAN Compact of scale 2; expected scale 4"
    with pytest.raises(RecipeError, match=re.escape(message)):
        run(tree, tmp_path / "run", registry)


def test_the_error_for_an_unknown_architecture_lists_its_first_keys(tmp_path: Path) -> None:
    path = tmp_path / "unknown.pth"
    torch.save({f"layer{i}": torch.zeros(1) for i in range(7)}, path)
    assert refused(path) == (
        f"{path}: the architecture of these weights is unknown; their first keys are layer0, "
        "layer1, layer2, layer3, layer4, ..."
    )


def test_a_part_of_an_architecture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    save_file({key: v for key, v in make_span().state_dict().items() if "block_3" not in key}, path)
    assert refused(path).startswith(
        f"{path}: the weights resemble an architecture of spandrel but do not fit it (Error(s) in "
        "loading state_dict for SPAN: Missing key(s) in state_dict: "
    )


def test_networks_that_do_not_map_images_to_images_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "lama.safetensors"
    save_file(LaMa(in_nc=4, out_nc=3).state_dict(), path)
    assert refused(path) == (
        f"{path}: LaMa takes a mask in addition to the image; expected a network from image to "
        "image"
    )
    path = tmp_path / "grey.safetensors"
    save_file(ESRGAN(in_nc=3, out_nc=1, num_filters=4, num_blocks=1).state_dict(), path)
    assert refused(path) == f"{path}: ESRGAN maps 3 to 1 channels; expected equal numbers"


def test_a_grey_denoiser_has_scale_1(tmp_path: Path) -> None:
    path = written(DnCNN(in_nc=1, out_nc=1, nc=4, nb=8, act_mode="R"), tmp_path / "x.safetensors")
    network = Foreign(scale=1, channels=1, weights=path)
    assert network(random(2, 1, 5, 6)).shape == (2, 1, 5, 6)


@pytest.mark.parametrize("name", ["realesrgan_x4plus", "realsr_df2k_x4"])
def test_published_weights_as_rrdb_and_as_foreign(name: str, shared: Path) -> None:
    """Issue 4: both outputs agree within 1e-5 in fp32."""
    path = shared / "data" / "weights" / f"{name}.safetensors"
    foreign = Foreign(scale=4, channels=3, weights=path).eval()
    rrdb = RRDB(scale=4, channels=3).eval()
    rrdb.load_state_dict(rrdb.adapt(read_tensors(path)))
    lr = random(1, 3, 24, 20)
    with torch.no_grad():
        torch.testing.assert_close(foreign(lr), rrdb(lr), atol=1e-5, rtol=0)
