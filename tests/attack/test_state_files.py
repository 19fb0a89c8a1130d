"""Files that srkit keeps for itself, empty, cut or overwritten, as after a power failure."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from shards_setup import make_photos, make_shards
from srkit_photos.shards import write
from web_server import Web, serving

from srkit.errors import DataError, DownloadError, OutputError
from srkit.images.formats import Formats
from srkit.system.downloads import download
from srkit.system.files import atomic, write_file
from srkit.system.folders import output_folder
from srkit.training.monitor import forget_after

GARBAGE = [b"", b"\0" * 64, b"{", b"[]", b"7", b"\xff\xfe", b"[" * 100_000]


@pytest.mark.parametrize("content", GARBAGE)
def test_the_record_of_an_output_folder(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "made.json").write_bytes(content)
    with (
        pytest.raises(
            DataError, match=rf"^{tmp_path}/made\.json: .*(remove the folder|or remove )"
        ),
        output_folder(tmp_path, tmp_path / "made.json", {"a": 1}, "srkit test"),
    ):
        pytest.fail("it was accepted")


@pytest.mark.parametrize("content", GARBAGE)
def test_the_notes_of_a_download_are_made_again(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip.partial").write_bytes(b"12")
    (tmp_path / "a.zip.partial.json").write_bytes(content)
    with serving(Web({"/a.zip": b"34567"})) as web:
        path = download(f"{web.address}/a.zip", tmp_path / "a.zip")
    assert path.read_bytes() == b"34567"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.zip", "a.zip.sha256"]


@pytest.mark.parametrize("content", GARBAGE)
def test_the_checksum_of_a_download_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(b"12")
    (tmp_path / "a.zip.sha256").write_bytes(content)
    with pytest.raises(DownloadError, match=r"^\S+/a\.zip\.sha256: damaged, contains no checksum;"):
        download("http://127.0.0.1:9/a.zip", tmp_path / "a.zip")


@pytest.mark.parametrize("content", GARBAGE)
def test_records_of_training_steps(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + content + b'\n{"step": 2}\n{"step": 3}\n{"st')
    forget_after(path, 2)
    assert path.read_text().splitlines() == ['{"step": 1}', '{"step": 2}']


@pytest.mark.parametrize("content", GARBAGE)
@pytest.mark.parametrize("suffix", [".json", ".npy"])
def test_records_of_shards_are_made_again(
    tmp_path: Path, formats: Formats, suffix: str, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, folder = make_photos(tmp_path / "photos", count=4, classes=1), tmp_path / "shards"

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(write, "_write_index", killed)
        with pytest.raises(KeyboardInterrupt):
            make_shards(photos, folder, formats, per_shard=2)
    (folder / write.PARTS / "000000").with_suffix(suffix).write_bytes(content)
    whole = make_shards(photos, tmp_path / "whole", formats, per_shard=2)
    assert make_shards(photos, folder, formats, per_shard=2) == whole


def test_what_is_left_of_complete_shards_is_removed(tmp_path: Path, formats: Formats) -> None:
    photos, folder = make_photos(tmp_path / "photos", count=2, classes=1), tmp_path / "shards"
    whole = make_shards(photos, folder, formats)
    names = {path.name for path in folder.iterdir()}
    (folder / write.PARTS).mkdir()
    (folder / ".srkit.lock").touch()
    assert make_shards(photos, folder, formats) == whole
    assert {path.name for path in folder.iterdir()} == names


def test_long_names(tmp_path: Path) -> None:
    longest = tmp_path / ("é" * 125 + ".fits")
    assert len(os.fsencode(longest.name)) == 255
    with atomic(longest) as partial:
        assert partial.suffix == ".fits"
        partial.write_bytes(b"content")
    assert longest.read_bytes() == b"content"
    assert list(tmp_path.iterdir()) == [longest]
    longer = longest.with_name(f"a{longest.name}")
    with pytest.raises(OutputError) as caught:
        write_file(longer, "content")
    assert str(caught.value) == (
        f"{longer}: its name has 256 bytes, but a file system allows 255; choose a shorter name"
    )
