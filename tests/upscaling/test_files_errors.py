"""Files that cannot be read or written: one line per error."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile
from command_line import Done, Srkit
from disk_setup import small_disk

from srkit.models.open import Interpolation

BYTES = np.random.default_rng(7).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def _save(path: Path) -> Path:
    PIL.Image.fromarray(BYTES).save(path)
    return path


def _failed(done: Done, line: str) -> None:
    """Expect one line about the failure and the count, and no traceback."""
    assert done.status == 1
    *_, failure, count = done.out.splitlines()
    assert re.fullmatch(line, failure), failure
    assert count.endswith("1 failed")
    assert done.err == ""


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif", "tif", "npy", "npz", "fits"])
@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_empty_and_truncated(srkit: Srkit, tmp_path: Path, suffix: str, kept: float) -> None:
    _save(tmp_path / "whole.png")
    srkit("upscale", "whole.png", "-m", "nearest", "--scale", "1", "-o", f"a.{suffix}")
    path = tmp_path / f"a.{suffix}"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    done = srkit("upscale", path.name, "-m", "nearest", "-o", "b.png")
    if not kept:
        assert done.err == f"error: a.{suffix}: is empty; copy it again, or remove it\n"
        return
    _failed(done, rf"failed a\.{suffix}: cannot be (decoded|read as FITS) \(.*\); it may be .*")


def test_a_decompression_bomb_and_the_option_to_allow_it(srkit: Srkit, tmp_path: Path) -> None:
    PIL.Image.new("1", (1200, 1000)).save(tmp_path / "a.png")
    command = ("upscale", "a.png", "-m", "nearest", "--scale", "0.1", "-o", "b.png")
    _failed(
        srkit(*command, "--max-input", "1"),
        r"failed a\.png: would decompress to 1200 x 1000 pixels, more than 1 megapixels, which "
        r"could exhaust the memory; if you trust it, add --max-input 2",
    )
    assert srkit(*command, "--max-input", "2").out == "1 restored by nearest: b.png\n"


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_a_single_pixel(srkit: Srkit, tmp_path: Path, mode: str) -> None:
    PIL.Image.new(mode, (1, 1)).save(tmp_path / "a.png")
    assert (
        srkit("upscale", "a.png", "-m", "bicubic", "--scale", "3").out
        == "1 restored by bicubic: a_x3.png\n"
    )
    with PIL.Image.open(tmp_path / "a_x3.png") as picture:
        assert picture.size == (3, 3)


def test_values_that_are_not_finite(srkit: Srkit, tmp_path: Path) -> None:
    values = np.full((6, 7), np.nan, np.float32)
    tifffile.imwrite(tmp_path / "a.tif", values)
    done = srkit("upscale", "a.tif", "-m", "bicubic")
    _failed(done, r"failed a\.tif: no pixel has a value: all are NaN or infinite")
    values[2:] = 3
    values[4, 4] = np.inf
    tifffile.imwrite(tmp_path / "b.tif", values)
    done = srkit("upscale", "b.tif", "-m", "bicubic")
    assert done.out == (
        "b.tif: 15 pixels have no value, and none in SR either\n1 restored by bicubic: b_x2.tif\n"
    )
    found = tifffile.imread(tmp_path / "b_x2.tif")
    assert np.isnan(found[:4]).all()
    assert np.isnan(found[8:10, 8:10]).all()
    assert np.isfinite(found).sum() == 12 * 14 - 4 * 15
    _failed(
        srkit("upscale", "b.tif", "-m", "bicubic", "-o", "c.png"),
        r"failed b\.tif: contains values that are not finite, which the integers of a \.png file "
        r"cannot represent; write \.fits, \.tif or \.npy",
    )
    assert not (tmp_path / "c.png").exists()


def test_an_array_without_axes(srkit: Srkit, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.float32(3))
    _failed(
        srkit("upscale", "a.npy", "-m", "bicubic"),
        r"failed a\.npy: an array of shape \(\); expected an image, \(H, W\), \(H, W, C\) or "
        r"\(C, H, W\)",
    )


def test_a_folder_in_place_of_a_file(srkit: Srkit, tmp_path: Path) -> None:
    _save(tmp_path / "a.png")
    (tmp_path / "b.png").mkdir()
    done = srkit("upscale", "b.png", "-m", "bicubic")
    assert done.err.startswith("error: b.png: contains no images; known extensions: .avif,")
    (tmp_path / "a_x2.png").mkdir()
    _failed(
        srkit("upscale", "a.png", "-m", "bicubic"),
        r"failed a_x2\.png: cannot be written \(it is a folder\); choose another name",
    )
    (tmp_path / "taken").write_text("a file")
    done = srkit("upscale", "a.png", "-m", "bicubic", "-o", "taken/b.png")
    _failed(done, r"failed taken/b\.png: cannot be written \(.*\); free some space or choose .*")


def test_a_read_only_output_is_kept(srkit: Srkit, tmp_path: Path) -> None:
    _save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("precious")
    (tmp_path / "b.png").chmod(0o444)
    command = ("upscale", "a.png", "-m", "bicubic", "-o", "b.png")
    assert srkit(*command).out == "0 restored, 1 skipped (output exists; --overwrite replaces it)\n"
    _failed(
        srkit(*command, "--overwrite"),
        r"failed b\.png: cannot be written \(it is read-only\); choose another name",
    )
    assert (tmp_path / "b.png").read_text() == "precious"


def test_names_are_not_interpreted_as_markup(srkit: Srkit, tmp_path: Path) -> None:
    (tmp_path / "[").mkdir()
    (tmp_path / "[" / "red].png").write_bytes(b"no picture")
    done = srkit("upscale", "[/red].png", "-m", "bicubic", "-o", "b.png")
    assert done.err.startswith(
        "error: [/red].png: begins with the bytes 'no pictu', unlike .png files and"
    )
    _save(tmp_path / "a.png")
    done = srkit("upscale", "a.png", "-m", "bicubic", "-o", "[red]b.png")
    assert done.out == "1 restored by bicubic: [red]b.png\n"


def test_a_read_only_folder(srkit: Srkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _save(tmp_path / "a.png")

    def refuse(path: Path, content: bytes) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "write_bytes", refuse)  # root may write anywhere
    _failed(
        srkit("upscale", "a.png", "-m", "bicubic", "-o", "b.png"),
        r"failed b\.png: cannot be written \(.*Read-only file system.*\).*",
    )


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif", "tif", "npy", "npz", "fits"])
def test_a_full_disk(srkit: Srkit, tmp_path: Path, suffix: str) -> None:
    _save(tmp_path / "a.png")
    (tmp_path / "out").mkdir()
    command = ("upscale", "a.png", "-m", "nearest", "--scale", "4", "-o", f"out/a.{suffix}")
    with small_disk(4096):
        done = srkit(*command)
    _failed(
        done, rf"failed out/a\.{suffix}: cannot be written \(.*(File too large|3968 written).*\).*"
    )
    assert list((tmp_path / "out").iterdir()) == []


def test_a_damaged_file_among_many(srkit: Srkit, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(30):
        PIL.Image.fromarray(BYTES[:5, :6]).save(tmp_path / "in" / f"{number:02}.png")
    (tmp_path / "in" / "17[b].png").write_bytes(b"no picture")
    done = srkit("upscale", "in", "-m", "bicubic", "-o", "out")
    assert done.status == 1
    failure, count = done.out.splitlines()
    assert failure.startswith(
        "failed in/17[b].png: begins with the bytes 'no pictu', unlike .png files"
    )
    assert count == "30 restored by bicubic, 1 failed"
    assert len(list((tmp_path / "out").iterdir())) == 30


def test_names_are_checked_before_the_model(srkit: Srkit, tmp_path: Path) -> None:
    _save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    for names, expected in {
        ("a.png", "-o", "c.foo"): "error: c.foo: unknown image format '.foo'",
        ("a.png", "--format", "foo"): "error: *.foo: unknown image format '.foo'",
        ("b.png",): "error: b.png: begins with the bytes 'no pictu'",
    }.items():
        assert srkit("upscale", *names, "-m", "no_model").err.startswith(expected)


def test_an_unknown_format_among_many(srkit: Srkit, tmp_path: Path) -> None:
    _save(tmp_path / "b.png")
    (tmp_path / "a.txt").write_text("notes")
    done = srkit("upscale", "a.txt", "b.png", "-m", "bicubic", "-o", "out")
    _failed(done, r"failed a\.txt: unknown image format '\.txt'; known: \.avif, .*")
    assert done.out.splitlines()[-1] == "1 restored by bicubic, 1 failed"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]


def test_an_error_of_the_network_does_not_stop_other_images(
    srkit: Srkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    for name, side in (("a", 3), ("b", 5), ("c", 6)):
        PIL.Image.new("L", (side, side)).save(tmp_path / "in" / f"{name}.png")
    forward = Interpolation.forward

    def picky(self: Interpolation, lr: object) -> object:
        if lr.shape[-1] == 5:  # type: ignore[attr-defined]
            raise RuntimeError("unsupported size")
        return forward(self, lr)  # type: ignore[arg-type]

    monkeypatch.setattr(Interpolation, "forward", picky)
    done = srkit("upscale", "in", "-m", "bicubic", "-o", "out")
    assert done.status == 1
    failure, count = done.out.splitlines()
    assert failure.startswith("failed in/b.png: RuntimeError at srkit, ")
    assert count == "2 restored by bicubic, 1 failed"


def test_damaged_exif_is_dropped(srkit: Srkit, tmp_path: Path) -> None:
    PIL.Image.fromarray(BYTES).save(tmp_path / "a.jpg", exif=b"Exif\0\0no exif at all")
    done = srkit("upscale", "a.jpg", "-m", "bicubic")
    assert done.out == "a.jpg: its EXIF is damaged and dropped\n1 restored by bicubic: a_x2.jpg\n"


def test_a_format_with_limited_sides(srkit: Srkit, tmp_path: Path) -> None:
    PIL.Image.new("L", (5000, 1)).save(tmp_path / "a.png")
    _failed(
        srkit("upscale", "a.png", "-m", "nearest", "--scale", "4", "--format", "webp"),
        r"failed a\.png: SR would have 20000 x 4 pixels, but a \.webp file holds at most 16383 per "
        r"side; write \.png or \.tif, or choose a smaller scale",
    )


def test_names_that_get_too_long(srkit: Srkit, tmp_path: Path) -> None:
    _save(tmp_path / f"{'n' * 248}.png")
    _save(tmp_path / f"{'m' * 249}.png")
    done = srkit("upscale", ".", "-m", "nearest", "--scale", "2")
    assert done.status == 1
    assert f"{'m' * 249}_x2.png: its name has 256 bytes, but a file system allows 255" in done.out
    assert (tmp_path / f"{'n' * 248}_x2.png").is_file()
