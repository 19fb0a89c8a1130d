from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_services import SERVICES, fake_services
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_setup import extended, make_pictures, make_tree, records, run, steps, validated

from srkit.assembly.build import SPLITS, assemble
from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.errors import PluginError, RecipeError, TrainingError
from srkit.interfaces import Tracker
from srkit.recipe.recipe import parse_recipe
from srkit.training.monitor import Monitor


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=4)


def tracker(type: str, **options: Any) -> Tracker:
    made: Tracker = build(Registry.discover().get("trackers", type).factory, options)
    return made


class Notes:
    """Keeps what it is given, and fails at a step."""

    def __init__(self, fails: int = 0) -> None:
        self.fails, self.started, self.logged, self.ended = fails, [], {}, 0

    def start(self, name: str, folder: Path, settings: Mapping[str, Any]) -> None:
        self.started += [name, folder, dict(settings)]

    def log(self, values: Mapping[str, float], step: int) -> None:
        if step == self.fails:
            raise ConnectionError("the server is gone")
        self.logged.setdefault(step, {}).update(values)

    def finish(self) -> None:
        self.ended += 1


def test_a_tracker_gets_what_the_run_records(pictures: Path, tmp_path: Path) -> None:
    notes = Notes()
    registry = extended(trackers={"notes": lambda: notes})
    changes = steps(2, validate_every=2, trackers={"notes": {}})
    run(make_tree(pictures, validated(pictures), changes), tmp_path / "mine", registry)
    name, folder, settings = notes.started
    assert (name, folder) == ("mine", tmp_path / "mine")
    assert settings["training.optimiser.lr"] == 1e-3
    assert settings["training.trackers.notes.type"] == "notes"
    for record in records(tmp_path / "mine"):
        kind = record["kind"]
        expected = {f"{kind}/{k}": v for k, v in record.items() if k not in ("kind", "step")}
        assert expected.items() <= notes.logged[record["step"]].items()
    assert notes.ended == 1


def test_a_tracker_that_fails_does_not_stop_the_run(tmp_path: Path) -> None:
    broken, good = Notes(fails=2), Notes()
    output = io.StringIO()
    with Monitor(tmp_path, Console(file=output, width=200), 3, 0) as monitor:
        monitor.track("broken", broken, {})
        monitor.track("good", good, {})
        for step in (1, 2, 3):
            monitor.record("train", {"step": step, "epoch": 0.5, "total": 1.0})
    assert list(broken.logged) == [1]
    assert list(good.logged) == [1, 2, 3]
    assert good.ended == 1
    line = (
        "training.trackers.broken: ConnectionError: the server is gone; the run continues without "
        "it, and metrics.jsonl has all values"
    )
    assert [each for each in output.getvalue().splitlines() if "broken" in each] == [line]


def test_tensorboard_in_a_shared_folder(tmp_path: Path) -> None:
    with fake_services():
        shared = tracker("tensorboard", folder=str(tmp_path / "all"))
        shared.start("mine", tmp_path, {"scale": 2, "compile": False})
        shared.log({"train/total": 0.5}, 3)
        shared.finish()
    events = EventAccumulator(str(tmp_path / "all" / "mine")).Reload()
    assert [(each.step, each.value) for each in events.Scalars("train/total")] == [(3, 0.5)]


def test_wandb_is_given_the_run(tmp_path: Path) -> None:
    with fake_services() as modules:
        made = tracker("wandb", project="lenses", tags=["x4"], mode="offline")
        made.start("mine", tmp_path, {"scale": 2})
        made.log({"train/total": 0.5}, 3)
        made.finish()
    wandb = modules["wandb"]
    wandb.init.assert_called_once_with(
        project="lenses", name="mine", dir=str(tmp_path), entity=None, tags=["x4"], mode="offline"
    )
    wandb.config.update.assert_called_once_with({"scale": 2}, allow_val_change=True)
    wandb.init.return_value.log.assert_called_once_with({"train/total": 0.5}, step=3)
    wandb.init.return_value.finish.assert_called_once_with()


@pytest.mark.parametrize("package", SERVICES)
def test_a_missing_package_names_its_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    name = package.removesuffix("_ml")
    with pytest.raises(PluginError) as caught:
        tracker(name)
    assert str(caught.value) == (
        f"the package {package} is not installed; install srkit[{name}]: "
        f'pip install "srkit[{name}]"'
    )


def test_a_service_that_refuses_the_start(tmp_path: Path) -> None:
    with fake_services() as modules:
        modules["wandb"].init.side_effect = RuntimeError("no API key")
        made = tracker("wandb")
        with pytest.raises(TrainingError) as caught:
            made.start("mine", tmp_path, {})
    assert str(caught.value) == (
        "training.trackers: wandb cannot start (RuntimeError: no API key); log in there, or "
        "remove it"
    )


def test_a_wrong_tracker_in_a_recipe(pictures: Path, registry: Registry) -> None:
    tree = make_tree(pictures, {"training": {"trackers": {"tensorbord": {}, "a": None}}})
    with pytest.raises(RecipeError) as caught:
        assemble(parse_recipe(tree, "here"), registry, "here", splits=SPLITS)
    assert caught.value.problems == [
        "training.trackers.tensorbord.type: unknown tracker 'tensorbord'; did you mean "
        "'tensorboard'?"
    ]
