from __future__ import annotations

import pytest
import torch
from srkit_astro.simulation.cache import Memory
from srkit_astro.simulation.galaxy_simulation import GalaxySimulation
from srkit_astro.simulation.lens_simulation import LensSimulation

from srkit.interfaces import Sample


def make(index: int) -> Sample:
    """Make a sample of 4 x (64 + 16 + 16) = 384 bytes."""
    image = torch.full((1, 8, 8), float(index))
    return Sample(str(index), image, image[:, ::2, ::2].clone(), variance=torch.ones(1, 4, 4))


def test_what_fits_is_made_once_and_what_does_not_each_time() -> None:
    memory = Memory(limit=2 * 384)
    made: list[int] = []

    def noted(index: int) -> Sample:
        made.append(index)
        return make(index)

    for index in (3, 1, 2, 2, 1, 3):
        assert memory.sample(index, noted).name == str(index)
    assert made == [3, 1, 2, 2]
    assert memory.free == 0


@pytest.mark.parametrize("kind", [LensSimulation, GalaxySimulation])
def test_a_simulation_gives_again_what_it_gave(
    kind: type[LensSimulation | GalaxySimulation], monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation = kind(scale=2, size=16, length=2)
    first = simulation[1]
    monkeypatch.setattr(kind, "observe", None)  # which nothing asks for any more
    again = simulation[1]
    assert again.name == first.name
    assert torch.equal(again.hr, first.hr)
