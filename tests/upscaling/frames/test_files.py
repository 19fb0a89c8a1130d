"""Files restored by windows: complete, interrupted, on a full disk, and with damaged journals."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from command_line import Srkit
from command_process import Command
from disk_setup import small_disk
from frames_setup import by_windows, restore_slowly
from rich.console import Console
from upscale_setup import FailedError, upscale_file

from srkit.components.registry import Registry
from srkit.images.formats import Formats, ImageFile
from srkit.interfaces import Image
from srkit.models.open import Model, open_model
from srkit.upscaling.files import FileUpscaler, upscale_files
from srkit.upscaling.frames import files as frame_files
from srkit.upscaling.jobs import Job, plan
from srkit.upscaling.upscaler import ImageUpscaler

#: The method that tests of frames replace.
READ_PAGES = ImageFile.read_pages


class Frame(NamedTuple):
    """A frame, and its SR by an uninterrupted run."""

    source: Path
    whole: bytes


@pytest.fixture(scope="module")
def upscaler() -> ImageUpscaler:
    return ImageUpscaler(open_model("bicubic", Registry.discover(), scale=2), tile=16)


@pytest.fixture(autouse=True)
def _windows() -> Iterator[None]:
    with by_windows():
        yield


@pytest.fixture
def frame(tmp_path: Path, upscaler: ImageUpscaler, formats: Formats) -> Frame:
    source, target = tmp_path / "a.npy", tmp_path / "whole.npy"
    np.save(source, np.random.default_rng(0).normal(5, 3, (70, 50)).astype(np.float32))
    upscale_file(source, target, upscaler, formats)
    return Frame(source, target.read_bytes())


def _interrupted(
    frame: Frame, target: Path, upscaler: ImageUpscaler, formats: Formats, rows: int = 70
) -> list[str]:
    """Interrupt a run as Ctrl-C does, after this many rows of SR."""

    def stop(done: int, total: int) -> None:
        if done >= rows:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upscale_file(frame.source, target, upscaler, formats, report=stop)
    assert not target.exists()
    return sorted(path.name for path in target.parent.iterdir() if "partial" in path.name)


def test_resumes_an_interrupted_run(
    tmp_path: Path, frame: Frame, upscaler: ImageUpscaler, formats: Formats
) -> None:
    target = tmp_path / "sr.npy"
    left = _interrupted(frame, target, upscaler, formats)
    assert left == [".partial.sr.npy", ".partial.sr.npy.json"]
    # Partial outputs are not inputs.
    jobs = plan([str(tmp_path)], tmp_path / "o", formats, "x2", None).jobs
    assert {job.source.path.name for job in jobs} == {"a.npy", "whole.npy"}
    done: list[int] = []
    notes = upscale_file(
        frame.source, target, upscaler, formats, report=lambda part, _: done.append(part)
    )
    assert notes == ["resumed after 2 strips"]
    assert min(done) == 64
    assert target.read_bytes() == frame.whole
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


def test_what_is_left_of_a_completed_output_is_removed(
    tmp_path: Path, frame: Frame, upscaler: ImageUpscaler, formats: Formats
) -> None:
    target = tmp_path / "whole.npy"
    left = [tmp_path / f".partial.whole.npy{ending}" for ending in (".json", ".lock", "")]
    for path in left:
        path.touch()
    for partial in (True, False):
        if not partial:
            left.pop().unlink()
        assert upscale_file(frame.source, target, upscaler, formats) == []
        assert [path.exists() for path in left] == [partial] * len(left)
    assert target.read_bytes() == frame.whole


@pytest.mark.parametrize("ending", ["fits", "tif"])
def test_resumes_in_every_format(
    tmp_path: Path, frame: Frame, upscaler: ImageUpscaler, formats: Formats, ending: str
) -> None:
    whole, target = tmp_path / f"whole.{ending}", tmp_path / f"sr.{ending}"
    upscale_file(frame.source, whole, upscaler, formats)
    _interrupted(frame, target, upscaler, formats)
    notes = upscale_file(frame.source, target, upscaler, formats)
    assert "resumed after 2 strips" in notes
    assert target.read_bytes() == whole.read_bytes()


def _other_model() -> ImageUpscaler:
    return ImageUpscaler(open_model("bilinear", Registry.discover(), scale=2), tile=16)


def _other_scale() -> ImageUpscaler:
    return ImageUpscaler(open_model("bicubic", Registry.discover(), scale=3), tile=16)


@pytest.mark.parametrize(
    "change", [_other_model, _other_scale, None], ids=["model", "scale", "input"]
)
def test_starts_over_if_something_changed(
    tmp_path: Path,
    frame: Frame,
    upscaler: ImageUpscaler,
    formats: Formats,
    change: Callable[[], ImageUpscaler] | None,
) -> None:
    target, expected = tmp_path / "sr.npy", tmp_path / "expected.npy"
    _interrupted(frame, target, upscaler, formats)
    if change is None:
        # One pixel of a finished strip; the size and time of the file stay the same.
        times = frame.source.stat()
        values = np.load(frame.source)
        values[0, 0] += 1
        np.save(frame.source, values)
        os.utime(frame.source, ns=(times.st_atime_ns, times.st_mtime_ns))
    other = upscaler if change is None else change()
    assert upscale_file(frame.source, target, other, formats) == []
    upscale_file(frame.source, expected, other, formats)
    assert target.read_bytes() == expected.read_bytes()


def test_a_damaged_strip(
    tmp_path: Path, frame: Frame, upscaler: ImageUpscaler, formats: Formats
) -> None:
    target, partial = tmp_path / "sr.npy", tmp_path / ".partial.sr.npy"
    _interrupted(frame, target, upscaler, formats, 100)
    with partial.open("r+b") as file:
        file.seek(128 + 40 * 100 * 4)  # in the second strip of three
        file.write(b"\1")
    notes = upscale_file(frame.source, target, upscaler, formats)
    assert notes == ["resumed after 1 of 3 strips; the others were damaged"]
    assert target.read_bytes() == frame.whole


@pytest.mark.parametrize("damage", ["cut", "gone", "rewritten", "other"])
def test_a_damaged_partial_output(
    tmp_path: Path, frame: Frame, upscaler: ImageUpscaler, formats: Formats, damage: str
) -> None:
    target, partial = tmp_path / "sr.npy", tmp_path / ".partial.sr.npy"
    journal = tmp_path / ".partial.sr.npy.json"
    _interrupted(frame, target, upscaler, formats)
    if damage == "cut":
        partial.write_bytes(partial.read_bytes()[:5000])
    elif damage == "gone":
        partial.unlink()
    elif damage == "other":
        partial.write_bytes(b"something else")
    else:
        stored = json.loads(journal.read_text())
        stored["content"]["strips"] *= 2
        journal.write_text(json.dumps(stored))
    upscale_file(frame.source, target, upscaler, formats)
    assert target.read_bytes() == frame.whole


def test_a_full_disk_keeps_finished_strips(
    tmp_path: Path, frame: Frame, upscaler: ImageUpscaler, formats: Formats
) -> None:
    target = tmp_path / "sr.npy"
    with small_disk(35_000), pytest.raises(FailedError) as caught:
        upscale_file(frame.source, target, upscaler, formats)
    assert str(caught.value) == (
        f"{target}: cannot be written (File too large); 2 of 5 strips are done; free some space "
        "and run the same command to resume"
    )
    assert not target.exists()
    assert upscale_file(frame.source, target, upscaler, formats) == ["resumed after 2 strips"]
    assert target.read_bytes() == frame.whole


def test_two_processes_with_the_same_output(
    tmp_path: Path, frame: Frame, upscaler: ImageUpscaler, formats: Formats
) -> None:
    target = tmp_path / "sr.npy"

    def meanwhile(done: int, total: int) -> None:
        with pytest.raises(FailedError) as caught:
            upscale_file(frame.source, target, upscaler, formats)
        expected = f"{frame.source}: {target}: is being written by another process"
        assert str(caught.value) == expected

    upscale_file(frame.source, target, upscaler, formats, report=meanwhile)
    assert target.read_bytes() == frame.whole


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal(
    tmp_path: Path,
    frame: Frame,
    upscaler: ImageUpscaler,
    formats: Formats,
    number: signal.Signals,
) -> None:
    target, journal = tmp_path / "sr.npy", tmp_path / ".partial.sr.npy.json"
    arguments = ["upscale", str(frame.source), "-o", str(target), "-m", "bicubic"]
    arguments += ["--scale", "2", "--tile", "16"]
    command = Command(arguments, tmp_path / "log", before=restore_slowly)
    command.wait_until(lambda: journal.is_file() and journal.read_text().count('"digest"') >= 2)
    assert command.kill(number) != 0
    printed = command.log.read_text()
    assert "Traceback" not in printed
    if number == signal.SIGINT:
        assert f"{frame.source}: stopped; run the same command to resume" in printed
    assert not target.exists()
    (note,) = upscale_file(frame.source, target, upscaler, formats)
    assert note.startswith("resumed after ")
    assert target.read_bytes() == frame.whole


class _Measuring:
    """A stretch that is fitted to whole images only."""

    unitless = False

    def fit(self, images: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(images), 1)

    def __call__(self, flux: torch.Tensor, fitted: torch.Tensor) -> torch.Tensor:
        return flux

    def inverse(self, stretched: torch.Tensor, fitted: torch.Tensor) -> torch.Tensor:
        return stretched


def test_which_files_are_restored_by_windows(
    tmp_path: Path,
    frame: Frame,
    upscaler: ImageUpscaler,
    formats: Formats,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def opens(source: Path, target: Path, restores: ImageUpscaler = upscaler) -> bool:
        with frame_files.open_large(Job.of(source, target, formats), restores) as opened:
            return opened is not None

    picture = tmp_path / "a.png"
    formats.write(picture, Image(torch.rand(1, 20, 20)))
    npy = frame.source
    assert opens(npy, tmp_path / "b.npy")
    assert opens(npy, tmp_path / "b.fits")
    assert opens(npy, tmp_path / "b.TIF")
    assert not opens(npy, tmp_path / "b.fits.gz")
    assert not opens(npy, tmp_path / "b.npz")
    assert not opens(npy, tmp_path / "b.png")
    assert not opens(picture, tmp_path / "b.npy")
    measuring = Model("m", upscaler.model.generator, 2, None, _Measuring())
    assert not opens(npy, tmp_path / "b.npy", ImageUpscaler(measuring))
    monkeypatch.setattr(frame_files, "LARGE", 70 * 50)
    assert not opens(npy, tmp_path / "b.npy")
    monkeypatch.setattr(frame_files, "free_memory", lambda: 100_000)
    assert opens(npy, tmp_path / "b.npy")
    monkeypatch.setattr(frame_files, "SMALL_FILE", npy.stat().st_size + 1)
    assert not opens(npy, tmp_path / "b.npy")


def test_a_picture_that_does_not_fit_into_memory(
    tmp_path: Path, srkit: Srkit, formats: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "a.png"
    formats.write(source, Image(torch.rand(3, 400, 500)))
    monkeypatch.setattr(ImageFile, "read_pages", READ_PAGES)
    monkeypatch.setattr(frame_files, "free_memory", lambda: 2**32)
    monkeypatch.setattr(frame_files, "needed_memory", lambda shape, scale: 240 * 2**30)
    done = srkit("upscale", source, "-m", "bicubic")
    assert done.status == 1
    assert done.out.replace("\n", " ").startswith(
        f"failed {source}: 500 x 400 pixels at scale 2 need at least 120.0 GiB of memory, but only "
        "4.0 GiB are free; images of any size can be processed if input and output are "
        "uncompressed .fits, .tif or .npy files"
    )


def test_an_existing_output_is_skipped(
    tmp_path: Path, frame: Frame, upscaler: ImageUpscaler, formats: Formats
) -> None:
    job = Job.of(frame.source, tmp_path / "sr.npy", formats)
    for expected in ((1, 0), (0, 1)):
        outcome = upscale_files([job], FileUpscaler(upscaler), Console(quiet=True))
        assert (outcome.done, outcome.skipped, outcome.failed) == (*expected, [])
