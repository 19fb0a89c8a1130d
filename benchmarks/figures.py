"""Draw the figures of the documentation that show what srkit computes.

    python benchmarks/figures.py --out docs/images

Writes ``noise_of_sr.png``, ``styles.jpg`` and ``splits.svg``. Of the others,
``completeness.png`` is from the report of the example in ``docs/explanation/injection.md``, and
``calibration.png`` from that of ``galsim_pairs.py``, with its panels in two rows;
``darionet_curves.png`` is from that of the longest run in ``docs/results.md``. The diagrams
``subdivided.svg``, ``recipe.svg``, ``resume.svg`` and ``plugins.svg`` are drawn by hand.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import skimage.data
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from srkit_astro.footprints import footprint_around, representatives
from srkit_astro.pairs.splits import split_of

import srkit
from srkit.report import colours, panels, style

MODELS = ("nearest", "bicubic", "lanczos", "sky_x2")
SPLITS = {"train": "#9aa0a6", "validation": "#e69f00", "test": "#0072b2"}
#: Photographs of scikit-image: name, top and left of a crop, and noise in grey levels.
PHOTOS = (("chelsea", 20, 60, 0), ("coffee", 40, 160, 4))
#: The field of the pairs, and the side of a cutout, in arcsec.
FIELD, SIDE = 120.0, 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    noise_figure().savefig(out / "noise_of_sr.png", dpi=110, bbox_inches="tight")
    styles_figure().savefig(
        out / "styles.jpg", dpi=110, bbox_inches="tight", pil_kwargs={"quality": 88}
    )
    with rc_context({"svg.hashsalt": "srkit", "svg.fonttype": "none"}):
        figure = splits_figure()
        figure.savefig(out / "splits.svg", bbox_inches="tight", metadata={"Date": None})


def noise_figure() -> Figure:
    """Draw white noise, SR of it by each model, and the correlation of the noise of SR."""
    noise = np.random.default_rng(0).normal(0, 1, (256, 256)).astype(np.float32)
    restored = {name: srkit.upscale(noise, model=name, scale=2) for name in MODELS}
    with style():
        figure, axes = panels(len(MODELS) + 2, 3, (2.6, 2.6))
        for axis, (name, image) in zip(axes, {"LR": noise, **restored}.items(), strict=False):
            side = 16 if name == "LR" else 32
            axis.imshow(image[:side, :side], cmap="gray", vmin=-2, vmax=2, origin="lower")
            axis.set(xticks=[], yticks=[], title=name)
        _draw_correlations(axes[-1], restored)
    return figure


def _draw_correlations(axis: Axes, restored: dict[str, NDArray[np.float32]]) -> None:
    distances = np.arange(6)
    for name, colour in colours(MODELS).items():
        image = restored[name][64:-64, 64:-64]  # far from the borders
        products = [(image * np.roll(image, d, 1))[:, 6:].mean() for d in distances]
        dashed = "--" if name == "sky_x2" else "-"
        axis.plot(distances, np.array(products) / products[0], dashed, color=colour, label=name)
    axis.set(xlabel="distance [SR pixel]", title="correlation", xticks=distances)
    axis.legend(fontsize="small")


def styles_figure() -> Figure:
    """Draw two photographs at a quarter of their size, the second with noise, restored."""
    with style():
        figure, axes = panels(8, 4, (2.6, 2.6))
        for row, (name, top, left, sigma) in enumerate(PHOTOS):
            hr = getattr(skimage.data, name)()[top : top + 256, left : left + 256]
            small = hr.reshape(64, 4, 64, 4, 3).mean((1, 3))
            small += np.random.default_rng(0).normal(0, sigma, small.shape)
            file = io.BytesIO()
            Image.fromarray(small.round().clip(0, 255).astype(np.uint8)).save(
                file, "jpeg", quality=50
            )
            lr = np.asarray(Image.open(file))
            images = {
                "bicubic": srkit.upscale(lr, model="bicubic", scale=4),
                "--style faithful": srkit.upscale(lr, scale=4),
                "--style enhanced": srkit.upscale(lr, scale=4, style="enhanced"),
                "original": hr,
            }
            for axis, (title, image) in zip(axes[4 * row :], images.items(), strict=False):
                axis.imshow(image, interpolation="nearest")
                axis.set(xticks=[], yticks=[], title="" if row else title)
    return figure


def splits_figure() -> Figure:
    """Draw pairs at random positions on the sky, in the colours of their splits."""
    positions = np.random.default_rng(6).uniform(0, FIELD, (60, 2))
    names = [f"pair_{number:03}" for number in range(len(positions))]
    degrees = positions / 3600
    footprints = [footprint_around(150 - x, 2 + y, (SIDE, SIDE)) for x, y in degrees]
    first = representatives(names, footprints)
    splits = [split_of(name, (0.7, 0.15, 0.15)) for name in first]
    corners = SIDE / 2 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    with style():
        figure, (axis,) = panels(1, 1, (6.4, 4.4))
        for split, colour in SPLITS.items():
            own = [
                position + corners
                for position, each in zip(positions, splits, strict=True)
                if each == split
            ]
            axis.add_collection(PolyCollection(own, facecolor=f"{colour}66", edgecolor=colour))
            axis.plot([], [], "s", color=colour, label=f"{split}: {len(own)} pairs")
        ends = (-SIDE, FIELD + SIDE)
        axis.set(
            xlim=ends,
            ylim=ends,
            aspect="equal",
            xlabel="offset in RA [arcsec]",
            ylabel="offset in Dec [arcsec]",
        )
        axis.grid(visible=False)
        axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


if __name__ == "__main__":
    main()
