"""Compare crops from decoded PNG files with crops from the array cache.

    python benchmarks/loading.py --out results

Both methods draw the same random crops, flipped and rotated, in one process: ``decode`` decodes an
image file for each crop, ``cache`` maps an uncompressed array and reads the rows of the crop. The
methods alternate. The images have the size of those of DIV2K: they are photographs from installed
packages, enlarged, with noise that makes the files about as large as those of DIV2K (4.4 MB).
``--root`` uses the images of a folder instead, such as DIV2K itself.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import PIL.Image
from rich.console import Console
from rich.table import Table
from srkit_photos.datasets.pairs import CachedPairs, Pair, PicturePairs
from srkit_photos.datasets.samples import SPLITS, locate
from srkit_pixels.augmentations import Flip, Rotate

from srkit.components.registry import Registry
from srkit.data.crops import Draws
from srkit.images import Formats

#: HR sides of the crops: 48 LR pixels at the scales 2, 3 and 4.
CROPS = (96, 144, 192)
METHODS = ("decode", "cache")
#: Crops per round; the cache is so much faster that it needs more.
COUNTS = {"decode": 12, "cache": 600}
SIZE = (2040, 1356)


def main() -> None:
    """Alternate between the methods; print and write medians and ratios."""
    arguments = parse()
    formats = Formats.of(Registry.discover())
    with tempfile.TemporaryDirectory() as folder:
        files = pictures(arguments.root, Path(folder), arguments.pictures)
        pairs = [Pair(path.name, path) for path in files]
        started = time.perf_counter()
        cached = CachedPairs(formats=formats, pairs=pairs, scale=1, cache=Path(folder) / "cache")
        filling = (time.perf_counter() - started) / len(files)
        data = {"decode": PicturePairs(formats=formats, pairs=pairs, scale=1), "cache": cached}
        results = {}
        for crop in CROPS:
            draws = {n: Draws(d, 0, crop, (Flip(), Rotate()), 1) for n, d in data.items()}
            rounds = [
                {name: speed(draws[name], len(files), COUNTS[name]) for name in METHODS}
                for _ in range(arguments.rounds)
            ]
            results[crop] = summarise(rounds)
        size = statistics.mean(path.stat().st_size for path in files) / 1e6
    summary = {
        "pictures": len(files),
        "megabytes_of_a_file": round(size, 2),
        "seconds_to_cache_a_picture": round(filling, 3),
        "crops": results,
    }
    Console().print(as_table(summary))
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "loading.json").write_text(json.dumps(summary, indent=2) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--root", type=Path, help="a folder of PNG files, such as DIV2K_train_HR")
    parser.add_argument("--out", type=Path, help="folder for loading.json")
    return parser.parse_args()


def pictures(root: Path | None, folder: Path, count: int) -> list[Path]:
    if root is not None:
        return sorted(root.glob("*.png"))[:count]
    rng = np.random.default_rng(0)
    files = []
    for number in range(count):
        source = SPLITS["train"][number % len(SPLITS["train"])]
        with PIL.Image.open(locate(source)) as picture:
            large = np.asarray(picture.convert("RGB").resize(SIZE, PIL.Image.Resampling.BICUBIC))
        noisy = large + rng.normal(0, 1.5, large.shape)
        files.append(folder / f"{number}.png")
        PIL.Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8)).save(files[-1])
    return files


def speed(draws: Draws, length: int, count: int) -> float:
    """Return crops per second, without the first crop, which opens the files."""
    draws.draw(0, 0)
    began = time.perf_counter()
    for number in range(count):
        draws.draw(1 + number // length, number % length)
    return count / (time.perf_counter() - began)


def summarise(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return medians over the rounds, also of the ratio within each round."""
    result = {name: round(statistics.median(r[name] for r in rounds), 2) for name in METHODS}
    ratio = statistics.median(r["cache"] / r["decode"] for r in rounds)
    return {**result, "cache_over_decode": round(ratio, 1)}


def as_table(summary: dict[str, object]) -> Table:
    table = Table("crop", *(f"{name}, crops/s" for name in METHODS), "ratio")
    crops = summary["crops"]
    assert isinstance(crops, dict)
    for crop, result in crops.items():
        values = (f"{result[name]:.1f}" for name in METHODS)
        table.add_row(str(crop), *values, f"{result['cache_over_decode']:.0f}")
    table.caption = (
        f"{summary['pictures']} images of {summary['megabytes_of_a_file']} MB; caching an image "
        f"took {summary['seconds_to_cache_a_picture']} s"
    )
    return table


if __name__ == "__main__":
    main()
