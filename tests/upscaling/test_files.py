"""Files and folders restored by `srkit upscale`."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from command_line import Srkit
from rich.console import Console
from upscale_setup import save_picture

from srkit.components.registry import Registry
from srkit.images.formats import Formats
from srkit.models.open import Model, open_model
from srkit.upscaling.files import FileResult, FileUpscaler, Summary, upscale_files
from srkit.upscaling.jobs import Job
from srkit.upscaling.upscaler import ImageUpscaler


@pytest.fixture(scope="module")
def upscaler() -> ImageUpscaler:
    return ImageUpscaler(open_model("bicubic", Registry.discover(), scale=2))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_picture_keeps_its_mode(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, mode: str
) -> None:
    source = save_picture(tmp_path / "a.png", mode)
    jobs = [Job.of(source, tmp_path / "sr.png", formats)]
    assert upscale_files(jobs, FileUpscaler(upscaler), Console(quiet=True)) == Summary(done=1)
    with PIL.Image.open(tmp_path / "sr.png") as picture:
        assert (picture.mode, picture.size) == (mode, (24, 18))


def test_a_failing_writer_leaves_no_files(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = save_picture(tmp_path / "a.png")

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PIL.Image.Image, "save", full)
    target = tmp_path / "out" / "a.png"
    jobs = [Job.of(source, target, formats)]
    summary = upscale_files(jobs, FileUpscaler(upscaler), Console(quiet=True))
    assert len(summary.failed) == 1
    assert "No space left on device" in summary.failed[0]
    assert str(target) in summary.failed[0]
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("option", "size", "name"),
    [
        (("--width", "50"), (50, 38), "a_w50.png"),
        (("--height", "20"), (27, 20), "a_h20.png"),
        (("--megapixels", "0.001"), (37, 28), "a_0.001mp.png"),
        (("--scale", "3.5"), (42, 32), "a_x3.5.png"),
    ],
)
def test_sizes_in_place_of_a_scale(
    tmp_path: Path, srkit: Srkit, option: tuple[str, str], size: tuple[int, int], name: str
) -> None:
    source = save_picture(tmp_path / "a.png")
    done = srkit("upscale", source, "-m", "bicubic", *option)
    assert (done.status, done.out.replace("\n", "")) == (
        0,
        f"1 restored by bicubic: {tmp_path / name}",
    )
    with PIL.Image.open(tmp_path / name) as picture:
        assert picture.size == size


def test_two_sizes(srkit: Srkit) -> None:
    done = srkit("upscale", "a.png", "-m", "bicubic", "--width", "50", "--scale", "2")
    assert (done.status, done.err) == (
        1,
        "error: got scale and width; give only one of them\n",
    )
    done = srkit("upscale", "a.png", "-m", "bicubic", "--height", "0")
    assert (done.status, done.err) == (1, "error: the height must be positive, got 0\n")


def test_another_format_keeps_the_whole_name(tmp_path: Path, srkit: Srkit) -> None:
    save_picture(tmp_path / "a.v2.png")
    srkit("upscale", "a.v2.png", "-m", "bicubic", "--format", "webp")
    assert (tmp_path / "a.v2_x2.webp").is_file()
    done = srkit("upscale", "a.v2.png", "-m", "bicubic", "--format", "docx")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("error: *.docx: unknown image format '.docx'; known: .avif,")
    done = srkit("upscale", "a.v2.png", "-m", "bicubic", "--format", "webp", "-o", "b.png")
    assert (
        done.err
        == "error: b.png: --format webp contradicts the extension of the output; drop one of them\n"
    )


class Counting(torch.nn.Module):
    """Enlarges by 2, and records the number of images in each batch."""

    channels_last, channels, scale = False, 3, 2

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[int] = []

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        self.counts.append(len(lr))
        return lr.repeat_interleave(2, -1).repeat_interleave(2, -2)


def _restored(folder: Path, names: list[str], formats: Formats) -> tuple[Summary, str, list[int]]:
    """Restore files of a folder; return the summary, what was printed, and the batch sizes."""
    network, written = Counting().eval(), StringIO()
    upscaler = FileUpscaler(ImageUpscaler(Model("counting", network, 2, 3)))
    jobs = [Job.of(folder / name, folder / "out" / name, formats) for name in names]
    summary = upscale_files(jobs, upscaler, Console(file=written, width=500))
    return summary, written.getvalue(), network.counts


def test_small_files_of_one_size_are_restored_together(tmp_path: Path, formats: Formats) -> None:
    sizes = {"a.png": (12, 9), "b.png": (12, 9), "c.png": (9, 12), "d.png": (12, 9)}
    for name, size in sizes.items():
        save_picture(tmp_path / name, size=size)
    (tmp_path / "e.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    save_picture(tmp_path / "f.png", size=(300, 300))  # alone, since it is large
    save_picture(tmp_path / "g.png", size=(12, 9))
    names = [*sizes, "e.png", "f.png", "g.png"]
    summary, printed, counts = _restored(tmp_path, names, formats)
    assert (summary.done, len(summary.failed)) == (6, 1)
    assert [count for count in counts if count > 1] == [3]
    assert printed.startswith(f"failed {tmp_path / 'e.png'}: cannot be decoded")
    for name in {*names} - {"e.png"}:
        lr = np.asarray(PIL.Image.open(tmp_path / name))
        np.testing.assert_array_equal(
            np.asarray(PIL.Image.open(tmp_path / "out" / name)), lr.repeat(2, 0).repeat(2, 1)
        )


def test_a_file_that_fails_does_not_affect_its_batch(tmp_path: Path, formats: Formats) -> None:
    values = np.random.default_rng(0).random((3, 9, 12), np.float32)
    for name in ("a.npy", "b.npy", "c.npy"):
        np.save(tmp_path / name, values if name != "b.npy" else np.full_like(values, np.nan))
    (tmp_path / "out" / "c.npy").mkdir(parents=True)
    summary, _, _ = _restored(tmp_path, ["a.npy", "b.npy", "c.npy"], formats)
    assert summary.done == 1
    assert summary.failed == [
        f"{tmp_path / 'b.npy'}: no pixel has a value: all are NaN or infinite",
        f"{tmp_path / 'out' / 'c.npy'}: cannot be written (it is a folder); choose another name",
    ]
    np.testing.assert_allclose(
        np.load(tmp_path / "out" / "a.npy"), values.repeat(2, 1).repeat(2, 2), atol=1e-6
    )


def test_the_command(tmp_path: Path, srkit: Srkit) -> None:
    save_picture(tmp_path / "in" / "a.png")
    save_picture(tmp_path / "in" / "b.png").write_bytes(b"")
    for name in ("notes.txt", "more.txt", "film.mov", ".hidden"):
        (tmp_path / "in" / name).write_text("not an image")
    command = ("upscale", str(tmp_path / "in"), "-m", "bicubic", "--scale", "3")
    found = srkit(*command, "-o", str(tmp_path / "out"))
    assert found.status == 1
    assert found.out.splitlines()[-1] == (
        "1 restored by bicubic, 1 failed, 3 not images (2 .txt, 1 .mov)"
    )
    assert f"{tmp_path / 'in' / 'b.png'}: is empty" in found.out
    with PIL.Image.open(tmp_path / "out" / "a.png") as picture:
        assert picture.size == (36, 27)


def test_an_engine_has_no_effect_on_interpolations(srkit: Srkit, tmp_path: Path) -> None:
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    done = srkit("upscale", "a.png", "-o", "b.png", "-m", "bicubic", "--engine", "openvino")
    assert done.status == 0
    assert done.err == "bicubic: interpolations run in torch; --engine has no effect\n"


def test_a_message_of_several_files_is_printed_once_and_counted(
    tmp_path: Path, formats: Formats
) -> None:
    source = save_picture(tmp_path / "a.png")
    summary, shown = Summary(), StringIO()
    for name, notes in (("a", ["guess"]), ("b", ["guess", "2 pixels"]), ("c", ["guess"])):
        job = Job.of(source, tmp_path / "sr.png", formats, name)
        summary.add(job, FileResult(notes=notes), Console(file=shown))
    summary.print_repeated(Console(file=shown))
    assert shown.getvalue() == "a: guess\nb: 2 pixels\n3 files: guess\n"
