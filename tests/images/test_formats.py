from __future__ import annotations

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
