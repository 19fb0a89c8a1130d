"""Draw the arcs that the segmentation network finds in LR, in three kinds of SR and in HR.

    srkit sweep recipes/lens_arcs.yaml --sample --out runs/lens_arcs-sweep
    python benchmarks/lens_arcs.py runs/lens_arcs-sweep arcs.png

Each row shows a test lens with the stretch of the networks. The arcs that the segmentation network
finds are outlined in orange, the true mask of the simulation is outlined in blue in HR.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from srkit.assembly.assembly import Assembly
from srkit.assembly.build import assemble
from srkit.assembly.restore import restore
from srkit.components.registry import Registry
from srkit.data.batches import evaluation_batches
from srkit.functional import to_hr_grid
from srkit.interfaces import Batch, View
from srkit.recipe.recipe import load_recipe
from srkit.weights.checkpoints import load
from srkit.weights.transfer import warm_start

VARIANTS = {f"tuned by {name}": f"{name}_seed-0" for name in ("pixels", "arcs", "both")}
FOUND_COLOUR, TRUE_COLOUR = "tab:orange", "tab:cyan"


@dataclass(frozen=True)
class Panel:
    """A stretched image, ``(H, W)``, and the mask of the arcs found in it."""

    image: Tensor
    arcs: Tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sweep", type=Path, help="folder of the sweep")
    parser.add_argument("out", type=Path, help="PNG to write")
    parser.add_argument("--lenses", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="indices")
    arguments = parser.parse_args()
    rows = make_rows(arguments.sweep, arguments.lenses)
    titles = ["LR, bicubic", *VARIANTS, "HR"]
    size = (2.1 * len(titles), 2.15 * len(rows))
    figure, axes = plt.subplots(
        len(rows), len(titles), figsize=size, squeeze=False, layout="constrained"
    )
    for line, (panels, mask) in zip(axes, rows, strict=True):
        for axis, panel, title in zip(line, panels, titles, strict=True):
            axis.imshow(panel.image.clamp(0, 1), cmap="gray", vmin=0, vmax=panels[-1].image.max())
            outline(axis, panel.arcs, FOUND_COLOUR)
            if title == "HR":
                outline(axis, mask, TRUE_COLOUR)
            axis.set_axis_off()
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10)
    figure.savefig(arguments.out, dpi=110)


def make_rows(sweep: Path, lenses: list[int]) -> list[tuple[list[Panel], Tensor]]:
    """Return the panels and the true mask of each lens."""
    built = {title: build(sweep / "variants" / name) for title, name in VARIANTS.items()}
    first = next(iter(built.values()))
    rows = []
    for batch in evaluation_batches(first.data["test"], lenses, 1, first.recipe.seed, 0):
        assert batch.masks is not None
        rows.append((panels_of(batch, built), batch.masks[0]))
    return rows


def panels_of(batch: Batch, built: dict[str, Assembly]) -> list[Panel]:
    """Segment LR, the SR of each network, and HR."""
    first = next(iter(built.values()))
    view = View.of(batch, first.stretch)
    segmenter: Any = first.teachers["segmenter"]
    assert view.stretched.lr is not None
    with torch.no_grad():
        images = [to_hr_grid(view.stretched.lr, view.stretched)]
        for assembly in built.values():
            generator: Any = assembly.generator
            images.append(restore(generator.eval(), view, assembly.constraint))
        images.append(view.stretched.hr)
        return [Panel(x[0, 0], segmenter.eval()(x).logits[0].argmax(0)) for x in images]


def build(run: Path) -> Assembly:
    """Build the components of a run, with the trained weights."""
    recipe = load_recipe(run / "recipe.yaml")
    assembly = assemble(recipe, Registry.discover(), str(run), splits=("test",))
    path = run / "checkpoints" / "last.safetensors"
    generator: Any = assembly.generator
    warm_start(generator, load(path).groups["generator"], str(path))
    return assembly


def outline(axis: Any, mask: Tensor, colour: str) -> None:
    """Draw the outline of a mask, unless it is empty."""
    if mask.any():
        axis.contour(np.asarray(mask), levels=[0.5], colors=colour, linewidths=1)


if __name__ == "__main__":
    main()
