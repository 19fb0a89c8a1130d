"""Standard output whose reader has ended, and text that its encoding lacks."""

from __future__ import annotations

import io
import os
from io import TextIOWrapper

from srkit.cli.output import LastingOutput


def test_work_goes_on_when_nobody_reads_its_output() -> None:
    """As in `srkit train ... | head -70`."""
    reader, writer = os.pipe()
    os.close(reader)
    output = LastingOutput(TextIOWrapper(os.fdopen(writer, "wb"), line_buffering=True))
    for number in range(3):
        assert output.write(f"step {number}\n") == 7
    output.flush()
    output.close()


def test_text_of_any_kind_is_printed() -> None:
    for encoding, expected in (("utf-8", "→ ü".encode() + b"\xff"), ("latin-1", b"? \xfc\xff")):
        content = io.BytesIO()
        output = LastingOutput(TextIOWrapper(content, encoding))
        output.write("→ ü\udcff")
        output.flush()
        assert content.getvalue() == expected
