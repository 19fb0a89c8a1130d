from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from srkit.system.processes.signals import blocked_signals, deferred_signals, resumable


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_recorded(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with deferred_signals() as received:
        os.kill(os.getpid(), number)
        assert received == [number]
        assert signal.getsignal(number) is before
    assert signal.getsignal(number) is before


def test_the_second_signal_acts_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), deferred_signals() as received:
        os.kill(os.getpid(), signal.SIGINT)
        assert received == [signal.SIGINT]
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot block signals")
def test_blocked_signals_are_received_at_the_end() -> None:
    with deferred_signals() as received:
        with blocked_signals():
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)  # not another thread
            assert received == []
        assert received == [signal.SIGTERM]


def test_other_threads_record_no_signals() -> None:
    before = signal.getsignal(signal.SIGTERM)
    handlers = []

    def work() -> None:
        with deferred_signals() as received:
            handlers.append((signal.getsignal(signal.SIGTERM), received))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [(before, [])]


def test_ctrl_c_says_that_the_work_can_be_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), resumable(Path("out")):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "out: stopped; the same command resumes the work\n"
