"""Every registered component satisfies its contract; a new one is tested here automatically."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from backbones_setup import backbones
from contract_checks import CHECKS
from fake_mps import fake_mps
from fake_services import fake_services
from network_setup import save_network
from PIL import Image as Pillow
from safetensors.torch import save_file
from shards_setup import make_shards
from skimage.data import astronaut
from spandrel.architectures.Compact import Compact
from tiny_imagenet_setup import write_tiny

from srkit import testing
from srkit.assembly.build import open_network
from srkit.components.options import build
from srkit.components.registry import KINDS, Component, Registry
from srkit.images.formats import Formats
from srkit.interfaces import (
    Batch,
    BatchAugmentation,
    PooledMetric,
    Sample,
    TeacherLoss,
    TeacherMetric,
    VarianceLoss,
    View,
    ViewLoss,
)
from srkit.testing._critic import SmallCritic

REGISTRY = Registry.discover()
COMPONENTS = [component for kind in KINDS for component in REGISTRY.components(kind)]


@dataclass(frozen=True)
class Case:
    """What the test of a component needs; most need nothing.

    In its `options`, the text ``{folder}`` is replaced by the folder of made-up data. `check` are
    extra arguments of the contract check.
    """

    options: dict[str, Any] = field(default_factory=dict)
    check: dict[str, Any] = field(default_factory=dict)


def galaxies() -> torch.Tensor:
    """Draw two images, (2, 3, 64, 64), each of an elongated and a round source."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    images = []
    for shift in (0.0, 1.3):
        first = torch.exp(-(((x - 20 - shift) / 4) ** 2) - ((y - 22) / 3) ** 2)
        second = torch.exp(-((x - 44) ** 2 + (y - 41 + shift) ** 2) / 12)
        images.append((first + 0.7 * second).expand(3, -1, -1))
    return torch.stack(images)


def photographs() -> torch.Tensor:
    """Return two squares of a photograph, (2, 3, 192, 192)."""
    pixels = torch.from_numpy(astronaut().copy()).permute(2, 0, 1).float() / 255
    return torch.stack([pixels[:, :192, 100:292], pixels[:, 200:392, 200:392]])


#: Metrics of sources; noise has no sources.
OF_SOURCES = (
    "aperture_flux_error",
    "centroid_shift",
    "completeness",
    "ellipticity_error",
    "false_detection_rate",
    "fwhm_gain",
    "half_light_radius_error",
    "isophotal_flux_error",
    "peak_error",
    "sersic_index_error",
    "size_error",
)

CASES = {
    **{("metrics", name): Case(check={"hr": galaxies()}) for name in OF_SOURCES},
    ("constraints", "richardson_lucy"): Case(
        {"psf": {"type": "gaussian", "fwhm": 3}, "iterations": 3, "chi_square": 0}
    ),
    ("datasets", "benchmark_set"): Case({"name": "mine", "root": "{folder}/tree/train/n01440764"}),
    ("datasets", "coco_boxes"): Case(
        {"root": "{folder}/tree/train", "annotations": "{folder}/boxes.json"}
    ),
    ("datasets", "segmentation_folder"): Case(
        {"root": "{folder}/tree/train", "masks": "{folder}/masks"}
    ),
    ("datasets", "df2k"): Case(
        {"div2k_root": "{folder}/DIV2K", "flickr2k_root": "{folder}/Flickr2K"}
    ),
    ("datasets", "div2k"): Case(
        {"root": "{folder}/DIV2K", "split": "train", "lr": "bicubic", "last": 3}
    ),
    ("datasets", "flickr2k"): Case({"root": "{folder}/Flickr2K", "last": 2}),
    ("downloads", "benchmark_set"): Case({"name": "Set5"}),
    ("optimisers", "pytorch_optimizer"): Case({"name": "ademamix"}),
    ("schedules", "cosine_restarts"): Case({"period": "2 epochs"}),
    ("schedules", "steps"): Case({"every": 30}),
    ("trackers", "tensorboard"): Case({"folder": "{folder}/boards"}),
    ("datasets", "image_folder"): Case({"root": "{folder}/tree/train"}),
    ("datasets", "imagenet"): Case({"root": "{folder}/tree", "split": "train", "size": 24}),
    ("datasets", "lens_pairs"): Case({"lr": "{folder}/pairs/lr", "hr": "{folder}/pairs/hr"}),
    ("datasets", "sample_photos"): Case({"split": "test", "size": 64}),
    ("datasets", "sample_scenes"): Case({"split": "test", "size": 16, "enlarge_to": 32}),
    ("datasets", "tiny_imagenet"): Case({"root": "{folder}/TinyImageNet", "split": "train"}),
    ("datasets", "webdataset"): Case({"root": "{folder}/shards"}),
    ("degradations", "hst_to_hsc"): Case(
        {
            "source": {"type": "airy", "lambda_over_d": 0.07, "obscuration": 0.33},
            "target": {"type": "moffat", "fwhm": 0.6, "beta": 3},
            "pixel_scale": 0.05,
        }
    ),
    ("degradations", "psf_noise"): Case(
        {
            "psf": {"type": "moffat", "fwhm": [0.5, 0.9], "beta": 3},
            "pixel_scale": 0.1,
            "noise": {"exposure": [100, 1000], "sky": 0.1, "read_noise": 3},
        }
    ),
    ("discriminators", "multiscale_patchgan"): Case({"levels": 2, "features": 8}),
    **{("games", name): Case({"r1": 1.0}) for name in ("hinge", "vanilla")},
    **{
        ("discriminators", name): Case({"features": 8})
        for name in ("esrgan", "patchgan", "srgan", "unet_sn")
    },
    ("generators", "edsr"): Case({"blocks": 2, "features": 8}),
    ("generators", "foreign"): Case({"weights": "{folder}/compact.safetensors"}),
    ("generators", "mdsr"): Case({"blocks": 2, "features": 8}),
    ("generators", "compact"): Case({"blocks": 2, "features": 8}),
    ("generators", "plksr"): Case({"blocks": 2, "features": 8, "kernel": 5}),
    ("generators", "rcan"): Case({"groups": 2, "blocks": 1, "features": 8}),
    ("generators", "realplksr"): Case({"blocks": 2, "features": 8, "kernel": 5}),
    ("generators", "span"): Case({"features": 8}),
    ("generators", "swinir"): Case({"groups": 2, "blocks": 2, "features": 12, "window": 4}),
    ("generators", "rdn"): Case({"blocks": 2, "layers": 2, "growth": 4, "features": 8}),
    ("generators", "rrdb"): Case({"blocks": 1, "features": 8, "growth": 4}),
    ("generators", "srresnet"): Case({"blocks": 2, "features": 8}),
    ("generators", "vdsr"): Case({"depth": 4, "features": 8}),
    # Lossy: a smooth picture may change by a few grey levels.
    ("image_formats", "avif"): Case(check={"tolerance": 12 / 255}),
    ("image_formats", "jpeg"): Case(check={"tolerance": 12 / 255}),
    ("image_formats", "webp"): Case(check={"tolerance": 12 / 255}),
    # Without noise every difference is an artefact.
    ("losses", "artefacts"): Case(
        {"reference": "{folder}/l2.safetensors", "allowance": 0, "threshold": 0.999, "smallest": 1}
    ),
    ("losses", "distillation"): Case({"reference": "{folder}/l2.safetensors"}),
    ("losses", "feature_l1"): Case({"stages": {"first": 1.0, "second": 0.5}}),
    ("losses", "feature_mse"): Case({"stages": {"first": 1.0, "second": 0.5}}),
    ("metrics", "pyiqa"): Case({"name": "ssimc"}),
    ("metrics", "niqe"): Case(check={"hr": photographs()}),
    ("losses", "vgg_perceptual"): Case(
        {"weights": "{folder}/vgg19.safetensors", "layers": {"conv1_2": 1.0}}
    ),
    ("metrics", "artefact_share"): Case({"reference": "{folder}/l2.safetensors"}),
    ("stretches", "asinh"): Case({"peak": 1.0}),
    ("stretches", "linear"): Case({"peak": 1.0}),
    ("stretches", "log"): Case({"peak": 1.0}),
    ("teachers", "timm"): Case({"model": "test_resnet", "weights": "random"}),
    ("teachers", "torchvision"): Case({"model": "resnet18", "weights": "random"}),
    ("teachers", "timm_embedding"): Case({"model": "test_vit", "weights": "random"}),
    ("teachers", "torchvision_detection"): Case(
        {"model": "fasterrcnn_mobilenet_v3_large_fpn", "weights": "random", "classes": 4}
    ),
    ("teachers", "torchvision_segmentation"): Case(
        {"model": "lraspp_mobilenet_v3_large", "weights": "random", "classes": 3}
    ),
    ("teachers", "unet"): Case({"weights": "random", "features": 4}),
}


def write_2k(folder: Path, count: int, form: str, read: tuple[int, ...], ending: str = "") -> None:
    """Write numbered files, of which only those in `read` are pictures."""
    folder.mkdir(parents=True)
    side = 12 if ending else 24
    for number in range(1, count + 1):
        path = folder / f"{number:{form}}{ending}.png"
        if number in read:
            Pillow.new("RGB", (side, side), (number % 256, 20, 200)).save(path)
        else:
            path.touch()


def write_truth(folder: Path) -> None:
    """Write masks of the pictures in ``tree/train``, and boxes in them."""
    names = [f"{inside}/{k}" for inside in ("n01440764", "n01443537") for k in range(3)]
    for number, name in enumerate(names):
        mask = np.full((40, 48), 255, np.uint8)
        mask[:20] = number
        path = (folder / "masks" / name).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(mask).save(path)
    images = [{"id": k, "file_name": f"{name}.JPEG"} for k, name in enumerate(names)]
    boxes = [{"image_id": k, "category_id": 3, "bbox": [1, 2, k, 9]} for k in range(6)]
    content = {"images": images, "annotations": boxes}
    (folder / "boxes.json").write_text(json.dumps(content), "utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of made-up data: an ImageNet tree of two classes, pairs, weights of networks."""
    folder = tmp_path_factory.mktemp("contracts")
    generator = torch.Generator().manual_seed(0)
    for inside in ("train/n01440764", "train/n01443537", "val/n01440764", "val/n01443537"):
        (folder / "tree" / inside).mkdir(parents=True)
        for number in range(3):
            pixels = torch.randint(0, 256, (40, 48, 3), generator=generator).byte()
            Pillow.fromarray(pixels.numpy()).save(folder / "tree" / inside / f"{number}.JPEG")
    write_truth(folder)
    make_shards(folder / "tree/train", folder / "shards", Formats.of(REGISTRY))
    for side, size in (("lr", 12), ("hr", 24)):
        (folder / "pairs" / side).mkdir(parents=True)
        for number in range(3):
            values = torch.rand(1, size, size, generator=generator).numpy()
            np.save(folder / "pairs" / side / f"{number}.npy", values)
    write_2k(folder / "DIV2K/DIV2K_train_HR", 800, "04d", (1, 2, 3))
    write_2k(folder / "DIV2K/DIV2K_train_LR_bicubic/X2", 3, "04d", (1, 2, 3), "x2")
    write_2k(folder / "Flickr2K", 2650, "06d", (1, 2, 926, 2650))
    write_tiny(folder / "TinyImageNet")
    layers = {"features.0": (64, 3, 3, 3), "features.2": (64, 64, 3, 3)}
    tensors = {f"{name}.bias": torch.zeros(64) for name in layers}
    for name, shape in layers.items():
        tensors[f"{name}.weight"] = torch.randn(shape, generator=generator) / 10
    save_file(tensors, folder / "vgg19.safetensors")
    save_network(folder / "l2.safetensors", channels=3)
    compact = Compact(num_feat=8, num_conv=2, upscale=2)
    save_file(compact.state_dict(), folder / "compact.safetensors")
    with backbones(folder / "hub"):
        yield folder


def prepare(component: Component, folder: Path, formats: Formats, case: Case) -> Any:
    if component.name == "pyiqa":
        pytest.importorskip("pyiqa", reason="the extra `iqa` is not part of `test`")
    options = {
        key: value.format(folder=folder) if isinstance(value, str) else value
        for key, value in case.options.items()
    }
    try:
        testing.check_component(component, **options)
    except AssertionError as error:
        pytest.fail(
            f"{error}; if it needs options, add them to CASES in {Path(__file__).name} "
            f"under ({component.kind!r}, {component.name!r})"
        )
    opened = partial(open_network, registry=REGISTRY, scale=2)
    supplied = {"scale": 2, "channels": 3, "formats": formats, "open_network": opened}
    return build(component.factory, options, **supplied)


def identify(component: Component) -> str:
    return f"{component.kind}-{component.name}"


@pytest.mark.parametrize("component", COMPONENTS, ids=identify)
def test_contract(component: Component, folder: Path, formats: Formats, tmp_path: Path) -> None:
    if component.kind == "commands":
        testing.check_command(component)
        return
    case = CASES.get((component.kind, component.name), Case())
    with fake_services():
        built = prepare(component, folder, formats, case)
        arguments = {"folder": tmp_path} if component.kind in ("image_formats", "trackers") else {}
        CHECKS[component.kind](built, **arguments, **case.check)


def test_every_first_party_plugin_loads() -> None:
    assert REGISTRY.failures == []


def test_every_case_belongs_to_a_component() -> None:
    registered = {(component.kind, component.name) for component in COMPONENTS}
    assert set(CASES) <= registered


#: Kinds whose components work on tensors of the device of the run.
ON_DEVICE = (
    "augmentations",
    "constraints",
    "degradations",
    "generators",
    "losses",
    "metrics",
    "stretches",
)


@pytest.mark.parametrize(
    "component", [each for each in COMPONENTS if each.kind in ON_DEVICE], ids=identify
)
def test_results_on_mps_are_those_on_the_cpu(
    component: Component, folder: Path, formats: Formats
) -> None:
    """Apple's GPUs have no float64, and mix no tensors of two devices."""
    case = CASES.get((component.kind, component.name), Case())
    built = prepare(component, folder, formats, case)
    if isinstance(built, TeacherLoss | TeacherMetric):
        pytest.skip("its input is the output of a teacher")
    hr = case.check.get("hr", photographs()[..., :96, :96])
    expected = results_of(built, component.kind, hr)
    with fake_mps() as device:
        if isinstance(built, torch.nn.Module):
            built.to(device)
        found = results_of(built, component.kind, hr.to(device))
        values = [each.cpu() if isinstance(each, torch.Tensor) else each for each in found]
    # JPEG is that of libjpeg on the CPU, and of torch on other devices.
    tolerance = 0.5 if component.name in ("bsrgan", "jpeg", "second_order") else 1e-5
    torch.testing.assert_close(values, expected, rtol=1e-4, atol=tolerance)


def results_of(built: Any, kind: str, hr: torch.Tensor) -> list[Any]:
    """Apply a component to images on their device."""
    seeds = [7, 8]
    lr = torch.nn.functional.avg_pool2d(hr, 2)
    sr = lr.repeat_interleave(2, -1).repeat_interleave(2, -2)
    batch = Batch(["a", "b"], hr, seeds, lr=lr, pixel_scale=0.1, variance=0 * lr + 1e-4)
    with torch.no_grad():
        if kind == "augmentations":
            rng = np.random.default_rng(1)
            if not isinstance(built, BatchAugmentation):
                return [built(Sample("a", hr[0], lr[0]), rng).hr]
            augmented = built(batch, rng)
            return [augmented.hr, augmented.lr]
        if kind == "degradations":
            return [built(hr, seeds)]
        if kind == "generators":
            return [built(lr)]
        if kind == "constraints":
            return [built(sr + 0.01, batch)]
        if kind == "stretches":
            fitted = built.fit(lr)
            stretched = built(lr, fitted)
            return [fitted, stretched, built.inverse(stretched, fitted)]
        if isinstance(built, VarianceLoss):
            return [built(sr, 0 * sr + 0.1, batch)]
        if isinstance(built, ViewLoss):
            view = replace(View.of(batch), average=lambda: sr, degrade=lambda _: lr + 0.1)
            view = replace(view, discriminator=SmallCritic(3).to(hr.device))
            return [built(sr, view)]
        if isinstance(built, PooledMetric):
            return list(built.pool([built(sr, batch)])[0])
        return [built(sr, batch)]
