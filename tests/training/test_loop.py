"""The loop: what a step does to the weights, what is recorded, and when a run ends."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch import Tensor
from training_setup import (
    TEACHER,
    differences,
    extended,
    last,
    make_pictures,
    make_tree,
    records,
    run,
    steps,
    validated,
)

from srkit.components.registry import Registry
from srkit.errors import RecipeError
from srkit.interfaces import Batch
from srkit.recipe.recipe import load_recipe
from srkit.recipe.trees import merge
from srkit.weights.checkpoints import load, save

#: Differences are not enlarged, as Adam's normalisation would where a gradient is nearly 0.
SGD = {"type": "sgd", "lr": 0.1}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures")


def generator_at(folder: Path, step: int, group: str = "generator") -> Mapping[str, Tensor]:
    """Read the weights that `keep_every: 1` kept of a step."""
    return load(folder / "checkpoints" / f"step_{step:08d}.safetensors").groups[group]


# --- what a step does -----------------------------------------------------------------------


def test_parts_of_a_step_add_up_to_the_whole(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    tree = make_tree(pictures, steps(2, optimiser=SGD))
    run(tree, tmp_path / "whole", registry)
    run(merge(tree, steps(2, accumulate=2)), tmp_path / "parts", registry)
    whole, parts = last(tmp_path / "whole"), last(tmp_path / "parts")
    found = differences(whole.groups["generator"], parts.groups["generator"])
    assert max(found.values()) < 1e-6
    for one, other in zip(records(tmp_path / "whole"), records(tmp_path / "parts"), strict=True):
        assert other["loss/l1"] == pytest.approx(one["loss/l1"], abs=1e-6)


def test_the_moving_average_equals_its_definition(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    folder = tmp_path / "run"
    run(make_tree(pictures, steps(4, ema=0.75, keep_every=1)), folder, registry)
    average = dict(generator_at(folder, 1))
    for step in (2, 3, 4):
        now = generator_at(folder, step)
        average = {key: 0.75 * value + 0.25 * now[key] for key, value in average.items()}
        found = differences(average, generator_at(folder, step, "ema"))
        assert max(found.values()) < 1e-6
    assert max(differences(average, generator_at(folder, 4)).values()) > 1e-4


@pytest.mark.parametrize("accumulate", [1, 2])
def test_clipping_limits_the_norm_of_the_gradient(
    accumulate: int, pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    # With plain gradient descent of rate 1 the step is the gradient.
    free = steps(2, optimiser={"type": "sgd", "lr": 1.0}, keep_every=1, accumulate=accumulate)
    tree = make_tree(pictures, free)
    run(tree, tmp_path / "free", registry)
    run(merge(tree, steps(2, clip=1e-3)), tmp_path / "clipped", registry)
    assert step_norm(tmp_path / "free") > 2e-3
    assert step_norm(tmp_path / "clipped") == pytest.approx(1e-3, rel=1e-3)


def step_norm(folder: Path) -> float:
    """Length of the second step in the space of all weights."""
    before, after = (generator_at(folder, step) for step in (1, 2))
    squares = [
        (after[key].double() - value.double()).square().sum() for key, value in before.items()
    ]
    return math.sqrt(float(torch.stack(squares).sum()))


def test_the_learning_rate_follows_the_schedule(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    cosine = {"type": "cosine", "warmup": 2, "minimum": 0.1}
    changes = {"discriminator": {"type": "unet_sn", "features": 4, "optimiser": {"lr": 0.5e-3}}}
    run(make_tree(pictures, changes, steps(6, schedule=cosine)), tmp_path / "run", registry)
    factors = [0.5]  # half way through the warm-up
    factors += [0.1 + 0.9 * (1 + math.cos(math.pi * done / 4)) / 2 for done in (0, 0, 1, 2, 3)]
    for record, factor in zip(records(tmp_path / "run"), factors, strict=True):
        assert record["lr/generator"] == pytest.approx(1e-3 * factor)
        assert record["lr/discriminator"] == pytest.approx(0.5e-3 * factor)


def test_bf16_trains_weights_of_fp32(pictures: Path, tmp_path: Path, registry: Registry) -> None:
    changes = {"teachers": TEACHER, "losses": {"logit_mse": {"weight": 0.1}}}
    tree = make_tree(pictures, changes, validated(pictures), steps(3))
    run(tree, tmp_path / "fp32", registry)
    run(merge(tree, steps(3, precision="bf16", ema=0.9)), tmp_path / "bf16", registry)
    groups = last(tmp_path / "bf16").groups
    assert {value.dtype for value in groups["generator"].values()} == {torch.float32}
    assert {value.dtype for value in groups["ema"].values()} == {torch.float32}
    for full, half in zip(
        records(tmp_path / "fp32", "train"), records(tmp_path / "bf16", "train"), strict=True
    ):
        assert half["loss/l1"] == pytest.approx(full["loss/l1"], rel=0.02)
        assert half["loss/l1"] != full["loss/l1"]


# --- where it starts ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(pictures: Path, tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Path:
    """Train three steps."""
    folder = tmp_path_factory.mktemp("runs") / "trained"
    run(make_tree(pictures, steps(3, ema=0.5)), folder, registry)
    return folder


def from_folder(trained: Path, tmp_path: Path) -> tuple[Path, str]:
    return trained, "ema"


def from_checkpoint(trained: Path, tmp_path: Path) -> tuple[Path, str]:
    return trained / "checkpoints" / "last.safetensors", "ema"


def from_pickle(trained: Path, tmp_path: Path) -> tuple[Path, str]:
    torch.save(last(trained).groups["generator"], tmp_path / "weights.pth")
    return tmp_path / "weights.pth", "generator"


@pytest.mark.parametrize("source", [from_folder, from_checkpoint, from_pickle])
def test_a_run_starts_from_weights(
    source: Callable[[Path, Path], tuple[Path, str]],
    trained: Path,
    pictures: Path,
    tmp_path: Path,
    registry: Registry,
) -> None:
    weights, group = source(trained, tmp_path)
    still = steps(1, optimiser={"type": "sgd", "lr": 1e-30})
    tree = make_tree(pictures, {"start": {"weights": str(weights)}}, still)
    run(tree, tmp_path / "run", registry)
    found = last(tmp_path / "run").groups["generator"]
    assert max(differences(last(trained).groups[group], found).values()) == 0


def test_frozen_stages_stay_and_reinitialised_weights_train(
    trained: Path, pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    start = {
        "weights": str(trained),
        "freeze": ["conv_first", "body.0", "conv_last"],
        "reinitialise": ["conv_last.bias"],
    }
    tree = make_tree(
        pictures, {"start": start}, steps(2, optimiser={"type": "adamw", "weight_decay": 0.1})
    )
    run(merge(tree, steps(1, keep_every=1)), tmp_path / "run", registry)
    run(merge(tree, steps(2, keep_every=1)), tmp_path / "run", registry, resume=True)
    before, after = last(trained).groups["ema"], last(tmp_path / "run").groups["generator"]
    frozen = tuple(f"{stage}." for stage in start["freeze"])
    stayed = {key for key, value in before.items() if torch.equal(value, after[key])}
    assert stayed == {key for key in before if key.startswith(frozen)} - {"conv_last.bias"}
    first = generator_at(tmp_path / "run", 1)["conv_last.bias"]
    assert not torch.equal(first, after["conv_last.bias"])


def test_l2_sp_draws_the_weights_to_the_starting_weights(
    trained: Path, pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    """Plain gradient descent on α/2 |w - w0|² alone: each step shrinks the distance by lr α."""
    start = {"weights": str(trained), "l2_sp": 0.5, "reinitialise": ["conv_last.bias"]}
    off = {"l1": {"weight": 0.0}}
    still = steps(3, optimiser={"type": "sgd", "lr": 0.1}, keep_every=1)
    tree = make_tree(pictures, {"start": start, "losses": off}, still)
    run(tree, tmp_path / "run", registry)
    before, after = last(trained).groups["ema"], last(tmp_path / "run").groups["generator"]
    assert all(torch.equal(value, after[key]) for key, value in before.items() if "bias" not in key)
    assert [r["loss/l2_sp"] for r in records(tmp_path / "run", "train")] == [0.0, 0.0, 0.0]
    # Held to a start that is 1 away, resumed in between.
    moved = {key: value + 1 for key, value in before.items()}
    anchor = last(tmp_path / "run").groups["anchor.generator"]
    assert anchor.keys() == before.keys() - {"conv_last.bias"}
    checkpoint = load(tmp_path / "run" / "checkpoints" / "step_00000001.safetensors")
    groups = {**checkpoint.groups, "anchor.generator": {k: moved[k] for k in anchor}}
    save(tmp_path / "run" / "checkpoints" / "last.safetensors", groups, checkpoint.state)
    run(tree, tmp_path / "run", registry, resume=True)
    found = last(tmp_path / "run").groups["generator"]
    for key in anchor:
        assert torch.allclose(moved[key] - found[key], torch.tensor((1 - 0.05) ** 2), atol=1e-5)
    penalties = [r["loss/l2_sp"] for r in records(tmp_path / "run", "train")]
    weights = sum(value.numel() for value in anchor.values())
    expected = [0.0, 0.25 * weights, 0.25 * weights * (1 - 0.05) ** 2]
    assert penalties == pytest.approx(expected, rel=1e-4)


# --- when it ends ---------------------------------------------------------------------------


def test_a_run_stops_when_patience_is_exhausted(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    # So large a rate that the network soon gets worse.
    rough = steps(40, validate_every=2, patience=3, optimiser={"lr": 0.5})
    tree = make_tree(pictures, validated(pictures), rough)
    best = load(run(tree, tmp_path / "run", registry)).state["step"]
    validated_at = [r["step"] for r in records(tmp_path / "run", "validation")]
    assert validated_at[-1] == best + 6 < 40
    assert last(tmp_path / "run").state["step"] == best + 6
    log = (tmp_path / "run" / "log.txt").read_text()
    assert f"stopped early: no better validation since step {best}\n" in log
    run(tree, tmp_path / "run", registry, resume=True)  # nothing is left to do
    assert last(tmp_path / "run").state["step"] == best + 6


def test_patience_needs_validation(pictures: Path, tmp_path: Path, registry: Registry) -> None:
    message = "training.patience: needs data.validation, which shows what is better"
    with pytest.raises(RecipeError, match=re.escape(message)):
        run(make_tree(pictures, steps(3, patience=1)), tmp_path / "run", registry)


# --- what is written ------------------------------------------------------------------------


def test_a_run_folder_has_everything_to_repeat_the_run(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    folder = tmp_path / "run"
    tree = make_tree(pictures, validated(pictures), steps(3))
    assert run(tree, folder, registry, curves=True) == folder / "checkpoints" / "best.safetensors"
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    boards = {name for name in written if name.startswith("tensorboard/")}
    assert len(boards) == 1
    assert written - boards == {
        "recipe.yaml",
        "environment.json",
        "log.txt",
        "metrics.jsonl",
        "checkpoints/last.safetensors",
        "checkpoints/best.safetensors",
        "figures/curves_loss.png",
        "figures/curves_validation.png",
    }
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["seed"] == 5
    assert environment["versions"]["torch"] == version("torch")
    assert last(folder).state["recipe"] == yaml.safe_load((folder / "recipe.yaml").read_text())
    again = load_recipe(folder / "recipe.yaml").dump()
    run(again, tmp_path / "again", registry)
    assert records(tmp_path / "again") == records(folder)


def test_tensorboard_shows_the_network_and_the_settings(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    run(make_tree(pictures, validated(pictures), steps(2)), tmp_path / "run", registry)
    found = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    nodes = {node.name: set(node.input) for node in found.Graph().node}
    assert nodes["conv_first"] == {"LR"}
    assert nodes["body/0/rdb1/conv2"] == {"conv_first", "body/0/rdb1/conv1"}
    assert nodes["conv_up1"] == {"conv_first", "conv_body"}
    begun = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    settings = HParamsPluginData.FromString(begun).session_start_info.hparams
    assert settings["generator.features"].number_value == 8
    assert settings["losses.l1.type"].string_value == "l1"


def test_the_best_checkpoint_is_that_of_the_best_validation(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    # So large a rate that the network gets worse at some steps.
    rough = steps(8, validate_every=1, optimiser={"lr": 0.05})
    tree = make_tree(pictures, validated(pictures), rough, {"best": "psnr"})
    best = load(run(tree, tmp_path / "run", registry))
    values = {r["step"]: r["psnr"] for r in records(tmp_path / "run", "validation")}
    assert any(later < earlier for earlier, later in pairwise(values.values()))
    step = max(values, key=lambda key: values[key])
    assert best.state["step"] == step
    assert best.state["best"] == [values[step], step]


class Bias:
    """A signed metric: how much brighter SR is than HR; NaN for the darkest pictures."""

    higher_is_better, unit, protocol, signed = False, "", "mean difference", True

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        difference = (sr - batch.hr).mean((1, 2, 3))
        return torch.where(batch.hr.mean((1, 2, 3)) > 0.45, difference, math.nan)


def test_the_best_of_a_signed_metric_is_that_closest_to_0(pictures: Path, tmp_path: Path) -> None:
    """Images that cannot be measured are left out of the mean."""
    metric = {"metrics": {"psnr": None, "bias": {}}, "best": "bias"}
    rough = steps(8, validate_every=1, keep_every=1, optimiser={"lr": 0.05})
    tree = make_tree(pictures, merge(validated(pictures), metric), rough)
    registry = extended(metrics={"bias": Bias})
    best = load(run(tree, tmp_path / "run", registry)).state
    values = {r["step"]: r["bias"] for r in records(tmp_path / "run", "validation")}
    assert all(math.isfinite(value) for value in values.values())
    assert min(values.values()) < 0 < max(values.values())
    assert best["best"][0] >= abs(values[best["step"]])  # bias and scatter
    assert abs(values[best["step"]]) < max(abs(value) for value in values.values()) / 2


def test_terms_are_averaged_between_log_lines(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    tree = make_tree(pictures, steps(5))
    run(tree, tmp_path / "each", registry)
    run(merge(tree, steps(5, log_every=2, checkpoint_every=5)), tmp_path / "two", registry)
    each = [record["loss/l1"] for record in records(tmp_path / "each")]
    two = {record["step"]: record["loss/l1"] for record in records(tmp_path / "two")}
    expected = {2: sum(each[:2]) / 2, 4: sum(each[2:4]) / 2, 5: each[4]}
    assert two == pytest.approx(expected, rel=1e-6)


def test_the_total_is_the_sum_of_the_generators_terms(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    critic = {"discriminator": {"type": "unet_sn", "features": 4, "weight": 0.1}}
    run(make_tree(pictures, critic, steps(1)), tmp_path / "run", registry)
    (record,) = records(tmp_path / "run", "train")
    assert record["loss/discriminator"] > 0
    assert record["loss/total"] == pytest.approx(record["loss/l1"] + record["loss/adversarial"])
