from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from srkit import hookimpl
from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.interfaces import Image


class Raw:
    """A format of a single value, which the file does not contain."""

    suffixes = (".raw", ".bytes")

    def __init__(self, mark: float = 0.0) -> None:
        self.mark = mark

    def read(self, path: Path) -> Image:
        return Image(torch.full((1, 1, 1), self.mark))

    def write(self, path: Path, image: Image) -> None:
        path.write_bytes(image.pixels.numpy().tobytes())


def test_the_extension_determines_the_format_in_any_case(tmp_path: Path) -> None:
    formats = Formats([Raw()])
    assert formats.suffixes == (".bytes", ".raw")
    path = tmp_path / "a.RAW"
    formats.write(path, Image(torch.zeros(1, 1, 1)))
    assert formats.read(path).pixels.item() == 0


def test_the_first_format_of_an_extension_is_used(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.touch()
    assert Formats([Raw(1.0), Raw(2.0)]).read(path).pixels.item() == 1


def test_the_longest_extension_is_used(tmp_path: Path) -> None:
    class Packed(Raw):
        suffixes = (".raw.gz",)

    class Gzip(Raw):
        suffixes = (".gz",)

    formats = Formats([Gzip(1.0), Packed(2.0)])
    for name, mark in (("a.gz", 1), ("a.b.RAW.gz", 2)):
        (tmp_path / name).touch()
        assert formats.read(tmp_path / name).pixels.item() == mark


class Signed(Raw):
    """A format that is recognised by content."""

    suffixes = (".signed", ".sgn")
    signature = b"SIGNED"


def test_the_content_determines_the_format_of_a_source(tmp_path: Path) -> None:
    formats = Formats([Raw(1.0), Signed(2.0)])
    for name in ("a.signed", "b.sgn", "c.txt", "d"):
        (tmp_path / name).write_bytes(b"SIGNED and more")
        assert formats.read(tmp_path / name).pixels.item() == 2
    (tmp_path / "e.raw").write_bytes(b"SIGNED and more")  # this format has no signature
    assert formats.read(tmp_path / "e.raw").pixels.item() == 1
    assert formats.decode(Path("f.txt"), b"SIGNED and more").pixels.item() == 2
    assert formats.file(tmp_path / "a.raw").suffix == ".raw"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; copy it again, or remove it"),
        (b"%PDF-1.7 etc.", "is a PDF document; convert it to .png, .tif, .fits or .npy"),
        (b"<!DOCTYPE html>", "is an HTML page, perhaps of a failed download; convert it to .png"),
        (
            b"\x01\x02 unknown",
            "begins with the bytes 01 02 20 75 6e 6b 6e 6f, unlike .signed files and all other "
            "known images; it may be damaged: copy it again, or remove it",
        ),
    ],
)
def test_contents_that_are_not_images(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.signed"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        Formats([Signed()]).read(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.raw"
    path.touch()

    def refuse(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError) as caught:
        Formats([Raw()]).read(path)
    assert str(caught.value) == f"{path}: cannot be read (Permission denied)"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        Formats([Raw()]).read(tmp_path / "a.raw")
    assert str(caught.value) == f"{tmp_path / 'a.raw'}: no such file"


def test_an_unknown_extension(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.touch()
    with pytest.raises(DataError) as caught:
        Formats([Raw()]).read(path)
    assert str(caught.value) == f"{path}: unknown image format '.txt'; known: .bytes, .raw"


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "no such folder" / "a.raw"
    with pytest.raises(DataError, match=r"a\.raw: cannot be written \(.*No such file"):
        Formats([Raw()]).write(path, Image(torch.zeros(1, 1, 1)))


def test_a_broken_format_does_not_affect_others(tmp_path: Path) -> None:
    registry = Registry()

    @hookimpl
    def srkit_image_formats() -> dict[str, object]:
        return {"raw": Raw, "lost": "srkit_no_such_package:Lost"}

    plugin = SimpleNamespace(srkit_image_formats=srkit_image_formats)
    registry.register(plugin, "p", distribution="somebody", version="1")
    formats = Formats.of(registry)
    assert formats.suffixes == (".bytes", ".raw")
    path = tmp_path / "a.lost"
    path.touch()
    with pytest.raises(DataError, match=r"known: \.bytes, \.raw; image format 'lost' could not be"):
        formats.read(path)


class Several(Raw):
    """A format whose files hold several values."""

    suffixes = (".many",)

    def select(self, extension: str) -> Several:
        return Several(float(extension))


def test_one_image_of_a_file_is_chosen(tmp_path: Path) -> None:
    """A file whose name ends in brackets is itself, and its images are chosen all the same."""
    formats = Formats([Raw(1.0), Several(2.0)])
    for name in ("a.many", "a.many[7]", "b.raw"):
        (tmp_path / name).touch()
    for given, mark in (
        ("a.many", 2),
        ("a.many[5]", 5),
        ("a.many[7]", None),
        ("a.many[7][8]", None),
        ("b.raw", 1),
    ):
        path = tmp_path / given
        if mark is None:
            with pytest.raises(DataError, match=r"a\.many\[7\]: unknown image format"):
                formats.read(path)
        else:
            assert formats.read(path).pixels.item() == mark
    assert formats.source(tmp_path / "a.many", "3").format.read(Path()).pixels.item() == 3
    for path in (tmp_path / "b.raw[5]", tmp_path / "c.many[5]"):
        wrong = "a .raw file has no extension '5'; only" if path.name[0] == "b" else "no such file"
        with pytest.raises(DataError, match=rf"^{re.escape(str(path)[:-3])}: {wrong}"):
            formats.read(path)
