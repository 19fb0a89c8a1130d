from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torchmetrics
from backbones_setup import backbones
from srkit_teachers import similarity
from torch import Tensor, nn
from torchmetrics.functional.image import deep_image_structure_and_texture_similarity
from torchvision.models import alexnet

from srkit.errors import WeightsError
from srkit.interfaces import Batch


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with backbones(tmp_path_factory.mktemp("hub")) as folder:
        yield folder


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder for weights, without network access."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    return tmp_path


def images(seed: int, channels: int = 3) -> Tensor:
    """Two images of whole grey levels, ``(2, C, 64, 72)`` in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (2, channels, 64, 72), generator=generator) / 255


def batch(hr: Tensor, data_range: tuple[float, float] = (0.0, 1.0)) -> Batch:
    return Batch(names=["a", "b"], hr=hr, seeds=[0, 1], data_range=data_range)


def lpips_by_hand(sr: Tensor, hr: Tensor, weights: Path) -> Tensor:
    """Equation 1 of the paper on the rectified convolutions of AlexNet."""
    network = alexnet(weights=None).eval()
    state = torch.load(weights / "alexnet-owt-7be5be79.pth", weights_only=True)
    network.load_state_dict(state)
    package = Path(torchmetrics.__file__).parent / "functional/image/lpips_models/alex.pth"
    linear = torch.load(package, map_location="cpu", weights_only=True)
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(3, 1, 1)
    x, y = ((2 * image - 1 - shift) / scale for image in (sr, hr))
    total, stage = torch.zeros(len(sr)), 0
    for module in network.features:
        x, y = module(x), module(y)
        if isinstance(module, nn.ReLU):
            along = [z / (z.square().sum(1, keepdim=True) + 1e-8).sqrt() for z in (x, y)]
            weight = linear[f"lin{stage}.model.1.weight"]
            total += (weight * (along[0] - along[1]).square()).sum(1).mean((1, 2))
            stage += 1
    return total


def test_lpips_equals_the_formula(weights: Path) -> None:
    sr, hr = images(0), images(1)
    with torch.no_grad():
        expected = lpips_by_hand(sr, hr, weights)
    torch.testing.assert_close(similarity.LPIPS()(sr, batch(hr)), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_dists_equals_torchmetrics(weights: Path) -> None:
    sr, hr = images(0), images(1)
    found = similarity.DISTS()(sr, batch(hr))
    assert found.shape == (2,)
    expected = deep_image_structure_and_texture_similarity(sr, hr).detach()
    torch.testing.assert_close(found, expected)
    # A single image keeps its batch axis; the distance of an image to itself is 0.
    alone = similarity.DISTS()(hr[:1], batch(hr[:1]))
    assert alone.tolist() == pytest.approx([0], abs=1e-5)


def test_the_lpips_loss_and_its_gradient_equal_the_formula(weights: Path) -> None:
    """The loss does not round, as the metric does, and its gradient is that of the formula."""
    sr, hr = (images(seed) + 0.001 for seed in (0, 1))
    starts = [sr.clone().requires_grad_() for _ in range(2)]
    loss = similarity.LPIPSLoss(network="alex")(starts[0], batch(hr))
    expected = lpips_by_hand(starts[1], hr, weights).mean()
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-6)
    slopes = [
        torch.autograd.grad(each, start)[0]
        for each, start in zip((loss, expected), starts, strict=True)
    ]
    torch.testing.assert_close(*slopes, rtol=1e-3, atol=1e-7)


@pytest.mark.slow
def test_the_dists_loss_and_its_gradient_equal_torchmetrics(weights: Path) -> None:
    sr, hr = images(0).requires_grad_(), images(1)
    loss = similarity.DISTSLoss()(sr, batch(hr))
    (slope,) = torch.autograd.grad(loss, sr)
    expected = deep_image_structure_and_texture_similarity(sr, hr).mean()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(slope, torch.autograd.grad(expected, sr)[0])


def test_the_data_range_and_rounding(weights: Path) -> None:
    sr, hr = images(0), images(1)
    metric = similarity.LPIPS()
    expected = metric(sr, batch(hr))
    found = metric(100 * sr + 0.1, batch(100 * hr, data_range=(0.0, 100.0)))
    torch.testing.assert_close(found, expected)


def test_grey_images_are_treated_as_rgb(weights: Path) -> None:
    sr, hr = images(0, channels=1), images(1, channels=1)
    colours = [image.expand(-1, 3, -1, -1) for image in (sr, hr)]
    metric = similarity.LPIPS()
    torch.testing.assert_close(metric(sr, batch(hr)), metric(colours[0], batch(colours[1])))


def test_lpips_with_vgg(weights: Path) -> None:
    metric = similarity.LPIPS(network="vgg")
    assert metric.protocol == (
        "version 0.1 with vgg, clipped and rounded to 8 bits, grey as RGB, not cropped"
    )
    assert bool((metric(images(0), batch(images(1))) > 0).all())


def test_building_does_not_change_the_random_state(weights: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    similarity.LPIPS()
    assert torch.equal(torch.rand(2), expected)


def test_cached_weights_are_not_downloaded(weights: Path) -> None:
    assert similarity.LPIPS.downloads() == similarity.DISTS.downloads() == []


@pytest.mark.parametrize(
    ("metric", "name"),
    [(similarity.LPIPS, "alexnet-owt-7be5be79.pth"), (similarity.DISTS, "vgg16-397923af.pth")],
)
def test_without_network_the_error_names_the_file_and_folder(
    no_weights: Path, metric: type[similarity.LPIPS], name: str
) -> None:
    assert metric.downloads() == [f"https://download.pytorch.org/models/{name}"]
    with pytest.raises(WeightsError) as caught:
        metric()
    assert str(caught.value) == (
        f"{metric.__name__} needs torchvision's weights, which could not be downloaded (no route "
        f"to host); download https://download.pytorch.org/models/{name} on another machine and "
        f"copy it to {no_weights / 'checkpoints' / name}"
    )


def test_damaged_weights_are_named(no_weights: Path) -> None:
    path = no_weights / "checkpoints" / "alexnet-owt-7be5be79.pth"
    path.parent.mkdir()
    path.write_bytes(b"half a file")
    with pytest.raises(WeightsError) as caught:
        similarity.LPIPS()
    assert str(caught.value) == (
        f"{path}: not the weights that LPIPS needs (UnpicklingError); delete the file and download "
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth again"
    )


def test_refuses_unsuitable_images(weights: Path) -> None:
    metric = similarity.LPIPS()
    with pytest.raises(ValueError, match=r"^LPIPS needs RGB or grey images; got 2 channels$"):
        metric(images(0)[:, :2], batch(images(1)[:, :2]))
    small = images(0)[..., :31]
    with pytest.raises(ValueError, match=r"^LPIPS needs at least 32 x 32 pixels; got 64 x 31$"):
        metric(small, batch(small))
