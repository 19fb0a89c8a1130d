"""Train the variants of a recipe, each in a process of its own, and compare them."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import TaskID

from srkit.errors import TrainingError
from srkit.report.metric_info import MetricInfo
from srkit.studies.sweeps.report import print_sweep, write_sweep
from srkit.studies.sweeps.results import Sweep, read_outcome
from srkit.studies.sweeps.tasks import Setting, Task
from srkit.system.locks import locked
from srkit.system.processes.children import Job, run_jobs
from srkit.system.progress import progress_bars

NOT_YET = "not trained yet"


class Interrupted(Exception):  # noqa: N818 - no error: the user asked for it
    """A sweep was stopped by a signal, after its runs had saved their states."""

    def __init__(self, number: int, done: int, planned: int) -> None:
        self.number = number
        super().__init__(
            f"stopped with {done} of {planned} variants finished; the same command goes on"
        )


def sweep(tasks: Sequence[Task], setting: Setting, *, processes: int, console: Console) -> Sweep:
    """Train all variants that are not finished, and compare all that are.

    Parameters
    ----------
    tasks
        The variants.
    setting
        Its folder gets the table, the figure and the page; ``variants/NAME`` in it are the run
        folders.
    processes
        Variants at a time.
    console
        Where to show progress and the table.

    Raises
    ------
    Interrupted
        After SIGINT or SIGTERM; what has been trained so far is saved and compared.
    SrkitError
        If another sweep is at work in the folder.
    """
    base, folder = setting.base, setting.folder
    with only_sweep(folder):
        waiting = [task for task in tasks if not task.finished()]
        reasons = {task.name: NOT_YET for task in waiting}
        with Watch(console, len(tasks)) as watch:
            for task in tasks:
                if task not in waiting:
                    watch.kept(task)

            def ended(job: Job, status: int) -> None:
                reasons[job.name] = failure(job.output, status)
                watch.ended(job, reasons[job.name])

            jobs = watch.started(iter(waiting))
            number = run_jobs(jobs, processes, ended=ended, watch=watch.look)
        outcomes = [
            read_outcome(task.variant, task.run, reasons.get(task.name, "")) for task in tasks
        ]
        found = Sweep(base.name, merge_metrics(tasks), outcomes, base.repeat)
        show(found, folder, console)
    if number:
        raise Interrupted(number, len(tasks) - len(found.missing()), len(tasks))
    return found


def show(found: Sweep, folder: Path, console: Console) -> None:
    """Write and print what a sweep found."""
    page = write_sweep(found, folder)
    print_sweep(found, console)
    console.print(f"report: {page}", highlight=False, soft_wrap=True)


def merge_metrics(tasks: Sequence[Task]) -> list[MetricInfo]:
    """List the metrics of all variants, each once."""
    found: dict[str, MetricInfo] = {}
    for task in tasks:
        found |= {metric.name: metric for metric in task.metrics if metric.name not in found}
    return list(found.values())


def failure(output: Path, status: int) -> str:
    """Say in a line why a process failed, from what it printed; empty if it did not.

    What ended it from outside is added to its output.
    """
    if status == 0:
        return ""
    if status < 0:
        with output.open("a", encoding="utf-8") as file:
            file.write(f"error: killed by {signal.Signals(-status).name}\n")
    lines = output.read_text("utf-8", errors="replace").strip().splitlines()
    first = max((i for i, line in enumerate(lines) if line.startswith("error: ")), default=-1)
    told = " ".join(lines[first:]).removeprefix("error: ")
    return " ".join(told.split()) or f"exit status {status}"


@contextmanager
def only_sweep(folder: Path) -> Iterator[None]:
    """Let one sweep at a time work in a folder, and none beside a variant of a killed sweep.

    Raises
    ------
    TrainingError
        If another one is running.
    """
    busy = TrainingError(
        f"{folder}: another sweep, or a variant whose sweep was killed, is running here; wait for "
        "its end, or stop it"
    )
    with locked(folder / "lock", busy):
        for lock in folder.glob("output/*.lock"):
            with locked(lock, busy):
                pass
        yield


class Watch:
    """Shows how far the variants are: bars on a terminal, plain lines elsewhere.

    Parameters
    ----------
    console
        Where to.
    total
        How many variants there will be.
    """

    def __init__(self, console: Console, total: int) -> None:
        self.console, self._total, self._done = console, total, 0
        self._running: dict[str, tuple[Task, TaskID]] = {}
        self._progress = progress_bars(console)
        self._all = self._progress.add_task("variants", total=total)

    def __enter__(self) -> Watch:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def kept(self, task: Task, reason: str = "") -> None:
        """Show a variant that has ended before, and why if it failed."""
        self._count()
        self._say(f"{task.name}: " + (f"failed already: {reason}" if reason else "trained already"))

    def started(self, tasks: Iterator[Task]) -> Iterator[Job]:
        """Show tasks as their jobs start."""
        for task in tasks:
            job = task.job()
            self._say(f"{task.name}: {'goes on' if '--resume' in job.arguments else 'starts'}")
            bar = self._progress.add_task(f"  {task.name}", total=task.steps)
            self._running[task.name] = task, bar
            yield job

    def look(self, running: list[Job]) -> None:
        """Show how far the running jobs are."""
        if not self.console.is_terminal:
            return
        for job in running:
            task, bar = self._running[job.name]
            self._progress.update(bar, completed=last_step(task.run / "metrics.jsonl"))

    def ended(self, job: Job, reason: str) -> None:
        """Show that a job has ended, and why if it failed."""
        _, bar = self._running.pop(job.name)
        self._progress.remove_task(bar)
        if reason:
            self._say(f"{job.name}: failed: {reason}")
        else:
            self._count()
            self._say(f"{job.name}: done, {self._done} of {self._total}")

    def _count(self) -> None:
        self._done += 1
        self._progress.update(self._all, completed=self._done)

    def _say(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)


def last_step(records: Path) -> int:
    """Give the last step that a run has logged, 0 before the first."""
    try:
        with records.open("rb") as file:
            file.seek(max(0, records.stat().st_size - 4096))
            lines = file.read().split(b"\n")[:-1]  # what follows the last newline is torn
        return int(json.loads(lines[-1])["step"]) if lines else 0
    except (OSError, ValueError):
        return 0
