"""What a run shows and records: live view, log lines, ``metrics.jsonl``, TensorBoard."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from srkit.errors import OutputError, innermost
from srkit.interfaces import Tracker
from srkit.interfaces.training import Setting
from srkit.models.data_flow import LR, Stage
from srkit.system.files import write_file
from srkit.system.progress import progress_bars
from srkit.system.untrusted import parse_json


class Monitor:
    """Shows and records a run, in the main process.

    Parameters
    ----------
    folder
        The run folder.
    console
        Where to show progress: a live view on a terminal, plain lines elsewhere.
    total
        Steps of the run.
    first
        Steps done before, if the run is resumed; records of later steps are dropped.
    """

    def __init__(self, folder: Path, console: Console, total: int, first: int) -> None:
        self.console, self.total = console, total
        self._records = folder / "metrics.jsonl"
        self._log = folder / "log.txt"
        self._events = folder / "tensorboard"
        forget_after(self._records, first)
        with _writing(self._events):
            self._board = SummaryWriter(self._events, purge_step=first + 1)
        self._bar = progress_bars(console)
        self._writer: Any = self._board.file_writer
        self._end: Any = None
        self._task = self._bar.add_task("training", total=total, completed=first)
        self._latest: dict[str, Mapping[str, Any]] = {}
        self._trackers: dict[str, Tracker] = {}
        self._live = Live(self._view(), console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Monitor:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()
        for name in list(self._trackers):
            with self._tracking(name):
                self._trackers.pop(name).finish()
        try:
            with _writing(self._events):
                if error is None and self._end is not None:
                    # It cannot be changed later, so that a run that may be resumed gets none.
                    self._writer.add_summary(self._end)
                self._board.close()
        except OutputError:
            if error is None:  # otherwise the first failure is the one to report
                raise

    def step(self, step: int) -> None:
        """Move the progress bar."""
        self._bar.update(self._task, completed=step)

    def record(self, kind: str, values: Mapping[str, float]) -> None:
        """Record the values of a step; ``step`` and ``epoch`` are among them.

        Raises
        ------
        OutputError
            If the run folder cannot be written.
        """
        self._append(self._records, json.dumps({"kind": kind, **_strict(values)}))
        step = int(values["step"])
        with _writing(self._events):
            for name, value in values.items():
                if name not in ("step", "epoch"):
                    self._board.add_scalar(f"{kind}/{name}", value, step)
        shown = {f"{kind}/{k}": float(v) for k, v in values.items() if k != "step"}
        for name, tracker in list(self._trackers.items()):
            with self._tracking(name):
                tracker.log(shown, step)
        self._latest[kind] = values
        self._live.update(self._view())
        self.say(_line(kind, values, self.total), quiet=self.console.is_terminal)

    def pictures(self, name: str, step: int, row: list[NDArray[np.float32]]) -> None:
        """Show images side by side in TensorBoard: ``(H, W, C)`` in [0, 1], of one height."""
        with _writing(self._events):
            self._board.add_image(name, np.concatenate(row, axis=1), step, dataformats="HWC")

    def track(self, name: str, tracker: Tracker, settings: Mapping[str, Any]) -> None:
        """Start a tracker, and let it record what this records.

        Raises
        ------
        TrainingError
            If it cannot start.
        """
        folder = self._records.parent
        tracker.start(folder.resolve().name, folder, _plain(settings))
        self._trackers[name] = tracker

    @contextmanager
    def _tracking(self, name: str) -> Iterator[None]:
        """Let the run go on without a tracker that fails, since its own records are complete."""
        try:
            yield
        except Exception as error:
            self._trackers.pop(name, None)
            self.say(
                f"training.trackers.{name}: {innermost(error)}; the run continues without it, and "
                f"{self._records.name} has all values"
            )

    def settings(self, values: Mapping[str, Any]) -> None:
        """Show the settings and last metrics in TensorBoard's HPARAMS, where runs are compared.

        Parameters
        ----------
        values
            By dotted path in the recipe.
        """
        # `SummaryWriter.add_hparams` would create another run, in a folder inside this one.
        _, begin, self._end = hparams(_plain(values), {})  # type: ignore[no-untyped-call]
        with _writing(self._events):
            self._writer.add_summary(begin)

    def graph(self, layers: Sequence[Stage]) -> None:
        """Show in TensorBoard how data flow through a network; blocks open into their layers.

        ``SummaryWriter.add_graph`` needs the deprecated ``torch.jit.trace``, and takes seconds.
        """
        nodes = [NodeDef(name=LR, op="image")]
        nodes += [
            NodeDef(
                name=layer.name.replace(".", "/"),
                op=layer.type or "image",
                input=[source.replace(".", "/") for source in layer.sources],
                attr={
                    "_output_shapes": _shapes(layer.output),
                    "parameters": AttrValue(i=layer.parameters),
                },
            )
            for layer in layers
        ]
        with _writing(self._events):
            content = GraphDef(node=nodes).SerializeToString()
            self._writer.add_event(Event(graph_def=content))

    def say(self, text: str, *, quiet: bool = False) -> None:
        """Write a line to the log and, unless `quiet`, to the console."""
        self._append(self._log, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}")
        if not quiet:
            self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _append(self, path: Path, line: str) -> None:
        with _writing(path), path.open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(line + "\n")

    def _view(self) -> Group:
        table = Table.grid(padding=(0, 2))
        for kind, values in self._latest.items():
            for name, value in values.items():
                table.add_row(kind, name, f"{value:.5g}")
        return Group(table, self._bar)


def _plain(values: Mapping[str, Any]) -> dict[str, Setting]:
    """Convert values to text that are neither numbers nor text."""
    return {
        path: value if isinstance(value, bool | int | float | str) else str(value)
        for path, value in values.items()
    }


def _shapes(output: Sequence[int]) -> AttrValue:
    """Convert a shape to the attribute that TensorBoard shows beside an edge."""
    dimensions = [TensorShapeProto.Dim(size=side) for side in output]
    return AttrValue(list=AttrValue.ListValue(shape=[TensorShapeProto(dim=dimensions)]))


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn a failure to write into an error that names the file."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); the last complete checkpoint "
            "is kept; free some space, then continue with --resume"
        ) from error


def _step_of(line: str) -> float:
    """Return the step of a line of ``metrics.jsonl``; infinity if it is damaged or incomplete."""
    try:
        step = parse_json(line)["step"] if line.endswith("\n") else math.inf
        return float(step)
    except (ValueError, KeyError, TypeError):
        return math.inf


def forget_after(records: Path, step: int) -> None:
    """Drop the records of steps that a resumed run repeats, and damaged or incomplete lines."""
    if not records.is_file():
        return
    lines = records.read_text("utf-8", "replace").splitlines(keepends=True)
    write_file(records, "".join(line for line in lines if _step_of(line) <= step))


def read_records(records: Path) -> list[dict[str, Any]]:
    """Read ``metrics.jsonl``; infinite values are converted back to floats."""
    lines = records.read_text(encoding="utf-8").splitlines()
    return [
        {key: float(v) if v in ("inf", "-inf", "nan") else v for key, v in json.loads(x).items()}
        for x in lines
    ]


def _strict(values: Mapping[str, float]) -> dict[str, Any]:
    """Convert infinite values to text, since JSON has none."""
    return {name: v if np.isfinite(v) else str(float(v)) for name, v in values.items()}


def _line(kind: str, values: Mapping[str, float], total: int) -> str:
    shown = "  ".join(
        f"{name} {value:.5g}" for name, value in values.items() if name not in ("step", "epoch")
    )
    step = int(values["step"])
    return f"{kind:<10} step {step}/{total} epoch {values['epoch']:.2f}  {shown}"
