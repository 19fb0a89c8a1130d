"""Small EDSR weights that ship with srkit; ``weights/README.md`` describes their training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from srkit.interfaces import Published, Style

LICENCE = "Apache-2.0"


def url_of(name: str) -> str:
    """Return the address of weights in this package."""
    return f"package:srkit_generators/weights/{name}.safetensors"


def settings(scale: int, channels: int, blocks: int, features: int) -> dict[str, Any]:
    """Return the options of a network without layers at SR's size."""
    size = {"scale": scale, "channels": channels, "blocks": blocks, "features": features}
    return {**size, "upsampler": "direct", "global_residual": True}


def for_photos(
    scale: int, sha256: str, recipe: str = "edsr_small", style: Style = "faithful"
) -> Published:
    """Describe the weights of ``recipes/RECIPE_xSCALE.yaml``."""
    url, options = url_of(f"{recipe}_x{scale}"), settings(scale, 3, 8, 64)
    return Published(url, sha256, LICENCE, options, default_for="pictures", style=style)


SHIPPED: Mapping[str, Published] = {
    "edsr_small_x2": for_photos(
        2, "e91a6adb203a32c4ff97fe320163b14b5f71438ff28aef5acb7435b5954c7206"
    ),
    "edsr_small_x3": for_photos(
        3, "0f52ab12b6a8aacf6cc341420d886d4d0bd0e2becbd27478762ad42e08ed1abf"
    ),
    "edsr_small_x4": for_photos(
        4, "e4041c448da9795c6982b760aedac21a34a695ed0e8340f2cc4e24d5529af310"
    ),
    "enhance_x4": for_photos(
        4,
        "fb81163dd768e5fdc605dfea6e2ca01486c6421587b8d3ee688dd7a255787c7e",
        "enhance",
        "enhanced",
    ),
    "sky_x2": Published(
        url_of("sky_x2"),
        "1a3f5c144a07e24adc4806ac98c45bb926471008611b2f31fd6c5c7a1d79b74e",
        LICENCE,
        settings(2, 1, 6, 48),
        {
            "stretch": {"type": "asinh", "offset": "image", "peak": "noise", "softening": 30},
            "constraint": {"type": "flux"},
        },
        default_for="frames",
    ),
}
