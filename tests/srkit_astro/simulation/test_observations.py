from __future__ import annotations

import pytest
import torch
from srkit_astro.simulation import observations
from srkit_astro.simulation.galaxy_simulation import GalaxySimulation
from srkit_astro.simulation.lens_simulation import LensSimulation

#: Bytes of a sample: HR of 16 x 16, LR and its variance of 8 x 8 pixels, and in lenses the mask.
SIZES = {GalaxySimulation: 4 * (256 + 64 + 64), LensSimulation: 4 * (256 + 64 + 64) + 8 * 256}


@pytest.mark.parametrize("kind", [LensSimulation, GalaxySimulation])
def test_samples_are_cached_up_to_the_limit(
    kind: type[LensSimulation | GalaxySimulation], monkeypatch: pytest.MonkeyPatch
) -> None:
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
