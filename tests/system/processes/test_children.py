from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from srkit.errors import OutputError
from srkit.system.processes import children
from srkit.system.processes.children import Job, environment_of, run_jobs


@pytest.fixture(autouse=True)
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the argument of a job as a line of shell instead of a command of srkit."""
    script = tmp_path / "shell"
    script.write_text('#!/bin/sh\nexec sh -c "$4"\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


def jobs_of(tmp_path: Path, lines: dict[str, str]) -> Iterator[Job]:
    lock = tmp_path / "lock"
    return iter([Job(name, [line], tmp_path / f"{name}.txt", lock) for name, line in lines.items()])


def test_jobs_end_with_their_status_and_output(tmp_path: Path) -> None:
    lines = {"good": "echo fine", "bad": "echo wrong >&2; exit 3", "killed": "kill -9 $$"}
    ended: dict[str, int] = {}
    number = run_jobs(
        jobs_of(tmp_path, lines),
        1,
        ended=lambda job, status: ended.update({job.name: status}),
        watch=lambda running: None,
    )
    assert number == 0
    assert ended == {"good": 0, "bad": 3, "killed": -signal.SIGKILL}
    assert (tmp_path / "good.txt").read_text() == "fine\n"
    assert (tmp_path / "bad.txt").read_text() == "wrong\n"


def test_the_next_job_is_requested_when_a_process_is_free(
    tmp_path: Path,
) -> None:
    asked, seen = [], []

    def jobs() -> Iterator[Job]:
        for job in jobs_of(tmp_path, dict.fromkeys("abc", "sleep 0.3")):
            asked.append(job.name)
            yield job

    def watch(running: list[Job]) -> None:
        seen.append(([job.name for job in running], list(asked)))

    run_jobs(jobs(), 2, ended=lambda job, status: None, watch=watch)
    assert seen[0] == (["a", "b"], ["a", "b"])
    assert max(len(running) for running, _ in seen) == 2
    assert seen[-1][1] == ["a", "b", "c"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_forwarded_and_no_other_job_starts(tmp_path: Path, number: int) -> None:
    waits = "trap 'echo saved; exit 1' INT TERM; echo ready; while :; do sleep 0.05; done"
    before = signal.getsignal(number)
    ended: list[str] = []

    def watch(running: list[Job]) -> None:
        if running[0].output.read_text() == "ready\n" and not sent:
            sent.append(number)
            os.kill(os.getpid(), number)

    sent: list[int] = []
    received = run_jobs(
        jobs_of(tmp_path, {"first": waits, "second": "true"}),
        1,
        ended=lambda job, status: ended.append(job.name),
        watch=watch,
    )
    assert received == number
    assert (tmp_path / "first.txt").read_text() == "ready\nsaved\n"
    assert not (tmp_path / "second.txt").exists()
    assert ended == []
    assert signal.getsignal(number) is before


def test_no_process_is_left_after_an_error(tmp_path: Path) -> None:
    def watch(running: list[Job]) -> None:
        if running[0].output.read_text():
            raise RuntimeError("watching failed")

    lines = {"first": "echo $$; exec sleep 60"}
    with pytest.raises(RuntimeError, match=r"^watching failed$"):
        run_jobs(jobs_of(tmp_path, lines), 1, ended=lambda job, status: None, watch=watch)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "first.txt").read_text()), 0)


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "first.txt").mkdir()
    with pytest.raises(OutputError, match=r"first\.txt: cannot be written \(Is a directory\)$"):
        run_jobs(
            jobs_of(tmp_path, {"first": "true"}),
            1,
            ended=lambda job, status: None,
            watch=lambda running: None,
        )


def test_each_process_has_its_share_of_threads_and_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    found = [environment_of(slot, 3) for slot in range(3)]
    assert {each["OMP_NUM_THREADS"] for each in found} == {"2"}
    assert [each["CUDA_VISIBLE_DEVICES"] for each in found] == ["2", "5", "2"]
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    alone = environment_of(1, 3)
    assert (alone["OMP_NUM_THREADS"], alone["CUDA_VISIBLE_DEVICES"]) == ("7", "3")


@pytest.mark.parametrize(("system", "sent"), [("linux", [signal.SIGINT]), ("win32", [])])
def test_a_signal_is_forwarded_where_the_console_does_not(
    system: str, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows every process of a console receives Ctrl-C, and ``send_signal`` refuses it."""
    child = MagicMock(spec=subprocess.Popen)
    monkeypatch.setattr(sys, "platform", system)
    children._forward(signal.SIGINT, [child])
    assert [call.args[0] for call in child.send_signal.call_args_list] == sent
