"""Compare the cost of networks with that of the EDSR baseline, for docs/how_to/choose_a_network.md.

    OMP_NUM_THREADS=1 python benchmarks/network_costs.py --network span rcan

Each network alternates with EDSR in one process, at x4 in bf16 and channels_last, on random images
that are already in memory. The table has ratios to EDSR; speeds are of processor time.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.models.costs import count_multiply_adds, count_parameters
from srkit.system.memory import keep_freed_memory

EDSR: dict[str, Any] = {"type": "edsr", "subtract_mean": True}
NETWORKS: dict[str, dict[str, Any]] = {
    "compact": {"type": "compact"},
    "compact_32": {"type": "compact", "blocks": 32},
    "span": {"type": "span"},
    "plksr_tiny": {"type": "plksr", "blocks": 12, "kernel": 13, "attention": False},
    "plksr": {"type": "plksr"},
    "realplksr": {"type": "realplksr"},
    "realplksr_dysample": {"type": "realplksr", "upsampler": "dysample"},
    "swinir_light": {"type": "swinir", "groups": 4, "features": 60, "upsampler": "direct"},
    "swinir": {"type": "swinir"},
    "swinir_nearest": {"type": "swinir", "upsampler": "nearest"},
    "rcan": {"type": "rcan", "subtract_mean": True},
}
SCALE, ROUNDS = 4, 3


def main() -> None:
    """Print the ratios of each network to EDSR."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    warnings.simplefilter("ignore")
    keep_freed_memory()
    edsr = make(EDSR)
    print("network parameters multiply-adds inference training")
    for name in parser.parse_args().network:
        network = make(NETWORKS[name])
        both = (edsr, network)
        parameters, macs = (
            after / before
            for before, after in (
                [count_parameters(each) for each in both],
                [count_multiply_adds(each.eval(), noise(1, 64))[""] for each in both],
            )
        )
        speeds = (compare(*map(inference, both)), compare(*map(training, both)))
        print(name, *(f"{ratio:.3g}" for ratio in (parameters, macs, *speeds)), flush=True)


def make(options: dict[str, Any]) -> nn.Module:
    torch.manual_seed(0)
    given = dict(options)
    component = Registry.discover().get("generators", given.pop("type"))
    network: nn.Module = build(component.factory, given, scale=SCALE, channels=3)
    return network.to(memory_format=torch.channels_last)


def noise(count: int, side: int) -> Tensor:
    return torch.rand(count, 3, side, side).contiguous(memory_format=torch.channels_last)


def inference(network: nn.Module) -> Callable[[], None]:
    lr = noise(1, 64)

    def step() -> None:
        network.eval()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            network(lr)

    return step


def training(network: nn.Module) -> Callable[[], None]:
    lr, hr = noise(2, 24), noise(2, 24 * SCALE)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)

    def step() -> None:
        network.train()
        with torch.autocast("cpu", torch.bfloat16):
            sr = network(lr)
        optimiser.zero_grad()
        nn.functional.l1_loss(sr.float(), hr).backward()
        optimiser.step()

    return step


def compare(before: Callable[[], None], after: Callable[[], None]) -> float:
    """Return how many times as fast the second is: the best of several alternating rounds."""
    before(), after()
    rounds = [(seconds(before), seconds(after)) for _ in range(ROUNDS)]
    return min(first for first, _ in rounds) / min(second for _, second in rounds)


def seconds(step: Callable[[], None]) -> float:
    started = time.process_time()
    step()
    return time.process_time() - started


if __name__ == "__main__":
    main()
