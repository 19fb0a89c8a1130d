from __future__ import annotations

import errno
import json
import math
import os
import re
import threading
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams.api_pb2 import STATUS_SUCCESS, ListSessionGroupsRequest
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.list_session_groups import Handler
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.summary.writer.record_writer import RecordWriter

from srkit.errors import OutputError, TrainingError
from srkit.models.data_flow import Stage
from srkit.training.monitor import Monitor, forget_after, read_records

VALUES = {"step": 20, "epoch": 0.5, "loss/l1": 0.125, "images_per_second": 1234.5678}


def plain() -> Console:
    return Console(file=StringIO(), width=40)


def printed(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is not JSON")


def test_records_are_strict_json(tmp_path: Path) -> None:
    odd = {"step": 10, "epoch": 0.25, "a": math.inf, "b": -math.inf, "c": math.nan, "d": 1e-30}
    with Monitor(tmp_path, plain(), 40, 0) as monitor:
        monitor.record("train", odd)
        monitor.record("validation", VALUES)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    first, second = [json.loads(line, parse_constant=refuse) for line in lines]
    assert first == {"kind": "train", **odd, "a": "inf", "b": "-inf", "c": "nan"}
    assert second == {"kind": "validation", **VALUES}
    found = read_records(tmp_path / "metrics.jsonl")
    assert math.isnan(found[0].pop("c"))
    del odd["c"]
    assert found == [{"kind": "train", **odd}, second]


def write_records(path: Path, steps: list[int], rest: str = "") -> None:
    lines = [json.dumps({"kind": "train", "step": step, "loss": "nan"}) + "\n" for step in steps]
    path.write_text("".join(lines) + rest)


@pytest.mark.parametrize("torn", ["", '{"kind": "train", "st', '{"kind": "train", "step": 1}'])
def test_a_resumed_run_drops_records_of_later_steps(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "metrics.jsonl"
    write_records(path, [10, 20, 20, 30], torn)
    with Monitor(tmp_path, plain(), 40, 20) as monitor:
        monitor.record("train", {"step": 30, "epoch": 1})
    assert [record["step"] for record in read_records(path)] == [10, 20, 20, 30]
    assert list(tmp_path.glob(".*")) == []


def test_nothing_to_drop(tmp_path: Path) -> None:
    forget_after(tmp_path / "metrics.jsonl", 0)
    assert list(tmp_path.iterdir()) == []


LINE = "train      step 20/40 epoch 0.50  loss/l1 0.125  images_per_second 1234.6\n"


def test_plain_lines(tmp_path: Path) -> None:
    console = plain()
    with Monitor(tmp_path, console, 40, 0) as monitor:
        monitor.say("2 files skipped [bold] 3")
        monitor.step(10)
        monitor.record("train", VALUES)
    assert printed(console) == f"2 files skipped [bold] 3\n{LINE}"


def test_live_view_on_a_terminal(tmp_path: Path) -> None:
    console = Console(file=StringIO(), width=80, force_terminal=True, color_system=None)
    with Monitor(tmp_path, console, 40, 10) as monitor:
        monitor.say("2 files skipped")
        monitor.record("train", VALUES)
        monitor.step(20)
    shown = printed(console)
    assert LINE.strip() not in shown
    assert "2 files skipped" in shown
    assert re.search(r"train +loss/l1 +0\.125", shown)
    assert re.search(r"training .* 10/40 -", shown)
    assert shown.endswith("\x1b[2K")  # the view is wiped at the end


@pytest.mark.parametrize("terminal", [False, True])
def test_log_has_every_line(tmp_path: Path, terminal: bool) -> None:
    console = Console(file=StringIO(), width=40, force_terminal=terminal, color_system=None)
    with Monitor(tmp_path, console, 40, 0) as monitor:
        monitor.say("2 files skipped")
        monitor.record("train", VALUES)
    lines = (tmp_path / "log.txt").read_text().splitlines(keepends=True)
    stamp = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")
    assert [stamp.sub("", line) for line in lines] == ["2 files skipped\n", LINE]
    assert all(stamp.match(line) for line in lines)


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder / "tensorboard")).Reload()


def test_tensorboard_has_scalars_and_pictures(tmp_path: Path) -> None:
    image = np.linspace(0, 1, 4 * 5 * 3, dtype=np.float32).reshape(4, 5, 3)
    with Monitor(tmp_path, plain(), 40, 0) as monitor:
        monitor.record("train", {**VALUES, "step": 10})
        monitor.record("train", {**VALUES, "loss/l1": math.inf})
        monitor.record("validation", {"step": 20, "epoch": 0.5, "psnr": 27.5})
        monitor.pictures("validation/0", 20, [image, 1 - image])
    found = events(tmp_path)
    assert set(found.Tags()["scalars"]) == {
        "train/loss/l1",
        "train/images_per_second",
        "validation/psnr",
    }
    assert [(e.step, e.value) for e in found.Scalars("train/loss/l1")] == [
        (10, 0.125),
        (20, math.inf),
    ]
    assert [(e.step, e.value) for e in found.Scalars("validation/psnr")] == [(20, 27.5)]
    (picture,) = found.Images("validation/0")
    assert (picture.step, picture.width, picture.height) == (20, 10, 4)


def plugin_data(found: EventAccumulator, tag: str) -> HParamsPluginData:
    metadata = found.SummaryMetadata(tag)
    assert metadata.plugin_data.plugin_name == "hparams"
    return HParamsPluginData.FromString(metadata.plugin_data.content)


def test_tensorboard_has_settings_and_final_metrics(tmp_path: Path) -> None:
    settings = {"training.optimiser.lr": 1e-4, "scale": 2, "training.compile": False,
                "generator.type": "edsr", "data.train.augment": ["flip"]}  # fmt: skip
    with Monitor(tmp_path, plain(), 40, 0) as monitor:
        monitor.settings(settings)
        monitor.record("validation", {"step": 20, "epoch": 0.5, "psnr": 27.5})
        monitor.record("validation", {"step": 40, "epoch": 1.0, "psnr": 28.5})
    found = events(tmp_path)
    begun = plugin_data(found, "_hparams_/session_start_info").session_start_info.hparams
    shown = {name: getattr(value, value.WhichOneof("kind")) for name, value in begun.items()}
    assert shown == {**settings, "data.train.augment": "['flip']"}
    ended = plugin_data(found, "_hparams_/session_end_info").session_end_info
    assert ended.status == STATUS_SUCCESS
    assert [path.is_file() for path in (tmp_path / "tensorboard").iterdir()] == [True]


def test_tensorboard_itself_finds_settings_and_last_metrics(tmp_path: Path) -> None:
    """Read two runs, the second of which has one more setting, by TensorBoard's own backend."""
    for name, settings in (("a", {"lr": 1e-4}), ("b", {"lr": 1e-3, "generator.blocks": 3})):
        (tmp_path / name).mkdir()
        with Monitor(tmp_path / name, plain(), 40, 0) as monitor:
            monitor.settings(settings)
            monitor.record("validation", {"step": 20, "epoch": 0.5, "psnr": 20})
            monitor.record(
                "validation", {"step": 40, "epoch": 1.0, "psnr": 28 if "b" in name else 27}
            )
    both = EventMultiplexer().AddRunsFromDirectory(str(tmp_path)).Reload()
    provider = MultiplexerDataProvider(both, str(tmp_path))
    backend = Context(TBContext(data_provider=provider))
    request = ListSessionGroupsRequest(
        slice_size=9, allowed_statuses=[STATUS_SUCCESS], include_metrics=True
    )
    request.col_params.add(hparam="lr")
    found = Handler(RequestContext(), backend, "", request).run().session_groups
    rows = {
        group.name: (group.hparams["lr"].number_value,
                     {value.name.tag: value.value for value in group.metric_values})
        for group in found
    }  # fmt: skip
    assert rows == {
        "a/tensorboard": (1e-4, {"validation/psnr": 27}),
        "b/tensorboard": (1e-3, {"validation/psnr": 28}),
    }


def test_a_run_that_failed_has_no_end(tmp_path: Path) -> None:
    with pytest.raises(TrainingError), Monitor(tmp_path, plain(), 40, 0) as monitor:
        monitor.settings({"scale": 2})
        raise TrainingError("loss is nan")
    found = events(tmp_path)
    assert plugin_data(found, "_hparams_/session_start_info").HasField("session_start_info")
    with pytest.raises(KeyError):
        found.SummaryMetadata("_hparams_/session_end_info")


def test_tensorboard_has_the_graph(tmp_path: Path) -> None:
    layers = [
        Stage("head", "Conv2d", 7, (1, 8, 4, 4), ("LR",)),
        Stage("body.0.conv1", "Conv2d", 9, (1, 8, 4, 4), ("head",)),
        Stage("SR", "", 0, (1, 3, 8, 8), ("body.0.conv1", "head")),
    ]
    with Monitor(tmp_path, plain(), 40, 0) as monitor:
        monitor.graph(layers)
    nodes = {node.name: node for node in events(tmp_path).Graph().node}
    assert {name: (node.op, list(node.input)) for name, node in nodes.items()} == {
        "LR": ("image", []),
        "head": ("Conv2d", ["LR"]),
        "body/0/conv1": ("Conv2d", ["head"]),
        "SR": ("image", ["body/0/conv1", "head"]),
    }
    (shape,) = nodes["head"].attr["_output_shapes"].list.shape
    assert [side.size for side in shape.dim] == [1, 8, 4, 4]
    assert nodes["head"].attr["parameters"].i == 7


def test_tensorboard_drops_later_steps_of_a_resumed_run(tmp_path: Path) -> None:
    with Monitor(tmp_path, plain(), 40, 0) as monitor:
        for step in (10, 20, 30):
            monitor.record("train", {"step": step, "epoch": 0, "loss": step})
    (before,) = (tmp_path / "tensorboard").iterdir()
    before.rename(before.with_name(before.name.replace("tfevents.", "tfevents.0")))  # long ago
    with Monitor(tmp_path, plain(), 40, 20) as monitor:
        monitor.record("train", {"step": 30, "epoch": 0, "loss": 31})
    scalars = events(tmp_path).Scalars("train/loss")
    assert [(e.step, e.value) for e in scalars] == [(10, 10.0), (20, 20.0), (30, 31.0)]


def cannot_be_written(path: Path, reason: str = "No space left on device") -> Any:
    message = (
        f"{path}: cannot be written ({reason}); the last complete checkpoint is kept; free some "
        "space, then continue with --resume"
    )
    return pytest.raises(OutputError, match=f"^{re.escape(message)}$")


@pytest.mark.parametrize("name", ["metrics.jsonl", "log.txt"])
def test_full_disk(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to("/dev/full")
    with Monitor(tmp_path, plain(), 40, 0) as monitor, cannot_be_written(tmp_path / name):
        monitor.record("train", VALUES)


def full(*args: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.filterwarnings(  # TensorBoard writes in a thread, which dies of it
    "ignore::pytest.PytestUnhandledThreadExceptionWarning"
)
def test_full_disk_for_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = set(threading.enumerate())
    monitor = Monitor(tmp_path, plain(), 40, 0)
    with cannot_be_written(tmp_path / "tensorboard"), monitor:
        monkeypatch.setattr(RecordWriter, "write", full)
        for step in range(100):  # the failure is reported at a later call
            monitor.record("train", {**VALUES, "step": step})
    for thread in set(threading.enumerate()) - others:
        thread.join(10)  # its death belongs to this test, not to the next


def test_full_disk_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = Monitor(tmp_path, plain(), 40, 0)
    with cannot_be_written(tmp_path / "tensorboard"), monitor:
        monkeypatch.setattr(RecordWriter, "close", full)


def test_full_disk_hides_no_earlier_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = Monitor(tmp_path, plain(), 40, 0)
    with pytest.raises(TrainingError, match=r"^loss is nan$"), monitor:
        monkeypatch.setattr(RecordWriter, "close", full)
        raise TrainingError("loss is nan")


def test_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("a file")
    with cannot_be_written(tmp_path / "tensorboard", "File exists"):
        Monitor(tmp_path, plain(), 40, 0)
