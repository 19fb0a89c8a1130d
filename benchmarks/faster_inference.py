"""Compare the engines of srkit with `torch.compile` and with int8, on the CPU.

    python benchmarks/faster_inference.py rrdb_small_x4 --out results

int8 are weights and activations, quantised by NNCF (`pip install nncf`) from 60 crops of the
training pictures of srkit[sample]. One picture of 256 x 192 pixels is timed. PSNR is the mean over
the test pictures of srkit[sample], after bicubic downscaling.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import openvino
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from train_step import RECIPE

from srkit import load_model
from srkit.assembly.build import assemble
from srkit.components.registry import Registry
from srkit.functional import psnr, resize
from srkit.models.graphs import to_onnx
from srkit.recipe.recipe import load_recipe

Run = Callable[[Tensor], Tensor]
CROPS = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", help="a network with published or local weights")
    parser.add_argument("--out", type=Path, help="folder for faster_inference.json")
    arguments = parser.parse_args()
    torch.set_grad_enabled(False)
    recipe = load_recipe(RECIPE, sample=True)
    data = assemble(recipe, Registry.discover(), "benchmark", splits=["train", "test"]).data
    network, model = load_model(arguments.model)
    network.eval().to(memory_format=torch.channels_last)
    bare = replace(model, stretch=None, constraint=None, head=None)
    graph = openvino.Core().read_model(to_onnx(bare, {}))
    crops = [data["train"][i % len(data["train"])].hr[None, :, :64, :64] for i in range(CROPS)]
    runs = {
        "torch, fp32": by_torch(network, rounded=False),
        "torch, bf16": by_torch(network, rounded=True),
        "torch.compile, fp32": by_torch(compiled(network), rounded=False),
        "torch.compile, bf16": by_torch(compiled(network), rounded=True),
        "OpenVINO, fp32": by_openvino(graph, "f32"),
        "OpenVINO, bf16": by_openvino(graph, "bf16"),
        "OpenVINO, int8": by_openvino(quantised(graph, crops), "bf16"),
    }
    pairs = [
        (resize(hr[None], factor=1 / model.scale).clamp(0, 1), hr[None])
        for hr in (data["test"][i].hr for i in range(len(data["test"])))
    ]
    results = {name: measure(run, pairs) for name, run in runs.items()}
    table = Table("method", "seconds", "first run", "PSNR in dB")
    for name, found in results.items():
        table.add_row(name, *(f"{value:.3f}" for value in found.values()))
    Console().print(table)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(results, indent=2) + "\n"
        (arguments.out / "faster_inference.json").write_text(text)


def by_torch(network: Any, *, rounded: bool) -> Run:
    def run(lr: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=rounded):
            sr: Tensor = network(lr.contiguous(memory_format=torch.channels_last))
        return sr.float()

    return run


def compiled(network: Any) -> Any:
    """Compile a network with its weights as constants, for any size."""
    return torch.compile(network, dynamic=False, options={"freezing": True})


def by_openvino(graph: Any, precision: str) -> Run:
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    network = openvino.Core().compile_model(graph, "CPU", settings)
    return lambda lr: torch.from_numpy(network([lr.contiguous().numpy()])[0].copy())


def quantised(graph: Any, crops: list[Tensor]) -> Any:
    import nncf

    given = nncf.Dataset([crop.numpy() for crop in crops])
    preset = nncf.QuantizationPreset.MIXED
    return nncf.quantize(graph, given, preset=preset, subset_size=CROPS)


def measure(run: Run, pairs: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Return the best of three runs after the first, the first, and the mean PSNR."""
    picture = torch.rand(1, 3, 192, 256)
    first, *others = (seconds(run, picture) for _ in range(4))
    levels = [((run(lr).clamp(0, 1) * 255).round() / 255, hr) for lr, hr in pairs]
    quality = torch.cat([psnr(sr, hr) for sr, hr in levels])
    return {"seconds": min(others), "first": first, "psnr": float(quality.mean())}


def seconds(run: Run, picture: Tensor) -> float:
    started = time.perf_counter()
    run(picture)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
