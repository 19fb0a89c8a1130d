"""Small photographs in folders by class, and shards of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from rich.console import Console
from srkit_photos.shards.collection import collect
from srkit_photos.shards.format import Index
from srkit_photos.shards.write import Settings, write_shards

from srkit.images.formats import Formats


def make_photos(root: Path, count: int = 12, classes: int = 3) -> Path:
    """Write smooth JPEG files of several sizes, in folders ``a``, ``b`` and so on."""
    rng = np.random.default_rng(8)
    for number in range(count):
        height, width = 24 + number, 40 - number
        y, x = np.mgrid[:height, :width]
        phase = x * rng.uniform(0.05, 0.3) + y * rng.uniform(0.05, 0.3)
        values = 128 + 100 * np.sin(phase)
        colours = np.stack([values, values[::-1], values[:, ::-1]], -1)
        path = root / chr(ord("a") + number % classes) / f"{number:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(colours.round().astype(np.uint8)).save(path, quality=90)
    return root


def make_shards(
    given: Path, folder: Path, formats: Formats, *, workers: int = 0, **settings: int
) -> Index:
    """Write pictures to shards without output; five per shard by default."""
    wanted = Settings(**{"per_shard": 5, **settings})
    console = Console(file=io.StringIO())
    return write_shards(collect(given, formats), formats, folder, wanted, console, workers=workers)
