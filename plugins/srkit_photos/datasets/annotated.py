"""Pictures with masks or bounding boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import numpy as np
import PIL.Image
import torch
from pydantic import Field
from torch import Tensor

from srkit.errors import DataError
from srkit.images import Formats, find_pictures
from srkit.interfaces import VOID, Boxes, Sample, Sizes
from srkit.system import digest_of_states, inside, parse_json
from srkit_photos.datasets.folders import REMEDY
from srkit_photos.datasets.reading import Mode, PhotoReader
from srkit_photos.datasets.sizes import measure
from srkit_photos.formats.opening import open_picture

#: Pillow's modes of pictures whose values can be class indices.
INDEXED = ("1", "L", "P", "I", "I;16")


class SegmentationFolder:
    """Pictures in one folder and masks of the same names in another: the class of every pixel.

    A mask is a PNG with one channel or a palette and has the size of its picture, as in Pascal VOC,
    ADE20K and Cityscapes. Pictures are not cropped.

    Parameters
    ----------
    root
        Folder of the pictures; subfolders are included, hidden files are ignored.
    masks
        Folder of the masks, at the same relative paths with the extension ``.png``.
    unknown
        Value of pixels of unknown class, which are ignored; null if there are none.
    mode
        ``rgb`` repeats grey three times; ``grey`` converts colours to luma (BT.601).
    start, stop
        Use the pictures from position `start` of the sorted list to before `stop`; negative
        positions count from the end.

    Raises
    ------
    DataError
        If a folder, a picture or a mask cannot be used.
    """

    classes = None

    def __init__(
        self,
        *,
        formats: Formats,
        root: Path,
        masks: Path,
        unknown: Annotated[int, Field(ge=0)] | None = 255,
        mode: Mode = "rgb",
        start: int | None = None,
        stop: int | None = None,
    ) -> None:
        self.channels = 3 if mode == "rgb" else 1
        self.notes: list[str] = []
        names = find_pictures(root, formats.suffixes, REMEDY)
        self._names = names[start:stop]
        if not self._names:
            raise ValueError(f"start {start} and stop {stop} select none of {len(names)} pictures")
        self._root, self._masks, self._unknown = root, masks, unknown
        self._reader = PhotoReader(formats, None, enlarge=False, mode=mode)
        missing = [name for name in self._names if not self._mask_of(name).is_file()]
        if missing:
            first = f"{self._mask_of(missing[0])}: no such mask of {root / missing[0]}"
            more = len(missing) - 1
            raise DataError(f"{first}; {more} more masks are missing" if more else first)

    def fingerprint(self) -> str:
        """Return a digest of the names, sizes and modification times of the files."""
        files = ((self._root / name, self._mask_of(name)) for name in self._names)
        return digest_of_states(path for pair in files for path in pair)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> Sample:
        name = self._names[index]
        pixels, data_range = self._reader.read(self._root / name)
        mask = self._read_mask(self._mask_of(name), tuple(pixels.shape[1:]))
        return Sample(name, pixels, data_range=data_range, mask=mask)

    def name(self, index: int) -> str:
        """Return the name of a sample."""
        return self._names[index]

    def sizes(self) -> Sizes:
        """Return the sizes of all samples, by the headers of pictures and masks."""
        masks = [str(self._mask_of(name).relative_to(self._masks)) for name in self._names]
        hr, problems = measure(self._root, self._names, self._reader.size)
        sides, unreadable = measure(self._masks, masks, self._reader.size)
        for index in np.flatnonzero((hr != sides).any(1)).tolist():
            mask = self._masks / masks[index]
            unreadable.setdefault(index, _other_size(mask, sides[index], hr[index]))
        return Sizes(hr, unreadable={**unreadable, **problems})

    def _mask_of(self, name: str) -> Path:
        return self._masks / PurePosixPath(name).with_suffix(".png")

    def _read_mask(self, path: Path, size: tuple[int, ...]) -> Tensor:
        try:
            with open_picture(path) as picture:
                kind, values = picture.mode, np.asarray(picture).astype(np.int64)
        except (OSError, SyntaxError, PIL.UnidentifiedImageError) as error:
            raise DataError(f"{path}: cannot be read as a mask ({error})") from error
        if kind not in INDEXED:
            raise DataError(
                f"{path}: has the mode {kind}; expected a mask with one value per pixel"
            )
        if values.shape != size:
            raise DataError(_other_size(path, values.shape, size))
        if self._unknown is not None:
            values[values == self._unknown] = VOID
        return torch.from_numpy(values)


def _other_size(mask: Path, sides: Sequence[int], expected: Sequence[int]) -> str:
    """Say that a mask does not have the size of its picture."""
    return (
        f"{mask}: has {sides[1]}x{sides[0]} pixels, but its picture has {expected[1]}x{expected[0]}"
    )


class CocoBoxes:
    """Pictures with bounding boxes from a JSON file in COCO's format.

    The labels are COCO's category numbers, which torchvision's detectors predict. Boxes of crowds
    and boxes without area are ignored; boxes are clipped at the border. Pictures are not cropped.

    Parameters
    ----------
    root
        Folder to which the file names are relative.
    annotations
        The JSON file, such as ``instances_val2017.json``.
    mode
        ``rgb`` repeats grey three times; ``grey`` converts colours to luma (BT.601).
    start, stop
        Use the pictures from position `start` of the list, sorted by file name, to before `stop`;
        negative positions count from the end.

    Raises
    ------
    DataError
        If the file or a picture cannot be used, or a box lies outside its picture.
    """

    classes = None

    def __init__(
        self,
        *,
        formats: Formats,
        root: Path,
        annotations: Path,
        mode: Mode = "rgb",
        start: int | None = None,
        stop: int | None = None,
    ) -> None:
        self.channels = 3 if mode == "rgb" else 1
        self.notes: list[str] = []
        boxes = _read_boxes(annotations)
        self._boxes = [(name, boxes[name]) for name in sorted(boxes)][start:stop]
        if not self._boxes:
            raise ValueError(f"start {start} and stop {stop} select none of {len(boxes)} pictures")
        over = sum(known.over_the_border() for _, known in self._boxes)
        if over:
            self.notes.append(
                f"{annotations}: {over} boxes extend beyond their picture by more than a pixel; "
                "they are clipped"
            )
        self._root, self._annotations = root, annotations
        self._reader = PhotoReader(formats, None, enlarge=False, mode=mode)

    def fingerprint(self) -> str:
        """Return a digest of the names, sizes and modification times of the files."""
        state = digest_of_states(self._root / name for name, _ in self._boxes)
        return f"{state} {digest_of_states([self._annotations])}"

    def __len__(self) -> int:
        return len(self._boxes)

    def __getitem__(self, index: int) -> Sample:
        name, known = self._boxes[index]
        pixels, data_range = self._reader.read(self._root / name)
        height, width = pixels.shape[1:]
        if problem := self._problem(index, height, width):
            raise DataError(problem)
        table = torch.tensor(known.boxes, dtype=torch.float64).view(-1, 5)
        corners = torch.cat([table[:, :2], table[:, :2] + table[:, 2:4]], 1).float()
        outside = (corners[:, 2:] < 0) | (corners[:, :2] > torch.tensor([width, height]))
        if outside.any():
            place = int(outside.any(1).nonzero()[0])
            raise DataError(
                f"{self._root / name}: the box {known.boxes[place][:4]} lies outside its "
                f"{width}x{height} pixels"
            )
        corners = corners.clamp(min=0).minimum(torch.tensor([width, height] * 2).float())
        kept = ((corners[:, 2:] - corners[:, :2]) > 0).all(1)
        boxes = Boxes(corners[kept], table[kept, 4].long())
        return Sample(name, pixels, data_range=data_range, boxes=boxes)

    def name(self, index: int) -> str:
        """Return the name of a sample."""
        return self._boxes[index][0]

    def sizes(self) -> Sizes:
        """Return the sizes of all samples, by the headers of the pictures."""
        names = [name for name, _ in self._boxes]
        hr, unreadable = measure(self._root, names, self._reader.size)
        for index, (height, width) in enumerate(hr.tolist()):
            if problem := self._problem(index, height, width):
                unreadable.setdefault(index, problem)
        return Sizes(hr, unreadable=unreadable)

    def _problem(self, index: int, height: int, width: int) -> str | None:
        """Say that a picture does not have the size for which its boxes are."""
        name, known = self._boxes[index]
        if known.size in (None, (width, height)):
            return None
        return (
            f"{self._root / name}: has {width}x{height} pixels, but its boxes are for "
            f"{known.size[0]}x{known.size[1]}; resize both or neither"
        )


@dataclass(slots=True)
class Things:
    """The entry of a picture in COCO's file.

    Parameters
    ----------
    size
        Width and height, if known.
    boxes
        Left, top, width, height and category of each.
    """

    size: tuple[int, int] | None
    boxes: list[list[float]] = field(default_factory=list)

    def over_the_border(self) -> int:
        """Count the boxes that extend beyond the picture by more than rounding, if known."""
        if self.size is None:
            return 0
        width, height = self.size
        return sum(
            min(left, top) < -1 or left + across > width + 1 or top + down > height + 1
            for left, top, across, down, _ in self.boxes
        )


def _read_boxes(path: Path) -> dict[str, Things]:
    """Read the boxes of each picture, by file name."""
    try:
        content: Any = parse_json(path.read_bytes())
        images = {image["id"]: image for image in content["images"]}
        found = {_name_of(image): Things(_size_of(image)) for image in images.values()}
        known = {category["id"] for category in content.get("categories", ())}
        for place, entry in enumerate(content["annotations"]):
            where = f"{path}: annotations[{place}]"
            if entry["image_id"] not in images:
                raise DataError(
                    f"{where} refers to image {entry['image_id']}, which is missing in 'images'"
                )
            if known and entry["category_id"] not in known:
                raise DataError(
                    f"{where} has category {entry['category_id']}, which is missing in 'categories'"
                )
            left, top, width, height = map(float, entry["bbox"])
            if width < 0 or height < 0:
                raise DataError(
                    f"{where} is {width:g} wide and {height:g} high; expected [left, top, width, "
                    "height]"
                )
            if not entry.get("iscrowd", 0):
                row = [left, top, width, height, float(entry["category_id"])]
                found[_name_of(images[entry["image_id"]])].boxes.append(row)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else f"{error}"
        raise DataError(
            f"{path}: cannot be read as COCO annotations ({what}); expected 'images' "
            "and 'annotations', as in instances_val2017.json"
        ) from error
    if not any(one.boxes for one in found.values()):
        raise DataError(f"{path}: contains no boxes; use image_folder for pictures without boxes")
    return found


def _name_of(image: Mapping[str, Any]) -> str:
    """Return the name of a picture's file, in the folder of pictures."""
    return inside(Path(), image["file_name"]).as_posix()


def _size_of(image: Mapping[str, Any]) -> tuple[int, int] | None:
    return (int(image["width"]), int(image["height"])) if {"width", "height"} <= {*image} else None
