"""Measure how much SR reduces the scatter of photometry, Sersic index and half-light radius.

    python benchmarks/galaxies.py --out results

Trains the sample of ``recipes/galaxies.yaml``, unless it is trained already, and measures test
galaxies in LR (enlarged by bicubic interpolation) and in SR: relative to HR, with the recipe's
metrics, and relative to the true parameters, with a Sersic fit to the image. The same network is
also measured with the constraint that preserves the flux of LR.

"scatter" is the standard deviation, "robust" is 1.4826 times the median absolute deviation. Only
galaxies that could be measured in every image count. ± is the standard error of a ratio, from a
bootstrap over the galaxies. ``--full`` trains the recipe itself, which needs a GPU. The column
"study" has the ratios of Park et al. (2024, arXiv:2404.00102), who restored Hubble images to the
resolution of Webb.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from srkit_astro.constraints import Flux
from srkit_astro.metrics.detection import detect
from srkit_astro.metrics.morphology import HalfLightRadiusError, SersicIndexError, fit_sersic
from srkit_astro.metrics.photometry import IsophotalFluxError
from srkit_astro.simulation.galaxy_simulation import GalaxySimulation
from srkit_astro.simulation.lens_population import Galaxy

from srkit.assembly.build import SPLITS, assemble
from srkit.assembly.restore import restore
from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.interfaces import Batch, View
from srkit.models.open import Model, open_model
from srkit.recipe.recipe import load_recipe
from srkit.training.loop import train
from srkit.weights.runs import is_trained

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "galaxies.yaml"
QUANTITIES = ("photometry [mag]", "Sersic index", "half-light radius")
STUDY = dict(zip(QUANTITIES, (4.4, 3.6, 4.7), strict=True))
AGAINST_HR = (IsophotalFluxError(), SersicIndexError(), HalfLightRadiusError())

#: Errors by reference and by image: ``(galaxies, quantities)``, NaN if the measurement failed.
Errors = dict[str, dict[str, NDArray[np.float64]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--galaxies", type=int, default=300)
    parser.add_argument("--full", action="store_true", help="train the recipe, not its sample")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the run and galaxies.json"
    )
    arguments = parser.parse_args()
    console, registry = Console(), Registry.discover()
    changes = [f"data.test.dataset.length={arguments.galaxies}"]
    recipe = load_recipe(RECIPE, changes, sample=not arguments.full)
    run = arguments.out / recipe.name
    if not is_trained(run, recipe):
        assembly = assemble(recipe, registry, str(RECIPE), splits=SPLITS)
        train(assembly, run, source=str(RECIPE), console=console)
    galaxies = assemble(recipe, registry, str(RECIPE), splits=("test",)).data["test"]
    assert isinstance(galaxies, GalaxySimulation)
    network = open_model(run, registry)
    models = {
        "LR": open_model("bicubic", registry, scale=recipe.scale),
        "SR": network,
        "SR, flux preserved": replace(network, constraint=flux_of_lr(galaxies)),
    }
    results = summarise(measure(models, galaxies))
    (arguments.out / "galaxies.json").write_text(json.dumps(results, indent=2) + "\n")
    for reference, found in results.items():
        console.print(as_table(reference, found))


def flux_of_lr(galaxies: GalaxySimulation) -> Flux:
    """Build the flux constraint for the PSFs of the simulated cameras."""
    cameras = galaxies.cameras
    lr, hr = (
        {"type": "moffat", "fwhm": camera.fwhm, "beta": camera.beta}
        for camera in (cameras.lr_camera, cameras.hr_camera)
    )
    constraint: Flux = build(Flux, {"psf": lr, "source": hr}, scale=cameras.scale)
    return constraint


@torch.no_grad()
def measure(models: dict[str, Model], galaxies: GalaxySimulation) -> Errors:
    """Measure every galaxy in the output of every model and, relative to the truth, in HR."""
    errors: dict[str, dict[str, list[list[float]]]] = {
        "HR": {name: [] for name in models},
        "the truth": {name: [] for name in (*models, "HR")},
    }
    for index in range(len(galaxies)):
        sample, true = galaxies[index], galaxies.galaxy(index)
        assert sample.lr is not None
        batch = Batch(
            [sample.name],
            sample.hr[None],
            [index],
            lr=sample.lr[None],
            data_range=sample.data_range,
            pixel_scale=sample.pixel_scale,
        )
        for name, model in models.items():
            view = View.of(batch, model.stretch)
            sr = view.to_flux(restore(model.generator, view, model.constraint))
            against_hr = [float(metric(sr, batch)) for metric in AGAINST_HR]
            errors["HR"][name].append(against_hr)
            errors["the truth"][name].append(against_truth(sr, batch, true))
        errors["the truth"]["HR"].append(against_truth(batch.hr, batch, true))
    return {
        reference: {name: np.array(rows) for name, rows in found.items()}
        for reference, found in errors.items()
    }


def against_truth(image: torch.Tensor, batch: Batch, true: Galaxy) -> list[float]:
    """Fit the image; return the errors of magnitude, index and (relative) radius."""
    sources = detect(batch.hr[0, 0].double().numpy()).whole
    fit = None
    if len(sources):
        fit = fit_sersic(detect(image[0, 0].double().numpy()).image, sources)
    if fit is None or fit.flux <= 0:
        return [math.nan] * 3
    assert batch.lr is not None
    assert batch.pixel_scale is not None
    area = (
        batch.hr.shape[-1] // batch.lr.shape[-1]
    ) ** 2  # HR pixels per LR pixel; values are per LR pixel
    magnitude = 27 - 2.5 * math.log10(fit.flux / area)
    radius = fit.radius * batch.pixel_scale
    return [magnitude - true.magnitude, fit.index - true.index, radius / true.radius - 1]


def summarise(errors: Errors) -> dict[str, Any]:
    return {reference: summarise_one(found) for reference, found in errors.items()}


def summarise_one(found: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
    """Return bias and scatter of each quantity, and the ratios of scatter LR / SR."""
    measured = np.all([np.isfinite(rows).all(1) for rows in found.values()], 0)
    rows: dict[str, Any] = {}
    for column, quantity in enumerate(QUANTITIES):
        values = {name: rows[measured, column] for name, rows in found.items()}
        rows[quantity] = {
            name: {"bias": float(v.mean()), "scatter": deviation(v), "robust": robust(v)}
            for name, v in values.items()
        }
        for name in (name for name in values if name.startswith("SR")):
            for kind, spread in (("scatter", deviation), ("robust", robust)):
                ratio = spread(values["LR"]) / spread(values[name])
                error = bootstrap(values["LR"], values[name], spread)
                rows[quantity][name][f"{kind} ratio"] = [ratio, error]
    failed = {name: int((~np.isfinite(rows).all(1)).sum()) for name, rows in found.items()}
    return {"galaxies": int(measured.sum()), "not measured": failed, "quantities": rows}


def deviation(values: NDArray[np.float64]) -> float:
    return float(np.std(values, ddof=1))


def robust(values: NDArray[np.float64]) -> float:
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def bootstrap(lr: NDArray[np.float64], sr: NDArray[np.float64], spread: Any) -> float:
    """Estimate the standard error of a ratio of scatters of the same galaxies."""
    rng = np.random.default_rng(0)
    chosen = rng.integers(len(lr), size=(500, len(lr)))
    return deviation(np.array([spread(lr[rows]) / spread(sr[rows]) for rows in chosen]))


def as_table(reference: str, found: dict[str, Any]) -> Table:
    columns = ("", "bias", "scatter", "robust", "LR / SR", "LR / SR, robust", "study")
    table = Table(
        "quantity", *columns, title=f"relative to {reference}, {found['galaxies']} galaxies"
    )
    for quantity, images in found["quantities"].items():
        for name, row in images.items():
            numbers = [f"{row[kind]:.3f}" for kind in ("bias", "scatter", "robust")]
            ratios = [row.get(f"{kind} ratio") for kind in ("scatter", "robust")]
            texts = ["" if pair is None else "{:.2f} ± {:.2f}".format(*pair) for pair in ratios]
            study = str(STUDY[quantity]) if name == "SR" else ""
            table.add_row(quantity if name == "LR" else "", name, *numbers, *texts, study)
    return table


if __name__ == "__main__":
    main()
