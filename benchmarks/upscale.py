"""Compare `srkit upscale` with the plain loop that most scripts use to restore images.

    python benchmarks/upscale.py realsr_df2k_x4.safetensors --picture butterfly.png --out results

``plain`` reads the weights with spandrel and runs the network on one image after another: fp32,
contiguous, without tiles. ``torch`` and ``openvino`` are :class:`srkit.Upscaler` with its two
engines: with tiles and, for 8-bit images, in bf16. All of them restore one image and many cutouts
of 64 x 64 pixels: plain one by one, srkit one by one and in batches. The methods alternate, each in
a new process, and get the same arrays. The network's multiply-adds per second are also compared
with those of a large matrix product.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from srkit import Upscaler, load_model
from srkit.models.costs import count_multiply_adds

Levels = NDArray[np.uint8]

#: The engines of srkit, and all methods.
ENGINES = ("torch", "openvino")
METHODS = ("plain", *ENGINES)
CUTOUT = 64
#: Side of the matrices of the reference product, and number of repetitions.
PRODUCT, REPEATS = 4096, 5


def main() -> None:
    """Alternate between the methods; print and write the best of each and the ratios."""
    arguments = parse()
    if arguments.method:
        print(json.dumps(measure(arguments)))
        return
    with tempfile.TemporaryDirectory() as folder:
        rounds = [
            {name: measure_in_subprocess(name, Path(folder) / f"{name}.npy") for name in METHODS}
            for _ in range(arguments.rounds)
        ]
        outputs = {name: np.load(Path(folder) / f"{name}.npy") for name in METHODS}
    results = summarise(rounds)
    results["psnr_to_plain_db"] = {name: psnr(outputs["plain"], outputs[name]) for name in ENGINES}
    if arguments.reference:
        hr = read(arguments.reference)
        results["psnr_db"] = {name: psnr(sr, hr) for name, sr in outputs.items()}
    Console().print(as_table(results))
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"rounds": arguments.rounds, **results}, indent=2) + "\n"
        (arguments.out / "upscale.json").write_text(text)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("weights", type=Path, help="weights that both spandrel and srkit can read")
    parser.add_argument("--picture", type=Path, required=True, help="8-bit LR image")
    parser.add_argument("--reference", type=Path, help="HR of this image")
    parser.add_argument(
        "--cutouts", type=int, default=64, help=f"number of {CUTOUT} x {CUTOUT} cutouts"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="folder for upscale.json")
    parser.add_argument("--method", choices=METHODS, help="measure only this one, in this process")
    parser.add_argument("--save", type=Path, help="file for the SR of the method")
    return parser.parse_args()


def measure_in_subprocess(method: str, save: Path) -> dict[str, float]:
    command = [sys.executable, *sys.argv, "--method", method, "--save", str(save)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def read(path: Path) -> Levels:
    return np.asarray(Image.open(path).convert("RGB"))


def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of each task, after a first run on images of the same size."""
    picture = read(arguments.picture)
    rng = np.random.default_rng(0)
    corners = rng.integers(0, np.array(picture.shape[:2]) - CUTOUT, (arguments.cutouts, 2))
    cutouts = [picture[y : y + CUTOUT, x : x + CUTOUT] for y, x in corners]
    found: dict[str, float] = {}
    if arguments.method == "plain":
        restore = plain_restorer(arguments.weights)
    else:
        restore = Upscaler(arguments.weights, engine=arguments.method)
        found["multiply_adds_per_second_of_a_product"] = product_rate()
    np.save(arguments.save, restore(picture))
    found["picture"] = seconds(lambda: restore(picture))
    restore(cutouts[0])
    found["one_by_one"] = seconds(lambda: [restore(cutout) for cutout in cutouts])
    if arguments.method in ENGINES:
        restore(cutouts)
        found["in_batches"] = seconds(lambda: restore(cutouts))
        network, model = load_model(arguments.weights)
        small = count_multiply_adds(network, torch.zeros(1, 3, CUTOUT, CUTOUT))[""]
        found["multiply_adds"] = small * picture[..., 0].size / CUTOUT**2
        found["scale"] = model.scale
    return found


def plain_restorer(weights: Path) -> Callable[[Any], Any]:
    """Return a function that restores an image as the scripts of Real-ESRGAN and spandrel do."""
    from spandrel import ModelLoader

    network = ModelLoader("cpu").load_from_file(weights).eval()

    def restore(picture: Levels) -> Levels:
        lr = torch.from_numpy(picture.transpose(2, 0, 1).copy()).float().div(255)[None]
        with torch.no_grad():
            sr = network(lr)[0].clamp(0, 1)
        levels: Levels = sr.permute(1, 2, 0).mul(255).round().byte().numpy()
        return levels

    return restore


def product_rate() -> float:
    """Return the multiply-adds per second of a large matrix product in bf16."""
    matrix = torch.randn(PRODUCT, PRODUCT).bfloat16()
    matrix @ matrix
    taken = seconds(lambda: [matrix @ matrix for _ in range(REPEATS)])
    return REPEATS * PRODUCT**3 / taken


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def summarise(rounds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Return the best of the rounds, since other programs can only slow a round down."""
    best = {
        name: {
            key: (max if key.startswith("multiply") else min)(r[name][key] for r in rounds)
            for key in rounds[0][name]
        }
        for name in METHODS
    }
    shares = {}
    for name in ENGINES:
        fast = best[name]
        rate = fast.pop("multiply_adds") / fast["picture"]
        shares[name] = rate / fast.pop("multiply_adds_per_second_of_a_product")
    plain = best["plain"]
    return {
        "seconds": best,
        "plain_over_srkit": {
            name: {
                "picture": plain["picture"] / best[name]["picture"],
                "cutouts, one by one": plain["one_by_one"] / best[name]["one_by_one"],
                "cutouts, in batches": plain["one_by_one"] / best[name]["in_batches"],
            }
            for name in ENGINES
        },
        "share_of_the_rate_of_a_product": shares,
    }


def psnr(one: Levels, other: Levels) -> float:
    """Return the PSNR over all RGB values in dB, within the common size of both images."""
    height, width = (min(a, b) for a, b in zip(one.shape[:2], other.shape[:2], strict=True))
    difference = one[:height, :width].astype(float) - other[:height, :width]
    return float(10 * np.log10(255**2 / np.mean(difference**2)))


def as_table(results: dict[str, Any]) -> Table:
    table = Table("quantity", *METHODS)
    ratios = results["plain_over_srkit"]
    for task in ratios[ENGINES[0]]:
        row = (f"{ratios[name][task]:.2f}" for name in ENGINES)
        table.add_row(f"{task}: speed relative to plain", "1", *row)
    shares = (f"{results['share_of_the_rate_of_a_product'][name]:.2f}" for name in ENGINES)
    table.add_row("multiply-adds/s relative to a matrix product", "", *shares)
    apart = (f"{results['psnr_to_plain_db'][name]:.2f}" for name in ENGINES)
    table.add_row("PSNR to plain in dB", "", *apart)
    if "psnr_db" in results:
        table.add_row("PSNR in dB", *(f"{results['psnr_db'][name]:.3f}" for name in METHODS))
    return table


if __name__ == "__main__":
    main()
