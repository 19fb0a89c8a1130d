"""Folders, ImageNet and the sample photos."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from scipy.io import savemat  # type: ignore[import-untyped]
from srkit_photos.datasets import samples
from srkit_photos.datasets.folders import image_folder
from srkit_photos.datasets.imagenet import class_names, imagenet
from srkit_photos.datasets.photos import Entry, pick
from srkit_photos.datasets.sample_scenes import SampleScenes
from srkit_photos.datasets.samples import SPLITS, SamplePhotos, locate

from srkit.assembly.build import assemble
from srkit.components.options import build, options
from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.interfaces import Dataset
from srkit.recipe.recipe import parse_recipe
from srkit.testing import check_dataset

WNIDS = ["n01440764", "n01443537", "n01484850"]


def _picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(len(path.name)).integers(0, 256, (*size[::-1], 3), np.uint8)
    picture = PIL.Image.fromarray(values)
    (picture.quantize(8) if mode == "P" else picture.convert(mode)).save(path)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Ten pictures in three folders, and files that are not pictures."""
    root = tmp_path / "tree"
    for index in range(9):
        _picture(root / WNIDS[index % 3] / f"{index}.jpg")
    _picture(root / "top.PNG")
    (root / ".hidden.jpg").write_text("")
    (root / "notes.txt").write_text("")
    return root


@pytest.fixture
def labels(tree: Path) -> Path:
    lines = [f"{WNIDS[i % 3]}/{i}.jpg,x,{i % 3}" for i in range(9)]
    path = tree / "labels.csv"
    path.write_text("\n".join(["path,wnid,class_index", *lines, "top.PNG,x,2"]) + "\n")
    return path


@pytest.mark.parametrize("name", ["image_folder", "imagenet", "sample_photos"])
def test_every_option_is_documented(registry: Registry, name: str) -> None:
    component = registry.get("datasets", name)
    assert component.summary
    assert all(option.meaning for option in options(component.factory))


def test_folder_is_sorted_and_pickles(tree: Path, formats: Formats, registry: Registry) -> None:
    factory = registry.get("datasets", "image_folder").factory
    data = build(factory, {"root": str(tree)}, formats=formats, scale=1)
    assert isinstance(data, Dataset)
    names = [data[i].name for i in range(len(data))]
    assert names == sorted([f"{WNIDS[i % 3]}/{i}.jpg" for i in range(9)] + ["top.PNG"])
    assert (data.channels, data.classes, list(data.notes)) == (3, None, [])
    again = pickle.loads(pickle.dumps(data))
    assert torch.equal(again[4].hr, data[4].hr)
    assert data[0].label is None


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16"])
def test_every_kind_of_picture_becomes_rgb_or_grey(
    tmp_path: Path, formats: Formats, mode: str
) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    if mode == "I;16":
        PIL.Image.fromarray(np.full((30, 40), 40000, np.uint16)).save(path)
    else:
        _picture(path, mode)
    colour = image_folder(formats=formats, root=tmp_path)[0].hr
    assert colour.shape == (3, 30, 40)
    grey = image_folder(formats=formats, root=tmp_path, mode="grey")[0].hr
    assert grey.shape == (1, 30, 40)
    with PIL.Image.open(path) as picture:
        luma = (
            40000 / 65535 * 255
            if mode == "I;16"
            else np.array(picture.convert("RGB").convert("L"), float)
        )
    assert np.abs(grey[0].numpy() * 255 - luma).max() < 1


def test_size_agrees_with_pillow(tmp_path: Path, formats: Formats) -> None:
    path = _picture(tmp_path / "a.png", size=(75, 50))
    sample = image_folder(formats=formats, root=tmp_path, size=24)[0].hr
    assert sample.shape == (3, 24, 24)
    with PIL.Image.open(path) as picture:
        green = picture.getchannel("G").convert("F")  # Pillow rounds bytes between passes
    small = green.resize((36, 24), PIL.Image.Resampling.BICUBIC).crop((6, 0, 30, 24))
    expected = np.array(small).clip(0, 255) / 255
    np.testing.assert_allclose(sample[1].numpy(), expected, atol=1e-5)


def test_float_pictures_keep_their_data_range(tmp_path: Path, formats: Formats) -> None:
    import tifffile

    values = np.random.default_rng(0).normal(0, 50, (40, 30)).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", values)
    sample = image_folder(formats=formats, root=tmp_path, size=20)[0]
    assert sample.data_range == (values.min(), values.max())
    assert sample.hr.std() > 5


def test_a_picture_with_holes_is_refused(tmp_path: Path, formats: Formats) -> None:
    import tifffile

    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.full((4, 5), np.nan, np.float32))
    with pytest.raises(DataError) as caught:
        image_folder(formats=formats, root=tmp_path)[0]
    assert str(caught.value) == (
        f"{path}: has values that are not finite; replace them or remove the picture"
    )


def test_labels(tree: Path, labels: Path, formats: Formats) -> None:
    data = image_folder(formats=formats, root=tree, labels=labels)
    assert [data[i].label for i in range(10)] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert data.classes == ["0", "1", "2"]
    named = image_folder(formats=formats, root=tree, labels=labels, classes="imagenet")
    assert named.classes is not None
    assert len(named.classes) == 1000
    assert named.classes[0] == "tench"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,class_index\n", "labels.csv: has the columns file, class_index; expected path and"),
        ("path,class_index\nnone.jpg,1\n", "labels.csv, line 2: no such picture 'none.jpg'"),
        ("path,class_index\ntop.PNG,1\ntop.PNG,1\n", "line 3: 'top.PNG' already has a label"),
        ("path,class_index\ntop.PNG,1.5\n", "line 2: the class index is '1.5'; expected 0, 1, 2"),
        ("path,class_index\ntop.PNG,-1\n", "line 2: the class index is '-1'; expected 0, 1, 2"),
        ("path,class_index\ntop.PNG\n", "line 2: the class index is ''; expected 0, 1, 2"),
        (
            "path,class_index\ntop.PNG,1\n",
            f"9 pictures have no label, for example '{WNIDS[0]}/0.jpg'",
        ),
    ],
)
def test_bad_labels(tree: Path, formats: Formats, text: str, message: str) -> None:
    (tree / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        image_folder(formats=formats, root=tree, labels=tree / "labels.csv")


def test_label_outside_the_classes(tree: Path, labels: Path, formats: Formats) -> None:
    message = r"labels\.csv: '.*/2\.jpg' has class 2; the last of 2 classes is 1"
    with pytest.raises(DataError, match=message):
        image_folder(formats=formats, root=tree, labels=labels, classes=2)
    with pytest.raises(ValueError, match="classes requires labels"):
        image_folder(formats=formats, root=tree, classes=2)
    with pytest.raises(DataError, match=r"absent\.csv: no such labels file"):
        image_folder(formats=formats, root=tree, labels=tree / "absent.csv")


def test_slices(tree: Path, formats: Formats) -> None:
    def names(**chosen: int) -> list[str]:
        data = image_folder(formats=formats, root=tree, **chosen)  # type: ignore[arg-type]
        return [data[i].name for i in range(len(data))]

    everything = names()
    assert names(stop=6) == everything[:6]
    assert names(start=-4) == everything[-4:]
    with pytest.raises(ValueError, match="start 10 and stop None select none of 10 pictures"):
        names(start=10)


def test_fraction_is_even_over_the_classes_and_stable(
    tree: Path, labels: Path, formats: Formats
) -> None:
    def chosen(seed: int) -> list[str]:
        data = image_folder(formats=formats, root=tree, labels=labels, fraction=0.4, seed=seed)
        assert Counter(data[i].label for i in range(len(data))).most_common()[-1][1] == 1
        return [data[i].name for i in range(len(data))]

    assert chosen(0) == chosen(0) == sorted(chosen(0))
    assert len(chosen(0)) == 4
    assert len({tuple(chosen(seed)) for seed in range(5)}) > 1


def test_pick_splits_every_class_and_lone_pictures() -> None:
    entries = [Entry(f"{label}/{i}", label) for label in range(20) for i in range(50)]
    counts = Counter(entry.label for entry in pick(entries, 0.15, 0))
    assert sum(counts.values()) == 150
    assert set(counts.values()) <= {7, 8}
    lone = [Entry(str(label), label) for label in range(100)]
    assert len(pick(lone, 0.15, 0)) == 15
    more = pick([*lone, Entry("new", 100)], 0.15, 0)
    assert len({*more} & {*pick(lone, 0.15, 0)}) >= 14


def test_damaged_pictures(tree: Path, formats: Formats) -> None:
    victim = tree / WNIDS[0] / "0.jpg"
    victim.write_bytes(victim.read_bytes()[:300])
    _picture(tree / "tiny.png", size=(9, 30))
    data = image_folder(formats=formats, root=tree, size=24)
    with pytest.raises(DataError, match=r"0\.jpg: cannot be decoded"):
        data[0]
    message = r"tiny\.png: has 9 x 30 pixels; size 24 requires a short side of at least 24: lower"
    with pytest.raises(DataError, match=message):
        data[9]
    data = image_folder(formats=formats, root=tree, size=24, unreadable="skip")
    assert len(data) == 9
    (note,) = data.notes
    assert note.startswith("skipped 2 of 11 pictures:\n")
    assert "0.jpg: cannot be decoded" in note
    assert "tiny.png: has 9 x 30 pixels" in note
    with pytest.raises(DataError, match="none of 11 pictures can be used"):
        image_folder(formats=formats, root=tree, size=50, unreadable="skip")


@pytest.mark.parametrize(("crop", "scale"), [(30, 2), ("15 LR", 2), ("10 LR", [2, 3])])
def test_pictures_too_small_for_the_crop_are_skipped_in_training(
    tree: Path, registry: Registry, crop: int | str, scale: int | list[int]
) -> None:
    small = _picture(tree / "small.png", size=(40, 29))
    folder = {"type": "image_folder", "root": str(tree), "unreadable": "skip"}
    source = {"dataset": folder, "crop": crop}
    change = {"scale": scale, "data": {"train": source, "validation": {"dataset": folder}}}
    network = {"type": "mdsr", "blocks": 1, "features": 4}
    recipe = parse_recipe(
        {"name": "x", "generator": network, "losses": {"l1": {}}, **change}, "here"
    )
    data = assemble(recipe, registry, "here", splits=("train", "validation")).data
    assert (len(data["train"]), len(data["validation"])) == (10, 11)
    note = f"skipped 1 of 11 pictures:\n  {small}: 40x29 pixels are too small for a crop of 30"
    assert (list(data["train"].notes), list(data["validation"].notes)) == ([note], [])


def test_small_pictures_are_enlarged_on_request(
    tmp_path: Path, formats: Formats, ilsvrc: Path
) -> None:
    _picture(tmp_path / "small/a.png", size=(30, 20))
    data = image_folder(formats=formats, root=tmp_path / "small", size=40, enlarge=True)
    assert data[0].hr.shape == (3, 40, 40)
    assert imagenet(formats=formats, root=ilsvrc, split="train")[0].hr.shape == (3, 256, 256)


def test_folders_that_cannot_be_used(tmp_path: Path, formats: Formats) -> None:
    with pytest.raises(DataError, match=r"absent: no such folder"):
        image_folder(formats=formats, root=tmp_path / "absent")
    with pytest.raises(DataError, match=r"contains no images; looked for .*\.jpg, .*\.png"):
        image_folder(formats=formats, root=tmp_path)


# ImageNet -----------------------------------------------------------------------------------


@pytest.fixture
def ilsvrc(tmp_path: Path) -> Path:
    """A small ILSVRC2012 tree, val by folder."""
    root = tmp_path / "ilsvrc"
    for wnid in WNIDS:
        for index in range(4):
            _picture(root / "train" / wnid / f"{wnid}_{index}.JPEG")
            _picture(root / "val" / wnid / f"ILSVRC2012_val_{index:08d}.JPEG")
    return root


def _write_devkit(root: Path) -> None:
    devkit = root / "ILSVRC2012_devkit_t12/data"
    devkit.mkdir(parents=True)
    # As in the real devkit: IDs are not in the order of wnids, and inner nodes follow the leaves.
    ids = [(2, WNIDS[0]), (3, WNIDS[1]), (1, WNIDS[2]), (1001, "n00000000")]
    synsets = np.array(ids, dtype=[("ILSVRC2012_ID", "f8"), ("WNID", "O")])
    savemat(devkit / "meta.mat", {"synsets": synsets})
    (devkit / "ILSVRC2012_validation_ground_truth.txt").write_text("2\n2\n3\n1\n1\n3\n")


def test_imagenet_classes_have_the_published_order() -> None:
    names = class_names()
    assert len(set(names)) == 1000
    known = {1: "goldfish", 207: "golden retriever", 134: "crane (134)", 517: "crane (517)"}
    assert {index: names[index] for index in known} == known


def test_imagenet_train(ilsvrc: Path, formats: Formats, registry: Registry) -> None:
    factory = registry.get("datasets", "imagenet").factory
    data = build(factory, {"root": ilsvrc, "split": "train", "size": 24}, formats=formats)
    assert isinstance(data, Dataset)
    assert [data[i].label for i in range(12)] == [0] * 4 + [1] * 4 + [2] * 4
    assert data[0].hr.shape == (3, 24, 24)
    assert len(imagenet(formats=formats, root=ilsvrc, split="train", fraction=0.25)) == 3


def test_imagenet_of_some_classes(ilsvrc: Path, formats: Formats) -> None:
    whole = imagenet(formats=formats, root=ilsvrc, split="train", size=24)
    some: list[int | str] = ["n01484850", "tench"]
    data = imagenet(formats=formats, root=ilsvrc, split="train", size=24, classes=some)
    assert data.classes == ["tench", "great white shark"]
    expected = [
        (whole[k].name, [0, 2].index(label))
        for k in range(len(whole))
        if (label := whole[k].label) in (0, 2)
    ]
    assert [(data[k].name, data[k].label) for k in range(len(data))] == expected
    with pytest.raises(DataError) as caught:
        imagenet(formats=formats, root=ilsvrc, split="train", classes=[7, 8])
    assert str(caught.value) == f"{ilsvrc / 'train'}: contains no picture of the 2 chosen classes"


def test_sample_scenes_share_no_pixel(formats: Formats) -> None:
    splits = [
        SampleScenes(formats=formats, split=k, size=16) for k in ("train", "validation", "test")
    ]  # type: ignore[arg-type]
    names = [{data[k].name for k in range(len(data))} for data in splits]
    assert not names[0] & names[1] | names[0] & names[2] | names[1] & names[2]
    for data in splits:
        check_dataset(data)
        assert {data[k].label for k in range(len(data))} == set(range(10))
    assert len(splits[0].classes) == 10
    # Together, the crops of a photograph cover it exactly.
    crops = {data[k].name: data[k].hr for data in splits for k in range(len(data))}
    rows = [
        torch.cat([crops[f"coffee_{row}_{column}"] for column in range(1, 8)], 2)
        for row in range(1, 6)
    ]
    with PIL.Image.open(locate("skimage/data/coffee.png")) as picture:
        small = picture.resize((120, 80), PIL.Image.Resampling.BICUBIC).crop((0, 0, 112, 80))
    difference = torch.cat(rows, 1) - torch.from_numpy(np.array(small)).permute(2, 0, 1) / 255
    assert difference.abs().max() < 0.02


def test_imagenet_halves_of_val(ilsvrc: Path, formats: Formats) -> None:
    halves = [
        imagenet(formats=formats, root=ilsvrc, split=split, size=24, seed=seed)
        for seed, split in enumerate(("validation", "test"))
    ]
    names = [{half[i].name for i in range(len(half))} for half in halves]
    assert not names[0] & names[1]
    assert len(names[0] | names[1]) == 12
    for half in halves:
        assert Counter(half[i].label for i in range(len(half))) == {0: 2, 1: 2, 2: 2}


def test_imagenet_flat_val(ilsvrc: Path, formats: Formats) -> None:
    root = ilsvrc.parent / "flat"
    for number in range(1, 7):
        _picture(root / "val" / f"ILSVRC2012_val_{number:08d}.JPEG")
    with pytest.raises(DataError, match=r"ground_truth\.txt: no such file; a flat val needs"):
        imagenet(formats=formats, root=root, split="test")
    _write_devkit(root)
    labels = {}
    for split in ("validation", "test"):
        data = imagenet(formats=formats, root=root, split=split, size=24)  # type: ignore[arg-type]
        labels |= {data[i].name[-6]: data[i].label for i in range(len(data))}
    assert labels == {"1": 0, "2": 0, "3": 1, "4": 2, "5": 2, "6": 1}


def test_imagenet_bad_trees(ilsvrc: Path, formats: Formats) -> None:
    how = r"nowhere.train: no such folder; register at https://image-net.org/.*imagenet/README"
    with pytest.raises(DataError, match=how):
        imagenet(formats=formats, root=ilsvrc / "nowhere", split="train")
    _picture(ilsvrc / "train/cats/1.JPEG")
    with pytest.raises(DataError, match="'cats' is not a class of ILSVRC2012; expected folders"):
        imagenet(formats=formats, root=ilsvrc, split="train")


def test_imagenet_bad_devkit(tmp_path: Path, formats: Formats) -> None:
    _picture(tmp_path / "val/ILSVRC2012_val_00000009.JPEG")
    _write_devkit(tmp_path)
    with pytest.raises(DataError, match=r"00000009\.JPEG: expected ILSVRC2012_val_00000001"):
        imagenet(formats=formats, root=tmp_path, split="test")
    devkit = tmp_path / "ILSVRC2012_devkit_t12/data"
    (devkit / "ILSVRC2012_validation_ground_truth.txt").write_text("77\n")
    with pytest.raises(DataError, match=r"not the devkit's: 77 is not a class ID in .*meta\.mat"):
        imagenet(formats=formats, root=tmp_path, split="test")
    (devkit / "meta.mat").write_text("damaged")
    with pytest.raises(DataError, match=r"meta\.mat: not the devkit's"):
        imagenet(formats=formats, root=tmp_path, split="test")


@pytest.mark.shared
def test_real_photos_as_an_imagenet_tree(tmp_path: Path, shared: Path, formats: Formats) -> None:
    (tmp_path / "train").symlink_to(shared / "data/photos")
    tree = imagenet(formats=formats, root=tmp_path, split="train")
    folder = image_folder(
        formats=formats,
        root=shared / "data/photos",
        labels=shared / "data/photos/labels.csv",
        classes="imagenet",
        size=256,
        start=-100,
    )
    assert (len(tree), len(folder)) == (700, 100)
    for index in (0, 50, 99):
        ours, theirs = folder[index], tree[600 + index]
        assert (ours.name, ours.label) == (theirs.name, theirs.label)
        assert torch.equal(ours.hr, theirs.hr)


# Sample photos ------------------------------------------------------------------------------


def test_sample_photos(formats: Formats, registry: Registry) -> None:
    factory = registry.get("datasets", "sample_photos").factory
    counts = {}
    for split in SPLITS:
        data = build(factory, {"split": split}, formats=formats)
        assert isinstance(data, Dataset)
        counts[split] = len(data)
        crops = [data[i] for i in range(len(data))]
        assert {sample.hr.shape for sample in crops} == {(3, 256, 256)}
        assert len({sample.name for sample in crops}) == len(crops)
        assert min(sample.hr.std().item() for sample in crops) > 0.01
    assert counts == {"train": 26, "validation": 3, "test": 13}
    pictures = [picture for split in SPLITS.values() for picture in split]
    assert len(set(pictures)) == len(pictures) == 11


@pytest.mark.parametrize("overlap", [0, 0.5])
def test_sample_crops_cover_a_picture(formats: Formats, overlap: float) -> None:
    """Evenly spaced squares of a picture that is reduced, never enlarged."""
    data = SamplePhotos(formats=formats, split="validation", zooms=[1, 9], overlap=overlap)
    flower = formats.read(locate("sklearn/datasets/images/flower.jpg")).pixels  # 427 x 640
    found = {sample.name: sample.hr for sample in (data[i] for i in range(len(data)))}
    starts = {0: ([85], [0, 384]), 0.5: ([0, 171], [0, 128, 256, 384])}[overlap]
    for row, top in enumerate(starts[0], start=1):
        for column, left in enumerate(starts[1], start=1):
            crop = flower[:, top : top + 256, left : left + 256]
            assert torch.equal(found[f"flower_427_{row}_{column}"], crop)
    whole = {name for name in found if "_256_" in name}
    assert len(found) == len(whole) + len(starts[0]) * len(starts[1])


def test_sample_photos_without_the_packages(
    formats: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"install srkit\[sample\]"):
        SamplePhotos(formats=formats, split="test")
