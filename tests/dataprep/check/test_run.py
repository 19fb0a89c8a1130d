"""`srkit data check`, from recipes and folders to the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pictures
from rich.console import Console
from shards_setup import make_photos, make_shards
from skimage import data
from typer.testing import CliRunner
from web_server import Web, serving

from srkit.cli import app
from srkit.components.registry import Registry
from srkit.dataprep.check.report import summary
from srkit.dataprep.check.run import check_folder, check_recipe
from srkit.errors import DataError, RecipeError
from srkit.images.formats import Formats
from srkit.recipe.recipe import load_recipe

RECIPE = """
name: small
scale: 2
degradation: {type: bicubic}
generator: {type: srcnn}
losses: {l1: {}}
data:
  train: {dataset: {type: image_folder, root: ROOT/train}}
  test: {dataset: {type: image_folder, root: ROOT/test}}
training: {duration: 1}
"""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two splits with two pictures in common, one of them smaller; and a truncated file."""
    scenes = [data.astronaut()[:128, :128], data.coffee()[:128, :160], data.chelsea()[:100, :100]]
    for split, chosen in (("train", (0, 1)), ("test", (1, 2))):
        (tmp_path / split).mkdir()
        for number in chosen:
            Pictures.fromarray(scenes[number]).save(tmp_path / split / f"{number}.png")
    whole = (tmp_path / "train" / "0.png").read_bytes()
    (tmp_path / "train" / "cut.png").write_bytes(whole[:2000])
    smaller = Pictures.fromarray(scenes[0]).resize((96, 96))
    smaller.save(tmp_path / "test" / "small.jpg", quality=80)
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("ROOT", str(tmp_path)))
    return tmp_path


MIXED = "data.train.mix={dataset: {type: image_folder, root: ROOT/train}, share: 0.5}"


@pytest.mark.parametrize("workers", [0, 1])
def test_the_data_sets_of_a_recipe(pictures: Path, registry: Registry, workers: int) -> None:
    recipe = load_recipe(pictures / "recipe.yaml")
    console = Console(quiet=True)
    check = check_recipe(recipe, registry, "recipe.yaml", console, workers=workers)
    kinds = [(issue.kind, issue.problem) for issue in check.issues]
    assert kinds == [("corrupt", True), ("duplicate", True), ("alike", True)]
    corrupt, duplicate, alike = check.issues
    assert corrupt.details[0].startswith(f"{pictures}/train/cut.png: ")
    assert duplicate.details == ["train: 1.png = test: 1.png"]
    assert alike.details == ["train: 0.png = test: small.jpg"]


def test_mixed_in_images_are_checked(pictures: Path, registry: Registry) -> None:
    recipe = load_recipe(pictures / "recipe.yaml", [MIXED.replace("ROOT", str(pictures))])
    check = check_recipe(recipe, registry, "recipe.yaml", Console(quiet=True), workers=0)
    assert list(check.images) == ["train", "train.mix", "test"]
    reported = {(one.kind, one.problem): one.details for one in check.issues}
    # Only images that are used for training and for tests are a leak.
    assert "train: 0.png = train.mix: 0.png" in reported["duplicate", False]
    assert reported["duplicate", True] == ["train: 1.png = train.mix: 1.png = test: 1.png"]


def test_images_smaller_than_the_crop(pictures: Path, registry: Registry) -> None:
    Pictures.fromarray(data.chelsea()[:60, :100]).save(pictures / "train" / "low.png")
    recipe = load_recipe(pictures / "recipe.yaml", ["data.train.crop=32 LR"])
    check = check_recipe(recipe, registry, "recipe.yaml", Console(quiet=True), workers=0)
    (small,) = [issue for issue in check.problems if issue.kind == "small"]
    assert small.text == "1 image smaller than the crop of 64"
    assert small.details == ["train: low.png: 100x60"]  # those of the test set are not cropped


def test_a_folder_and_its_report(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(pictures / "train" / "values.npy", np.full((8, 8), np.nan, np.float32))
    monkeypatch.chdir(pictures)
    found = CliRunner().invoke(app, ["data", "check", "train", "--workers", "0"])
    assert found.exit_code == 1, found.output
    lines = found.output.splitlines()
    assert lines[0] == "files: 4 images, 8-160 x 8-128 pixels, values from 0 to 0.9647"
    assert "problem 1 image cannot be read" in lines
    assert (
        "note files: several kinds of images: 2 with 3 channels, 8 bits; 1 with 1 channel, 32 bits"
        in lines
    )
    assert lines[-1] == "report: data_check-train/report.html"
    folder = pictures / "data_check-train"
    report = json.loads((folder / "check.json").read_text())
    assert report["images"] == {"files": 4}
    assert report["problems"] == 3
    rows = (folder / "images.csv").read_text().splitlines()
    assert rows[0].startswith("split,index,name,width,height,channels,")
    assert rows[1].startswith("files,0,0.png,128,128,3,,,,8 bits,")
    assert len(rows) == 5
    page = (folder / "report.html").read_text()
    assert '<h2 id="issue-1">Problem: 1 image cannot be read</h2>' in page
    assert page.count("data:image/png;base64,") == 3  # two images of findings, and the figure
    with Pictures.open(folder / "images.png") as figure:
        assert figure.width > 600


@pytest.mark.parametrize("served", [False, True])
def test_shards_by_folder_and_address(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch, served: bool
) -> None:
    photos = make_photos(tmp_path / "photos")
    (photos / "b" / "again.jpg").write_bytes((photos / "a" / "00.jpg").read_bytes())
    (photos / "c" / "cut.jpg").write_bytes(b"no picture")
    shards = tmp_path / "shards"
    make_shards(photos, shards, Formats.of(registry))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SRKIT_CACHE", str(tmp_path / "cache"))
    web = Web({f"/shards/{p.name}": p.read_bytes() for p in shards.iterdir() if p.is_file()})
    with serving(web):
        given = f"{web.address}/shards/" if served else "shards"
        found = CliRunner().invoke(app, ["data", "check", given, "--workers", "0"])
    assert found.exit_code == 0, found.output
    report = json.loads((tmp_path / "data_check-shards" / "check.json").read_text())
    assert [finding["kind"] for finding in report["findings"]] == ["duplicate"]
    assert report["images"] == {"shards": 13}
    assert "/shards" in report["notes"][0]
    assert "cut.jpg: begins with" in report["notes"][0]


def test_masks_are_compared_with_the_teacher(tmp_path: Path, registry: Registry) -> None:
    make_photos(tmp_path / "photos", count=3, classes=1)
    (tmp_path / "masks" / "a").mkdir(parents=True)
    for number in range(3):
        with Pictures.open(tmp_path / "photos" / "a" / f"{number:02d}.jpg") as picture:
            mask = np.zeros((picture.height, picture.width), np.uint8)
        mask[2:5, 2:9] = 1 if number < 2 else 4
        Pictures.fromarray(mask).save(tmp_path / "masks" / "a" / f"{number:02d}.png")
    dataset = f"{{type: segmentation_folder, root: {tmp_path}/photos, masks: {tmp_path}/masks}}"
    changes = [
        f"data={{test: {{dataset: {dataset}}}}}",
        "teachers={net: {type: unet, weights: random, classes: 2}}",
    ]
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    recipe = load_recipe(tmp_path / "recipe.yaml", changes)
    recipe.data.train = None
    check = check_recipe(recipe, registry, "recipe.yaml", Console(quiet=True), workers=0)
    (problem,) = check.problems
    assert problem.text == "1 image with classes that teacher 'net' does not have"
    assert list(problem.details) == ["a/02.jpg: 4; expected 0 to 1"]
    assert summary(check, "test").endswith(", masks of classes 0, 1, 4")


def test_shards_that_are_not_finished(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = tmp_path / "shards"
    make_shards(make_photos(tmp_path / "photos"), shards, Formats.of(registry))
    (shards / "index.json").unlink()
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(app, ["data", "check", "shards"])
    assert isinstance(found.exception, DataError)
    expected = f"{shards / 'index.json'}: no such file; make the shards"
    assert str(found.exception).startswith(expected)


def test_several_kinds_of_pictures_in_shards(tmp_path: Path, registry: Registry) -> None:
    photos = make_photos(tmp_path / "photos", count=3, classes=1)
    with Pictures.open(photos / "a" / "00.jpg") as picture:
        picture.convert("L").save(photos / "a" / "grey.png")
    make_shards(photos, tmp_path / "shards", Formats.of(registry))
    check = check_folder(str(tmp_path / "shards"), registry, Console(quiet=True), workers=0)
    (kinds,) = [issue for issue in check.issues if issue.kind == "kinds"]
    assert kinds.text == (
        "shards: several kinds of images: 3 with 3 channels, 8 bits; 1 with 1 channel, 8 bits"
    )


def test_a_shard_whose_content_changed(tmp_path: Path, registry: Registry) -> None:
    shards = tmp_path / "shards"
    make_shards(make_photos(tmp_path / "photos"), shards, Formats.of(registry))
    place = shards / "shard-000000.tar"
    content = bytearray(place.read_bytes())
    content[700] ^= 255
    place.write_bytes(content)
    check = check_folder(str(shards), registry, Console(quiet=True), workers=0)
    (error,) = check.errors.values()
    assert "the checksum of sample 0 is wrong" in error


def test_good_data_exits_with_0(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pictures)
    (pictures / "test" / "small.jpg").unlink()
    found = CliRunner().invoke(app, ["data", "check", "test", "--out", "report", "--workers", "0"])
    assert found.exit_code == 0, found.output
    assert "no issues found" in found.output
    assert (pictures / "report" / "report.html").is_file()


def test_a_recipe_of_data_alone(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pictures)
    (pictures / "train" / "cut.png").unlink()
    train = "data: {train: {dataset: {type: image_folder, root: train}}}\n"
    (pictures / "my data.yaml").write_text(f"scale: 2\n{train}")
    command = ["data", "check", "my data.yaml", "--workers", "0"]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 0, found.output
    assert (pictures / "data_check-my_data" / "report.html").is_file()
    found = CliRunner().invoke(app, [*command, "data.train.dataset.root=nowhere"])
    assert isinstance(found.exception, RecipeError)  # of the data, not of what is missing
    (problem,) = found.exception.problems
    assert problem.startswith("data.train.dataset: nowhere: no such folder")


def test_data_that_cannot_be_checked(
    pictures: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(quiet=True)
    (pictures / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: contains no images; known extensions: "):
        check_folder(str(pictures / "empty"), registry, console)
    recipe = load_recipe(pictures / "recipe.yaml", ["data.test.dataset.root=nowhere"])
    with pytest.raises(RecipeError, match=r"data.test.dataset: nowhere: no such folder"):
        check_recipe(recipe, registry, "recipe.yaml", console)
    monkeypatch.chdir(pictures)
    found = CliRunner().invoke(app, ["data", "check", "train", "a=1"])
    assert isinstance(found.exception, SystemExit)
    assert found.exit_code == 1
