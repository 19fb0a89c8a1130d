"""Test sets: HR images in files, with LR that is read from files or made from HR."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from srkit.errors import DataError
from srkit.functional.resizing import resize
from srkit.images.crops import crop_image
from srkit.images.formats import Formats
from srkit.interfaces import CalibratedFormat, Image

#: Folder of the HR images in published test sets, and the folder of the test sets.
HR_FOLDER, SETS = "HR", Path("data")
#: The part of a file name that says whether an image is HR or LR, and at which scale.
_SUFFIX = re.compile(r"(?:_SRF_\d+)?(?:_?x\d+|_[HL]R)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Pair:
    """HR and LR of one image.

    Parameters
    ----------
    name
        Name of the HR file.
    hr, lr
        The images; each side of HR is `scale` times that of LR.
    """

    name: str
    hr: Image
    lr: Image

    @property
    def is_8_bit(self) -> bool:
        """Whether HR is an 8-bit image, such as a photograph, rather than measured values."""
        return self.hr.metadata.get("bits") == 8


@dataclass(frozen=True, slots=True)
class TestSet:
    """Images in files, which are read on demand.

    HR is cropped at the bottom and right to sides that are multiples of the scale. LR is made from
    HR with MATLAB's bicubic ``imresize`` unless it is given; of 8-bit images it is rounded to
    8 bits, as for published tables. 8-bit grey images are converted to RGB.

    Parameters
    ----------
    title
        Title for headings.
    files
        The HR files.
    scale
        Ratio of the sides of HR and LR.
    formats
        The formats that can be read.
    lr_files
        The LR file of each HR file; None if LR is made from HR.
    notes
        Notes for the reader of the results.
    """

    __test__ = False  # keeps pytest from collecting it

    title: str
    files: Sequence[Path]
    scale: int
    formats: Formats
    lr_files: Sequence[Path] | None = None
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Pair]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Pair:
        """Read an image.

        Raises
        ------
        DataError
            If a file cannot be read, HR is smaller than the scale, or HR and LR do not match.
        """
        path, scale = self.files[index], self.scale
        hr = _read(path, self.formats)
        height, width = (side // scale for side in hr.pixels.shape[-2:])
        if not (height and width):
            raise DataError(f"{path}: has fewer than {scale} pixels on a side")
        hr = crop_image(hr, slice(height * scale), slice(width * scale))
        if self.lr_files is None:
            return Pair(path.name, hr, _shrink(hr, scale))
        lr = _read(self.lr_files[index], self.formats)
        expected = (len(hr.pixels), height, width)
        if lr.pixels.shape != expected:
            raise DataError(
                f"{self.lr_files[index]}: has {_text(lr.pixels.shape)} (channels x height x "
                f"width); expected {_text(expected)}, 1/{scale} of {path}"
            )
        return Pair(path.name, hr, lr)


def open_testset(on: str | Path, scale: int, formats: Formats, lr: Path | None = None) -> TestSet:
    """Find the images of a test set.

    Parameters
    ----------
    on
        An image; a folder of images; a folder with the subfolders ``HR`` and ``X2``, ``X3``, ... or
        ``LR``; or the name of a folder in ``data/``, in upper or lower case.
    scale
        Ratio of the sides of HR and LR.
    formats
        The formats that can be read.
    lr
        Folder of the LR images, which are named like the HR images, optionally followed by the
        scale as in ``x4``. By default the folder beside ``HR`` is used; without one, LR is made
        from HR.

    Raises
    ------
    DataError
        If there is no such file or folder, it contains no images, or an LR image is missing.
    """
    path = find_testset(str(on))
    folder = lr
    if path.is_file():
        formats.of_path(path)
        files, title = [path], path.name
    else:
        inside = path / HR_FOLDER
        if inside.is_dir():
            files, folder = _images(inside, formats), lr or _lr_folder(path, scale)
        else:
            files = _images(path, formats)
        title = path.resolve().name
    if folder is None:
        note = f"LR: bicubic 1/{scale} of HR, as by MATLAB's imresize"
        return TestSet(title, files, scale, formats, None, [note])
    lr_files = _match(files, folder, scale, formats)
    return TestSet(title, files, scale, formats, lr_files, [f"LR: {folder}"])


def find_testset(on: str) -> Path:
    """Return the image or folder of a test set; errors are those of :func:`open_testset`."""
    path = Path(on)
    if path.exists():
        return path
    if SETS.is_dir() and path.name == on:
        for folder in sorted(SETS.iterdir()):
            if folder.is_dir() and folder.name.lower() == on.lower():
                return folder
    raise DataError(
        f"{on}: no such image, folder, or folder in {SETS}/; expected HR images, or a folder with "
        f"the subfolders {HR_FOLDER} and X2, X3 or X4"
    )


def _lr_folder(folder: Path, scale: int) -> Path | None:
    """Return the folder of LR beside HR; the name ``LR`` is used where there is only one scale."""
    names = (f"X{scale}", f"x{scale}", "LR")
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _images(folder: Path, formats: Formats) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and formats.knows(path))
    if not files:
        known = ", ".join(formats.suffixes)
        raise DataError(f"{folder}: contains no images; known extensions: {known}")
    return files


def _match(files: Sequence[Path], folder: Path, scale: int, formats: Formats) -> list[Path]:
    """Find the LR file of each HR file by its name."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected LR images")
    found = {_stem(path, formats): path for path in _images(folder, formats)}
    for path in files:
        name, end = _stem(path, formats), formats.split(path.name)[1]
        if name not in found:
            raise DataError(
                f"{folder}: contains no LR of {path}; expected {name}{end} or {name}x{scale}{end}"
            )
    return [found[_stem(path, formats)] for path in files]


def _stem(path: Path, formats: Formats) -> str:
    return _SUFFIX.sub("", formats.split(path.name)[0])


def _read(path: Path, formats: Formats) -> Image:
    file = formats.source(path)
    image_format, image = file.format, file.format.read(file.path)
    if isinstance(image_format, CalibratedFormat):
        image = image_format.calibrate(image)
    if image.metadata.get("bits") == 8 and len(image.pixels) == 1:
        image = replace(image, pixels=image.pixels.expand(3, -1, -1))
    kept = ("bits", "zero_point", "pixel_scale", "unit")
    metadata = {key: image.metadata[key] for key in kept if key in image.metadata}
    return replace(image, metadata=metadata)


def _shrink(hr: Image, scale: int) -> Image:
    """Make LR from HR."""
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


def _text(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
