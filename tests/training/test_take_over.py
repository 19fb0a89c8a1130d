"""A new run starts from the networks, the average and the optimisers of another run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import Srkit
from training_setup import (
    Tree,
    last,
    make_pictures,
    make_tree,
    records,
    run,
    steps,
    validated,
    write_recipe,
)

from srkit.components.registry import Registry
from srkit.errors import RecipeError, WeightsError
from srkit.recipe.trees import merge
from srkit.weights.checkpoints import load, save

GAN: Tree = {
    "discriminator": {"type": "unet_sn", "features": 4, "weight": 0.1, "optimiser": {"lr": 1e-3}},
    "training": {"ema": 0.9},
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=8)


@pytest.fixture(scope="module")
def first(
    pictures: Path, tmp_path_factory: pytest.TempPathFactory, registry: Registry
) -> tuple[Tree, Path]:
    """An adversarial run of three steps."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    tree = make_tree(pictures, GAN)
    run(tree, folder, registry)
    return tree, folder


def begun(folder: Path, take: str, **changes: Any) -> Tree:
    """Start from a run, with a learning rate so small that weights stay."""
    training = {"duration": 1, "optimiser": {"lr": 1e-30}, **changes}
    start = {"weights": str(folder), "take": take}
    return {"start": start, "training": training, "discriminator": {"optimiser": {"lr": 1e-30}}}


def moments(checkpoint: Any) -> list[float]:
    found = checkpoint.groups["optimiser.discriminator"]
    return [float(value) for key, value in found.items() if key.endswith(".step")]


@pytest.mark.parametrize(("take", "steps_done"), [("networks", 1), ("all", 4)])
def test_everything_is_taken_over(
    take: str, steps_done: int, first: tuple[Tree, Path], tmp_path: Path, registry: Registry
) -> None:
    tree, folder = first
    change = begun(folder, take, batch_size=2)
    run(merge(tree, merge(change, {"losses": {"l1": None, "mse": {}}})), tmp_path / "two", registry)
    before, after = last(folder), last(tmp_path / "two")
    for group in ("generator", "discriminator"):  # spectral norms change in every pass
        for key in before.state["trained"][group]["parameters"]:
            assert torch.equal(before.groups[group][key], after.groups[group][key]), key
    # 0.9 of the average, and 0.1 of the weights, which stay.
    for key, value in before.groups["ema"].items():
        mixed = 0.9 * value + 0.1 * before.groups["generator"][key]
        torch.testing.assert_close(after.groups["ema"][key], mixed)
    assert after.groups["ema_count"]["updates"] == 4
    assert set(moments(after)) == {steps_done}
    log = (tmp_path / "two" / "log.txt").read_text()
    taken = "generator, discriminator, ema" + (", optimisers" if take == "all" else "")
    assert f"start: took over from {folder}: {taken}\n" in log
    assert "changed: training.batch_size from 4 to 2\n" in log
    assert "changed: training.optimiser.lr from 0.001 to 1e-30\n" in log
    assert "set: losses.mse.weight to 1.0\n" in log
    assert "removed: losses.l1.weight, which was 1.0\n" in log
    assert ": start." not in log


def test_the_generator_alone_is_the_averaged_one(
    first: tuple[Tree, Path], tmp_path: Path, registry: Registry
) -> None:
    tree, folder = first
    run(merge(tree, begun(folder, "generator")), tmp_path / "two", registry)
    before, after = last(folder).groups, last(tmp_path / "two").groups
    assert all(torch.equal(v, after["generator"][key]) for key, v in before["ema"].items())


def test_a_run_with_a_new_network(
    pictures: Path, first: tuple[Tree, Path], tmp_path: Path, registry: Registry
) -> None:
    plain, second = make_tree(pictures), tmp_path / "second"
    run(plain, tmp_path / "plain", registry)
    run(merge(first[0], begun(tmp_path / "plain", "all")), second, registry)
    log = (second / "log.txt").read_text()
    assert f"start: took over from {tmp_path / 'plain'}: generator, optimisers\n" in log
    assert f"start: {tmp_path / 'plain'} has no discriminator; it starts untrained\n" in log


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training": {"optimiser": {"type": "sgd"}}}, "another optimiser; use the same one"),
        ({"start": {"freeze": ["conv_first"]}}, "other parameters; use start.freeze as it"),
    ],
)
def test_another_optimiser_is_refused(
    change: Tree, message: str, first: tuple[Tree, Path], tmp_path: Path, registry: Registry
) -> None:
    tree, folder = first
    with pytest.raises(WeightsError) as caught:
        run(merge(merge(tree, begun(folder, "all")), change), tmp_path / "two", registry)
    assert str(caught.value) == (
        f"start.take: {folder} trained the generator with {message}, or start.take=networks"
    )
    assert not (tmp_path / "two").exists()


def test_weights_without_a_state(
    first: tuple[Tree, Path], tmp_path: Path, registry: Registry
) -> None:
    tree, folder = first
    with pytest.raises(WeightsError, match=r"^start.take: '.*' is neither a run folder nor a "):
        run(merge(tree, begun(Path("rrdb_small_x4"), "all")), tmp_path / "two", registry)
    checkpoint = last(folder)
    path = tmp_path / "old.safetensors"
    save(path, checkpoint.groups, {**checkpoint.state, "optimisers": {}})
    assert load(path).groups.keys() == checkpoint.groups.keys()
    with pytest.raises(WeightsError, match=r"not the complete state of a run \(KeyError"):
        run(merge(tree, begun(path, "all")), tmp_path / "two", registry)


def test_reinitialised_weights_have_no_state(pictures: Path, registry: Registry) -> None:
    start = {"weights": "x", "take": "all", "reinitialise": ["tail"]}
    with pytest.raises(RecipeError) as caught:
        run(make_tree(pictures, {"start": start}), pictures / "none", registry)
    assert caught.value.problems == [
        "start: 'reinitialise' and 'take: all' cannot be combined; remove one"
    ]


def test_the_options_of_the_command(first: tuple[Tree, Path], tmp_path: Path, srkit: Srkit) -> None:
    tree, folder = first
    recipe = write_recipe(merge(tree, steps(1)), tmp_path / "two.yaml")
    done = srkit("train", recipe, "--from", folder, "--with-optimisers", "--out", tmp_path / "two")
    assert done.status == 0, done.err
    assert set(moments(last(tmp_path / "two"))) == {4}
    start = last(tmp_path / "two").state["recipe"]["start"]
    assert (start["weights"], start["take"]) == (str(folder), "all")
    done = srkit("train", recipe, "--with-optimisers", "--out", tmp_path / "three")
    assert (done.status, done.err) == (
        1,
        "error: --with-optimisers: needs --from, which names the run they are from\n",
    )


def test_one_origin_of_the_discriminator(
    first: tuple[Tree, Path], tmp_path: Path, registry: Registry
) -> None:
    tree, folder = first
    change = merge(begun(folder, "networks"), {"discriminator": {"weights": str(folder)}})
    with pytest.raises(RecipeError) as caught:
        run(merge(tree, change), tmp_path / "two", registry)
    assert caught.value.problems == [
        "discriminator.weights: start.take takes it over from the run; remove one"
    ]


def test_a_discriminator_of_another_size(
    first: tuple[Tree, Path], tmp_path: Path, registry: Registry
) -> None:
    tree, folder = first
    change = merge(begun(folder, "networks"), {"discriminator": {"features": 6}})
    remedy = "change the options of the discriminator, or use start.take=generator"
    with pytest.raises(WeightsError, match=f"does not fit UNetSN, .*; {remedy}"):
        run(merge(tree, change), tmp_path / "two", registry)


# --- resuming with other metrics and data -----------------------------------------------------


def test_metrics_and_validation_data_may_be_added(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    tree = make_tree(pictures, steps(4))
    run(tree, tmp_path / "whole", registry)
    run(merge(tree, steps(2)), tmp_path / "parts", registry)
    run(merge(tree, validated(pictures)), tmp_path / "parts", registry, resume=True)
    whole, parts = last(tmp_path / "whole"), last(tmp_path / "parts")
    for key, value in whole.groups["generator"].items():
        assert torch.equal(value, parts.groups["generator"][key])
    assert [record["step"] for record in records(tmp_path / "parts", "validation")] == [4]
    assert "psnr" in (tmp_path / "parts" / "recipe.yaml").read_text()
    assert "set: metrics.psnr.type to 'psnr'" in (tmp_path / "parts" / "log.txt").read_text()


def test_another_selection_starts_a_new_search_for_the_best(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    """The PSNR of other pictures, or a MAE, cannot be compared with the best PSNR so far."""
    other = make_pictures(tmp_path / "other", count=3)
    tree = make_tree(pictures, validated(pictures), steps(3, validate_every=1))
    run(merge(tree, steps(2)), tmp_path / "run", registry)
    assert last(tmp_path / "run").state["best"][0] > 1
    changed = merge(tree, {"metrics": {"mae": {}}, "best": "mae"})
    changed = merge(changed, {"data": {"validation": validated(other)["data"]["validation"]}})
    changed["training"]["patience"] = 1  # which counts from here
    run(changed, tmp_path / "run", registry, resume=True)
    state = last(tmp_path / "run").state
    assert state["step"] == state["best"][1] == 3
    assert state["best"][0] < 1


def test_the_same_selection_keeps_the_best(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    tree = make_tree(pictures, validated(pictures), steps(4, validate_every=1))
    run(tree, tmp_path / "whole", registry)
    run(merge(tree, steps(2)), tmp_path / "parts", registry)
    run(merge(tree, {"metrics": {"mae": {}}}), tmp_path / "parts", registry, resume=True)
    assert last(tmp_path / "whole").state["best"] == last(tmp_path / "parts").state["best"]
