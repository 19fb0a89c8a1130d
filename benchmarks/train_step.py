"""Compare srkit's training loop with a plain PyTorch loop and with the fastest bare step.

    python benchmarks/train_step.py --out results

Three methods train the same network with L1 on batches of the same size. ``plain`` is a script that
is not optimised for speed: fp32, contiguous. ``bare`` is the fastest step that we know: bf16,
channels_last, freed memory kept by the process. Both reuse one batch that is already in memory.
``srkit`` is all of ``srkit train``: it reads, crops, rotates and degrades photographs, logs and
saves. The methods alternate, each in a new process.
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
from collections.abc import Sequence
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
#: RRDB with images about as large as those of DarioNet, EDSR as in its paper, and small crops.
CASES = {
    "rrdb_256": [RRDB, "training.batch_size=4", "data.train.crop=256"],
    "edsr_192": [EDSR, "training.batch_size=16", "data.train.crop=192"],
    "rrdb_128": [RRDB, "training.batch_size=8", "data.train.crop=128"],
    "edsr_128": [EDSR, "training.batch_size=16", "data.train.crop=128"],
}
STEPS = {"rrdb_256": 5, "edsr_192": 16, "rrdb_128": 10, "edsr_128": 24}
METHODS = ("plain", "bare", "srkit")
WARM_UP = 2
RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "rrdb_small_x4.yaml"


def main() -> None:
    """Alternate between the methods; print and write medians and ratios."""
    arguments = parse()
    if arguments.method:
        print(json.dumps(measure(arguments.case[0], arguments.method)))
        return
    console = Console()
    results = {}
    for case in arguments.case:
        rounds = [
            {name: measure_in_subprocess(case, name) for name in METHODS}
            for _ in range(arguments.rounds)
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
    parser.add_argument("--method", choices=METHODS, help="measure only this one, in this process")
    return parser.parse_args()


def measure_in_subprocess(case: str, method: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--case", case, "--method", method]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def measure(case: str, method: str) -> dict[str, float]:
    steps = STEPS[case]
    recipe = make_recipe(case, steps)
    if method == "srkit":
        speed, waiting = srkit_speed(recipe)
    else:
        speed, waiting = loop_speed(recipe, steps, fast=method == "bare"), 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"images_per_second": speed, "waiting_share": waiting, "peak_memory_gib": peak}


def make_recipe(case: str, steps: int, changes: Sequence[str] = ()) -> Recipe:
    """Return the recipe of a case on the sample photographs, with twice as many steps and changes.

    Only the second half of the steps is measured.
    """
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
        *changes,
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
    """Return the images per second of a loop that only trains."""
    if fast and not torch.cuda.is_available():
        keep_freed_memory()
    assembly = assemble(recipe, Registry.discover(), "benchmark", splits=())
    network: Any = assembly.generator
    assert isinstance(network, nn.Module)
    source = recipe.data.train
    assert source is not None
    side = source.hr_crop(4)
    assert side is not None
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
        loss.item()  # as in a script that prints the loss; also waits for the device

    for _ in range(WARM_UP):
        step()
    started = time.perf_counter()
    for _ in range(steps):
        step()
    return size * steps / (time.perf_counter() - started)


def summarise(rounds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Return medians over the rounds, also of the ratios within each round."""

    def median(values: list[float]) -> float:
        return round(statistics.median(values), 4)

    speeds = {name: [r[name]["images_per_second"] for r in rounds] for name in METHODS}
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
            name: median([r[name]["peak_memory_gib"] for r in rounds]) for name in METHODS
        },
    }


def as_table(case: str, result: dict[str, Any]) -> Table:
    table = Table("loop", "images/s", "peak memory in GiB", title=case)
    for name in METHODS:
        speed, peak = result["images_per_second"][name], result["peak_memory_gib"][name]
        table.add_row(name, f"{speed:.2f}", f"{peak:.2f}")
    table.caption = (
        f"srkit is {result['srkit_over_plain']:.2f} times as fast as plain; overhead relative to "
        f"bare {result['overhead_over_bare']:.1%}; waiting for data "
        f"{result['waiting_share']:.1%} of the time"
    )
    return table


if __name__ == "__main__":
    main()
