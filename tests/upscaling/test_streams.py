"""Pictures through standard input and output."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from srkit.errors import DataError, OutputError
from srkit.images.formats import Formats
from srkit.interfaces import Image
from srkit.upscaling.streams import plan_stream

BYTES = np.random.default_rng(1).integers(0, 256, (9, 12, 3), dtype=np.uint8)


def _run(content: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "srkit", "upscale", *arguments, "-m", "nearest"]
    return subprocess.run(command, input=content, capture_output=True, check=False)


def _png() -> bytes:
    content = io.BytesIO()
    PIL.Image.fromarray(BYTES).save(content, "PNG")
    return content.getvalue()


def test_standard_output_is_for_one_picture(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(_png())
    done = _run(b"", str(tmp_path / "a.png"), str(tmp_path / "b.png"), "-o", "-")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"error: -o - (standard output) is for one image; got 2 inputs\n"


def test_from_stream_to_stream() -> None:
    done = _run(_png(), "-", "-o", "-")
    assert (done.returncode, done.stderr) == (0, b"1 restored by nearest\n")
    with PIL.Image.open(io.BytesIO(done.stdout)) as picture:
        assert picture.format == "PNG"
        np.testing.assert_array_equal(np.array(picture), BYTES.repeat(2, 0).repeat(2, 1))


def test_a_damaged_stream() -> None:
    done = _run(_png()[:200], "-", "--format", "jpg")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"failed standard input: cannot be decoded (")
    assert done.stderr.splitlines()[1:] == [b"0 restored, 1 failed"]


def _give(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    stream = io.TextIOWrapper(io.BytesIO(content))
    monkeypatch.setattr(sys, "stdin", stream)


@pytest.mark.parametrize(
    "suffix", [".png", ".jpeg", ".webp", ".avif", ".tif", ".npy", ".npz", ".fits", ".fits.gz"]
)
def test_the_content_tells_the_format(
    tmp_path: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    formats.write(tmp_path / f"a{suffix}", Image(torch.rand(3, 9, 12)))
    _give(monkeypatch, (tmp_path / f"a{suffix}").read_bytes())
    job = plan_stream("-", tmp_path / "out.png", formats, None, tmp_path)
    assert (str(job), job.target.path) == ("standard input", tmp_path / "out.png")
    assert job.source.read().pixels.shape == (3, 9, 12)


def test_what_is_no_stream(
    tmp_path: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    _give(monkeypatch, b"")
    with pytest.raises(DataError, match=r"^standard input is empty; expected an image$"):
        plan_stream("-", None, formats, None, tmp_path)
    _give(monkeypatch, b"hello")
    with pytest.raises(DataError, match=r"^unknown image format of standard input; known: "):
        plan_stream("-", None, formats, None, tmp_path)
    with pytest.raises(DataError, match=r"no such file; with '-', the input is one file$"):
        plan_stream(str(tmp_path), Path("-"), formats, None, tmp_path)
    _give(monkeypatch, _png())
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    with pytest.raises(OutputError, match=r"^standard output is a terminal; redirect it: -o - > "):
        plan_stream("-", None, formats, None, tmp_path)
