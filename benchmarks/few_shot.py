"""Measure the effect of each training aid on the transfer to few real pairs, over several seeds.

    python benchmarks/few_shot.py --seeds 3 --out results

Trains the sample of ``recipes/lens_hst.yaml`` unchanged, and once for each aid with the aid added
or removed. The networks that it needs are trained once; those of ``transfer.py`` are used if
``--out`` is the same folder.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from transfer import as_table, summarise, transfer

from srkit.components.registry import Registry
from srkit.evaluation.results import Evaluation

#: The simulated pairs on which the sample is pretrained.
SIMULATED = "{type: lens_simulation, split: train, length: 2000, size: 64}"

#: Changes to the recipe, which rotates and flips, freezes no layer and mixes in no simulated pairs.
AIDS: dict[str, list[str]] = {
    "as in the recipe": [],
    "no augmentation": ["data.train.augment=[]"],
    "first half frozen": ["start.freeze=[head, body.0, body.1, body.2, body.3]"],
    "L2-SP, 0.1": ["start.l2_sp=0.1"],
    "a quarter simulated": [f"data.train.mix={{dataset: {SIMULATED}, share: 0.25}}"],
    "no flux constraint": ["constraint=null"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True, help="folder for runs and few_shot.json")
    arguments = parser.parse_args()
    console, registry = Console(), Registry.discover()
    tables = [
        transfer_with(aid, seed, arguments.out, registry, console)
        for seed in range(arguments.seeds)
        for aid in AIDS
    ]
    results = summarise(tables)
    (arguments.out / "few_shot.json").write_text(json.dumps(results, indent=2) + "\n")
    console.print(as_table(results))


def transfer_with(
    aid: str, seed: int, out: Path, registry: Registry, console: Console
) -> Evaluation:
    """Train and evaluate the transfer with an aid; return the row of the transferred network."""
    suffix = "".join(f"_{word}" for word in re.findall(r"[\w.]+", aid)) if AIDS[aid] else ""
    table = transfer(seed, out, registry, console, AIDS[aid], suffix)
    return replace(table, models=[replace(table.models[-1], name=aid)])


if __name__ == "__main__":
    main()
