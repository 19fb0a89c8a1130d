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
