"""A download for `srkit data get`."""

from __future__ import annotations

from typing import Literal

from srkit.interfaces import Archive, Download


def pictures(*, depth: Literal[8, 16] = 8) -> Download:
    """Pictures of clouds.

    Parameters
    ----------
    depth
        Bits of a pixel.
    """
    return Download(
        title=f"Clouds, {depth} bits",
        homepage="https://clouds.example/about",
        licence="CC-BY-4.0",
        folder="clouds",
        archives=[Archive(f"https://clouds.example/clouds_{depth}.zip", size=1_000_000)],
    )
