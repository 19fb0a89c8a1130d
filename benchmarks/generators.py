"""Compare the speed of each generator in srkit with that of the same network in a plain script.

    python benchmarks/generators.py --out results

Two methods, ``srkit`` (bf16, the network's preferred memory format, freed memory kept by the
process) and ``plain`` (fp32, contiguous), restore a batch that is already in memory, and train on
it with L1 and Adam. The methods alternate, each in a new process. The networks have their
published sizes.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.system.memory import keep_freed_memory

NETWORKS: dict[str, dict[str, Any]] = {
    "srcnn": {"type": "srcnn"},
    "srcnn_shuffle": {
        "type": "srcnn",
        "kernels": [5, 3, 5],
        "features": [64, 128],
        "shuffle": 2,
        "residual": True,
        "activation": "leaky_relu",
    },
    "edsr": {"type": "edsr", "subtract_mean": True},
    "edsr_large": {
        "type": "edsr",
        "blocks": 32,
        "features": 256,
        "residual_scale": 0.1,
        "subtract_mean": True,
    },
    "srresnet": {"type": "srresnet"},
    "rdn": {"type": "rdn"},
    "rrdb": {"type": "rrdb"},
}
METHODS = ("plain", "srkit")
TASKS = ("inference", "training")
SCALE = 4
#: Number of steps before the timing, and the smallest number of timed steps.
WARM_UP, MIN_STEPS = 2, 2


def main() -> None:
    """Alternate between the methods; print and write the best of each and their ratio."""
    arguments = parse()
    if arguments.method:
        print(json.dumps(measure(arguments)))
        return
    results = {
        network: summarise(
            [
                {name: measure_in_subprocess(arguments, network, name) for name in METHODS}
                for _ in range(arguments.rounds)
            ]
        )
        for network in arguments.network
    }
    console = Console()
    for task in TASKS:
        console.print(as_table(task, results))
    if arguments.out:
        setting = {"batch": arguments.batch, "side": arguments.side, "scale": SCALE}
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "generators.json").write_text(
            json.dumps({"setting": setting, "rounds": arguments.rounds, **results}, indent=2) + "\n"
        )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--batch", type=int, default=16, help="images per batch")
    parser.add_argument("--side", type=int, default=48, help="side of LR in pixels")
    parser.add_argument("--seconds", type=float, default=5, help="duration of each task")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="folder for generators.json")
    parser.add_argument("--method", choices=METHODS, help="measure only this one, in this process")
    return parser.parse_args()


def measure_in_subprocess(
    arguments: argparse.Namespace, network: str, method: str
) -> dict[str, Any]:
    command = [sys.executable, __file__, "--network", network, "--method", method]
    for option in ("batch", "side", "seconds"):
        command += [f"--{option}", str(getattr(arguments, option))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return images per second and peak memory in GiB for each task."""
    fast = arguments.method == "srkit"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if fast and device.type == "cpu":
        keep_freed_memory()
    torch.manual_seed(0)
    options = dict(NETWORKS[arguments.network[0]])
    component = Registry.discover().get("generators", options.pop("type"))
    network = build(component.factory, options, scale=SCALE, channels=3)
    layout = torch.channels_last if fast and network.channels_last else torch.contiguous_format
    network.to(device).to(memory_format=layout)
    before = peak_memory(device)
    shape = (arguments.batch, 3, arguments.side, arguments.side)
    lr = torch.rand(shape, device=device).contiguous(memory_format=layout)
    found: dict[str, Any] = {}
    # Inference first: the peak of a process never decreases.
    for task, prepare in zip(TASKS, (inference, training), strict=True):
        step = prepare(network, lr, fast)
        speed = arguments.batch * steps_per_second(step, arguments.seconds, device)
        found[task] = {"images_per_second": speed, "peak_memory_gib": peak_memory(device) - before}
    return found


def inference(network: nn.Module, lr: Tensor, fast: bool) -> Callable[[], None]:
    network.eval()

    def step() -> None:
        with torch.inference_mode(), torch.autocast(lr.device.type, torch.bfloat16, enabled=fast):
            network(lr)

    return step


def training(network: nn.Module, lr: Tensor, fast: bool) -> Callable[[], None]:
    hr = nn.functional.interpolate(lr, scale_factor=SCALE)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)
    network.train()

    def step() -> None:
        with torch.autocast(lr.device.type, torch.bfloat16, enabled=fast):
            sr = network(lr)
        loss = nn.functional.l1_loss(sr.float(), hr)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return step


def steps_per_second(step: Callable[[], None], seconds: float, device: torch.device) -> float:
    for _ in range(WARM_UP):
        step()
    synchronise(device)
    started, steps = time.perf_counter(), 0
    while steps < MIN_STEPS or time.perf_counter() - started < seconds:
        step()
        synchronise(device)
        steps += 1
    return steps / (time.perf_counter() - started)


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def peak_memory(device: torch.device) -> float:
    """Return the peak so far in GiB: of the process, or of the tensors on the GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def summarise(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the best of the rounds, since other programs can only slow a round down."""
    found: dict[str, Any] = {}
    for task in TASKS:
        speed, peak = (
            {name: round(best(r[name][task][key] for r in rounds), 4) for name in METHODS}
            for key, best in (("images_per_second", max), ("peak_memory_gib", min))
        )
        found[task] = {
            "srkit_over_plain": round(speed["srkit"] / speed["plain"], 3),
            "images_per_second": speed,
            "peak_memory_gib": peak,
        }
    return found


def as_table(task: str, results: dict[str, Any]) -> Table:
    table = Table(title=task)
    table.add_column("network", no_wrap=True)
    for column in ("images/s, plain", "images/s, srkit", "srkit over plain"):
        table.add_column(column)
    for name in METHODS:
        table.add_column(f"peak memory in GiB, {name}")
    for network, result in results.items():
        speed, peak = result[task]["images_per_second"], result[task]["peak_memory_gib"]
        table.add_row(
            network,
            *(f"{speed[name]:.3g}" for name in METHODS),
            f"{result[task]['srkit_over_plain']:.2f}",
            *(f"{peak[name]:.2f}" for name in METHODS),
        )
    return table


if __name__ == "__main__":
    main()
