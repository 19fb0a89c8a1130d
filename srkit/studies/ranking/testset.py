"""Pictures to measure models on: HR, and LR that is made of it or lies beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from srkit.errors import DataError
from srkit.functional.resizing import resize
from srkit.images.formats import Formats
from srkit.interfaces import CalibratedFormat, Image

#: Where sets of the field keep their HR, and where they may lie.
HR_FOLDER, SETS = "HR", Path("data")
#: What file names say besides the picture's own name.
_SIDE = re.compile(r"(?:_SRF_\d+)?(?:_?x\d+|_[HL]R)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Pair:
    """One picture, HR and LR.

    Parameters
    ----------
    name
        Of its file.
    hr, lr
        The picture; each side of HR is `scale` times that of LR.
    """

    name: str
    hr: Image
    lr: Image

    @property
    def is_picture(self) -> bool:
        """Whether it is a photograph of 8 bits, and not measured values."""
        return self.hr.metadata.get("bits") == 8


@dataclass(frozen=True, slots=True)
class TestSet:
    """Pictures in files, read when they are asked for.

    HR is cut at its lower and right border to sides that the scale divides. Where LR does not lie
    beside it, it is made by MATLAB's bicubic ``imresize``: of pictures of 8 bits in bytes, as for
    the tables of the field. Grey pictures of 8 bits become RGB.

    Parameters
    ----------
    title
        What headings call it.
    files
        HR of each picture.
    scale
        HR pixels for each LR pixel along a side.
    formats
        What reads the files.
    lr_files
        LR of each picture by its HR; None: it is made.
    notes
        What the reader should know of it.
    """

    __test__ = False  # no test, whatever pytest takes it for

    title: str
    files: Sequence[Path]
    scale: int
    formats: Formats
    lr_files: dict[Path, Path] | None = None
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Pair]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Pair:
        """Read a picture.

        Raises
        ------
        DataError
            If a file cannot be read, is smaller than the scale, or HR and LR do not fit together.
        """
        path = self.files[index]
        hr = _read(path, self.formats)
        height, width = (side // self.scale * self.scale for side in hr.pixels.shape[-2:])
        if not (height and width):
            raise DataError(f"{path}: has less than {self.scale} pixels on a side")
        hr = replace(hr, pixels=hr.pixels[..., :height, :width])
        if self.lr_files is None:
            return Pair(path.name, hr, _shrunk(hr, self.scale))
        lr_path = self.lr_files[path]
        lr = _read(lr_path, self.formats)
        expected = (len(hr.pixels), height // self.scale, width // self.scale)
        if lr.pixels.shape != expected:
            raise DataError(
                f"{lr_path}: has {_text(tuple(lr.pixels.shape))} (channels x height x width); "
                f"expected {_text(expected)}, 1/{self.scale} of {path}"
            )
        return Pair(path.name, hr, lr)


def open_testset(on: str | Path, scale: int, formats: Formats, lr: Path | None = None) -> TestSet:
    """Find pictures to measure on.

    Parameters
    ----------
    on
        A picture; a folder of pictures; a folder with the folders ``HR`` and ``X2``, ``X3``, ... or
        ``LR``; or the name of a folder in ``data/``, in any case.
    scale
        HR pixels for each LR pixel along a side.
    formats
        What reads the files.
    lr
        Folder of LR pictures, each named like its HR, or with an ``x4`` of the scale behind it.
        Without it that beside ``HR`` is taken, else LR is made.

    Raises
    ------
    DataError
        If there is no such file or folder, it holds no picture, or LR is missing.
    """
    path = _find(str(on))
    if path.is_file():
        formats.of_path(path)
        files, title, beside = [path], path.name, None
    else:
        inside = path / HR_FOLDER
        files = _pictures(inside if inside.is_dir() else path, formats)
        title, beside = path.resolve().name, _beside(path, scale) if inside.is_dir() else None
    folder = lr or beside
    if folder is None:
        note = f"LR: bicubic 1/{scale} of HR, as MATLAB's imresize makes it"
        return TestSet(title, files, scale, formats, None, [note])
    lr_files = _match(files, folder, scale, formats)
    return TestSet(title, files, scale, formats, lr_files, [f"LR: {folder}"])


def _find(on: str) -> Path:
    path = Path(on)
    if path.exists():
        return path
    if SETS.is_dir() and path.name == on:
        for folder in sorted(SETS.iterdir()):
            if folder.is_dir() and folder.name.lower() == on.lower():
                return folder
    raise DataError(
        f"{on}: no such picture, folder, or folder in {SETS}/; expected HR pictures, or a folder "
        f"with the folders {HR_FOLDER} and X2, X3 or X4"
    )


def _beside(folder: Path, scale: int) -> Path | None:
    """Find LR of a scale beside HR; a folder ``LR`` is for the only scale there is."""
    for name in (f"X{scale}", f"x{scale}", "LR"):
        if (folder / name).is_dir():
            return folder / name
    return None


def _pictures(folder: Path, formats: Formats) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and formats.knows(path))
    if not files:
        raise DataError(f"{folder}: holds no image; known endings: {', '.join(formats.suffixes)}")
    return files


def _match(files: Sequence[Path], folder: Path, scale: int, formats: Formats) -> dict[Path, Path]:
    """Give each HR its LR: of the same name but for what says which of the two it is."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected LR pictures")
    found = {_own_name(path, formats): path for path in _pictures(folder, formats)}
    lr_files = {}
    for path in files:
        name = _own_name(path, formats)
        if name not in found:
            end = formats.suffix_of(path.name)
            raise DataError(
                f"{folder}: holds no LR of {path}; expected {name}{end} or {name}x{scale}{end}"
            )
        lr_files[path] = found[name]
    return lr_files


def _own_name(path: Path, formats: Formats) -> str:
    return _SIDE.sub("", path.name.removesuffix(formats.suffix_of(path.name) or ""))


def _read(path: Path, formats: Formats) -> Image:
    image = formats.read(path)
    image_format = formats.of_path(path)
    if isinstance(image_format, CalibratedFormat):
        image = image_format.calibrate(image)
    if image.metadata.get("bits") == 8 and len(image.pixels) == 1:
        image = replace(image, pixels=image.pixels.expand(3, -1, -1))
    kept = ("bits", "zero_point", "pixel_scale", "unit")
    metadata = {key: image.metadata[key] for key in kept if key in image.metadata}
    return replace(image, metadata=metadata)


def _shrunk(hr: Image, scale: int) -> Image:
    """Make LR of HR."""
    metadata: dict[str, Any] = dict(hr.metadata)
    if "pixel_scale" in metadata:
        metadata["pixel_scale"] *= scale
    pixels = hr.pixels[None]
    if metadata.get("bits") == 8:
        low, high = hr.data_range
        levels = ((pixels - low) / (high - low) * 255).round().to(torch.uint8)
        lr = resize(levels, factor=1 / scale).float() / 255 * (high - low) + low
    else:
        lr = resize(pixels.float(), factor=1 / scale)
    return Image(lr[0], hr.data_range, metadata)


def _text(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
