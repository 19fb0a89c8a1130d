"""Which files are restored, and where SR is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from upscale_setup import save_picture

from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.upscaling.jobs import Job, check_names, plan


def planned(
    inputs: Sequence[str], out: Path | None, formats: Formats, label: str, suffix: str | None
) -> list[Job]:
    """Return the jobs of a plan in which every format is known."""
    made = plan(inputs, out, formats, label, suffix)
    assert not made.failures
    return made.jobs


def test_beside_the_input(tmp_path: Path, formats: Formats) -> None:
    source = save_picture(tmp_path / "cat.png")
    assert planned([str(source)], None, formats, "x4", None) == [
        Job.of(source, tmp_path / "cat_x4.png", formats)
    ]
    packed = tmp_path / "m31.fits.gz"
    packed.write_bytes(b"\x1f\x8b")
    (job,) = planned([str(packed)], None, formats, "x1.5", None)
    assert job.target.path == tmp_path / "m31_x1.5.fits.gz"


def test_one_file_is_written_to_a_file_and_several_to_a_folder(
    tmp_path: Path, formats: Formats
) -> None:
    first, second = save_picture(tmp_path / "a.png"), save_picture(tmp_path / "b.jpg")
    (job,) = planned([str(first)], tmp_path / "out.webp", formats, "x2", None)
    assert job.target.path == tmp_path / "out.webp"
    jobs = planned([str(first), str(second)], tmp_path / "out", formats, "x2", "png")
    assert [job.target.path for job in jobs] == [
        tmp_path / "out" / "a.png",
        tmp_path / "out" / "b.png",
    ]


def test_a_folder_is_mirrored_and_a_pattern_matched(tmp_path: Path, formats: Formats) -> None:
    for name in ("a.png", "deep/b.png", "deep/notes.txt"):
        save_picture(tmp_path / "in" / "deep" / "c.png").rename(tmp_path / "in" / name)
    out = tmp_path / "out"
    made = plan([str(tmp_path / "in")], out, formats, "x2", None)
    assert [job.target.path for job in made.jobs] == [out / "a.png", out / "deep" / "b.png"]
    assert made.ignored == {".txt": 1}
    (job,) = planned([str(tmp_path / "in" / "*.png")], out, formats, "x2", None)
    assert job.source.path == tmp_path / "in" / "a.png"


def test_invalid_plans(tmp_path: Path, formats: Formats) -> None:
    picture, other = save_picture(tmp_path / "a.png"), save_picture(tmp_path / "b" / "a.png")
    (tmp_path / "empty").mkdir()
    wrong = {
        (str(tmp_path / "none.png"),): "none.png: no such file or folder",
        (str(tmp_path / "empty"),): "empty: contains no images; known extensions: .",
        (str(picture), str(other)): f"both {picture} and {other} would be written to it",
    }
    for inputs, expected in wrong.items():
        with pytest.raises(DataError) as caught:
            planned(inputs, tmp_path / "out", formats, "x2", None)
        assert expected in str(caught.value)
    with pytest.raises(DataError) as caught:
        planned([str(picture)], tmp_path, formats, "x2", None)
    assert str(caught.value) == f"{picture}: is an input; choose another output"


def test_outputs_beside_inputs_are_not_inputs(tmp_path: Path, formats: Formats) -> None:
    for name in ("a.png", "b.png", "a_x2.png", "c_x2.png", ".7.partial.b_x2.png", ".partial.b.png"):
        save_picture(tmp_path / name)
    jobs = planned([str(tmp_path)], None, formats, "x2", None)
    assert [(job.source.path.name, job.target.path.name) for job in jobs] == [
        ("a.png", "a_x2.png"),
        ("b.png", "b_x2.png"),
        ("c_x2.png", "c_x2_x2.png"),  # its input is not there
    ]


def test_partial_outputs_are_not_inputs(tmp_path: Path, formats: Formats) -> None:
    for name in ("a.png", ".partial.b.png", ".123.partial.c.png", "d.partial.png"):
        save_picture(tmp_path / name)
    jobs = planned([str(tmp_path)], tmp_path / "out", formats, "x2", None)
    assert [job.source.path.name for job in jobs] == ["a.png", "d.partial.png"]


def test_an_unknown_format_does_not_stop_other_files(tmp_path: Path, formats: Formats) -> None:
    save_picture(tmp_path / "b.png")
    (tmp_path / "a.txt").touch()
    made = plan([str(tmp_path / "*")], tmp_path / "out", formats, "x2", None)
    assert [job.source.path.name for job in made.jobs] == ["b.png"]
    (failure,) = made.failures
    assert failure.startswith(f"{tmp_path}/a.txt: unknown image format '.txt'; known: .")
    with pytest.raises(DataError, match=r"a\.txt: unknown image format"):
        plan([str(tmp_path / "a.txt")], tmp_path / "out", formats, "x2", None)


@pytest.mark.parametrize("inside", ["", "deeper"])
def test_several_files_need_a_folder(tmp_path: Path, formats: Formats, inside: str) -> None:
    for name in ("a.png", "b.png", "file"):
        save_picture(tmp_path / name) if name != "file" else (tmp_path / name).touch()
    out = tmp_path / "file" / inside
    with pytest.raises(DataError) as caught:
        planned([str(tmp_path / "*.png")], out, formats, "x2", None)
    assert str(caught.value) == f"{out}: is not a folder; choose another output for 2 files"


def test_one_file_needs_a_folder_or_a_file_name(tmp_path: Path, formats: Formats) -> None:
    save_picture(tmp_path / "a.png")
    with pytest.raises(DataError) as caught:
        planned([str(tmp_path / "a.png")], Path("/dev/null"), formats, "x2", None)
    assert str(caught.value) == (
        "/dev/null: is neither a folder nor a file name with a known extension; choose another "
        "output"
    )


def test_a_file_name_for_several_inputs(tmp_path: Path, formats: Formats) -> None:
    for name in ("a.png", "b.png"):
        save_picture(tmp_path / name)
    out = tmp_path / "one.png"
    with pytest.raises(DataError) as caught:
        planned([str(tmp_path / "*.png")], out, formats, "x2", None)
    assert str(caught.value) == f"{out}: is a file name; give a folder for several inputs"
    out.mkdir()
    assert (
        planned([str(tmp_path / "a.png")], out, formats, "x2", None)[0].target.path == out / "a.png"
    )


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.gif", b"GIF89a", "a_x2.png"),
        ("photo", b"\xff\xd8\xff", "photo_x2.jpg"),
        ("photo.bak", b"II*\0", "photo_x2.tif"),
        ("b.png", b"II*\0", "b_x2.png"),
    ],
)
def test_the_extension_of_files_that_are_recognised_by_content(
    tmp_path: Path, formats: Formats, name: str, content: bytes, expected: str
) -> None:
    (tmp_path / name).write_bytes(content)
    (job,) = planned([str(tmp_path / name)], None, formats, "x2", None)
    assert job.target.path == tmp_path / expected
    (job,) = planned([str(tmp_path / name)], tmp_path / "out", formats, "x2", None)
    assert job.target.path.suffix == Path(expected).suffix


def test_an_output_that_cannot_be_written(tmp_path: Path, formats: Formats) -> None:
    source, target = save_picture(tmp_path / "a.png"), tmp_path / "b.gif"
    with pytest.raises(DataError) as caught:
        planned([str(source)], target, formats, "x2", None)
    assert str(caught.value) == f"{target}: .gif files are only read; write .png"


def test_an_image_of_a_file_is_named_in_its_output(tmp_path: Path, formats: Formats) -> None:
    """FILE[NAME] and a pattern of files, whose names may contain brackets."""
    for name in ("a.fits", "b[1].fits"):
        (tmp_path / name).write_bytes(b"SIMPLE  =")
    given = [str(tmp_path / name) for name in ("a.fits[SCI,2]", "a.fits[3]", "b[1].fits[sci]")]
    jobs = planned([*given, str(tmp_path / "b[1].fits")], None, formats, "x2", None)
    assert [job.target.path.name for job in jobs] == [
        *("a_SCI_2_x2.fits", "a_3_x2.fits", "b[1]_sci_x2.fits", "b[1]_x2.fits"),
    ]
    assert [job.source.path.name for job in jobs] == ["a.fits", "a.fits", "b[1].fits", "b[1].fits"]
    assert [str(job) for job in jobs][:3] == given
    chosen = [job.source.format.extension for job in jobs]  # type: ignore[attr-defined]
    assert chosen == ["SCI,2", "3", "sci", None]
    (job,) = planned([str(tmp_path / "a*.fits[SCI]")], tmp_path / "o", formats, "x2", None)
    assert job.target.path == tmp_path / "o/a_SCI.fits"
    made = plan([str(tmp_path / "a.fits")], None, formats, "x2", None, "ERR")
    assert made.jobs[0].target.path.name == "a_ERR_x2.fits"
    assert made.jobs[0].source.format.extension == "ERR"  # type: ignore[attr-defined]
    with pytest.raises(DataError, match=r"c\.fits: no such file or folder$"):
        plan([str(tmp_path / "c.fits[SCI]")], None, formats, "x2", None)


def test_outputs_of_other_sizes_are_not_inputs(tmp_path: Path, formats: Formats) -> None:
    outputs = (
        "a_x4.png",
        "a_w3840.png",
        "a_2.5mp.webp",
        "a_h90_residual.png",
        "a_x4_residual1.png",
    )
    for name in ("a.png", "a_xyz.png", "a_w.png", *outputs):
        save_picture(tmp_path / name)
    made = plan([str(tmp_path)], None, formats, "x2", None)
    assert [job.source.path.name for job in made.jobs] == ["a.png", "a_w.png", "a_xyz.png"]
    assert made.outputs == len(outputs)
    assert len(plan([str(tmp_path)], tmp_path / "out", formats, "x2", None).jobs) == 8
    (job,) = planned([str(tmp_path / "a_x4.png")], None, formats, "x2", None)
    assert job.target.path.name == "a_x4_x2.png"  # the only input


def test_what_is_hidden_is_not_searched(tmp_path: Path, formats: Formats) -> None:
    for name in ("a.png", "._a.png", ".venv/lib/b.png", "c/.thumbnails/c.png", "c/d.png"):
        save_picture(tmp_path / ".hidden" / name)
    jobs = planned([str(tmp_path / ".hidden")], tmp_path / "out", formats, "x2", None)
    assert [job.source.path.name for job in jobs] == ["a.png", "d.png"]


@pytest.mark.parametrize(
    ("source", "out", "suffix", "expected"),
    [
        (
            "a.png",
            "b.foo",
            None,
            r"b\.foo: unknown image format '\.foo'; known: \..* create it first",
        ),
        ("-", "b.foo", None, r"b\.foo: unknown image format '\.foo'; known: \..* create it first"),
        ("a.png", "b.gif", None, r"b\.gif: \.gif files are only read; write \.png"),
        ("a.png", None, "foo", r"\*\.foo: unknown image format '\.foo'; known: \.avif.*"),
        ("a.png", None, ".gif", r"\*\.gif: \.gif files are only read; write \.png"),
        ("a.txt", None, None, r"a\.txt: unknown image format '\.txt'; known: \.avif.*"),
    ],
)
def test_names_that_are_checked_before_a_model_is_opened(
    tmp_path: Path,
    formats: Formats,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    out: str | None,
    suffix: str | None,
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    save_picture(tmp_path / "a.png")
    (tmp_path / "a.txt").touch()
    with pytest.raises(DataError) as caught:
        check_names([source], None if out is None else Path(out), suffix, formats)
    assert re.fullmatch(expected, str(caught.value))


def test_an_output_folder_whose_name_has_a_dot(tmp_path: Path, formats: Formats) -> None:
    source, out = save_picture(tmp_path / "a.png"), tmp_path / "b.foo"
    with pytest.raises(DataError, match=r"b\.foo: unknown image format"):
        planned([str(source)], out, formats, "x2", None)
    assert len(planned([str(tmp_path)], out, formats, "x2", None)) == 1  # a folder is mirrored
    out.mkdir()
    (job,) = planned([str(source)], out, formats, "x2", None)
    assert job.target.path == out / "a.png"
