"""Compare ways to read photographs for training: torchvision's ImageFolder, files and shards.

    python benchmarks/photo_loading.py PHOTOS --out results

``PHOTOS`` is a folder with one folder of JPEG files per class. All methods return the same squares:
the short side is resized to 256 pixels (bicubic, antialiased, in 8 bits) and the central 256 x 256
pixels are returned as float32. ``ImageFolder`` is that of torchvision, with Pillow and the
transforms of torchvision; ``files`` is srkit's `image_folder`; ``shards`` is srkit's `webdataset`
with the same files, and ``shards at 256`` with images that `srkit data shard --short-side 256`
resized beforehand. The methods alternate in one process, and CPU time is measured, so that other
programs hardly affect it: images per second on one core.

Then the training loader reads one epoch of ``shards`` with 1, 2 and 8 workers. Each step takes
``--step-ms`` without using the CPU, as if it ran on a GPU. The script measures the share of the
time spent waiting for data, and the memory at each quarter of the epoch.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
from rich.console import Console
from rich.table import Table
from srkit_photos.datasets.folders import image_folder
from srkit_photos.shards.collection import collect
from srkit_photos.shards.dataset import ShardPhotos
from srkit_photos.shards.write import Settings, write_shards
from torchvision.datasets import ImageFolder
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize, ToTensor

from srkit.components.registry import Registry
from srkit.data.batches import training_batches
from srkit.data.crops import Draws
from srkit.data.order import Share
from srkit.images import Formats

SIDE = 256
WORKERS = (1, 2, 8)


def main() -> None:
    """Measure all methods; print and write the results."""
    arguments = parse()
    torch.set_num_threads(1)
    formats = Formats.of(Registry.discover())
    with tempfile.TemporaryDirectory() as folder:
        methods = build(arguments.photos, Path(folder), formats)
        speeds = compare(methods, arguments.images, arguments.rounds)
        shards: Any = methods["shards"]
        epochs = {workers: run_epoch(shards, workers, arguments) for workers in arguments.workers}
    summary = {"images_per_core_second": speeds, "epoch": epochs, "step_ms": arguments.step_ms}
    show(summary)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "photo_loading.json").write_text(json.dumps(summary, indent=2) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", type=Path, help="folder with one folder of JPEG files per class")
    parser.add_argument("--images", type=int, default=100, help="images per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--step-ms", type=float, default=200.0)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--workers", type=int, nargs="*", default=WORKERS)
    parser.add_argument("--out", type=Path, help="folder for photo_loading.json")
    return parser.parse_args()


def build(photos: Path, folder: Path, formats: Formats) -> dict[str, Any]:
    """Open the photographs with each method."""
    transforms: Callable[..., Any] = Compose(
        [Resize(SIDE, InterpolationMode.BICUBIC), CenterCrop(SIDE), ToTensor()]
    )
    collection, quiet = collect(photos, formats), Console(file=io.StringIO())
    for name, side in (("whole", None), ("small", SIDE)):
        write_shards(collection, formats, folder / name, Settings(short_side=side), quiet)
    options: dict[str, Any] = {"formats": formats, "size": SIDE, "enlarge": True}
    return {
        "ImageFolder": ImageFolder(str(photos), transforms),
        "files": image_folder(root=photos, **options),
        "shards": ShardPhotos(root=str(folder / "whole"), **options),
        "shards at 256": ShardPhotos(root=str(folder / "small"), **options),
    }


def compare(methods: dict[str, Any], images: int, rounds: int) -> dict[str, Any]:
    """Return images per second of CPU time and ratios: medians over the rounds."""
    found: list[dict[str, float]] = []
    for number in range(rounds):
        speeds = {}
        for name, data in methods.items():
            chosen = [(number * images + i) % len(data) for i in range(images)]
            data[chosen[0]]
            began = time.process_time()
            for index in chosen:
                data[index]
            speeds[name] = images / (time.process_time() - began)
        found.append(speeds)
    return {
        name: {
            "images": round(statistics.median(each[name] for each in found), 1),
            "over_ImageFolder": round(
                statistics.median(each[name] / each["ImageFolder"] for each in found), 2
            ),
        }
        for name in methods
    }


def run_epoch(data: ShardPhotos, workers: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Read an epoch from the training loader, step by step."""
    steps = len(data) // arguments.batch
    draws = {4: Draws(data, 0, None, (), 4)}
    batches = training_batches(draws, Share(arguments.batch), 0, steps, workers)
    next(batches)  # starts the workers
    waited, memory = 0.0, []
    began = time.perf_counter()
    for step in range(1, steps):
        asked = time.perf_counter()
        next(batches)
        waited += time.perf_counter() - asked
        time.sleep(arguments.step_ms / 1e3)
        if step % max(1, steps // 4) == 0:
            memory.append(round(used_memory() / 1e6))
    share = waited / (time.perf_counter() - began)
    batches.close()  # type: ignore[attr-defined]
    return {"waiting_share": round(share, 3), "megabytes": memory}


def used_memory() -> int:
    """Return the unique memory of this process and its workers, in bytes."""
    process = psutil.Process()
    family = [process, *process.children(recursive=True)]
    return sum(each.memory_full_info().uss for each in family if each.is_running())


def show(summary: dict[str, Any]) -> None:
    table = Table("reader", "images/s per core", "over ImageFolder")
    for name, speed in summary["images_per_core_second"].items():
        table.add_row(name, f"{speed['images']:.0f}", f"{speed['over_ImageFolder']:.2f}")
    console = Console()
    console.print(table)
    table = Table("workers", "time spent waiting", "MB at each quarter of the epoch")
    for workers, measured in summary["epoch"].items():
        quarters = ", ".join(str(each) for each in measured["megabytes"])
        table.add_row(str(workers), f"{measured['waiting_share']:.1%}", quarters)
    table.caption = f"each step takes {summary['step_ms']:g} ms"
    console.print(table)


if __name__ == "__main__":
    main()
