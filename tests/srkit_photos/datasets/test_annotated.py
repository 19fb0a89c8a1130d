"""Pictures with masks and with boxes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from srkit_photos.datasets.annotated import CocoBoxes, SegmentationFolder

from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.interfaces import VOID


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    (tmp_path / "images" / "inner").mkdir(parents=True)
    for name in ("b.jpg", "inner/a.png"):
        values = rng.integers(0, 256, (10, 14, 3), np.uint8)
        Pillow.fromarray(values).save(tmp_path / "images" / name)
    return tmp_path / "images"


def write_mask(path: Path, values: Any, mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Pillow.fromarray(np.asarray(values, np.uint8))
    if mode == "P":
        picture = picture.convert("L")
        picture.putpalette([0, 0, 0, 200, 10, 10] * 128)
    picture.save(path)


def test_masks_of_one_channel_and_with_a_palette(pictures: Path, formats: Formats) -> None:
    values = np.arange(140).reshape(10, 14) % 7
    values[0, :3] = 255
    masks = pictures.parent / "masks"
    write_mask(masks / "b.png", values)
    write_mask(masks / "inner" / "a.png", values, "P")
    dataset = SegmentationFolder(formats=formats, root=pictures, masks=masks)
    expected = torch.from_numpy(np.where(values == 255, VOID, values))
    assert [sample.name for sample in dataset] == ["b.jpg", "inner/a.png"]  # type: ignore[attr-defined]
    for index in range(2):
        sample = dataset[index]
        assert sample.hr.shape == (3, 10, 14)
        assert sample.mask is not None
        assert torch.equal(sample.mask, expected)
    every = SegmentationFolder(formats=formats, root=pictures, masks=masks, unknown=None, stop=1)
    assert len(every) == 1
    assert every[0].mask is not None
    assert int(every[0].mask.max()) == 255


def refused(message: str) -> Any:
    return pytest.raises(DataError, match=f"^{re.escape(message)}")


def test_masks_that_cannot_be_used(pictures: Path, formats: Formats) -> None:
    masks = pictures.parent / "masks"
    write_mask(masks / "b.png", np.zeros((10, 14)))
    inner = masks / "inner" / "a.png"
    with refused(f"{inner}: no such mask of {pictures / 'inner/a.png'}"):
        SegmentationFolder(formats=formats, root=pictures, masks=masks)
    write_mask(inner, np.zeros((10, 13)))
    dataset = SegmentationFolder(formats=formats, root=pictures, masks=masks)
    with refused(f"{inner}: has 13x10 pixels, but its picture has 14x10"):
        dataset[1]
    assert dataset.sizes().hr.tolist() == [[10, 14], [10, 14]]
    assert dataset.sizes().unreadable == {
        1: f"{inner}: has 13x10 pixels, but its picture has 14x10"
    }
    assert dataset.name(1) == "inner/a.png"
    write_mask(inner, np.zeros((10, 14, 3)))
    with refused(f"{inner}: has the mode RGB; expected a mask with one value per pixel"):
        dataset[1]
    inner.write_bytes(b"no picture")
    with refused(f"{inner}: cannot be read as a mask (not a picture of a known format)"):
        dataset[1]
    with pytest.raises(ValueError, match=r"^start 5 and stop None select none of 2 pictures$"):
        SegmentationFolder(formats=formats, root=pictures, masks=masks, start=5)


def annotate(pictures: Path, *rows: dict[str, Any]) -> Path:
    images = [{"id": 4, "file_name": "inner/a.png"}, {"id": 9, "file_name": "b.jpg"}]
    path = pictures.parent / "boxes.json"
    path.write_text(json.dumps({"images": images, "annotations": rows}), "utf-8")
    return path


def test_boxes_in_cocos_format(pictures: Path, formats: Formats) -> None:
    path = annotate(
        pictures,
        {"image_id": 9, "category_id": 18, "bbox": [1.5, 2, 4, 3]},
        {"image_id": 9, "category_id": 1, "bbox": [10, 5, 30, 30]},
        {"image_id": 9, "category_id": 2, "bbox": [3, 3, 0, 2]},
        {"image_id": 9, "category_id": 3, "bbox": [0, 0, 9, 9], "iscrowd": 1},
    )
    dataset = CocoBoxes(formats=formats, root=pictures, annotations=path)
    first, second = dataset[0], dataset[1]
    assert (first.name, second.name) == ("b.jpg", "inner/a.png")
    assert first.boxes is not None
    assert first.boxes.corners.tolist() == [[1.5, 2, 5.5, 5], [10, 5, 14, 10]]
    assert first.boxes.labels.tolist() == [18, 1]
    assert second.boxes is not None
    assert second.boxes.corners.shape == (0, 4)


def test_annotations_that_cannot_be_used(pictures: Path, formats: Formats) -> None:
    path = annotate(pictures, {"image_id": 5, "category_id": 1, "bbox": [0, 0, 1, 1]})
    with refused(f"{path}: annotations[0] refers to image 5, which is missing in 'images'"):
        CocoBoxes(formats=formats, root=pictures, annotations=path)
    begin = f"{path}: cannot be read as COCO annotations ("
    path.write_text("[]", "utf-8")
    with refused(begin):
        CocoBoxes(formats=formats, root=pictures, annotations=path)
    path.write_text('{"annotations": []}', "utf-8")
    with refused(f"{begin}'images' is missing); expected 'images' and 'annotations'"):
        CocoBoxes(formats=formats, root=pictures, annotations=path)
    with refused(f"{pictures / 'gone.json'}: cannot be read as COCO annotations ("):
        CocoBoxes(formats=formats, root=pictures, annotations=pictures / "gone.json")
    with refused(f"{annotate(pictures)}: contains no boxes; use image_folder for pictures with"):
        CocoBoxes(formats=formats, root=pictures, annotations=path)
    annotate(pictures, {"image_id": 4, "category_id": 1, "bbox": [3, 3, -1, 2]})
    with refused(f"{path}: annotations[0] is -1 wide and 2 high; expected [left, top, width, hei"):
        CocoBoxes(formats=formats, root=pictures, annotations=path)


def test_boxes_that_do_not_fit_their_picture(pictures: Path, formats: Formats) -> None:
    path = annotate(pictures, {"image_id": 9, "category_id": 1, "bbox": [14.5, 0, 2, 2]})
    dataset = CocoBoxes(formats=formats, root=pictures, annotations=path)
    with refused(f"{pictures / 'b.jpg'}: the box [14.5, 0.0, 2.0, 2.0] lies outside its 14x10"):
        dataset[0]
    tree = json.loads(path.read_text("utf-8"))
    tree["images"][1] |= {"width": 28, "height": 20}
    path.write_text(json.dumps(tree), "utf-8")
    dataset = CocoBoxes(formats=formats, root=pictures, annotations=path)
    with refused(f"{pictures / 'b.jpg'}: has 14x10 pixels, but its boxes are for 28x20; resize bo"):
        dataset[0]
    assert dataset.sizes().unreadable == {
        0: f"{pictures / 'b.jpg'}: has 14x10 pixels, but its boxes are for 28x20; resize both or "
        "neither"
    }
    tree["images"][1] |= {"width": 14, "height": 10}
    tree["annotations"] = [
        {"image_id": 9, "category_id": 1, "bbox": box}
        for box in ([0, 0, 14.5, 10.9], [-2, 0, 5, 5], [10, 5, 30, 3])
    ]
    path.write_text(json.dumps(tree), "utf-8")
    dataset = CocoBoxes(formats=formats, root=pictures, annotations=path)
    assert dataset.notes == [
        f"{path}: 2 boxes extend beyond their picture by more than a pixel; they are clipped"
    ]
    boxes = dataset[0].boxes
    assert boxes is not None
    assert boxes.corners.tolist() == [[0, 0, 14, 10], [0, 0, 3, 5], [10, 5, 14, 8]]
    tree["categories"] = [{"id": 3}]
    path.write_text(json.dumps(tree), "utf-8")
    with refused(f"{path}: annotations[0] has category 1, which is missing in 'categories'"):
        CocoBoxes(formats=formats, root=pictures, annotations=path)


def test_missing_masks_are_counted(pictures: Path, formats: Formats, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    with refused(
        f"{tmp_path / 'masks' / 'b.png'}: no such mask of {pictures / 'b.jpg'}; 1 more masks are "
        "missing"
    ):
        SegmentationFolder(formats=formats, root=pictures, masks=tmp_path / "masks")
