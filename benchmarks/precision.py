"""Train the same steps in fp32 and bf16, and compare the PSNR they end with.

    python benchmarks/precision.py --steps 200 --out results

Both runs see the same crops in the same order and start from the same weights: those of the small
RRDB that ships with srkit (``tuned``) or random ones of a 16-block EDSR (``scratch``).
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from srkit.monitor import read_records
from srkit.recipe import load_recipe
from srkit.registry import Registry
from srkit.training import train

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
    parser.add_argument("--out", type=Path, help="folder for precision.json")
    arguments = parser.parse_args()
    results = {}
    table = Table("start", *(f"{name} in dB" for name in PRECISIONS), "difference in dB")
    for case in arguments.case:
        found = {name: final_psnr(case, name, arguments.steps) for name in PRECISIONS}
        difference = found["bf16"] - found["fp32"]
        results[case] = {**found, "difference": difference, "steps": arguments.steps}
        table.add_row(case, *(f"{found[name]:.3f}" for name in PRECISIONS), f"{difference:+.3f}")
    Console().print(table)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "precision.json").write_text(json.dumps(results, indent=2) + "\n")


def final_psnr(case: str, precision: str, steps: int) -> float:
    """Train on the sample photographs and give the last validation PSNR in dB."""
    overrides = [
        *CASES[case],
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
        train(recipe, Registry.discover(), run, source="benchmark", console=console)
        records = [r for r in read_records(run / "metrics.jsonl") if r["kind"] == "validation"]
    psnr: float = records[-1]["psnr"]
    return psnr


if __name__ == "__main__":
    main()
