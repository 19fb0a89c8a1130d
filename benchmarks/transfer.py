"""Compare transfer to few real pairs with training on those pairs alone, over several seeds.

    python benchmarks/transfer.py --seeds 3 --out results

Trains the sample of ``recipes/lens_hst.yaml``. The classifier and the pretrained network are
trained once. The transferred network and the network that sees only the few pairs are trained for
each seed, which determines the order of the data and, for the latter, the initial weights.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from srkit.assembly.build import SPLITS, assemble
from srkit.components.registry import Registry
from srkit.evaluation.results import Evaluation
from srkit.evaluation.run import evaluate
from srkit.recipe.needs import resolve
from srkit.recipe.recipe import Recipe, load_recipe
from srkit.training.loop import train
from srkit.weights.runs import is_trained

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "lens_hst.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True, help="folder for runs and transfer.json")
    arguments = parser.parse_args()
    console, registry = Console(), Registry.discover()
    tables = [transfer(seed, arguments.out, registry, console) for seed in range(arguments.seeds)]
    results = summarise(tables)
    (arguments.out / "transfer.json").write_text(json.dumps(results, indent=2) + "\n")
    console.print(as_table(results))


def transfer(
    seed: int,
    out: Path,
    registry: Registry,
    console: Console,
    changes: Sequence[str] = (),
    suffix: str = "",
) -> Evaluation:
    """Train both networks with a seed, the transferred one with recipe changes; compare them."""
    recipe = load_recipe(RECIPE, [f"seed={seed}", *changes], sample=True)
    folders = {}
    for name, path in recipe.needs.items():
        per_seed = name == "alone"
        needed = load_recipe(path, [f"seed={seed}"] if per_seed else [], sample=True)
        folders[name] = out / (f"{needed.name}_{seed}" if per_seed else needed.name)
        run(needed, folders[name], registry, console)
    recipe = resolve(recipe, folders, str(RECIPE))
    folder = out / f"{recipe.name}{suffix}_{seed}"
    run(recipe, folder, registry, console)
    [evaluation] = evaluate(recipe, registry, folder, source=str(RECIPE), console=console)
    return evaluation


def run(recipe: Recipe, folder: Path, registry: Registry, console: Console) -> None:
    if not is_trained(folder, recipe):
        assembly = assemble(recipe, registry, recipe.name, splits=SPLITS)
        train(assembly, folder, source=recipe.name, console=console)


def summarise(tables: list[Evaluation]) -> dict[str, dict[str, list[float]]]:
    """Return the metrics of each model for each seed; for signed metrics, bias and scatter."""
    found: dict[str, dict[str, list[float]]] = {}
    for table in tables:
        for model in table.models:
            numbers = found.setdefault(model.name, {})
            for metric in table.metrics:
                numbers.setdefault(metric.name, []).append(model.mean(metric.name))
                if metric.signed:
                    scatter = model.scatter(metric.name)
                    numbers.setdefault(f"{metric.name} scatter", []).append(scatter)
    return found


def as_table(results: dict[str, dict[str, list[float]]]) -> Table:
    """Tabulate means and standard deviations over the seeds, one row per metric."""
    table = Table("metric", *results)
    for metric in next(iter(results.values())):
        cells = []
        for numbers in results.values():
            values = numbers[metric]
            spread = statistics.stdev(values) if len(set(values)) > 1 else 0.0
            cells.append(f"{statistics.mean(values):.4g} ± {spread:.2g}")
        table.add_row(metric, *cells)
    return table


if __name__ == "__main__":
    main()
