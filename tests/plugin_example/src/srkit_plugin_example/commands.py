"""A command of `srkit data`."""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import PositiveInt

from srkit.interfaces import Image
from srkit_plugin_example.pfm import PortableFloatMap


def make_ramp(*, out: Path, size: PositiveInt = 32) -> None:
    """Write an image whose brightness rises to the right.

    Parameters
    ----------
    out
        The file, a portable float map.
    size
        Side of the image in pixels.
    """
    ramp = torch.linspace(0, 1, size).expand(1, size, size)
    PortableFloatMap().write(out, Image(ramp))
    print(out)
