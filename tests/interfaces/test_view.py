from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from srkit_photos.datasets.folders import image_folder
from training_setup import extended, last, make_pictures, make_tree, records, run, validated

from srkit.images.formats import Formats
from srkit.interfaces import Batch, Sample
from srkit.interfaces.quantity import Quantity
from srkit.interfaces.view import View

COUNTS = 500.0
QUANTITY = Quantity("count / s", 27.0, 0.084, (0.0, COUNTS))


class Halves:
    """A stretch that depends on the image: half of its peak becomes 1."""

    def fit(self, images: torch.Tensor) -> torch.Tensor:
        return images.amax((1, 2, 3)).view(-1, 1) / 2

    def __call__(self, flux: torch.Tensor, fitted: torch.Tensor) -> torch.Tensor:
        return flux / fitted.view(-1, 1, 1, 1)

    def inverse(self, seen: torch.Tensor, fitted: torch.Tensor) -> torch.Tensor:
        return seen * fitted.view(-1, 1, 1, 1)


def test_without_a_stretch_the_network_input_is_the_flux() -> None:
    batch = Batch(["a"], torch.rand(1, 1, 4, 4), [0], lr=torch.rand(1, 1, 2, 2), unit="Jy")
    view = View.of(batch)
    assert view.stretched is view.flux is batch
    assert view.to_stretched(batch.hr) is view.to_flux(batch.hr) is batch.hr


def test_hr_is_stretched_as_lr() -> None:
    hr, lr = torch.full((2, 1, 4, 4), 8.0), torch.tensor([2.0, 4.0]).view(2, 1, 1, 1)
    batch = Batch(["a", "b"], hr, [0, 1], lr=lr, unit="Jy", variance=lr, data_range=(0, 9))
    view = View.of(batch, Halves())
    seen = view.stretched
    assert seen.hr[:, 0, 0, 0].tolist() == [8.0, 4.0]
    assert seen.lr is not None
    assert seen.lr.flatten().tolist() == [2.0, 2.0]
    assert (seen.data_range, seen.unit, seen.variance) == ((0.0, 1.0), "", None)
    assert torch.equal(view.to_flux(seen.hr), hr)


def test_standard_deviations_are_converted_to_flux_by_the_slope() -> None:
    hr, lr = torch.full((2, 1, 4, 4), 8.0), torch.tensor([2.0, 4.0]).view(2, 1, 1, 1)
    batch = Batch(["a", "b"], hr, [0, 1], lr=lr)
    sigma = torch.full_like(hr, 0.5)
    assert View.of(batch).sigma_to_flux(hr, sigma) is sigma
    with torch.no_grad():
        view = View.of(batch, Halves())
        found = view.sigma_to_flux(view.stretched.hr, sigma)
    assert found[:, 0, 0, 0].tolist() == [0.5, 1.0]
    assert not found.requires_grad
    with torch.inference_mode():
        view = View.of(batch, Halves())
        assert torch.equal(view.sigma_to_flux(view.stretched.hr, sigma), found)


def test_without_lr_the_stretch_is_fitted_to_hr() -> None:
    batch = Batch(["a"], torch.full((1, 1, 2, 2), 8.0), [0])
    assert View.of(batch, Halves()).stretched.hr.unique().tolist() == [2.0]


def _meaning(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in fields if name != "lr"}


class Counts:
    """The pictures of a folder in counts: 500 is white."""

    classes, notes = None, ()

    def __init__(self, *, root: Path, labels: Path, formats: Formats) -> None:
        self.pictures = image_folder(root=root, formats=formats)
        self.channels = self.pictures.channels

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Sample:
        sample = self.pictures[index]
        return replace(sample, hr=COUNTS * sample.hr, **asdict(QUANTITY, dict_factory=_meaning))


def test_a_run_in_counts_equals_one_in_fractions(tmp_path: Path) -> None:
    """Networks and losses see the same numbers, metrics the flux; the checkpoint says which."""
    pictures = make_pictures(tmp_path / "pictures")
    registry = extended(datasets={"counts": Counts})
    metrics = {"metrics": {"psnr": {"range": "data"}, "mse": {}}}
    tree = make_tree(pictures, validated(pictures), metrics)
    offset = {"peak": 1.0, "offset": 0.25}
    run({**tree, "stretch": {"type": "linear", **offset}}, tmp_path / "fractions", registry)
    offset = {"peak": COUNTS, "offset": 0.25 * COUNTS}
    for source in tree["data"].values():
        source["dataset"] = {**source["dataset"], "type": "counts"}
    run({**tree, "stretch": {"type": "linear", **offset}}, tmp_path / "counts", registry)
    one, other = (last(tmp_path / name).groups["generator"] for name in ("fractions", "counts"))
    for name, tensor in one.items():
        assert torch.allclose(tensor, other[name], atol=1e-5), name
    found = Quantity.parse(last(tmp_path / "counts").state["quantity"])
    assert found == QUANTITY
    # Of the LR images, which are between black and white.
    assert found.lr is not None and found.lr.images > 0
    assert -0.2 * COUNTS < found.lr.values[0] < found.lr.level[0] <= found.lr.level[1]
    assert found.lr.level[1] < found.lr.values[1] < 1.2 * COUNTS
    assert last(tmp_path / "fractions").state["quantity"]["lr"] is None  # without a unit
    first, second = (records(tmp_path / name, "validation")[-1] for name in ("fractions", "counts"))
    assert second["psnr"] == pytest.approx(first["psnr"], abs=1e-3)
    assert second["mse"] == pytest.approx(first["mse"] * COUNTS**2, rel=1e-3)
