"""Intact, damaged and harmful archives."""

from __future__ import annotations

import io
import random
import re
import stat
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from srkit.errors import DownloadError
from srkit.system import archives
from srkit.system.archives import unpack

FILES = {"set/HR/a.png": b"aa", "set/HR/b.png": random.Random(1).randbytes(3000), "set/c.txt": b""}


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("set")
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: Mapping[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def tree(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def refuses(archive: Path, folder: Path, message: str) -> None:
    """Check that an archive is refused, and that nothing of it is left."""
    with pytest.raises(DownloadError, match=f"^{re.escape(str(archive))}: {message}$"):
        unpack(archive, folder)
    assert not folder.exists() or list(folder.iterdir()) == []
    assert {path.name for path in folder.parent.iterdir()} <= {archive.name, folder.name}


@pytest.mark.parametrize("kind", ["zip", "tar", "gz"])
def test_unpacks(tmp_path: Path, kind: str) -> None:
    path, out = tmp_path / "archive", tmp_path / "out"
    archive = (
        zipped(path, FILES)
        if kind == "zip"
        else tarred(path, FILES, "w" if kind == "tar" else "w:gz")
    )
    assert unpack(archive, out) == {name: len(content) for name, content in FILES.items()}
    assert tree(out) == FILES


def test_strips_folders_and_replaces_only_its_own_files(tmp_path: Path) -> None:
    out, archive = tmp_path / "out", zipped(tmp_path / "a.zip", {**FILES, "top.txt": b"dropped"})
    (out / "HR").mkdir(parents=True)
    mine = {"HR/a.png": b"old", "HR/b.png": FILES["set/HR/b.png"], "c.txt": b"old", "d.txt": b""}
    for name, content in mine.items():
        (out / name).write_bytes(content)
    for own, message in (
        ((), f"{out}/HR/a.png and 1 more"),
        (("HR/a.png",), f"{out}/c.txt"),
    ):
        message += (
            ": would be replaced, but srkit did not write it; choose another --out, or add "
            "--overwrite"
        )
        with pytest.raises(DownloadError, match=f"^{re.escape(message)}$"):
            unpack(archive, out, strip=1, own=own)
        assert tree(out) == mine
    unpack(archive, out, strip=1, own=("HR/a.png", "c.txt"))
    stripped = {name.removeprefix("set/"): content for name, content in FILES.items()}
    assert tree(out) == {**stripped, "d.txt": b""}
    (out / "c.txt").write_bytes(b"old")
    unpack(archive, out, strip=1, overwrite=True)
    assert tree(out) == {**stripped, "d.txt": b""}


OUTSIDE = [
    "../evil.txt",
    "set/../../evil.txt",
    "/tmp/evil.txt",
    "C:/evil.txt",
    "set\\..\\..\\evil.txt",
]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_paths_outside_the_folder(tmp_path: Path, kind: str, name: str) -> None:
    make = zipped if kind == "zip" else tarred
    archive = make(tmp_path / "a", {**FILES, name: b"harm"})
    message = f"refused, since its member '{re.escape(name)}' would be written outside the folder"
    refuses(archive, tmp_path / "out", message)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_in_tar(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("set/HR")
        info.type, info.linkname = kind, "/etc"
        archive.addfile(info)
    refuses(path, tmp_path / "out", "refused, since its member 'set/HR' is a link or a device")


def test_links_in_zip(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("set/HR")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc")
    refuses(path, tmp_path / "out", "refused, since its member 'set/HR' is a link or a device")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_decompression_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    make = zipped if kind == "zip" else tarred
    message = "refused, since it would unpack to more than 100 times its size or 1000000 files"
    refuses(make(tmp_path / "a", {"zeros": bytes(3_000_000)}), tmp_path / "out", message)
    (tmp_path / "a").unlink()
    monkeypatch.setattr(archives, "MEMBERS", 2)
    message = message.replace("1000000", "2")
    refuses(make(tmp_path / "a", FILES), tmp_path / "out", message)


def test_a_zip_with_a_wrong_size(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"zeros": bytes(3_000_000)})
    content = path.read_bytes().replace((3_000_000).to_bytes(4, "little"), b"\x10\0\0\0")
    path.write_bytes(content)
    refuses(path, tmp_path / "out", r"damaged \(.+\); delete it and download it again")


@pytest.mark.parametrize("kind", ["zip", "tar", "gz"])
def test_damaged(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    if kind == "zip":
        content = bytearray(zipped(path, FILES).read_bytes())
        content[content.index(FILES["set/HR/b.png"][:10]) + 500] ^= 1
    else:
        content = bytearray(tarred(path, FILES, "w" if kind == "tar" else "w:gz").read_bytes())
        del content[2000:]
    path.write_bytes(content)
    refuses(path, tmp_path / "out", r"damaged \(.+\); delete it and download it again")


def test_another_file_and_an_empty_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_text("<html>not found</html>")
    refuses(
        path,
        tmp_path / "out",
        "neither a zip nor a tar archive; delete it and download it again",
    )
    refuses(
        zipped(path, {}), tmp_path / "out", "contains no files; delete it and download it again"
    )


def test_an_encrypted_zip(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a": b"aa"})
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = content.rindex(mark)
        content[at + offset] |= 1
    path.write_bytes(content)
    refuses(path, tmp_path / "out", r"damaged \(.*encrypted.*\); delete it and download it again")
