from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from network_setup import save_network
from safetensors.torch import save_file
from scipy.ndimage import binary_closing, binary_opening, gaussian_filter
from sources_setup import gaussian
from srkit_astro.metrics.artefacts import (
    ArtefactLoss,
    ArtefactShare,
    artefact_map,
    texture_similarity,
)
from srkit_astro.stretches import Asinh
from torch import Tensor

from srkit.assembly.build import assemble, open_network
from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.errors import RecipeError, WeightsError
from srkit.functional import measure_noise
from srkit.interfaces import Batch
from srkit.interfaces.view import View
from srkit.models.open import open_model
from srkit.recipe.recipe import parse_recipe

SIDE = 64
SIGMA = 0.1
SKY = torch.full((1, 1, SIDE, SIDE), SIGMA)
GALAXY = torch.as_tensor(gaussian(96 / 2, 96 / 2, 4000))[16:80, 16:80].float()[None, None]


def noise(seed: int, sigma: float, channels: int = 1) -> Tensor:
    drawn = torch.randn(1, channels, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    return sigma * drawn


def squares(*places: tuple[int, int, int]) -> Tensor:
    """Return noise far above SIGMA in squares, given by their corner and side."""
    where = torch.zeros(1, 1, SIDE, SIDE)
    for top, left, side in places:
        where[..., top : top + side, left : left + side] = 1
    return where * noise(7, 20 * SIGMA)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_network(tmp_path_factory.mktemp("runs") / "l2.safetensors")


def make(factory: Callable[..., Any], scale: int, given: dict[str, Any]) -> Any:
    """Build a loss or metric like a recipe of this scale."""
    opened = partial(open_network, registry=Registry.discover(), scale=scale)
    return build(factory, given, scale=scale, open_network=opened)


def lens(variance: bool = True) -> Batch:
    lr = torch.nn.functional.avg_pool2d(GALAXY + noise(3, SIGMA), 2)
    known = torch.full_like(lr, SIGMA**2) if variance else None
    return Batch(["a"], GALAXY, [0], lr=lr, variance=known)


def test_similarity_agrees_with_an_independent_implementation() -> None:
    first, second = noise(0, 1.0, 2) + 5, noise(1, 2.0, 2)
    allowed = noise(2, 0.3, 2).abs()

    def spread(image: Tensor) -> np.ndarray:
        pixels = image.double().numpy()
        blur = {"sigma": (0, 0, 1.5, 1.5), "radius": (0, 0, 5, 5), "mode": "nearest"}
        detail = pixels - gaussian_filter(pixels, **blur)
        mean, square = (gaussian_filter(each, **blur) for each in (detail, detail**2))
        return np.sqrt(square - mean**2)

    s1, s2, c = spread(first), spread(second), allowed.double().numpy() ** 2
    expected = ((2 * s1 * s2 + c) / (s1**2 + s2**2 + c)).mean(1, keepdims=True)
    np.testing.assert_allclose(texture_similarity(first, second, allowed), expected, atol=1e-4)


@pytest.mark.parametrize(("ratio", "similarity"), [(1, 1.0), (2, 0.8), (3, 0.6)])
def test_without_noise_the_similarity_depends_on_the_ratio(ratio: int, similarity: float) -> None:
    image = noise(0, 1.0)
    found = texture_similarity(ratio * image, image, torch.zeros_like(image))
    torch.testing.assert_close(found, torch.full_like(found, similarity), atol=1e-4, rtol=0)


def test_texture_that_noise_allows_is_not_an_artefact() -> None:
    gan = noise(0, SIGMA)
    nothing = torch.zeros_like(gan)
    assert not artefact_map(gan, nothing, SKY, allowance=2).any()
    assert artefact_map(gan, nothing, SKY, allowance=0.5).all()
    assert not artefact_map(gan, nothing, SKY, allowance=2, threshold=0.9).any()
    assert artefact_map(gan, nothing, SKY, allowance=0.5, threshold=0.9).all()
    in_the_galaxy = artefact_map(GALAXY + gan, GALAXY, SKY, allowance=2)
    assert not in_the_galaxy.any()


def test_texture_beyond_the_noise_is_located() -> None:
    added = squares((40, 8, 16))
    found = artefact_map(GALAXY + added, GALAXY, SKY)
    inside = added != 0
    assert found[inside].float().mean() > 0.95
    # The window extends 5 pixels beyond.
    near = torch.nn.functional.max_pool2d(inside.float(), 11, 1, 5) > 0
    assert not found[~near].any()


def test_a_checkerboard_is_found_on_a_steep_slope() -> None:
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    slope = (x / 10).expand(1, 1, SIDE, SIDE)
    checkerboard = 3 * SIGMA * (1 - 2 * ((x + y) % 2))
    assert slope[0, 0, 0, :11].std() > checkerboard.std()
    assert artefact_map(slope + checkerboard, slope, SKY).all()


def test_missing_texture_is_found() -> None:
    arc = squares((40, 8, 16)).abs()
    assert artefact_map(GALAXY, GALAXY + arc, SKY)[..., 44:52, 12:20].all()


def test_the_map_is_cleaned_by_opening_and_closing() -> None:
    gan = GALAXY + squares((5, 5, 3), (20, 40, 12), (44, 8, 14), (44, 25, 10))
    raw = texture_similarity(gan, GALAXY, 3 * SKY)[0, 0].numpy() < 0.9
    block = np.ones((5, 5), dtype=bool)
    expected = binary_closing(binary_opening(raw, block), block)
    found = artefact_map(gan, GALAXY, SKY, threshold=0.9, smallest=5)[0, 0].numpy()
    np.testing.assert_array_equal(found[5:-5, 5:-5], expected[5:-5, 5:-5])
    assert found.any()


def test_infinite_noise_allows_any_texture() -> None:
    gan = GALAXY + squares((40, 8, 16))
    assert not artefact_map(gan, GALAXY, torch.full_like(SKY, torch.inf)).any()


@pytest.mark.parametrize("variance", [True, False])
def test_the_share_is_the_mean_of_the_map(network: Path, variance: bool) -> None:
    metric = make(ArtefactShare, 2, {"reference": network})
    batch = lens(variance)
    l2 = metric.detector.reference.restore(batch)
    assert metric(l2, batch).item() == 0
    worse = l2 + squares((40, 8, 16))
    shown = metric.map(worse, batch)
    sigma = SKY if variance else _background_noise(batch)
    torch.testing.assert_close(shown, artefact_map(worse, l2, sigma).float())
    assert metric(worse, batch).item() == pytest.approx(shown.mean().item())
    assert 0.05 < shown.mean() < 0.2
    assert metric(worse * torch.nan, batch).isnan().all()


def _background_noise(batch: Batch) -> Tensor:
    assert batch.lr is not None
    return torch.full_like(SKY, measure_noise(batch.lr[0, 0].numpy()).rms)


def test_the_reference_uses_its_own_stretch(tmp_path: Path, network: Path) -> None:
    stretch = {"type": "asinh", "peak": 3.0, "softening": 0.2}
    stretched = save_network(tmp_path / "l2.safetensors", stretch=stretch)
    metric = make(ArtefactShare, 2, {"reference": stretched})
    batch, asinh = lens(), Asinh(peak=3.0, softening=0.2)
    assert batch.lr is not None
    fitted = asinh.fit(batch.lr)
    with torch.no_grad():
        seen = open_model(stretched, Registry.discover()).generator(asinh(batch.lr, fitted))
    restored = metric.detector.reference.restore(batch)
    torch.testing.assert_close(restored, asinh.inverse(seen, fitted))


def test_the_loss_only_changes_artefacts(network: Path) -> None:
    loss = make(ArtefactLoss, 2, {"reference": network})
    batch = lens()
    view = View.of(batch, Asinh(peak=3.0, softening=0.2))
    l2 = loss.detector.reference.restore(batch)
    worse = l2 + squares((40, 8, 16))
    sr = view.to_stretched(worse).requires_grad_()
    value = loss(sr, view)
    mask = artefact_map(worse, l2, SKY)
    difference = (sr - view.to_stretched(l2)).detach()
    assert value.item() == pytest.approx((mask * difference**2).mean().item(), rel=1e-5)
    (slope,) = torch.autograd.grad(value, sr)
    torch.testing.assert_close(slope, 2 * mask * difference / mask.numel())
    assert (slope[mask] != 0).any()
    assert loss(view.to_stretched(l2), view).item() == 0


def test_the_reference_can_have_published_weights() -> None:
    reference = make(ArtefactShare, 2, {"reference": "sky_x2"}).detector.reference
    assert reference.name == "sky_x2"
    with pytest.raises(WeightsError, match=r"^sky_x2: a model of scale 2; expected scale 3$"):
        make(ArtefactShare, 3, {"reference": "sky_x2"})


def test_invalid_options_are_refused(network: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^smallest is 4; expected an odd number of pixels$"):
        make(ArtefactShare, 2, {"reference": network, "smallest": 4})
    with pytest.raises(WeightsError) as caught:
        make(ArtefactLoss, 3, {"reference": network})
    assert str(caught.value) == f"{network}: a model of scale 2; expected scale 3"
    with pytest.raises(WeightsError, match="no checkpoint in this folder; expected"):
        make(ArtefactLoss, 2, {"reference": tmp_path})
    foreign = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(1)}, foreign)
    with pytest.raises(WeightsError, match=r"foreign.safetensors: not a checkpoint of srkit$"):
        make(ArtefactLoss, 2, {"reference": foreign})


def test_a_recipe_builds_the_metric_for_its_own_scale(network: Path) -> None:
    tree = {
        "name": "mine",
        "scale": 2,
        "channels": 1,
        "generator": {"type": "edsr", "blocks": 1, "features": 4},
        "losses": {"artefacts": {"reference": str(network), "weight": 1}},
        "metrics": {"artefact_share": {"reference": str(network)}},
    }
    recipe = parse_recipe(tree, "here")
    assembly = assemble(recipe, Registry.discover(), "here", splits=())
    metric: Any = assembly.metrics["artefact_share"]
    assert "similarity below 0.7 to that of l2; 1 times the noise of LR" in metric.protocol
    other = parse_recipe(tree | {"scale": 4}, "here")
    with pytest.raises(RecipeError) as caught:
        assemble(other, Registry.discover(), "here", splits=())
    assert caught.value.problems == [
        f"losses.artefacts: {network}: a model of scale 2; expected scale 4",
        f"metrics.artefact_share: {network}: a model of scale 2; expected scale 4",
    ]
