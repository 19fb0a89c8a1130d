"""Files and folders: mirrored, named, never half-written."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from command_line import Srkit
from rich.console import Console

from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.models.open import Model, open_model
from srkit.upscaling.files import Job, Outcome, plan, upscale_files
from srkit.upscaling.upscaler import ImageUpscaler


@pytest.fixture(scope="module")
def formats() -> Formats:
    return Formats.of(Registry.discover())


@pytest.fixture(scope="module")
def upscaler() -> ImageUpscaler:
    return ImageUpscaler(open_model("bicubic", Registry.discover(), scale=2))


def _picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (12, 9)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    channels = len(PIL.Image.new(mode, (1, 1)).getbands())
    values = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    PIL.Image.fromarray(values.squeeze(-1) if channels == 1 else values).save(path)
    return path


def test_beside_the_input(tmp_path: Path, formats: Formats) -> None:
    source = _picture(tmp_path / "cat.png")
    assert plan([str(source)], None, formats, "x4", None) == [Job(source, tmp_path / "cat_x4.png")]
    packed = tmp_path / "m31.fits.gz"
    packed.touch()
    (job,) = plan([str(packed)], None, formats, "x1.5", None)
    assert job.target == tmp_path / "m31_x1.5.fits.gz"


def test_one_file_to_a_file_and_many_to_a_folder(tmp_path: Path, formats: Formats) -> None:
    first, second = _picture(tmp_path / "a.png"), _picture(tmp_path / "b.jpg")
    (job,) = plan([str(first)], tmp_path / "out.webp", formats, "x2", None)
    assert job.target == tmp_path / "out.webp"
    jobs = plan([str(first), str(second)], tmp_path / "out", formats, "x2", "png")
    assert [job.target for job in jobs] == [tmp_path / "out" / "a.png", tmp_path / "out" / "b.png"]


def test_a_folder_is_mirrored_and_a_pattern_matched(tmp_path: Path, formats: Formats) -> None:
    for name in ("a.png", "deep/b.png", "deep/notes.txt"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    out = tmp_path / "out"
    jobs = plan([str(tmp_path / "in")], out, formats, "x2", None)
    assert [job.target for job in jobs] == [out / "a.png", out / "deep" / "b.png"]
    (job,) = plan([str(tmp_path / "in" / "*.png")], out, formats, "x2", None)
    assert job.source == tmp_path / "in" / "a.png"


def test_what_cannot_be_planned(tmp_path: Path, formats: Formats) -> None:
    picture, other = _picture(tmp_path / "a.png"), _picture(tmp_path / "b" / "a.png")
    (tmp_path / "empty").mkdir()
    wrong = {
        (str(tmp_path / "none.png"),): "none.png: no such file or folder",
        (str(tmp_path / "empty"),): "empty: holds no image; known endings: .",
        (str(picture), str(other)): f"both {picture} and {other} would go there",
    }
    for inputs, expected in wrong.items():
        with pytest.raises(DataError) as caught:
            plan(inputs, tmp_path / "out", formats, "x2", None)
        assert expected in str(caught.value)
    with pytest.raises(DataError) as caught:
        plan([str(picture)], tmp_path, formats, "x2", None)
    assert str(caught.value) == f"{picture}: is an input; choose another output"


def test_what_an_earlier_run_wrote_beside_its_inputs_is_no_input(
    tmp_path: Path, formats: Formats
) -> None:
    for name in ("a.png", "b.png", "a_x2.png", "c_x2.png"):
        _picture(tmp_path / name)
    jobs = plan([str(tmp_path)], None, formats, "x2", None)
    assert [(job.source.name, job.target.name) for job in jobs] == [
        ("a.png", "a_x2.png"),
        ("b.png", "b_x2.png"),
        ("c_x2.png", "c_x2_x2.png"),  # nothing tells that it is one
    ]


@pytest.mark.parametrize("inside", ["", "deeper"])
def test_many_files_need_a_folder(tmp_path: Path, formats: Formats, inside: str) -> None:
    for name in ("a.png", "b.png", "file"):
        _picture(tmp_path / name) if name != "file" else (tmp_path / name).touch()
    out = tmp_path / "file" / inside
    with pytest.raises(DataError) as caught:
        plan([str(tmp_path / "*.png")], out, formats, "x2", None)
    assert str(caught.value) == f"{out}: is no folder; choose another output for 2 files"


def test_one_file_needs_a_folder_or_a_name(tmp_path: Path, formats: Formats) -> None:
    _picture(tmp_path / "a.png")
    with pytest.raises(DataError) as caught:
        plan([str(tmp_path / "a.png")], Path("/dev/null"), formats, "x2", None)
    assert str(caught.value) == (
        "/dev/null: is no folder, and its name tells no format; choose another"
    )


def test_the_name_of_a_file_is_no_folder_for_several(tmp_path: Path, formats: Formats) -> None:
    for name in ("a.png", "b.png"):
        _picture(tmp_path / name)
    out = tmp_path / "one.png"
    with pytest.raises(DataError) as caught:
        plan([str(tmp_path / "*.png")], out, formats, "x2", None)
    assert str(caught.value) == f"{out}: is the name of a file; give a folder for several inputs"
    out.mkdir()
    assert plan([str(tmp_path / "a.png")], out, formats, "x2", None)[0].target == out / "a.png"


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_picture_keeps_its_mode(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, mode: str
) -> None:
    source = _picture(tmp_path / "a.png", mode)
    outcome = upscale_files(
        [Job(source, tmp_path / "sr.png")], upscaler, formats, Console(quiet=True)
    )
    assert outcome == Outcome(done=1)
    with PIL.Image.open(tmp_path / "sr.png") as picture:
        assert (picture.mode, picture.size) == (mode, (24, 18))


def test_a_failing_writer_leaves_nothing(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _picture(tmp_path / "a.png")

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PIL.Image.Image, "save", full)
    job = Job(source, tmp_path / "out" / "a.png")
    outcome = upscale_files([job], upscaler, formats, Console(quiet=True))
    assert len(outcome.failed) == 1
    assert "No space left on device" in outcome.failed[0]
    assert str(job.target) in outcome.failed[0]
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
def test_a_size_in_place_of_a_scale(
    tmp_path: Path, srkit: Srkit, option: tuple[str, str], size: tuple[int, int], name: str
) -> None:
    source = _picture(tmp_path / "a.png")
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
        "error: got scale and width; only one of them can decide the size\n",
    )
    done = srkit("upscale", "a.png", "-m", "bicubic", "--height", "0")
    assert (done.status, done.err) == (1, "error: the height must be positive, got 0\n")


def test_another_format_keeps_the_whole_name(tmp_path: Path, srkit: Srkit) -> None:
    _picture(tmp_path / "a.v2.png")
    srkit("upscale", "a.v2.png", "-m", "bicubic", "--format", "webp")
    assert (tmp_path / "a.v2_x2.webp").is_file()
    done = srkit("upscale", "a.v2.png", "-m", "bicubic", "--format", "docx")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("error: a.v2_x2.docx: no image format reads '.docx'; known: .avif,")
    done = srkit("upscale", "a.v2.png", "-m", "bicubic", "--format", "webp", "-o", "b.png")
    assert done.err == "error: b.png: is to be webp by its format; give one ending or the other\n"


class Counting(torch.nn.Module):
    """Enlarges by 2, and notes how many images it gets at once."""

    channels_last, channels, scale = False, 3, 2

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[int] = []

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        self.counts.append(len(lr))
        return lr.repeat_interleave(2, -1).repeat_interleave(2, -2)


def _restored(folder: Path, names: list[str], formats: Formats) -> tuple[Outcome, str, list[int]]:
    """Restore files of a folder, and tell what was printed and what the network got at once."""
    network, written = Counting().eval(), StringIO()
    upscaler = ImageUpscaler(Model("counting", network, 2, 3))
    jobs = [Job(folder / name, folder / "out" / name) for name in names]
    outcome = upscale_files(jobs, upscaler, formats, Console(file=written, width=500))
    return outcome, written.getvalue(), network.counts


def test_small_files_of_one_size_are_restored_together(tmp_path: Path, formats: Formats) -> None:
    sizes = {"a.png": (12, 9), "b.png": (12, 9), "c.png": (9, 12), "d.png": (12, 9)}
    for name, size in sizes.items():
        _picture(tmp_path / name, size=size)
    (tmp_path / "e.png").write_bytes(b"")
    _picture(tmp_path / "f.png", size=(300, 300))  # large, so alone
    _picture(tmp_path / "g.png", size=(12, 9))
    names = [*sizes, "e.png", "f.png", "g.png"]
    outcome, printed, counts = _restored(tmp_path, names, formats)
    assert (outcome.done, len(outcome.failed)) == (6, 1)
    assert [count for count in counts if count > 1] == [3]
    assert printed.startswith(f"failed {tmp_path / 'e.png'}: cannot be decoded")
    for name in {*names} - {"e.png"}:
        lr = np.asarray(PIL.Image.open(tmp_path / name))
        np.testing.assert_array_equal(
            np.asarray(PIL.Image.open(tmp_path / "out" / name)), lr.repeat(2, 0).repeat(2, 1)
        )


def test_one_that_fails_spoils_none_of_those_beside_it(tmp_path: Path, formats: Formats) -> None:
    values = np.random.default_rng(0).random((3, 9, 12), np.float32)
    for name in ("a.npy", "b.npy", "c.npy"):
        np.save(tmp_path / name, values if name != "b.npy" else np.full_like(values, np.nan))
    (tmp_path / "out" / "c.npy").mkdir(parents=True)
    outcome, _, _ = _restored(tmp_path, ["a.npy", "b.npy", "c.npy"], formats)
    assert outcome.done == 1
    assert outcome.failed == [
        f"{tmp_path / 'b.npy'}: no pixel has a value: all are NaN or infinite",
        f"{tmp_path / 'out' / 'c.npy'}: cannot be written (it is a folder); choose another name",
    ]
    np.testing.assert_allclose(
        np.load(tmp_path / "out" / "a.npy"), values.repeat(2, 1).repeat(2, 2), atol=1e-6
    )


def test_the_command(tmp_path: Path, srkit: Srkit) -> None:
    _picture(tmp_path / "in" / "a.png")
    _picture(tmp_path / "in" / "b.png").write_bytes(b"")
    command = ("upscale", str(tmp_path / "in"), "-m", "bicubic", "--scale", "3")
    found = srkit(*command, "-o", str(tmp_path / "out"))
    assert found.status == 1
    assert found.out.splitlines()[-1] == "1 restored by bicubic, 1 failed"
    assert f"{tmp_path / 'in' / 'b.png'}: cannot be decoded" in found.out
    with PIL.Image.open(tmp_path / "out" / "a.png") as picture:
        assert picture.size == (36, 27)


def test_an_engine_for_an_interpolation_is_noted(srkit: Srkit, tmp_path: Path) -> None:
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    done = srkit("upscale", "a.png", "-o", "b.png", "-m", "bicubic", "--engine", "openvino")
    assert done.status == 0
    assert done.err == "bicubic: an interpolation, which torch runs; --engine changes nothing\n"
