"""Small pictures, networks and recipes, and ways to run them, for the tests of training."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import yaml
from command_process import Command
from PIL import Image as Pillow
from rich.console import Console
from torch import Tensor

from srkit import hookimpl
from srkit.assembly.build import SPLITS, assemble
from srkit.components.registry import Registry
from srkit.recipe.recipe import parse_recipe
from srkit.recipe.trees import merge
from srkit.system.processes.children import free_port
from srkit.training.loop import train
from srkit.weights.checkpoints import Checkpoint, load

Tree = dict[str, Any]

CLASSES = 4
#: Values that differ between two runs of the same recipe.
TIMINGS = ("images_per_second", "waiting_share")

TEACHER = {
    "net": {"type": "timm", "model": "test_efficientnet", "weights": "random", "classes": CLASSES}
}
TRAINABLE: dict[str, Any] = {
    "net": {**TEACHER["net"], "trainable": True, "optimiser": {"type": "sgd", "momentum": 0.9}}
}
#: Changes to the plain recipe, by kind of turn.
TURNS: dict[str, Tree] = {
    "pixels": {
        "losses": {"ldl": {}},
        "training": {
            "accumulate": 2,
            "ema": 0.9,
            "clip": 0.1,
            "workers": 1,
            "schedule": {"type": "cosine", "warmup": 2},
            "optimiser": {"type": "adamw", "weight_decay": 0.1},
        },
    },
    "teacher": {"teachers": TEACHER, "losses": {"logit_mse": {"weight": 0.1}}},
    "uncertainty": {
        "uncertainty": {"features": 4, "optimiser": {"lr": 1e-2}},
        "losses": {"l1": None, "gaussian_nll": {"beta": 0.5}},
        "training": {"accumulate": 2, "ema": 0.9},
    },
    "adversarial": {
        "discriminator": {
            "type": "unet_sn",
            "features": 4,
            "weight": 0.1,
            "loss": {"type": "relativistic", "r1": 1.0},
        },
        "losses": {"feature_matching": {"weight": 0.1}},
    },
    "joint": {"teachers": TRAINABLE, "losses": {"logit_mse": {"weight": 0.1}}},
    "classifier": {
        "generator": None,
        "degradation": None,
        "losses": {"l1": None},
        "teachers": TRAINABLE,
    },
}


def make_pictures(root: Path, count: int = 16, side: int = 32) -> Path:
    """Write noisy waves as PNG files, with the labels beside the folder: ``ROOT.csv``."""
    rng = np.random.default_rng(3)
    root.mkdir(parents=True)
    y, x = np.mgrid[:side, :side] / side
    rows = []
    for index in range(count):
        angle, waves = rng.uniform(0, np.pi), rng.uniform(2, 6, 3)
        phase = 2 * np.pi * (x * np.cos(angle) + y * np.sin(angle))
        picture = 127 + 90 * np.sin(phase[..., None] * waves) + rng.normal(0, 10, (side, side, 3))
        name = f"{index:02d}.png"
        Pillow.fromarray(picture.clip(0, 255).astype(np.uint8)).save(root / name)
        rows.append((name, index % CLASSES))
    with root.with_suffix(".csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "class_index"), *rows])
    return root


def make_tree(pictures: Path, *changes: Mapping[str, Any]) -> Tree:
    """Return a recipe: a network of 8 features, L1, batches of 4, 3 steps, in fp32."""
    dataset = {"type": "image_folder", "root": str(pictures)}
    dataset |= {"labels": str(pictures.with_suffix(".csv"))}
    tree: Tree = {
        "name": "small",
        "seed": 5,
        "scale": 2,
        "generator": {"type": "rrdb", "blocks": 1, "features": 8, "growth": 4},
        "degradation": {"type": "bicubic"},
        "data": {"train": {"dataset": dataset, "crop": 16, "augment": ["flip", "rotate"]}},
        "losses": {"l1": {}},
        "training": {
            "duration": 3,
            "batch_size": 4,
            "precision": "fp32",
            "workers": 0,
            "log_every": 1,
            "checkpoint_every": 1,
            "optimiser": {"lr": 1e-3},
        },
    }
    for change in changes:
        tree = merge(tree, change)
    return tree


def steps(duration: int, **training: Any) -> Tree:
    """Return a change of the duration, and of other options, of the training."""
    return {"training": {"duration": duration, **training}}


def validated(pictures: Path) -> Tree:
    """Add validation and test data and the PSNR to a recipe."""
    dataset = {"type": "image_folder", "root": str(pictures)}
    dataset |= {"labels": str(pictures.with_suffix(".csv"))}
    data = {split: {"dataset": dataset} for split in ("validation", "test")}
    return {"data": data, "metrics": {"psnr": {}}}


def run(
    tree: Tree,
    folder: Path,
    registry: Registry,
    *,
    resume: bool = False,
    allow_changed_data: bool = False,
    curves: bool = False,
) -> Path:
    """Train in this process, quietly, and without the figures of the curves by default."""
    recipe = parse_recipe(tree, "test.yaml")
    drawn = nullcontext() if curves else patch("srkit.training.loop.write_curves")
    with drawn:
        return train(
            assemble(recipe, registry, "test.yaml", splits=SPLITS),
            folder,
            source="test.yaml",
            console=Console(file=io.StringIO()),
            resume=resume,
            allow_changed_data=allow_changed_data,
        )


def extended(**offers: Mapping[str, Callable[..., Any]]) -> Registry:
    """Discover what is installed and add factories by kind and name."""
    registry = Registry.discover()

    def hook(named: Mapping[str, Callable[..., Any]]) -> Callable[[], Any]:
        return lambda: dict(named)

    hooks = {f"srkit_{kind}": hookimpl(hook(named)) for kind, named in offers.items()}
    registry.register(SimpleNamespace(**hooks), "test", distribution="test")
    return registry


def last(folder: Path) -> Checkpoint:
    """Read the last checkpoint of a run."""
    return load(folder / "checkpoints" / "last.safetensors")


def records(folder: Path, kind: str | None = None) -> list[Tree]:
    """Read what a run logged, except for the timings."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    read = [json.loads(line) for line in lines]
    return [
        {key: value for key, value in record.items() if key not in TIMINGS}
        for record in read
        if kind in (None, record["kind"])
    ]


def assert_same_end(first: Path, second: Path, *, extra_validation: int = 0) -> None:
    """Compare every tensor of two runs' last checkpoints, bit for bit, and their records.

    The second may have been validated at one step more.
    """
    one, two = last(first), last(second)
    assert one.groups.keys() == two.groups.keys()
    for name, group in one.groups.items():
        assert group.keys() == two.groups[name].keys()
        for key, tensor in group.items():
            assert torch.equal(tensor, two.groups[name][key]), f"{name}/{key} differs"
    for key in ("step", "optimisers", "scalers", "best"):
        assert one.state[key] == two.state[key]
    extra = [r for r in records(second, "validation") if r["step"] == extra_validation]
    assert records(first) == [record for record in records(second) if record not in extra]


def differences(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> dict[str, float]:
    """Return the largest absolute difference of each tensor."""
    assert first.keys() == second.keys()
    return {
        key: float((value.double() - second[key].double()).abs().max())
        for key, value in first.items()
    }


def train_command(tree: Tree, folder: Path, *options: str, **kinds: Any) -> Command:
    """Start ``srkit train`` on a recipe file beside the run folder."""
    path = write_recipe(tree, folder.with_suffix(".yaml"))
    arguments = ["train", str(path), "--out", str(folder), *options]
    command = Command(arguments, folder.with_suffix(".log"), **kinds)
    command.wait_until(command.log.is_file)
    return command


def train_in_two(tree: Tree, folder: Path) -> tuple[list[int], str]:
    """Train in two processes, which are started as ``srkit train --processes 2`` starts them.

    Returns
    -------
    statuses
        Their exit statuses.
    output
        What both of them printed.
    """
    path = write_recipe(tree, folder.with_suffix(".yaml"))
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    shared |= {"LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    commands = [
        Command(
            ["train", str(path), "--out", str(folder)],
            folder.with_suffix(f".{rank}.log"),
            {**shared, "RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in ("0", "1")
    ]
    statuses = [command.wait() for command in commands]
    return statuses, "".join(command.log.read_text() for command in commands)


def write_recipe(tree: Tree, path: Path) -> Path:
    """Write a recipe as YAML."""
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    return path
