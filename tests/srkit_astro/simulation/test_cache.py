from __future__ import annotations

import pytest
import torch
from srkit_astro.simulation.cache import SampleCache
from srkit_astro.simulation.galaxy_simulation import GalaxySimulation
from srkit_astro.simulation.lens_simulation import LensSimulation

from srkit.interfaces import Sample


def simulate(index: int) -> Sample:
    """Return a sample of 4 x (64 + 16 + 16) = 384 bytes."""
    image = torch.full((1, 8, 8), float(index))
    return Sample(str(index), image, image[:, ::2, ::2].clone(), variance=torch.ones(1, 4, 4))


def test_samples_are_cached_up_to_the_limit() -> None:
    cache = SampleCache(limit=2 * 384)
    simulated: list[int] = []

    def recorded(index: int) -> Sample:
        simulated.append(index)
        return simulate(index)

    for index in (3, 1, 2, 2, 1, 3):
        assert cache.get(index, recorded).name == str(index)
    assert simulated == [3, 1, 2, 2]
    assert cache.free == 0


@pytest.mark.parametrize("kind", [LensSimulation, GalaxySimulation])
def test_simulations_use_the_cache(
    kind: type[LensSimulation | GalaxySimulation], monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation = kind(scale=2, size=16, length=2)
    first = simulation[1]
    monkeypatch.setattr(kind, "observe", None)  # must not be called again
    again = simulation[1]
    assert again.name == first.name
    assert torch.equal(again.hr, first.hr)
