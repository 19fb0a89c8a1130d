"""Compare srkit's batched photo degradations with per-image code as data loaders use it.

    python benchmarks/degradations.py --out results

Both methods draw the same steps for the same images. ``srkit`` applies them to batches on the
device; ``loader`` applies them to one image after another with NumPy and OpenCV, as the loaders of
Real-ESRGAN, BasicSR and BSRGAN do. The methods alternate, each on one CPU thread, and CPU time is
measured, so that other programs hardly affect it. On a machine with a CUDA GPU, ``srkit_gpu`` runs
there, measured in wall-clock time.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.special import j1
from srkit_photos.datasets.samples import SamplePhotos
from srkit_photos.degradations.blur_kernels import Kernel
from srkit_photos.degradations.bsrgan import Bsrgan
from srkit_photos.degradations.drawing import Drawn
from srkit_photos.degradations.second_order import SecondOrder
from srkit_photos.degradations.steps import (
    Blur,
    GaussianNoise,
    Jpeg,
    PoissonNoise,
    Quantise,
    Resize,
    Step,
    Subsample,
)

from srkit.components.registry import Registry
from srkit.functional import resize
from srkit.images import Formats
from srkit.system.memory import keep_freed_memory

Pixels = np.ndarray
INTERPOLATIONS = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}


def main() -> None:
    """Alternate between the methods; print and write medians and ratios."""
    arguments = parse()
    keep_freed_memory()  # as in training; both methods benefit
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    photos = SamplePhotos(formats=Formats.of(Registry.discover()), split="train", size=256)
    hr = torch.stack([photos[i % len(photos)].hr for i in range(arguments.batch)])
    results = {}
    for name, factory in (("second_order", SecondOrder), ("bsrgan", Bsrgan)):
        degradation = factory(scale=4, channels=3)
        methods = {
            "loader": lambda seeds, d=degradation: per_image(hr, seeds, d),
            "srkit": lambda seeds, d=degradation: d(hr, seeds),
        }
        if torch.cuda.is_available():
            methods["srkit_gpu"] = on_gpu(hr, degradation)
        results[name] = {
            **measure(methods, arguments.batch, arguments.rounds),
            **difference(hr, degradation),
        }
    Console().print(as_table(results))
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "degradations.json").write_text(json.dumps(results, indent=2) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, default=16, help="images of 256 x 256 pixels")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="folder for degradations.json")
    return parser.parse_args()


def measure(
    methods: dict[str, Callable[[list[int]], object]], batch: int, rounds: int
) -> dict[str, float]:
    """Return milliseconds per image and ratios: medians over the rounds."""
    for run in methods.values():
        run(list(range(batch)))
    taken: list[dict[str, float]] = []
    for number in range(1, rounds + 1):
        seeds = list(range(number * batch, (number + 1) * batch))
        taken.append({name: timed(name, run, seeds) for name, run in methods.items()})
    result = {name: round(statistics.median(t[name] for t in taken), 2) for name in methods}
    for name in methods:
        if name != "loader":
            ratio = statistics.median(t["loader"] / t[name] for t in taken)
            result[f"loader_over_{name}"] = round(ratio, 2)
    return result


def timed(name: str, run: Callable[[list[int]], object], seeds: list[int]) -> float:
    clock = time.perf_counter if name == "srkit_gpu" else time.process_time
    began = clock()
    run(seeds)
    return 1000 * (clock() - began) / len(seeds)


def on_gpu(hr: torch.Tensor, degradation: Drawn) -> Callable[[list[int]], object]:
    resident = hr.cuda()

    def run(seeds: list[int]) -> None:
        degradation(resident, seeds)
        torch.cuda.synchronize()

    return run


def per_image(hr: torch.Tensor, seeds: list[int], degradation: Drawn) -> list[Pixels]:
    """Degrade each image separately, as a loader does: ``(H, W, 3)`` float32."""
    degraded = []
    for picture, seed in zip(hr, seeds, strict=True):
        image = picture.permute(1, 2, 0).contiguous().numpy()
        for step in degradation.programme(seed, (image.shape[0], image.shape[1])):
            image = apply_step(step, image)
        degraded.append(image)
    return degraded


def apply_step(step: Step, image: Pixels) -> Pixels:
    """Apply one step with NumPy and OpenCV."""
    if isinstance(step, Blur):
        return cv2.filter2D(image, -1, np.flip(numpy_kernel(step.kernel)))
    if isinstance(step, Resize):
        return resize_image(image, step)
    if isinstance(step, Subsample):
        return np.ascontiguousarray(image[:: step.every, :: step.every])
    if isinstance(step, GaussianNoise):
        return add_gaussian_noise(image, step)
    if isinstance(step, PoissonNoise):
        return add_poisson_noise(image, step)
    levels = (image.clip(0, 1) * 255).round().astype(np.uint8)
    if isinstance(step, Jpeg):
        quality = [cv2.IMWRITE_JPEG_QUALITY, step.quality]
        file = cv2.imencode(".jpg", cv2.cvtColor(levels, cv2.COLOR_RGB2BGR), quality)[1]
        levels = cv2.cvtColor(cv2.imdecode(file, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    else:
        assert isinstance(step, Quantise)
    return levels.astype(np.float32) / 255


def numpy_kernel(kernel: Kernel) -> Pixels:
    offsets = np.arange(kernel.size) - kernel.size // 2 - kernel.shift
    x, y = np.meshgrid(offsets, offsets)
    if kernel.shape == "sinc":
        radius = np.hypot(x, y)
        radius[kernel.size // 2, kernel.size // 2] = 1e-9
        values = kernel.cutoff * j1(kernel.cutoff * radius) / (2 * math.pi * radius)
    else:
        turn = np.array(
            [
                [math.cos(kernel.angle), -math.sin(kernel.angle)],
                [math.sin(kernel.angle), math.cos(kernel.angle)],
            ]
        )
        variances = np.maximum(np.square(kernel.sigma), 1e-4)
        inverse = np.linalg.inv(turn @ np.diag(variances) @ turn.T)
        points = np.stack([x, y], -1)
        q = np.sum((points @ inverse) * points, -1)
        if kernel.shape == "plateau":
            values = 1 / (q**kernel.power + 1)
        else:
            values = np.exp(-0.5 * q**kernel.power)
    return (values / values.sum()).astype(np.float32)


def resize_image(image: Pixels, step: Resize) -> Pixels:
    if step.interpolation == "imresize":
        batch = torch.from_numpy(image).permute(2, 0, 1)[None]
        return resize(batch, step.size)[0].permute(1, 2, 0).contiguous().numpy()
    return cv2.resize(image, step.size[::-1], interpolation=INTERPOLATIONS[step.interpolation])


def add_gaussian_noise(image: Pixels, step: GaussianNoise) -> Pixels:
    height, width = image.shape[:2]
    drawn = np.random.randn(height, width, 1 if step.grey else 3)  # noqa: NPY002 - as loaders do
    if step.mixture is not None:
        drawn = drawn @ np.array(step.mixture).T
    return (image + drawn.astype(np.float32) * (step.sigma / 255)).clip(0, 1)


def add_poisson_noise(image: Pixels, step: PoissonNoise) -> Pixels:
    seen = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None] if step.grey else image
    expected = (seen * 255).round().clip(0, 255) / 255
    white = 2 ** math.ceil(math.log2(len(np.unique(expected))))
    counted = np.random.poisson(expected * white) / white  # noqa: NPY002 - as loaders do
    return (image + (counted - expected).astype(np.float32) * step.strength).clip(0, 1)


def difference(hr: torch.Tensor, degradation: Drawn) -> dict[str, float]:
    """Return the mean difference, in grey levels, between the image means of both methods.

    Single pixels cannot agree, because the methods draw noise from different random generators.
    """
    seeds = list(range(len(hr)))
    ours = degradation(hr, seeds)
    theirs = np.stack(per_image(hr, seeds, degradation))
    gap = ours.permute(0, 2, 3, 1).mean((1, 2)).numpy() - theirs.mean((1, 2))
    return {"difference_of_means": round(float(np.abs(gap).mean() * 255), 3)}


def as_table(results: dict[str, dict[str, float]]) -> Table:
    columns = list(next(iter(results.values())))
    table = Table("degradation", *(column.replace("_", " ") for column in columns))
    for name, values in results.items():
        table.add_row(name, *(f"{values[column]:.2f}" for column in columns))
    table.caption = "milliseconds per image of 256 x 256 pixels; medians over the rounds"
    return table


if __name__ == "__main__":
    main()
