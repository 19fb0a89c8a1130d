"""Measure on a GPU, in a few minutes, what the other scripts measure on a CPU.

    python benchmarks/gpu.py --photos data/photos --weights realsr_df2k_x4.safetensors --out results
    python benchmarks/gpu.py --toy                    every section on any machine, at toy sizes

``training``: images per second of `srkit train` with RRDB and EDSR in each precision, relative to a
plain PyTorch loop (fp32, contiguous, on one batch in memory), and the share of the rate of a large
matrix product in that precision. Convolutions and that product use TF32 in fp32.
``upscaling``: a picture of 1080p x4. ``processes``: the whole `srkit train` of two steps with one
process for each GPU, and with one. ``resume``: a run in two parts and the same run in one.
``darionet``: DarioNet trained on labelled photographs until it no longer improves: the share of the
gap in cross-entropy, between bilinear interpolation and the originals, that it closes.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from train_step import CASES, RECIPE, loop_speed, make_recipe, srkit_speed

from srkit import Upscaler
from srkit.assembly.build import SPLITS, assemble
from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.evaluation.run import evaluate
from srkit.models.costs import count_multiply_adds
from srkit.recipe.recipe import Recipe, load_recipe
from srkit.training.loop import train
from srkit.weights.checkpoints import load

GPUS = torch.cuda.device_count()
DEVICE = torch.device("cuda" if GPUS else "cpu")
RECIPES = RECIPE.parent
NETWORKS = ("rrdb_128", "edsr_192")
#: Precisions of a training, with the type of the matrix product that is compared.
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
#: A training step has the multiply-adds of three passes forward.
PASSES = 3
#: Side of the matrices of the product, and number of repetitions.
PRODUCT, TOY_PRODUCT = (8192, 20), (512, 2)
WORKERS = min(4, os.cpu_count() or 1)


def main() -> None:
    arguments = parse()
    torch.backends.cuda.matmul.allow_tf32 = True
    sections: dict[str, Callable[[argparse.Namespace], Any]] = {
        "training": training,
        "upscaling": upscaling,
        "processes": processes,
        "resume": resume,
        "darionet": darionet,
    }
    results: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if GPUS else "CPU",
        "gpus": GPUS,
        "toy": arguments.toy,
    }
    console = Console()
    for name in arguments.section or sections:
        results[name] = sections[name](arguments)
        console.print_json(json.dumps({name: results[name]}))
        if arguments.out:  # after every section, since the next one may fail
            arguments.out.mkdir(parents=True, exist_ok=True)
            (arguments.out / "gpu.json").write_text(json.dumps(results, indent=2) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = ("training", "upscaling", "processes", "resume", "darionet")
    parser.add_argument("--section", nargs="+", choices=names, help="default: all")
    parser.add_argument("--steps", type=int, default=60, help="timed steps of a training")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--photos", type=Path, help="photographs with labels.csv, for darionet")
    parser.add_argument("--weights", type=Path, help="x4 RRDB that darionet starts from")
    parser.add_argument("--out", type=Path, help="folder for gpu.json")
    parser.add_argument("--toy", action="store_true", help="small networks, few steps, any device")
    return parser.parse_args()


def training(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare training in each precision with a plain loop and with a matrix product."""
    steps, batch = (2, 2) if arguments.toy else (arguments.steps, arguments.batch)
    product = TOY_PRODUCT if arguments.toy else PRODUCT
    small = "blocks: 1, features: 8" if arguments.toy else ""
    found: dict[str, Any] = {}
    for case in NETWORKS:
        network = CASES[case][0].replace("blocks: 23, features: 64", small or "blocks: 23")
        network = network.replace("blocks: 16, features: 64", small or "blocks: 16")
        changes = [network, f"training.batch_size={batch}", f"training.workers={WORKERS}"]
        plain = loop_speed(make_recipe(case, steps, changes), steps, fast=False)
        found[case] = {"plain_images_per_second": plain}
        for name, dtype in PRECISIONS.items():
            if name == "fp16" and not GPUS:
                continue
            recipe = make_recipe(case, steps, [*changes, f"training.precision={name}"])
            speed, waiting = srkit_speed(recipe)
            rate = PASSES * multiply_adds(recipe) * speed
            found[case][name] = {
                "images_per_second": speed,
                "relative_to_plain": speed / plain,
                "share_of_matrix_product": rate / product_rate(dtype, *product),
                "waiting_share": waiting,
            }
    return found


def multiply_adds(recipe: Recipe) -> int:
    """Return those of the generator for one image of a training batch."""
    network: Any = assemble(recipe, Registry.discover(), "benchmark", splits=()).generator
    assert recipe.data.train is not None
    side = recipe.data.train.hr_crop(4)
    assert side is not None
    return count_multiply_adds(network.eval(), torch.zeros(1, 3, side // 4, side // 4))[""]


def product_rate(dtype: torch.dtype, side: int, repeats: int) -> float:
    """Return the multiply-adds per second of the product of two square matrices."""
    matrix = torch.randn(side, side, device=DEVICE).to(dtype)
    return repeats * side**3 / seconds(lambda: [matrix @ matrix for _ in range(repeats)])


def seconds(work: Callable[[], object]) -> float:
    """Return the duration of the second call, until the device has finished."""
    for _ in range(2):
        synchronise()
        started = time.perf_counter()
        work()
        synchronise()
        taken = time.perf_counter() - started
    return taken


def synchronise() -> None:
    if GPUS:
        torch.cuda.synchronize()


def upscaling(arguments: argparse.Namespace) -> dict[str, Any]:
    """Upscale a picture x4 with a small and a large network."""
    height, width = (27, 48) if arguments.toy else (1080, 1920)
    product = TOY_PRODUCT if arguments.toy else PRODUCT
    picture = torch.randint(256, (height, width, 3), dtype=torch.uint8).numpy()
    found: dict[str, Any] = {"lr": [height, width]}
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "rrdb.pth"
        rrdb = Registry.discover().get("generators", "rrdb").factory
        blocks = 1 if arguments.toy else 23
        network = build(rrdb, {"blocks": blocks}, scale=4, channels=3)
        torch.save(network.state_dict(), large)
        per_pixel = count_multiply_adds(network.eval(), torch.zeros(1, 3, 32, 32))[""] / 32**2
        for name, weights in (("edsr_small_x4", "edsr_small_x4"), ("rrdb", large)):
            for precision in ("fp32", "bf16"):
                upscaler = Upscaler(weights, precision=precision)
                taken = seconds(lambda: upscaler(picture))  # noqa: B023
                found[f"{name}_{precision}"] = {"seconds": taken}
                if name == "rrdb":
                    rate = per_pixel * height * width / taken
                    share = rate / product_rate(PRECISIONS[precision], *product)
                    found[f"{name}_{precision}"]["share_of_matrix_product"] = share
    return found


def processes(arguments: argparse.Namespace) -> dict[str, Any]:
    """Time the whole command for two steps, with a process for each GPU and with one."""
    together = GPUS if GPUS else 2
    found = {}
    for count in sorted({1, together}):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "srkit", "train", str(RECIPE), "--sample"]
            command += ["--out", f"{folder}/run", "--processes", str(count)]
            command += [f"training.batch_size={4 * count}", "training.duration=2"]
            started = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            found[f"seconds_with_{count}"] = time.perf_counter() - started
    return found


def resume(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train to the end in one part and in two; return the largest difference of a weight."""
    steps = 4 if arguments.toy else 40
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fit(sample_recipe(steps), folder / "whole")
        fit(sample_recipe(steps // 2), folder / "parts")
        started = time.perf_counter()
        fit(sample_recipe(steps), folder / "parts", resume=True)
        taken = time.perf_counter() - started
        whole, parts = (
            load(folder / run / "checkpoints/last.safetensors").groups["generator"]
            for run in ("whole", "parts")
        )
    apart = [float((whole[key] - parts[key]).abs().max()) for key in whole]
    return {"steps": steps, "largest_difference": max(apart), "seconds_of_second_half": taken}


def sample_recipe(steps: int) -> Recipe:
    return load_recipe(RECIPE, [f"training.duration={steps}", "data.validation=null"], sample=True)


def fit(recipe: Recipe, folder: Path, *, resume: bool = False) -> None:
    assembly = assemble(recipe, Registry.discover(), "benchmark", splits=SPLITS)
    console = Console(file=io.StringIO())
    train(assembly, folder, source="benchmark", console=console, resume=resume)


def darionet(arguments: argparse.Namespace) -> dict[str, Any] | str:
    """Train DarioNet to its plateau, and return the share of the gap that it closes."""
    if arguments.toy:
        changes = ["training.duration=2", "training.validate_every=2"]
        recipe = load_recipe(RECIPES / "darionet.yaml", changes, sample=True)
    elif arguments.photos and arguments.weights:
        recipe = photo_recipe(arguments.photos.resolve(), arguments.weights.resolve())
    else:
        return "not measured: it requires --photos and --weights"
    with tempfile.TemporaryDirectory() as name:
        run = Path(name) / "run"
        started = time.perf_counter()
        fit(recipe, run)
        taken = time.perf_counter() - started
        step = load(run / "checkpoints/best.safetensors").state["step"]
        console = Console(file=io.StringIO())
        registry = Registry.discover()
        [table] = evaluate(recipe, registry, run, source="benchmark", console=console)
    entropy = {model.name: model.mean("cross_entropy") for model in table.models}
    gap = entropy["bilinear"] - entropy["original"]
    closed = {name: (entropy["bilinear"] - value) / gap for name, value in entropy.items()}
    return {"seconds": taken, "best_step": step, "cross_entropy": entropy, "gap_closed": closed}


def photo_recipe(photos: Path, weights: Path) -> Recipe:
    """Return the recipe for a folder: the last 100 for the test, 100 before for validation."""
    folder = f"type: image_folder, root: {photos}, labels: {photos}/labels.csv, classes: imagenet"
    folder += ", size: 256, enlarge: true"
    changes = [
        f"start.weights={weights}",
        f"data.train.dataset={{{folder}, stop: -200}}",
        f"data.validation={{dataset: {{{folder}, start: -200, stop: -100}}}}",
        f"data.test.dataset={{{folder}, start: -100}}",
        "best=cross_entropy",
        "training.duration=4000",
        "training.schedule={type: constant, warmup: 16}",
        "training.ema=0.99",
        "training.validate_every=50",
        "training.patience=8",
        f"training.workers={WORKERS}",
    ]
    return load_recipe(RECIPES / "darionet_photos.yaml", changes)


if __name__ == "__main__":
    main()
