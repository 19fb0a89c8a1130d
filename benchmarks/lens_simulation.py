"""Render the same lenses with lenstronomy and with caustics; compare speed and pixel values.

    OMP_NUM_THREADS=1 python benchmarks/lens_simulation.py --out results

Each pair (an isothermal ellipsoid with shear, two Sérsic galaxies; 64 px LR, 128 px HR) comes from
srkit's data set, with one renderer or the other. The renderers alternate, each in a new process
with one thread. CPU time is measured, so that other programs hardly affect it.
``caustics`` needs ``pip install caustics``.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from srkit_astro.instruments.cameras import flux_of
from srkit_astro.simulation import sky
from srkit_astro.simulation.lens_population import Galaxy, Lens
from srkit_astro.simulation.lens_simulation import LensSimulation

RENDERERS = ("lenstronomy", "caustics_float64", "caustics_float32")
LENSES = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="folder for lens_simulation.json")
    parser.add_argument(
        "--renderer", choices=RENDERERS, help="measure only this one, in this process"
    )
    arguments = parser.parse_args()
    if arguments.renderer:
        print(json.dumps(measure(arguments.renderer)))
        return
    rounds = [
        {name: measure_in_subprocess(name) for name in RENDERERS} for _ in range(arguments.rounds)
    ]
    result = summarise(rounds)
    Console().print(as_table(result))
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "lens_simulation.json").write_text(json.dumps(result, indent=2) + "\n")


def measure_in_subprocess(renderer: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--renderer", renderer]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def measure(renderer: str) -> dict[str, float]:
    """Time whole pairs and the rendering alone; compare HR with that of lenstronomy."""
    torch.set_num_threads(1)
    expected = _noise_free_hr()
    if renderer != "lenstronomy":
        sky.render = CausticsRenderer(getattr(torch, renderer.partition("_")[2]))  # type: ignore[assignment]
    found = _noise_free_hr()  # also a warm-up
    differences = [
        float((a - b).abs().max() / b.max()) for a, b in zip(found, expected, strict=True)
    ]
    noisy = LensSimulation(scale=2)
    started = time.process_time()
    for index in range(4 * LENSES):
        noisy[index]
    pairs = (time.process_time() - started) / (4 * LENSES)
    lenses = [noisy.lens(index)[0] for index in range(4 * LENSES)]
    started = time.process_time()
    for lens in lenses:
        sky.render(lens, (), 256, 0.042)
    rendering = (time.process_time() - started) / len(lenses)
    return {
        "pairs_per_second": 1 / pairs,
        "rendering_ms": 1e3 * rendering,
        "difference": max(differences),
    }


def _noise_free_hr() -> list[torch.Tensor]:
    dataset = LensSimulation(scale=2, hr_noise=False, lr_noise=False)
    return [dataset[i].hr for i in range(LENSES)]


class CausticsRenderer:
    """:func:`srkit_astro.simulation.sky.render` with caustics, without substructure."""

    def __init__(self, dtype: torch.dtype) -> None:
        import caustics

        cosmology = caustics.FlatLambdaCDM(name="cosmology")
        cosmology.to(dtype=dtype)
        self.mass = caustics.SIE(cosmology=cosmology, name="mass")
        self.shear = caustics.ExternalShear(cosmology=cosmology, name="shear")
        self.light = caustics.Sersic(name="light", use_lenstronomy_k=True)
        self.dtype = dtype

    def __call__(self, lens: Lens, substructure: Any, count: int, pixel: float) -> Any:
        """Return the surface brightness of a lens, ``(count, count)``."""
        x, y = (torch.from_numpy(places).to(self.dtype) for places in sky.grid(count, pixel))
        light = lens.light
        mass = [light.x, light.y, light.axis_ratio, light.angle, lens.einstein_radius]
        bent = self.mass.reduced_deflection_angle(x, y, self._all(1.0, 2.0, *mass))
        shear = self._all(1.0, 2.0, light.x, light.y, *lens.shear)
        sheared = self.shear.reduced_deflection_angle(x, y, shear)
        arcs = self.brightness(lens.source, x - bent[0] - sheared[0], y - bent[1] - sheared[1])
        image: Any = (arcs + self.brightness(light, x, y)).double().numpy()
        near = np.hypot(x.numpy() - light.x, y.numpy() - light.y) < sky.CUSP * pixel
        image[near] += self._cusp(light, x[near], y[near], pixel)
        return image

    def brightness(self, galaxy: Galaxy, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Evaluate a galaxy's profile, like ``surface_brightness`` of the module ``sky``."""
        k = 1.9992 * galaxy.index - 0.3271
        area = 2 * math.pi * galaxy.index * math.gamma(2 * galaxy.index) * galaxy.radius**2
        amplitude = flux_of(galaxy.magnitude) / (area * math.exp(k) / k ** (2 * galaxy.index))
        # caustics measures the radius along the major axis.
        radius = galaxy.radius / math.sqrt(galaxy.axis_ratio)
        shape = [galaxy.x, galaxy.y, galaxy.axis_ratio, galaxy.angle, galaxy.index]
        result: torch.Tensor = self.light.brightness(x, y, self._all(*shape, radius, amplitude))
        return result

    def _cusp(self, galaxy: Galaxy, x: torch.Tensor, y: torch.Tensor, pixel: float) -> Any:
        across, up = sky.grid(sky.FINER, pixel / sky.FINER)
        finer = (
            (x[:, None] + torch.from_numpy(across.ravel()).to(x)),
            (y[:, None] + torch.from_numpy(up.ravel()).to(y)),
        )
        mean = self.brightness(galaxy, *finer).mean(1)
        return (mean - self.brightness(galaxy, x, y)).double().numpy()

    def _all(self, *values: float) -> torch.Tensor:
        return torch.tensor(values, dtype=self.dtype)


def summarise(rounds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Return medians over the rounds, also of the ratio of the speeds within each round."""

    def median(name: str, key: str) -> float:
        return statistics.median(r[name][key] for r in rounds)

    first = RENDERERS[0]
    return {
        name: {
            "pairs_per_second": round(median(name, "pairs_per_second"), 2),
            "rendering_ms": round(median(name, "rendering_ms"), 2),
            "rendering_over_lenstronomy": round(
                statistics.median(
                    r[name]["rendering_ms"] / r[first]["rendering_ms"] for r in rounds
                ),
                3,
            ),
            "difference": median(name, "difference"),
        }
        for name in RENDERERS
    }


def as_table(result: dict[str, Any]) -> Table:
    columns = ("pairs/s", "rendering, ms", "ratio", "difference of HR")
    table = Table("renderer", *columns)
    for name, row in result.items():
        table.add_row(
            name,
            f"{row['pairs_per_second']:.1f}",
            f"{row['rendering_ms']:.1f}",
            f"{row['rendering_over_lenstronomy']:.2f}",
            f"{row['difference']:.0e} of the peak",
        )
    return table


if __name__ == "__main__":
    main()
