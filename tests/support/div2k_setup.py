"""Synthetic pictures in the layout of the DIV2K archives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image


def write_picture(path: Path, height: int, width: int, mode: str = "RGB") -> Path:
    """Write a random picture, seeded by its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(list(path.name.encode()))
    values = rng.integers(0, 256, (height, width, 3), np.uint8)
    PIL.Image.fromarray(values).convert(mode).save(path)
    return path


def write_div2k(root: Path, numbers: range, part: str = "train") -> None:
    """Write HR of 24 x 36 pixels and both kinds of LR of scale 2."""
    for number in numbers:
        write_picture(root / f"DIV2K_{part}_HR" / f"{number:04d}.png", 24, 36)
        for kind in ("bicubic", "unknown"):
            folder = root / f"DIV2K_{part}_LR_{kind}" / "X2"
            write_picture(folder / f"{number:04d}x2.png", 12, 18)
