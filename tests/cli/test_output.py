"""Standard output whose reader has ended, and text that its encoding lacks."""

from __future__ import annotations

import io
import os
import sys
import threading
from io import TextIOWrapper

import pytest

from srkit.cli import output as module
from srkit.cli.output import LastingOutput, fail, hide_background_tracebacks


def test_work_goes_on_when_nobody_reads_its_output() -> None:
    """As in `srkit train ... | head -70`."""
    reader, writer = os.pipe()
    os.close(reader)
    file = TextIOWrapper(os.fdopen(writer, "wb"), line_buffering=True)
    output = LastingOutput(file)
    for number in range(3):
        assert output.write(f"step {number}\n") == 7
    output.flush()
    output.detach()
    file.close()


def test_text_of_any_kind_is_printed() -> None:
    for encoding, expected in (("utf-8", "→ ü".encode() + b"\xff"), ("latin-1", b"? \xfc\xff")):
        content = io.BytesIO()
        file = TextIOWrapper(content, encoding)
        output = LastingOutput(file)
        output.write("→ ü\udcff")
        output.flush()
        assert content.getvalue() == expected
        output.detach()


def test_failures_of_threads_and_destructors_are_no_tracebacks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    monkeypatch.delenv("SRKIT_TRACEBACK", raising=False)
    hide_background_tracebacks()

    class Unclosable:
        def __del__(self) -> None:
            raise OSError("full")

    def run(error: Exception) -> None:
        def raising() -> None:
            raise error

        thread = threading.Thread(target=raising)
        thread.start()
        thread.join()

    Unclosable()
    run(ValueError("damaged"))
    assert capsys.readouterr().err == "warning: a background thread failed (damaged)\n"
    full = OSError("No space\nleft")
    run(full)
    assert capsys.readouterr().err == ""
    module._report_failed()  # at the end
    assert capsys.readouterr().err == "warning: a background thread failed (No space left)\n"
    run(full)
    with pytest.raises(SystemExit):
        fail("a.txt: cannot be written (No space left)")
    module._report_failed()
    assert capsys.readouterr().err == "error: a.txt: cannot be written (No space left)\n"
