"""Train the variants of a recipe in processes of their own, and compare them."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TaskID

from srkit import __version__
from srkit.errors import OutputError, TrainingError
from srkit.studies.sweeps.report import print_sweep, write_sweep
from srkit.studies.sweeps.results import Sweep
from srkit.studies.sweeps.runs import RunQueue, VariantRun
from srkit.system.files import write_file
from srkit.system.folders import LOCK, contains_files
from srkit.system.locks import locked
from srkit.system.processes.children import Job, run_jobs
from srkit.system.progress import progress_bars

#: The file by which the folder of a sweep is recognised.
MARK = "sweep.json"


class Interrupted(Exception):  # noqa: N818 - not an error: the user interrupted the sweep
    """A sweep was stopped by a signal, after its runs had saved their states."""

    def __init__(self, number: int, done: int, total: int) -> None:
        self.number = number
        super().__init__(
            f"stopped with {done} of {total} variants finished; the same command resumes the sweep"
        )


def sweep(queue: RunQueue, *, processes: int, console: Console) -> Sweep:
    """Train the runs that have not ended, and compare all runs.

    The tables, the figure and the page are written to the output folder of the sweep.

    Parameters
    ----------
    queue
        The runs.
    processes
        Number of runs at a time.
    console
        Where to show progress and the table.

    Raises
    ------
    Interrupted
        After SIGINT or SIGTERM; the runs have been saved, and those that have ended compared.
    SrkitError
        If another sweep is running in the folder.
    """
    folder = queue.setup.folder
    with only_sweep(folder):
        _claim(folder)
        queue.open()
        with progress_bars(console) as bars:
            progress = SweepProgress(bars, queue.total)
            for name, reason in queue.reasons.items():
                progress.skip(name, reason)

            def end(job: Job, status: int) -> None:
                queue.end(job.name, failure(job.output, status))
                progress.end(job.name, queue.reasons[job.name])

            jobs = progress.start(queue.pending())
            number = run_jobs(jobs, processes, ended=end, watch=progress.update)
        found = queue.results()
        page = write_sweep(found, folder)
        print_sweep(found, console)
        console.print(f"report: {page}", highlight=False, soft_wrap=True)
    if number:
        raise Interrupted(number, len(found.outcomes) - len(found.missing()), queue.total)
    return found


def failure(output: Path, status: int) -> str:
    """Return the reason why a process failed, from its output; empty if it did not.

    If it was killed by a signal, that is added to the output.
    """
    if status == 0:
        return ""
    if status < 0:
        with output.open("a", encoding="utf-8") as file:
            file.write(f"error: killed by {signal.Signals(-status).name}\n")
    lines = output.read_text("utf-8", errors="replace").strip().splitlines()
    first = max((i for i, line in enumerate(lines) if line.startswith("error: ")), default=-1)
    text = " ".join(lines[first:]).removeprefix("error: ")
    return " ".join(text.split()) or f"exit status {status}"


def _claim(folder: Path) -> None:
    """Mark a folder as that of a sweep, unless it contains files of the user.

    Raises
    ------
    OutputError
        If it does.
    """
    mark = folder / MARK
    if not mark.is_file():
        if contains_files(folder):
            raise OutputError(
                f"{folder}: contains files that srkit sweep did not write; choose another --out"
            )
        write_file(mark, json.dumps({"srkit": __version__}) + "\n")


@contextmanager
def only_sweep(folder: Path) -> Iterator[None]:
    """Lock a folder, so that a single sweep runs in it.

    Raises
    ------
    TrainingError
        If another sweep is running in it, or a variant whose sweep was killed.
    """
    busy = TrainingError(
        f"{folder}: another sweep is running here, or a variant left over from a killed sweep; "
        "wait until it ends, or stop it"
    )
    with locked(folder / LOCK, busy):
        for lock in folder.glob("output/*.lock"):
            with locked(lock, busy):
                pass
        yield


class SweepProgress:
    """Shows the progress of a sweep: bars on a terminal, otherwise plain lines.

    Parameters
    ----------
    bars
        The bars.
    total
        The number of runs.
    """

    def __init__(self, bars: Progress, total: int) -> None:
        self._bars, self._total, self._done = bars, total, 0
        self._all = bars.add_task("variants", total=total)
        self._running: dict[str, tuple[VariantRun, TaskID]] = {}

    def skip(self, name: str, reason: str) -> None:
        """Show a run that had ended before, and why if it failed."""
        self._count()
        self._print(f"{name}: " + (f"already failed: {reason}" if reason else "already trained"))

    def start(self, runs: Iterator[VariantRun]) -> Iterator[Job]:
        """Show runs as they start, and return their jobs."""
        for run in runs:
            job = run.job()
            self._print(f"{run.name}: {'resumes' if '--resume' in job.arguments else 'starts'}")
            self._running[run.name] = run, self._bars.add_task(f"  {run.name}", total=run.steps)
            yield job

    def update(self, running: list[Job]) -> None:
        """Show how far the running jobs are."""
        if not self._bars.disable:
            for job in running:
                run, bar = self._running[job.name]
                self._bars.update(bar, completed=last_step(run.folder / "metrics.jsonl"))

    def end(self, name: str, reason: str) -> None:
        """Show that a run has ended, and why if it failed."""
        self._bars.remove_task(self._running.pop(name)[1])
        if reason:
            self._print(f"{name}: failed: {reason}")
        else:
            self._count()
            self._print(f"{name}: done, {self._done} of {self._total}")

    def _count(self) -> None:
        self._done += 1
        self._bars.advance(self._all)

    def _print(self, line: str) -> None:
        self._bars.console.print(line, highlight=False, markup=False, soft_wrap=True)


def last_step(records: Path) -> int:
    """Return the last step that a run has logged; 0 before the first."""
    try:
        with records.open("rb") as file:
            file.seek(max(0, records.stat().st_size - 4096))
            lines = file.read().split(b"\n")[:-1]  # without the line that is being written
        return int(json.loads(lines[-1])["step"]) if lines else 0
    except (OSError, ValueError):
        return 0
