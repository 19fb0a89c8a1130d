"""Train the same steps in fp32 and in bf16, and compare the final PSNR.

    python benchmarks/precision.py --steps 200 --out results

Both runs of a seed use the same crops in the same order and start from the same weights: those of
the small RRDB that is included in srkit (``tuned``), or random weights of an EDSR of 16 blocks
(``scratch``). Since rounding alone makes two runs diverge, only the mean over the seeds and its
standard error are meaningful.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import statistics
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from srkit.assembly.build import SPLITS, assemble
from srkit.components.registry import Registry
from srkit.recipe.recipe import load_recipe
from srkit.training.loop import train
from srkit.training.monitor import read_records

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "rrdb_small_x4.yaml"
CASES = {
    "tuned": ["start.weights=rrdb_small_x4", "training.optimiser.lr=1e-4"],
    "scratch": ["generator={type: edsr, blocks: 16, features: 64}", "training.optimiser.lr=2e-4"],
}
PRECISIONS = ("fp32", "bf16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="folder for precision.json")
    arguments = parser.parse_args()
    results = {}
    table = Table("start", *(f"{name} in dB" for name in PRECISIONS), "bf16 - fp32 in dB")
    for case in arguments.case:
        runs = [
            {name: final_psnr(case, name, arguments.steps, seed) for name in PRECISIONS}
            for seed in range(arguments.seeds)
        ]
        differences = [run["bf16"] - run["fp32"] for run in runs]
        mean = statistics.mean(differences)
        error = statistics.stdev(differences) / len(runs) ** 0.5 if len(runs) > 1 else math.nan
        results[case] = {"steps": arguments.steps, "runs": runs, "mean": mean, "error": error}
        psnrs = (statistics.mean(run[name] for run in runs) for name in PRECISIONS)
        table.add_row(case, *(f"{psnr:.3f}" for psnr in psnrs), f"{mean:+.3f} ± {error:.3f}")
    Console().print(table)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "precision.json").write_text(json.dumps(results, indent=2) + "\n")


def final_psnr(case: str, precision: str, steps: int, seed: int) -> float:
    """Train on the sample photographs and return the last validation PSNR in dB."""
    overrides = [
        *CASES[case],
        f"seed={seed}",
        f"training.precision={precision}",
        f"training.duration={steps}",
        f"training.validate_every={steps}",
        "training.batch_size=8",
        "training.ema=null",
        "training.workers=1",
    ]
    recipe = load_recipe(RECIPE, overrides, sample=True)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        console = Console(file=io.StringIO())
        assembly = assemble(recipe, Registry.discover(), "benchmark", splits=SPLITS)
        train(assembly, run, source="benchmark", console=console)
        records = [r for r in read_records(run / "metrics.jsonl") if r["kind"] == "validation"]
    psnr: float = records[-1]["psnr"]
    return psnr


if __name__ == "__main__":
    main()
