"""What the data sets of simulated lenses and galaxies have in common."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import pytest
import torch
from srkit_astro.simulation import observations
from srkit_astro.simulation.galaxy_simulation import GalaxySimulation
from srkit_astro.simulation.lens_population import Galaxy, Lens
from srkit_astro.simulation.lens_simulation import LensSimulation

from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.errors import PluginError
from srkit.interfaces import Sample

Kind = type[LensSimulation | GalaxySimulation]
#: Bytes of a sample: HR of 16 x 16, LR and its variance of 8 x 8 pixels, and in lenses the mask.
SIZES = {GalaxySimulation: 4 * (256 + 64 + 64), LensSimulation: 4 * (256 + 64 + 64) + 8 * 256}

both = pytest.mark.parametrize("kind", [LensSimulation, GalaxySimulation])


def make(kind: Kind, **given: Any) -> LensSimulation | GalaxySimulation:
    """Build a data set from options, like a recipe."""
    built = build(kind, {"length": 30, "size": 32, **given}, scale=2)
    assert isinstance(built, LensSimulation | GalaxySimulation)
    return built


def truth(data: LensSimulation | GalaxySimulation, index: int) -> Lens | Galaxy:
    return data.galaxy(index) if isinstance(data, GalaxySimulation) else data.lens(index)[0]


def same(one: Sample, other: Sample) -> bool:
    assert one.lr is not None
    assert other.lr is not None
    return torch.equal(one.hr, other.hr) and torch.equal(one.lr, other.lr)


@both
def test_they_are_registered(kind: Kind, registry: Registry) -> None:
    name = "lens_simulation" if kind is LensSimulation else "galaxy_simulation"
    assert registry.get("datasets", name).factory is kind


@both
def test_samples_depend_on_seed_split_and_index(kind: Kind) -> None:
    data = make(kind)
    data[7]
    again = pickle.loads(pickle.dumps(make(kind, length=200)))
    assert same(data[5], again[5])
    others = [make(kind, seed=1), make(kind, split="validation"), make(kind, split="test")]
    assert not any(same(data[5], other[5]) for other in others)
    assert len({truth(data, index) for index in range(30)}) == 30


@both
def test_cameras_and_noise_do_not_change_the_sky(kind: Kind) -> None:
    changed = make(kind, hr_noise=False, lr_noise=False, lr_camera={"fwhm": 0.9, "exposure": 300})
    assert truth(changed, 5) == truth(make(kind), 5)
    assert changed.cameras.lr_camera.exposure == 300
    assert changed.cameras.lr_camera.zero_point == 28.5


@both
def test_noise_of_hr_and_lr_is_independent(kind: Kind) -> None:
    plain, noiseless = make(kind)[2], make(kind, hr_noise=False)[2]
    assert plain.lr is not None
    assert noiseless.lr is not None
    assert torch.equal(plain.lr, noiseless.lr)
    assert not torch.equal(plain.hr, noiseless.hr)


@both
def test_samples_without_lr(kind: Kind) -> None:
    whole, alone = make(kind)[0], make(kind, lr="none")[0]
    assert alone.lr is None
    assert alone.variance is None
    assert torch.equal(alone.hr, whole.hr)


@both
def test_an_index_out_of_range_is_refused(kind: Kind) -> None:
    with pytest.raises(IndexError, match="no sample 30: there are 30"):
        make(kind)[30]


@both
def test_missing_lenstronomy_is_reported(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "srkit_astro.simulation.sky",
        *(n for n in sys.modules if n.startswith("lenstronomy")),
    ):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "lenstronomy", None)
    expected = (
        'the package lenstronomy is not installed; install srkit[astro]: pip install "srkit[astro]"'
    )
    with pytest.raises(PluginError) as caught:
        make(kind)
    assert str(caught.value) == expected


@both
def test_samples_are_cached_up_to_the_limit(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observations, "CACHE", 2 * SIZES[kind] + 1)
    simulation = kind(
        scale=2, size=8, length=4, **({"arcs": 0.5} if kind is LensSimulation else {})
    )
    simulated: list[int] = []
    observe = simulation.observe

    def recorded(index: int) -> object:
        simulated.append(index)
        return observe(index)

    monkeypatch.setattr(simulation, "observe", recorded)
    samples = [simulation[index] for index in (3, 1, 2, 2, 1, 3)]
    assert simulated == [3, 1, 2, 2]
    assert samples[0] is samples[5]
    assert torch.equal(samples[2].hr, samples[3].hr)
