"""Compare precisions, memory formats and engines on the instructions of several processors.

    OMP_NUM_THREADS=1 python benchmarks/processors.py

An RRDB of one block restores an image of 48 x 48 pixels x4. The instructions are limited by
ONEDNN_MAX_CPU_ISA and ATEN_CPU_CAPABILITY. The table shows the processor time of torch in fp32 and
contiguous memory, as most scripts use it, over that of each way: a larger number is faster. Unlike
the time on a clock, processor time in one thread hardly depends on what else runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from srkit.components.registry import Registry
from srkit.models.open import fresh_model
from srkit.models.openvino import OpenVINONetwork
from srkit.system.memory import keep_freed_memory
from srkit.system.precision import fastest_precision

LIMITS = {
    "AVX2": "avx2",
    "AVX2_VNNI": "avx2",
    "AVX512_CORE": "avx512",
    "AVX512_CORE_BF16": "avx512",
    "ALL": "avx512",
}
SIDE, ROUNDS = 48, 3


def main() -> None:
    """Measure each limit in a new process, and print the table."""
    if "--measure" in sys.argv:
        print(json.dumps(measure()))
        return
    table = Table()
    for limit, capability in LIMITS.items():
        limits = {"ONEDNN_MAX_CPU_ISA": limit, "ATEN_CPU_CAPABILITY": capability}
        command = [sys.executable, __file__, "--measure"]
        done = subprocess.run(
            command, env={**os.environ, **limits}, stdout=subprocess.PIPE, text=True, check=True
        )
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        auto, plain = found.pop("auto"), found["torch fp32 contiguous"]
        if not table.columns:
            for heading in ("instructions", *found, "auto"):
                table.add_column(heading)
        table.add_row(limit, *(f"{plain / seconds:.2g}" for seconds in found.values()), auto)
    Console(width=160).print(table)


def measure() -> dict[str, Any]:
    """Return the least seconds of each way, and the precision that `auto` takes."""
    keep_freed_memory()
    model = fresh_model("rrdb", Registry.discover(), ["blocks=1"], scale=4, channels=3)
    found: dict[str, Any] = {}
    for layout in (torch.contiguous_format, torch.channels_last):
        network = model.generator.to(memory_format=layout)  # type: ignore[call-overload]
        name = "contiguous" if layout == torch.contiguous_format else "channels_last"
        for precision in ("fp32", "bf16"):
            found[f"torch {precision} {name}"] = seconds(network, precision, layout)
    network = OpenVINONetwork(model)
    for precision in ("fp32", "bf16"):
        found[f"openvino {precision}"] = seconds(network, precision, torch.contiguous_format)
    return {**found, "auto": fastest_precision(torch.device("cpu"))[0]}


def seconds(network: nn.Module, precision: str, layout: torch.memory_format) -> float:
    """Return the least processor time of a pass, after a first one."""
    lr = torch.rand(1, 3, SIDE, SIDE).contiguous(memory_format=layout)
    best = float("inf")
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        network(lr)
        for _ in range(ROUNDS):
            start = time.process_time()
            network(lr)
            best = min(best, time.process_time() - start)
    return best


if __name__ == "__main__":
    main()
