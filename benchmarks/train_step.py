"""Compare srkit's training loop with a plain PyTorch loop, and with the bare step it could reach.

    python benchmarks/train_step.py --out results

Three contestants train the same network by L1 on batches of one size. ``plain`` is what a script
does without thinking of speed: fp32, contiguous. ``bare`` is the fastest step known here: bf16,
channels_last, freed memory kept. Both get one batch that lies in memory. ``srkit`` is the whole of
``srkit train``: it reads, crops, turns and degrades photographs, logs and saves. They take turns,
each in a fresh process.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from srkit.assembly.build import SPLITS, assemble
from srkit.components.registry import Registry
from srkit.recipe.recipe import Recipe, load_recipe
from srkit.system.memory import keep_freed_memory
from srkit.training.loop import train
from srkit.training.monitor import read_records

RRDB = "generator={type: rrdb, blocks: 23, features: 64, growth: 32}"
EDSR = "generator={type: edsr, blocks: 16, features: 64}"
#: RRDB at about the size of DarioNet's images, EDSR as in its paper; and both on small crops.
CASES = {
    "rrdb_256": [RRDB, "training.batch_size=4", "data.train.crop=256"],
    "edsr_192": [EDSR, "training.batch_size=16", "data.train.crop=192"],
    "rrdb_128": [RRDB, "training.batch_size=8", "data.train.crop=128"],
    "edsr_128": [EDSR, "training.batch_size=16", "data.train.crop=128"],
}
STEPS = {"rrdb_256": 5, "edsr_192": 16, "rrdb_128": 10, "edsr_128": 24}
CONTESTANTS = ("plain", "bare", "srkit")
WARM_UP = 2
RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "rrdb_small_x4.yaml"


def main() -> None:
    """Let the contestants take turns; print and write medians and ratios."""
    arguments = parse()
    if arguments.contestant:
        print(json.dumps(measure(arguments.case[0], arguments.contestant)))
        return
    console = Console()
    results = {}
    for case in arguments.case:
        rounds = [
            {name: in_child(case, name) for name in CONTESTANTS} for _ in range(arguments.rounds)
        ]
        results[case] = summarise(rounds)
        console.print(as_table(case, results[case]))
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "train_step.json").write_text(json.dumps(results, indent=2) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="folder for train_step.json")
    parser.add_argument("--contestant", choices=CONTESTANTS, help="measure this one only, here")
    return parser.parse_args()


def in_child(case: str, contestant: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--case", case, "--contestant", contestant]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def measure(case: str, contestant: str) -> dict[str, float]:
    steps = STEPS[case]
    recipe = make_recipe(case, steps)
    if contestant == "srkit":
        speed, waiting = srkit_speed(recipe)
    else:
        speed, waiting = loop_speed(recipe, steps, fast=contestant == "bare"), 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"images_per_second": speed, "waiting_share": waiting, "peak_memory_gib": peak}


def make_recipe(case: str, steps: int) -> Recipe:
    """Train on the sample photographs: twice the steps, the second half of which is measured."""
    overrides = [
        *CASES[case],
        f"training.duration={2 * steps}",
        f"training.log_every={steps}",
        "data.validation=null",
        "training.ema=null",
        "training.clip=null",
        "training.schedule={type: constant}",
        "training.checkpoint_every=1000",
        "training.workers=1",
        "training.precision=bf16",
    ]
    return load_recipe(RECIPE, overrides, sample=True)


def srkit_speed(recipe: Recipe) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        console = Console(file=io.StringIO())
        assembly = assemble(recipe, Registry.discover(), "benchmark", splits=SPLITS)
        train(assembly, run, source="benchmark", console=console)
        last = [r for r in read_records(run / "metrics.jsonl") if r["kind"] == "train"][-1]
    return last["images_per_second"], last["waiting_share"]


def loop_speed(recipe: Recipe, steps: int, *, fast: bool) -> float:
    """Time a loop that does nothing but step."""
    if fast and not torch.cuda.is_available():
        keep_freed_memory()
    assembly = assemble(recipe, Registry.discover(), "benchmark", splits=())
    network: Any = assembly.generator
    assert isinstance(network, nn.Module)
    source = recipe.data.train
    assert source is not None
    side = source.crop or 128
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    layout = torch.channels_last if fast else torch.contiguous_format
    network.to(device).to(memory_format=layout).train()
    size = recipe.training.batch_size
    hr = torch.rand(size, 3, side, side, device=device).contiguous(memory_format=layout)
    lr = torch.rand(size, 3, side // 4, side // 4, device=device).contiguous(memory_format=layout)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=fast):
            sr = network(lr)
        loss = (sr.float() - hr).abs().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        loss.item()  # as a script that prints its loss does, and a fair end of the timing

    for _ in range(WARM_UP):
        step()
    started = time.perf_counter()
    for _ in range(steps):
        step()
    return size * steps / (time.perf_counter() - started)


def summarise(rounds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Medians over the rounds, and of the ratios within each round."""

    def median(values: list[float]) -> float:
        return round(statistics.median(values), 4)

    speeds = {name: [r[name]["images_per_second"] for r in rounds] for name in CONTESTANTS}
    against = {
        name: [own / other for own, other in zip(speeds["srkit"], speeds[name], strict=True)]
        for name in ("plain", "bare")
    }
    return {
        "rounds": len(rounds),
        "images_per_second": {name: median(values) for name, values in speeds.items()},
        "srkit_over_plain": median(against["plain"]),
        "overhead_over_bare": median([1 - ratio for ratio in against["bare"]]),
        "waiting_share": median([r["srkit"]["waiting_share"] for r in rounds]),
        "peak_memory_gib": {
            name: median([r[name]["peak_memory_gib"] for r in rounds]) for name in CONTESTANTS
        },
    }


def as_table(case: str, result: dict[str, Any]) -> Table:
    table = Table("loop", "images/s", "peak memory in GiB", title=case)
    for name in CONTESTANTS:
        speed, peak = result["images_per_second"][name], result["peak_memory_gib"][name]
        table.add_row(name, f"{speed:.2f}", f"{peak:.2f}")
    table.caption = (
        f"srkit is {result['srkit_over_plain']:.2f} times as fast as plain; overhead over bare "
        f"{result['overhead_over_bare']:.1%}; waiting for data {result['waiting_share']:.1%}"
    )
    return table


if __name__ == "__main__":
    main()
