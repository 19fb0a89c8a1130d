"""Portable float maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from srkit.errors import DataError
from srkit.interfaces import Image

#: The file's first line for each number of channels.
KINDS = {1: b"Pf", 3: b"PF"}


class PortableFloatMap:
    """Portable float maps: uncompressed 32-bit floats, grey or RGB, bottom row first."""

    suffixes = (".pfm",)

    def read(self, path: Path) -> Image:
        """Read a file.

        Raises
        ------
        DataError
            If the file is not a complete portable float map.
        """
        try:
            kind, size, scale, values = path.read_bytes().split(b"\n", 3)
            channels = {name: count for count, name in KINDS.items()}[kind]
            width, height = (int(side) for side in size.split())
            order = "<f4" if float(scale) < 0 else ">f4"
            rows = np.frombuffer(values, order).reshape(height, width, channels)
        except (ValueError, KeyError) as error:
            raise DataError(f"{path}: not a complete portable float map ({error})") from error
        pixels = np.ascontiguousarray(rows[::-1].transpose(2, 0, 1), dtype=np.float32)
        return Image(torch.from_numpy(pixels))

    def write(self, path: Path, image: Image) -> None:
        """Write a file.

        Raises
        ------
        DataError
            If the image has neither 1 nor 3 channels.
        """
        channels, height, width = image.pixels.shape
        if channels not in KINDS:
            raise DataError(f"{path}: expected 1 or 3 channels, got {channels}")
        rows = image.pixels.flip(1).permute(1, 2, 0).contiguous().numpy()
        header = KINDS[channels] + f"\n{width} {height}\n-1.0\n".encode()
        path.write_bytes(header + rows.astype("<f4").tobytes())
