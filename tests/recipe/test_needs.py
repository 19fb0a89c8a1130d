from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import Srkit
from training_setup import (
    TEACHER,
    Tree,
    last,
    make_pictures,
    make_tree,
    records,
    steps,
    validated,
    write_recipe,
)

from srkit.errors import TrainingError
from srkit.recipe.needs import references, resolve, unknown
from srkit.recipe.recipe import load_recipe, parse_recipe
from srkit.recipe.trees import merge
from srkit.weights.runs import is_trained

TRAINED: Tree = {"name": "judge", "generator": None, "degradation": None, "losses": {"l1": None}}


def test_references_are_found_at_any_depth() -> None:
    tree = {"start": {"weights": "needs.a"}, "x": {"y": {"z": Path("needs.b")}}, "needs": 3}
    assert list(references(tree)) == [("start.weights", "a"), ("x.y.z", "b")]


def recipe_of(**more: Any) -> Any:
    return parse_recipe({"name": "mine", "generator": {"type": "rrdb"}, **more}, "mine.yaml")


def test_references_in_lists() -> None:
    steps = [{"type": "blur", "psf": "needs.first"}, {"type": "bicubic"}]
    recipe = recipe_of(needs={"first": "first.yaml"}, degradation=steps)
    assert list(references({"degradation": steps})) == [("degradation.0.psf", "first")]
    resolved = resolve(recipe, {"first": Path("runs/first")}, "mine.yaml").dump()["degradation"]
    assert [step.get("psf") for step in resolved] == ["runs/first", None]


def test_a_reference_to_an_unknown_need() -> None:
    recipe = recipe_of(needs={"first": "first.yaml"}, start={"weights": "needs.frist"})
    assert unknown(recipe) == ["start.weights: unknown need 'frist'; did you mean 'first'?"]


def test_references_are_replaced_by_run_folders() -> None:
    recipe = recipe_of(needs={"first": "first.yaml"}, start={"weights": "needs.first"})
    resolved = resolve(recipe, {"first": Path("runs/first")}, "mine.yaml")
    assert resolved.start is not None
    assert resolved.start.weights == "runs/first"
    assert resolved.needs == {"first": "first.yaml"}
    assert recipe.start.weights == "needs.first"


def test_a_reference_to_a_file_in_the_run_folder_of_a_need() -> None:
    last_one = "needs.first/checkpoints/last.safetensors"
    recipe = recipe_of(needs={"first": "first.yaml"}, start={"weights": last_one})
    assert unknown(recipe) == []
    resolved = resolve(recipe, {"first": Path("runs/first")}, "mine.yaml")
    assert resolved.start is not None
    assert resolved.start.weights == str(Path("runs/first/checkpoints/last.safetensors"))


def test_paths_of_needs_are_relative_to_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "base.yaml").write_text("{name: base, needs: {first: first.yaml}}")
    (tmp_path / "mine.yaml").write_text("{extends: sub/base.yaml, needs: {other: ../other.yaml}}")
    assert load_recipe(tmp_path / "mine.yaml").needs == {
        "first": str(tmp_path / "sub" / "first.yaml"),
        "other": str(tmp_path / ".." / "other.yaml"),
    }


# --- a chain: classifier, pretraining, transfer -------------------------------------------------


@pytest.fixture
def chain(tmp_path: Path, undrawn_figures: None) -> Path:
    """Write three recipes, the last of which needs the first two."""
    pictures = make_pictures(tmp_path / "pictures")
    judge = {"net": {**TEACHER["net"], "trainable": True}}
    brief = {"evaluation": {"examples": 0, "baselines": ["bicubic"]}}
    small = make_tree(pictures, validated(pictures), steps(2, validate_every=1), brief)
    classifier = merge(small, {**TRAINED, "metrics": {"psnr": None, "accuracy": {}}})
    write_recipe({**classifier, "teachers": judge}, tmp_path / "judge.yaml")
    write_recipe({**small, "name": "pretrain"}, tmp_path / "pretrain.yaml")
    judged = {"net": {"type": "timm", "model": "test_efficientnet", "weights": "needs.judge"}}
    transfer = {
        **small,
        "name": "transfer",
        "needs": {"judge": "judge.yaml", "pretrained": "pretrain.yaml"},
        "start": {"weights": "needs.pretrained"},
        "teachers": {"net": {**TEACHER["net"], **judged["net"]}},
        "evaluation": {**brief["evaluation"], "models": {"again": "needs.pretrained"}},
    }
    transfer["losses"] = {"l1": {}, "logit_mse": {"weight": 0.1}}
    return write_recipe(transfer, tmp_path / "transfer.yaml")


@pytest.mark.slow
def test_a_chain_trains_what_it_needs_once(srkit: Srkit, chain: Path, tmp_path: Path) -> None:
    done = srkit("finetune", chain)
    assert (done.status, done.err) == (0, "")
    trained = re.findall(r"^(?:needs\.\w+: training \S+|trained: \S+)", done.out, re.MULTILINE)
    assert trained == [
        f"needs.judge: training {tmp_path}/judge.yaml",
        "trained: runs/judge/checkpoints/best.safetensors",
        f"needs.pretrained: training {tmp_path}/pretrain.yaml",
        "trained: runs/pretrain/checkpoints/best.safetensors",
        "trained: runs/transfer/checkpoints/best.safetensors",
    ]
    for model in ("bicubic", "again", "transfer"):
        assert model in done.out
    assert "(untuned)" not in done.out  # that is what `again` is
    kept = yaml.safe_load((tmp_path / "runs" / "transfer" / "recipe.yaml").read_text())
    assert kept["start"]["weights"] == "runs/pretrain"
    assert kept["teachers"]["net"]["weights"] == "runs/judge"
    again = srkit("finetune", chain, "--out", "runs/second")
    assert again.status == 0
    assert "needs.judge: trained already: runs/judge\n" in again.out
    assert "needs.pretrained: trained already: runs/pretrain\n" in again.out
    first, second = (records(tmp_path / "runs" / name) for name in ("transfer", "second"))
    assert [r.get("loss/l1") for r in first] == [r.get("loss/l1") for r in second]
    assert srkit("eval", chain).status == 0


def test_an_interrupted_need_is_resumed(srkit: Srkit, chain: Path, tmp_path: Path) -> None:
    assert srkit("train", "pretrain.yaml", "training.duration=1").status == 0
    checkpoint = tmp_path / "runs" / "pretrain" / "checkpoints" / "last.safetensors"
    # Half done, as after a signal.
    from srkit.weights.checkpoints import load, save

    found = load(checkpoint)
    state = {**found.state, "finished": False}
    state["recipe"]["training"]["duration"] = "2"
    save(checkpoint, found.groups, state)
    # Started, as after a kill before the first checkpoint.
    judge = tmp_path / "runs" / "judge" / "environment.json"
    judge.parent.mkdir()
    judge.write_bytes((checkpoint.parents[1] / "environment.json").read_bytes())
    assert srkit("finetune", chain, "--resume").status == 0
    assert last(tmp_path / "runs" / "pretrain").state["step"] == 2
    assert [r["step"] for r in records(tmp_path / "runs" / "pretrain", "train")] == [1, 2]


def test_problems_are_reported_before_needs_are_trained(
    srkit: Srkit, chain: Path, tmp_path: Path
) -> None:
    done = srkit("finetune", chain, "data.train.dataset.root=nowhere")
    assert done.status == 1
    assert "data.train.dataset: nowhere: no such folder" in done.err
    assert not (tmp_path / "runs").exists()


def test_what_a_later_need_lacks_is_reported_before_the_first_is_trained(
    srkit: Srkit, chain: Path, tmp_path: Path
) -> None:
    lacking = yaml.safe_load((tmp_path / "pretrain.yaml").read_text())
    lacking["data"]["train"]["dataset"]["root"] = "nowhere"
    write_recipe({**lacking, "name": "lacking"}, tmp_path / "lacking.yaml")
    tree = yaml.safe_load(chain.read_text())
    tree["needs"]["lacking"] = "lacking.yaml"
    done = srkit("finetune", write_recipe(tree, chain))
    assert done.status == 1
    assert done.err.startswith(f"error: {tmp_path / 'lacking.yaml'}: 1 problem\n")
    assert "data.train.dataset: nowhere: no such folder; " in done.err
    assert not (tmp_path / "runs").exists()


def test_a_classifier_starts_from_one_that_it_needs(
    srkit: Srkit, chain: Path, tmp_path: Path
) -> None:
    """Before the need is trained, no network of the recipe can be built."""
    tree = yaml.safe_load((tmp_path / "judge.yaml").read_text())
    tree |= {"name": "tuned", "needs": {"judge": "judge.yaml"}}
    tree["teachers"]["net"]["weights"] = "needs.judge"
    done = srkit("train", write_recipe(tree, tmp_path / "tuned.yaml"))
    assert (done.status, done.err) == (0, "")
    assert "trained: runs/tuned/checkpoints/best.safetensors" in done.out


def test_eval_needs_the_runs(srkit: Srkit, chain: Path, tmp_path: Path) -> None:
    judge = tmp_path / "judge.yaml"
    assert srkit("eval", chain).err == (
        f"error: {chain}: needs.judge: runs/judge does not contain a finished run; train it first: "
        f"srkit train {judge} --out runs/judge\n"
    )


def test_the_run_of_another_recipe_is_refused(srkit: Srkit, chain: Path, tmp_path: Path) -> None:
    assert srkit("train", "pretrain.yaml").status == 0
    (tmp_path / "runs" / "pretrain").rename(tmp_path / "runs" / "judge")
    with pytest.raises(
        TrainingError,
        match=r"^runs/judge: contains a run of 'pretrain', not of 'judge'; choose another --out$",
    ):
        is_trained(Path("runs/judge"), load_recipe("judge.yaml"))


@pytest.mark.usefixtures("undrawn_figures")
def test_a_second_stage_continues_from_the_whole_state_of_the_first(
    tmp_path: Path, srkit: Srkit
) -> None:
    pictures = make_pictures(tmp_path / "pictures", count=8)
    gan: Tree = {"discriminator": {"type": "unet_sn", "features": 4}, "training": {"ema": 0.9}}
    first = make_tree(pictures, gan, {"name": "first"}, steps(2))
    second = merge(first, {"name": "second", "losses": {"l1": None, "mse": {}}})
    second["needs"] = {"first": "first.yaml"}
    second["start"] = {"weights": "needs.first/checkpoints/last.safetensors", "take": "all"}
    for tree in (first, second):
        write_recipe(tree, tmp_path / f"{tree['name']}.yaml")
    done = srkit("train", "second.yaml")
    assert (done.status, done.err) == (0, "")
    out = tmp_path / "runs" / "second"
    log = (out / "log.txt").read_text()
    source = Path("runs/first/checkpoints/last.safetensors")
    taken = "generator, discriminator, ema, optimisers"
    assert f"start: took over from {source}: {taken}\n" in log
    assert "set: losses.mse.weight to 1.0\n" in log
    # 2 steps of each stage.
    assert int(last(out).groups["ema_count"]["updates"]) == 4
