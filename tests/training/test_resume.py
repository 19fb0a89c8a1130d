"""A run that was killed resumes as if nothing had happened, for every kind of turn."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch
from torch import Tensor
from training_setup import (
    TURNS,
    Tree,
    assert_same_end,
    extended,
    last,
    make_pictures,
    make_tree,
    records,
    run,
    steps,
    train_command,
    validated,
)

from srkit.components.registry import Registry
from srkit.errors import RecipeError, TrainingError, WeightsError
from srkit.interfaces import Batch
from srkit.recipe.recipe import load_recipe
from srkit.recipe.trees import merge
from srkit.system.files import PARTIAL
from srkit.training.run_folder import only_run
from srkit.weights.checkpoints import load, save


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures")


@pytest.fixture(scope="module", params=TURNS)
def whole(
    request: pytest.FixtureRequest,
    pictures: Path,
    tmp_path_factory: pytest.TempPathFactory,
    registry: Registry,
) -> tuple[str, Tree, Path]:
    """A kind of run, its recipe, and its folder after six steps without interruption."""
    # A cosine stretches with the duration, so that three steps of it are not half of six.
    steady = steps(6, schedule={"type": "steps", "every": 4, "warmup": 2}, validate_every=2)
    tree = make_tree(pictures, TURNS[request.param], validated(pictures), steady)
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(tree, folder, registry)
    assert [record["step"] for record in records(folder, "train")] == [1, 2, 3, 4, 5, 6]
    return request.param, tree, folder


def test_six_steps_are_three_steps_and_three_more(
    whole: tuple[str, Tree, Path], tmp_path: Path, registry: Registry
) -> None:
    _, tree, folder = whole
    run(merge(tree, steps(3)), tmp_path / "parts", registry)
    run(tree, tmp_path / "parts", registry, resume=True)
    # The first part was validated at its end; the whole run was not.
    assert_same_end(folder, tmp_path / "parts", extra_validation=3)


def test_the_random_numbers_of_a_step_are_the_same_after_a_resume(
    pictures: Path, tmp_path: Path
) -> None:
    def noisy(sr: Tensor, batch: Batch) -> Tensor:
        return (sr + torch.randn_like(sr) - batch.hr).abs().mean()

    registry = extended(losses={"noisy": lambda: noisy})
    tree = make_tree(pictures, {"losses": {"noisy": {}}}, steps(3))
    run(tree, tmp_path / "whole", registry)
    run(merge(tree, steps(2)), tmp_path / "parts", registry)
    run(tree, tmp_path / "parts", registry, resume=True)
    assert_same_end(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.slow
def test_a_killed_run_resumes_bit_for_bit(
    whole: tuple[str, Tree, Path], tmp_path: Path, registry: Registry
) -> None:
    kind, tree, folder = whole
    killed = tmp_path / "killed"
    lifetime = random.Random(kind).uniform(0.05, 1.2)
    command = train_command(tree, killed, lifetime=lifetime)
    status = command.wait()
    assert status == -signal.SIGPROF, command.log.read_text()
    reached = last(killed).state["step"]
    print(f"killed {lifetime:.3f} steps after the second checkpoint; the last one is {reached}")
    assert 1 <= reached < 6
    run(tree, killed, registry, resume=True)
    assert_same_end(folder, killed)


def test_a_run_killed_before_its_first_checkpoint_starts_again(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    tree = make_tree(pictures)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(tree, whole, registry)
    run(tree, killed, registry)
    checkpoint = killed / "checkpoints" / "last.safetensors"
    partial = checkpoint.with_name(f".1-00000000{PARTIAL}{checkpoint.name}")
    checkpoint.rename(partial)  # not yet whole
    with (killed / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "st')  # torn by the kill
    run(tree, killed, registry, resume=True)
    assert_same_end(whole, killed)


@pytest.fixture(scope="module")
def finished(
    pictures: Path, tmp_path_factory: pytest.TempPathFactory, registry: Registry
) -> tuple[Tree, Path]:
    """Train three steps."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    tree = make_tree(pictures)
    run(tree, folder, registry)
    return tree, folder


def test_options_that_decide_the_weights_cannot_change(
    finished: tuple[Tree, Path], registry: Registry
) -> None:
    tree, folder = finished
    change = {
        "seed": 6,
        "losses": {"l1": {"weight": 2.0}},
        "generator": {"growth": 5},
        "training": {"batch_size": 8},
    }
    with pytest.raises(RecipeError) as caught:
        run(merge(tree, {"losses": change["losses"]}), folder, registry, resume=True)
    assert str(caught.value) == (
        "test.yaml: 1 problem\n  losses.l1.weight: the run was started with 1.0, not 2.0; a "
        "resumed run cannot change it"
    )
    with pytest.raises(RecipeError) as caught:
        run(merge(tree, change), folder, registry, resume=True)
    assert caught.value.problems == [
        f"{key}: the run was started with {before}, not {now}; a resumed run cannot change it"
        for key, before, now in (
            ("generator.growth", 4, 5),
            ("losses.l1.weight", 1.0, 2.0),
            ("seed", 5, 6),
            ("training.batch_size", 4, 8),
        )
    ]


def test_other_options_may_change(
    finished: tuple[Tree, Path], tmp_path: Path, registry: Registry
) -> None:
    tree, folder = finished
    free = steps(4, workers=1, log_every=2, validate_every=2, checkpoint_every=3, keep_every=4)
    changes = {"description": "another", "evaluation": {"batch_size": 3}, **free}
    run(merge(tree, changes), folder, registry, resume=True)
    run(merge(tree, steps(4)), tmp_path / "whole", registry)
    assert last(folder).state["step"] == 4
    resumed, whole = last(folder).groups, last(tmp_path / "whole").groups
    assert all(resumed["generator"][key].equal(value) for key, value in whole["generator"].items())
    assert (folder / "checkpoints" / "step_00000004.safetensors").is_file()


def test_a_run_is_never_overwritten(finished: tuple[Tree, Path], registry: Registry) -> None:
    tree, folder = finished
    before = (folder / "checkpoints" / "last.safetensors").read_bytes()
    with pytest.raises(TrainingError) as caught:
        run(tree, folder, registry)
    assert str(caught.value) == (
        f"{folder}: already contains a run; continue it with --resume or choose another --out"
    )
    assert (folder / "checkpoints" / "last.safetensors").read_bytes() == before


def test_only_a_run_can_be_resumed(
    finished: tuple[Tree, Path], tmp_path: Path, registry: Registry
) -> None:
    tree, _ = finished
    with pytest.raises(TrainingError) as caught:
        run(tree, tmp_path / "none", registry, resume=True)
    assert str(caught.value) == (
        f"{tmp_path / 'none'}: contains no run to resume; omit --resume to start one"
    )


def test_files_of_the_user_are_not_replaced(
    finished: tuple[Tree, Path], tmp_path: Path, registry: Registry
) -> None:
    """`srkit train project/recipe.yaml --out project`, with and without --resume."""
    tree, _ = finished
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("mine")
    for resume, message in (
        (True, "contains no run to resume; omit --resume to start one"),
        (False, "contains files that srkit train did not write; choose another --out"),
    ):
        with pytest.raises(TrainingError, match=f"^{re.escape(str(tmp_path))}: {message}$"):
            run(tree, tmp_path, registry, resume=resume)
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yaml"]
    assert recipe.read_text() == "mine"


def test_one_process_trains_in_a_folder(
    finished: tuple[Tree, Path], tmp_path: Path, registry: Registry
) -> None:
    tree, folder = finished
    before = (folder / "checkpoints" / "last.safetensors").read_bytes()
    for place, resume in ((folder, True), (tmp_path / "new", False)):
        with (
            only_run(place),
            pytest.raises(TrainingError, match="another process is training here; wait until it"),
        ):
            run(tree, place, registry, resume=resume)
    assert (folder / "checkpoints" / "last.safetensors").read_bytes() == before
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("change", ["removed", "added", "replaced"])
def test_changed_data_are_noticed(tmp_path: Path, registry: Registry, change: str) -> None:
    pictures, folder = make_pictures(tmp_path / "pictures"), tmp_path / "run"
    tree = make_tree(pictures)
    del tree["data"]["train"]["dataset"]["labels"]
    run(tree, folder, registry)
    picture = pictures / "03.png"
    if change == "added":
        shutil.copy(picture, pictures / "99.png")
    elif change == "removed":
        picture.unlink()
    else:
        os.utime(picture, ns=(1, 1))
    longer = merge(tree, steps(4))
    with pytest.raises(TrainingError) as caught:
        run(longer, folder, registry, resume=True)
    assert str(caught.value) == (
        f"{folder}: files of data.train were added, removed or replaced since the run started; "
        "restore them, or add --allow-changed-data"
    )
    run(longer, folder, registry, resume=True, allow_changed_data=True)
    assert last(folder).state["step"] == 4


def test_a_truncated_checkpoint_is_named(
    finished: tuple[Tree, Path], tmp_path: Path, registry: Registry
) -> None:
    tree, folder = finished
    broken = tmp_path / "broken" / "checkpoints" / "last.safetensors"
    broken.parent.mkdir(parents=True)
    content = (folder / "checkpoints" / "last.safetensors").read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    message = re.escape(f"{broken}: incomplete or not a safetensors file (")
    with pytest.raises(WeightsError, match=f"^{message}.*; use another checkpoint$"):
        run(tree, tmp_path / "broken", registry, resume=True)


def test_a_run_without_its_last_checkpoint_resumes_from_that_of_most_steps(
    pictures: Path, registry: Registry, tmp_path: Path
) -> None:
    """As after a kill between the first validation and the first due checkpoint."""
    often = steps(4, validate_every=1, keep_every=2, checkpoint_every=9)
    tree, parts = make_tree(pictures, validated(pictures), often), tmp_path / "parts"
    run(tree, tmp_path / "whole", registry)
    run(merge(tree, steps(3)), parts, registry)
    (parts / "checkpoints" / "last.safetensors").unlink()
    assert load(parts / "checkpoints" / "best.safetensors").state["step"] == 3
    run(tree, parts, registry, resume=True)
    assert_same_end(tmp_path / "whole", parts)


def test_a_run_keeps_its_precision_on_another_machine(
    pictures: Path, tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` is chosen when the run starts, and recorded; on resuming it is not chosen again."""

    def on_a_machine_of(precision: str) -> None:
        monkeypatch.setattr(
            "srkit.assembly.device.fastest_precision", lambda device: (precision, "the reason")
        )

    tree = make_tree(pictures, steps(2, precision="auto"))
    run(make_tree(pictures, steps(2, precision="bf16")), tmp_path / "whole", registry)
    on_a_machine_of("bf16")
    run(merge(tree, steps(1)), tmp_path / "parts", registry)
    on_a_machine_of("fp32")
    run(tree, tmp_path / "parts", registry, resume=True)
    assert_same_end(tmp_path / "whole", tmp_path / "parts")
    assert load_recipe(tmp_path / "parts" / "recipe.yaml").training.precision == "bf16"
    with pytest.raises(RecipeError, match="the run was started with 'bf16', not 'fp32'"):
        run(merge(tree, steps(3, precision="fp32")), tmp_path / "parts", registry, resume=True)


@pytest.mark.parametrize(
    ("wanted", "lines"),
    [
        ("auto", ["precision: fp32, an old processor"]),
        (
            "bf16",
            [
                "precision: bf16, set in the recipe",
                "bf16 is slow on this device (an old processor); auto takes fp32",
            ],
        ),
    ],
)
def test_the_first_lines_state_the_precision_and_why(
    wanted: str,
    lines: list[str],
    pictures: Path,
    tmp_path: Path,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for place in ("srkit.assembly.device", "srkit.system.precision"):
        monkeypatch.setattr(
            f"{place}.fastest_precision", lambda device: ("fp32", "an old processor")
        )
    run(make_tree(pictures, steps(1, precision=wanted)), tmp_path / "run", registry)
    log = (tmp_path / "run" / "log.txt").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in log[1 : 1 + len(lines)]] == lines


def test_a_run_in_fp16_resumes_on_a_gpu_only(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    run(make_tree(pictures, steps(1)), tmp_path / "run", registry)
    last = tmp_path / "run" / "checkpoints" / "last.safetensors"
    checkpoint = load(last)
    checkpoint.state["recipe"]["training"]["precision"] = "fp16"
    save(last, checkpoint.groups, checkpoint.state)
    with pytest.raises(TrainingError, match=r"run: was started in fp16; resume it on a CUDA GPU$"):
        run(
            make_tree(pictures, steps(2, precision="auto")),
            tmp_path / "run",
            registry,
            resume=True,
        )
