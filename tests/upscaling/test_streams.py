"""Images from standard input and to standard output."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image
import pytest
import torch

from srkit.cli import main
from srkit.components.registry import Registry
from srkit.errors import DataError, OutputError
from srkit.images.formats import Formats
from srkit.interfaces import Image
from srkit.upscaling.streams import plan_stream, reserved_output

BYTES = np.random.default_rng(1).integers(0, 256, (9, 12, 3), dtype=np.uint8)


class Streamed(NamedTuple):
    """The exit status and the output of `srkit upscale`."""

    status: object
    out: bytes
    err: bytes


Upscale = Callable[..., Streamed]


@pytest.fixture
def upscale(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Upscale:
    """Run `srkit upscale` in this process with standard input."""

    def upscale(content: bytes, *arguments: str) -> Streamed:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        monkeypatch.setattr(sys, "argv", ["srkit", "upscale", *arguments, "-m", "nearest"])
        with pytest.raises(SystemExit) as caught:
            main()
        return Streamed(caught.value.code or 0, *capsysbinary.readouterr())

    return upscale


def _png() -> bytes:
    content = io.BytesIO()
    PIL.Image.fromarray(BYTES).save(content, "PNG")
    return content.getvalue()


def test_standard_output_is_for_one_image(tmp_path: Path, upscale: Upscale) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(_png())
    done = upscale(b"", str(tmp_path / "a.png"), str(tmp_path / "b.png"), "-o", "-")
    assert done == (1, b"", b"error: -o - (standard output) is for one image; got 2 inputs\n")


def test_what_plugins_print_does_not_reach_the_output(
    upscale: Upscale, monkeypatch: pytest.MonkeyPatch
) -> None:
    discover = Registry.discover

    def loud() -> Registry:
        print("a plugin is loaded")
        os.write(1, b"and a library in C")
        return discover()

    monkeypatch.setattr(Registry, "discover", loud)
    done = upscale(_png(), "-", "-o", "-")
    assert done.status == 0
    assert PIL.Image.open(io.BytesIO(done.out)).size == (24, 18)
    assert b"a plugin is loaded" in done.err


@pytest.mark.slow
def test_from_stream_to_stream() -> None:
    command = [sys.executable, "-m", "srkit", "upscale", "-", "-o", "-", "-m", "nearest"]
    done = subprocess.run(command, input=_png(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"1 restored by nearest\n")
    with PIL.Image.open(io.BytesIO(done.stdout)) as picture:
        assert picture.format == "PNG"
        np.testing.assert_array_equal(np.array(picture), BYTES.repeat(2, 0).repeat(2, 1))


def test_a_damaged_stream(upscale: Upscale) -> None:
    done = upscale(_png()[:200], "-", "--format", "jpg")
    assert (done.status, done.out) == (1, b"")
    text = b" ".join(done.err.split())
    assert text.startswith(b"failed standard input: cannot be decoded (")
    assert text.endswith(b" 0 restored, 1 failed")


def _give(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    stream = io.TextIOWrapper(io.BytesIO(content))
    monkeypatch.setattr(sys, "stdin", stream)


@pytest.mark.parametrize(
    "suffix", [".png", ".jpeg", ".webp", ".avif", ".tif", ".npy", ".npz", ".fits", ".fits.gz"]
)
def test_the_format_is_recognised_by_content(
    tmp_path: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    formats.write(tmp_path / f"a{suffix}", Image(torch.rand(3, 9, 12)))
    _give(monkeypatch, (tmp_path / f"a{suffix}").read_bytes())
    job = plan_stream("-", tmp_path / "out.png", formats, None, tmp_path)
    assert (str(job), job.target.path) == ("standard input", tmp_path / "out.png")
    assert job.source.read_pages()[0].pixels.shape == (3, 9, 12)


def test_invalid_streams(tmp_path: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch) -> None:
    _give(monkeypatch, b"")
    with pytest.raises(DataError, match=r"^standard input is empty; expected an image$"):
        plan_stream("-", None, formats, None, tmp_path)
    _give(monkeypatch, b"hello")
    with pytest.raises(DataError, match=r"^unknown image format of standard input; known: "):
        plan_stream("-", None, formats, None, tmp_path)
    with pytest.raises(DataError, match=r"no such file; with '-', the input is one file$"):
        plan_stream(str(tmp_path), Path("-"), formats, None, tmp_path)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    with (
        pytest.raises(OutputError, match=r"^standard output is a terminal; redirect it: -o - > "),
        reserved_output(),
    ):
        pass


def test_what_libraries_print_does_not_reach_the_output(capfd: pytest.CaptureFixture[str]) -> None:
    with capfd.disabled():
        reading, writing = os.pipe()
        shown = os.dup(1)
        try:
            os.dup2(writing, 1)
            with open(1, "w", closefd=False) as stdout, redirect_stdout(stdout):
                with reserved_output() as output:
                    print("astropy: INFO", file=sys.stdout)
                    os.write(1, b"libtiff: warning\n")
                    output.write(b"the file")
                print(" and more", end="")
        finally:
            os.dup2(shown, 1)
            os.close(writing)
        with os.fdopen(reading, "rb") as found:
            assert found.read() == b"the file and more"
