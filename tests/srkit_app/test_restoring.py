from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from astropy.io import fits
from srkit_app.restoring import INCLUDED, literal, models_in, restore


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo [1].png"
    values = np.linspace(0, 255, 8 * 12 * 3).reshape(8, 12, 3)
    PIL.Image.fromarray(values.astype(np.uint8)).save(path)
    return path


def size_of(path: Path) -> tuple[int, int]:
    with PIL.Image.open(path) as picture:
        return picture.size


def test_files_are_restored_shown_and_one_that_fails_stops_no_other(
    photo: Path, tmp_path: Path
) -> None:
    damaged, frame = tmp_path / "damaged.png", tmp_path / "frame.fits"
    damaged.write_bytes(b"xxx")
    fits.writeto(frame, np.random.default_rng(0).normal(5, 1, (10, 9)).astype(np.float32))
    reports: list[tuple[float, str]] = []
    found = restore(
        [str(damaged), str(photo), str(frame)],
        "bicubic",
        2,
        None,
        lambda *done: reports.append(done),
    )
    assert found.files == [tmp_path / "photo [1]_x2.png", tmp_path / "frame_x2.fits"]
    assert size_of(found.files[0]) == (24, 16)
    assert fits.getdata(found.files[1]).shape == (20, 18)
    assert {name: pair[1].size for name, pair in found.shown.items()} == {
        "photo [1]_x2.png": (24, 16),
        "frame_x2.fits": (18, 20),
    }
    assert found.messages[0].startswith("damaged.png: begins with the bytes 'xxx'")
    assert "\n" not in "".join(found.messages)
    assert str(tmp_path) not in "".join(found.messages)
    shares = [share for share, _ in reports]
    assert shares == sorted(shares)
    assert reports[-1] == (1, "frame.fits")


def test_a_width_replaces_the_size(photo: Path) -> None:
    (path,) = restore([str(photo)], "srkit, faithful", 4, 30, lambda *_: None).files
    assert size_of(path) == (30, 20)


@pytest.mark.parametrize(
    ("model", "width", "message"),
    [("nothing", None, "'nothing' is not a run folder"), ("bicubic", -3, "got -3")],
)
def test_a_wrong_choice_is_one_line(
    photo: Path, model: str, width: int | None, message: str
) -> None:
    found = restore([str(photo)], model, 2, width, lambda *_: None)
    assert found.files == []
    (line,) = found.messages
    assert message in line
    assert "\n" not in line


def test_another_model_replaces_the_result(photo: Path) -> None:
    first = restore([str(photo)], "lanczos", 2, None, lambda *_: None)
    before = first.files[0].read_bytes()
    second = restore([str(photo)], "nearest", 2, None, lambda *_: None)
    assert second.files == first.files
    assert second.files[0].read_bytes() != before


def test_the_runs_of_the_working_folder_can_be_chosen(tmp_path: Path) -> None:
    for name in ("b", "a"):
        for file in ("best", "last"):
            path = tmp_path / "runs" / name / "checkpoints" / f"{file}.safetensors"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    (tmp_path / "runs" / "report").mkdir()
    runs = [str(Path("runs") / name) for name in ("a", "b")]
    assert models_in(tmp_path) == [*INCLUDED, "bicubic", "lanczos", *runs]


def test_messages_are_shown_literally() -> None:
    assert literal("a_b: *1* <b>") == r"a\_b: \*1\* \<b\>"
