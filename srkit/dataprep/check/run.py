"""`srkit data check`: find issues of images before training on them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from rich.console import Console

from srkit.assembly.build import assemble_parts
from srkit.components.crashes import explained
from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.data.truth import task_of
from srkit.dataprep.check.issues import DataCheck, ImageId, find_issues
from srkit.dataprep.check.measurements import Measurements, measure
from srkit.dataprep.check.sources import DatasetImages, FolderImages, Images
from srkit.dataprep.pairs import build_pairs
from srkit.errors import DataError, RecipeError, SrkitError
from srkit.images.formats import Formats
from srkit.interfaces import Dataset, Task
from srkit.recipe.recipe import Recipe
from srkit.system.processes.workers import map_in_workers
from srkit.system.progress import progress_bars


def check_recipe(
    recipe: Recipe, registry: Registry, source: str, console: Console, *, workers: int = 2
) -> DataCheck:
    """Check every data set of a recipe.

    Parameters
    ----------
    recipe, registry
        The recipe, and its components.
    source
        Name of the recipe in errors.
    console
        Where progress is shown.
    workers
        Worker processes that read; 0 reads in this process.

    Raises
    ------
    RecipeError
        If the recipe has no data, or a data set cannot be built.
    """
    images: dict[str, Images] = {}
    notes = []
    scale = recipe.scales[0]
    for split, chosen in recipe.data.sources().items():
        built = build_pairs(recipe, registry, split, source)
        parts = {split: built.dataset, f"{split}.mix": built.mixed}
        for part, dataset in parts.items():
            if dataset is not None:
                images[part] = DatasetImages(dataset, scale, crop=chosen.hr_crop(scale))
                notes += [f"{part}: {note}" for note in dataset.notes]
    if not images:
        raise RecipeError(source, ["data: missing; the recipe has no images to check"])
    teachers = _teachers(recipe, registry, source, notes)
    check = DataCheck(recipe.name, images, notes=notes, teachers=teachers)
    return _examine(check, console, workers)


def _teachers(
    recipe: Recipe, registry: Registry, source: str, notes: list[str]
) -> dict[str, tuple[Task, int]]:
    """Return task and number of classes of each teacher that can be built without a download."""
    keys = ("name", "scale", "channels", "teachers")
    built = assemble_parts(recipe.dump(), keys, registry, source, download=False).teachers
    notes += [
        f"teachers.{name}: not available yet; its classes are not checked"
        for name in recipe.teachers
        if name not in built
    ]
    return {name: (task_of(each), each.classes) for name, each in built.items() if each.classes}


def check_folder(
    folder: str, registry: Registry, console: Console, *, workers: int = 2
) -> DataCheck:
    """Check every image file below a folder, or every image of a folder of shards.

    Parameters
    ----------
    folder
        Hidden files are skipped. If it contains ``shard-*.tar``, it is read as a data set of the
        type `webdataset`; only such a folder can be an address, as ``https://host/folder``.
    registry
        Supplies image formats and data sets.
    console, workers
        See :func:`check_recipe`.

    Raises
    ------
    DataError
        If there is no image, or the shards are incomplete.
    """
    formats, is_address = Formats.of(registry), "://" in folder
    path = Path(folder) if is_address else Path(folder).resolve()
    if is_address or any(path.glob("shard-*.tar")):
        factory = registry.get("datasets", "webdataset").factory
        root = folder if is_address else str(path)
        dataset: Dataset = build(factory, {"root": root}, formats=formats, scale=1)
        shards = {"shards": DatasetImages(dataset, stored=True)}
        return _examine(DataCheck(path.name, shards, notes=[*dataset.notes]), console, workers)
    files = sorted(
        file
        for file in path.rglob("*")
        if file.is_file()
        and formats.knows(file)
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    if not files:
        known = ", ".join(formats.suffixes)
        raise DataError(f"{folder}: contains no images; known extensions: {known}")
    images = {"files": FolderImages(files, path, formats)}
    return _examine(DataCheck(path.name, images), console, workers)


def _examine(check: DataCheck, console: Console, workers: int) -> DataCheck:
    """Measure all images and find their issues."""
    with progress_bars(console) as bars:
        for split, images in check.images.items():
            measured: list[Measurements | None] = []
            results = map_in_workers(partial(_measure, images), range(len(images)), workers)
            for index, result in enumerate(bars.track(results, len(images), description=split)):
                if isinstance(result, SrkitError):
                    check.errors[ImageId(split, index)] = str(result)
                    measured.append(None)
                else:
                    measured.append(result)
            check.measured[split] = measured
    check.issues = find_issues(check)
    return check


def _measure(images: Images, index: int) -> Measurements:
    with explained():
        return measure(*images.read(index))
