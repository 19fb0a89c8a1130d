"""Compare the time in which commands start with that of importing torch.

    python benchmarks/startup.py --out results

The commands alternate, each in a new process: after one warm-up round, the best of several rounds.
``srkit upscale`` restores one image of 32 x 32 pixels, so that nearly all of its time is start-up.
Measured is the processor time, which depends less on other programs than the time that passes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from astropy.io import fits
from PIL import Image
from rich.console import Console
from rich.table import Table

SIDE = 32
#: The recipe that is checked.
RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "edsr_small_x2.yaml"


def main() -> None:
    """Alternate between the commands; print and write the best of each and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="folder for startup.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        named = commands(Path(folder))
        rounds = [{n: seconds(c) for n, c in named.items()} for _ in range(arguments.rounds + 1)]
    best = {name: min(each[name] for each in rounds[1:]) for name in named}
    table = Table("command", "processor seconds", "relative to import torch")
    for name, taken in best.items():
        table.add_row(name, f"{taken:.2f}", f"{taken / best['import torch']:.2f}")
    Console().print(table)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "startup.json").write_text(json.dumps(best, indent=2) + "\n")


def commands(folder: Path) -> dict[str, list[str]]:
    picture, frame = folder / "picture.png", folder / "frame.fits"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(picture)
    fits.writeto(frame, rng.normal(size=(SIDE, SIDE)).astype(np.float32))
    upscale = ["-m", "srkit", "upscale", "--overwrite"]
    return {
        "import torch": ["-c", "import torch"],
        "srkit --help": ["-m", "srkit", "--help"],
        "srkit plugins": ["-m", "srkit", "plugins"],
        "srkit upscale, bicubic": [*upscale, str(picture), "-m", "bicubic"],
        "srkit upscale": [*upscale, str(picture)],
        "srkit upscale, FITS": [*upscale, str(frame)],
        "srkit recipe check": ["-m", "srkit", "recipe", "check", str(RECIPE), "--sample"],
    }


def seconds(arguments: list[str]) -> float:
    before = os.times()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    user = after.children_user - before.children_user
    return user + after.children_system - before.children_system


if __name__ == "__main__":
    main()
