"""The data set of simulated lenses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from srkit_astro.simulation.lens_simulation import LensSimulation
from srkit_astro.simulation.sky import render_galaxy
from srkit_astro.simulation.substructure import Subhalo, Vortex

from srkit.components.options import build, options_model
from srkit.components.problems import explain
from srkit.interfaces import Sample
from srkit.testing import check_dataset


def make(scale: int = 2, **given: Any) -> LensSimulation:
    """Build the data set from options, like a recipe."""
    built = build(LensSimulation, {"length": 30, "size": 32, **given}, scale=scale)
    assert isinstance(built, LensSimulation)
    return built


def same(one: Sample, other: Sample) -> bool:
    assert one.lr is not None
    assert other.lr is not None
    return torch.equal(one.hr, other.hr) and torch.equal(one.lr, other.lr)


@pytest.mark.parametrize("substructure", ["none", "cdm", "vortex", "all"])
def test_contract(substructure: str) -> None:
    check_dataset(make(substructure=substructure))


@pytest.mark.parametrize(
    ("scale", "size", "population"),
    [(2, 64, "sugohi"), (3, 32, "sugohi"), (4, 17, "slacs"), (2, 75, "slacs")],
)
def test_hr_and_lr_have_the_same_flux(scale: int, size: int, population: str) -> None:
    data = make(scale, size=size, population=population, hr_noise=False, lr_noise=False)
    for index in (0, 1):
        sample = data[index]
        assert sample.lr is not None
        assert sample.hr.shape == (1, scale * size, scale * size)
        assert sample.lr.shape == (1, size, size)
        assert sample.variance is None
        assert sample.hr.sum() / scale**2 == pytest.approx(sample.lr.sum().item(), rel=1e-4)


def test_properties_of_a_sample() -> None:
    sample = make()[4]
    assert sample.name == "train_000004"
    assert sample.unit == "count / s"
    assert sample.pixel_scale == pytest.approx(0.084)
    assert sample.label is None
    low, high = sample.data_range
    # White is 19 mag / arcsec², times the area of an LR pixel.
    assert (low, high) == (0, pytest.approx(10 ** (0.4 * (27 - 19)) * 0.168**2))
    assert sample.hr.min() < 0


@pytest.mark.parametrize("camera", ["hr", "lr"])
def test_noise_agrees_with_the_camera(camera: str) -> None:
    data = make(size=64)
    clean = data.observe(3)[0 if camera == "hr" else 1]
    sample = data[3]
    image = sample.hr if camera == "hr" else sample.lr
    assert image is not None
    assert sample.variance is not None
    if camera == "lr":
        variance = sample.variance[0].numpy()
    else:
        # Flux per area of an LR pixel is 4 times that per HR pixel, and so is its noise.
        rate = 2028 * 10 ** (0.4 * (25.94 - 27.0))
        sky = 10 ** (0.4 * (27 - 22.2)) * 0.084**2
        read = 4 * (5 * 0.084 / 0.05) ** 2
        variance = 16 * ((clean / 4 + sky) / rate + read / rate**2)
    deviation = (image[0].numpy() - clean) / np.sqrt(variance)
    count = deviation.size
    assert deviation.mean() == pytest.approx(0, abs=4 / count**0.5)
    assert deviation.var() == pytest.approx(1, abs=4 * (2 / count) ** 0.5)


def test_lenses_of_splits_are_disjoint() -> None:
    splits = [make(split=split) for split in ("train", "validation", "test")]
    lenses = {data.lens(i)[0] for data in splits for i in range(10)}
    assert len(lenses) == 30


def test_each_lens_validates_in_one_fold_and_trains_in_the_others() -> None:
    whole = {data.name: data for data in make(length=11, size=8)}
    splits = ("train", "validation")
    parts = [
        [make(length=11, size=8, split=split, folds=3, fold=fold) for split in splits]
        for fold in range(3)
    ]
    names = [[{sample.name for sample in part} for part in fold] for fold in parts]
    assert all(train | tested == whole.keys() and not train & tested for train, tested in names)
    assert sorted(name for _, tested in names for name in tested) == sorted(whole)
    assert [len(tested) for _, tested in names] == [4, 4, 3]
    assert all(same(sample, whole[sample.name]) for _, tested in parts for sample in tested)


def test_folds_keep_the_classes_of_lenses() -> None:
    tested = make(length=12, split="validation", folds=4, fold=1, substructure="all")
    assert [(sample.name, sample.label) for sample in tested] == [
        ("train_000003", 0),
        ("train_000004", 1),
        ("train_000005", 2),
    ]
    assert isinstance(tested.lens(0)[1], tuple)


@pytest.mark.parametrize("folds", [2, 3, 5, 6])
def test_every_fold_has_every_class(folds: int) -> None:
    """Assigned one by one, each of three folds would have a single class."""
    given = {"folds": folds, "substructure": "all", "size": 8, "scale": 1}
    for fold in range(folds):
        parts = [make(length=18, split=s, fold=fold, **given) for s in ("train", "validation")]
        assert all({number % 3 for number in part.numbers} == {0, 1, 2} for part in parts)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"folds": 3}, "folds and fold must be set together"),
        ({"folds": 3, "fold": 3}, "fold is 3; expected 0 to 2 for 3 folds"),
        (
            {"folds": 3, "fold": 0, "split": "test"},
            "folds apply to train and validation; remove them from test",
        ),
        (
            {"folds": 3, "fold": 0, "length": 2},
            "length is 2; expected at least 3, 1 for each of 3 folds",
        ),
        (
            {"folds": 3, "fold": 0, "length": 8, "substructure": "all"},
            "length is 8; expected at least 9, 3 for each of 3 folds",
        ),
    ],
)
def test_invalid_folds_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        make(**given)


def test_seeing_and_exposure_change_lr() -> None:
    good, bad = (make(lr_camera=c)[2] for c in ({}, {"fwhm": 1.2, "exposure": 300}))
    assert good.variance is not None
    assert bad.variance is not None
    assert good.lr is not None
    assert bad.lr is not None
    assert bad.lr.max() < 0.7 * good.lr.max()
    ratio = (bad.variance[0, 0, 0] / good.variance[0, 0, 0]).item()
    assert ratio == pytest.approx(4, rel=0.02)


def test_the_population_can_be_changed() -> None:
    data = make(population={"einstein_radius": [1.5, 1.8], "shear": 0})
    for index in range(5):
        lens, _ = data.lens(index)
        assert 1.5 < lens.einstein_radius < 1.8
        assert lens.shear == (0, 0)


def test_classes_alternate() -> None:
    data = make(substructure="all")
    assert data.classes == ("none", "cdm", "vortex")
    found = [data.lens(i)[1] for i in range(6)]
    assert found[0] == found[3] == ()
    assert all(isinstance(halo, Subhalo) for i in (1, 4) for halo in found[i])
    assert found[1] != ()
    assert isinstance(found[2], Vortex)
    assert [data[i].label for i in range(6)] == [0, 1, 2, 0, 1, 2]
    # The same lens, with and without substructure.
    assert data.lens(2)[0] == make().lens(2)[0]


@pytest.mark.parametrize("kind", ["cdm", "vortex"])
def test_substructure_changes_the_arcs_but_not_the_edge(kind: str) -> None:
    smooth = make(size=64).observe(1)[0]
    bent = make(size=64, substructure=kind).observe(1)[0]
    difference = np.abs(bent - smooth)
    assert difference.max() > 0.02 * smooth.max()
    assert difference[0].max() < 1e-3 * difference.max()


def test_masks_mark_the_light_of_the_source() -> None:
    fraction, lenses = 0.25, make(arcs=0.25)
    for index in range(3):
        lens, _ = lenses.lens(index)
        whole, _ = lenses.observe(index)
        galaxy, _ = lenses.cameras.observe(render_galaxy(lens.light, *lenses.cameras.sampling))
        arcs = (whole - galaxy) / (whole - galaxy).max()
        mask = lenses[index].mask
        assert mask is not None
        assert mask.dtype == torch.int64
        found = mask.numpy() == 1
        assert arcs[found].min() > fraction - 1e-6
        assert arcs[~found].max() < fraction + 1e-6
        assert 0.005 < found.mean() < 0.2
        assert same(lenses[index], make()[index])
    check_dataset(lenses)
    assert make()[0].mask is None


def test_invalid_options_are_refused() -> None:
    given = {
        "lr_camera": {"seeing": 0.6, "fwhm": -1},
        "population": {"redshift": [0.9, 0.3]},
        "size": 4,
    }
    with pytest.raises(ValidationError) as caught:
        build(LensSimulation, given, scale=2)
    problems = explain(caught.value, "dataset", options_model(LensSimulation))
    assert "dataset.size: got 4; expected a number greater than or equal to 8" in problems
    assert "dataset.lr_camera.fwhm: got -1; expected a number greater than 0" in problems
    assert any(p.startswith("dataset.lr_camera.seeing: unknown key 'seeing'") for p in problems)
    assert any("expected the lower end of the range first" in p for p in problems)
