"""`srkit data check`: what is wrong with images before they cost a training."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from rich.console import Console

from srkit.assembly.build import complete
from srkit.components.options import build, downloads
from srkit.components.registry import Registry
from srkit.data.truth import task_of
from srkit.dataprep.check.findings import JUDGES, Checked, Place
from srkit.dataprep.check.measures import Look, look_at
from srkit.dataprep.check.sources import Images, OfDataset, OfFolder
from srkit.dataprep.make import Split, build_data
from srkit.errors import DataError, RecipeError, SrkitError
from srkit.images.formats import Formats
from srkit.interfaces import Dataset, Task
from srkit.recipe.needs import references
from srkit.recipe.recipe import Recipe
from srkit.system.processes.workers import map_in_workers
from srkit.system.progress import progress_bars

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def check_recipe(
    recipe: Recipe, registry: Registry, source: str, console: Console, *, workers: int = 2
) -> Checked:
    """Check every data set of a recipe.

    Parameters
    ----------
    recipe, registry
        What to check, from which components.
    source
        Names the recipe in errors.
    console
        Where to show progress.
    workers
        Processes that read; 0: this one.

    Raises
    ------
    RecipeError
        If the recipe has no data, or a data set cannot be built.
    """
    images: dict[str, Images] = {}
    notes = []
    for split in SPLITS:
        if getattr(recipe.data, split) is not None:
            built = build_data(recipe, registry, split, source)
            parts = {split: built.dataset, f"{split}.mix": built.mixed}
            for part, dataset in parts.items():
                if dataset is not None:
                    images[part] = OfDataset(dataset, recipe.scales[0])
                    notes += [f"{part}: {note}" for note in dataset.notes]
    if not images:
        raise RecipeError(source, ["data: missing; the recipe has no images to check"])
    checked = Checked(recipe.name, images, notes=notes)
    checked.told = _classes_of_teachers(recipe, registry, source, notes)
    return _examine(checked, console, workers)


def _classes_of_teachers(
    recipe: Recipe, registry: Registry, source: str, notes: list[str]
) -> dict[str, tuple[Task, int]]:
    """Build the teachers that are here, and ask each for its task and number of classes."""
    recipe, components = complete(recipe, registry, source)
    supplied = {"channels": recipe.channels, "formats": Formats.of(registry)}
    told = {}
    for name, spec in recipe.teachers.items():
        factory = components[f"teachers.{name}"].factory
        if any(references(spec.options)) or downloads(factory, spec.options):
            notes.append(f"teachers.{name}: not here yet; nothing is compared with its classes")
            continue
        try:
            teacher = build(factory, spec.options, **supplied)
        except (ValueError, SrkitError) as error:
            raise RecipeError(source, [f"teachers.{name}: {error}"]) from error
        if teacher.classes:
            told[name] = (task_of(teacher), teacher.classes)
    return told


def check_folder(folder: str, registry: Registry, console: Console, *, workers: int = 2) -> Checked:
    """Check every image file below a folder, or every picture of a folder of shards.

    Parameters
    ----------
    folder
        Hidden files are skipped. ``shard-*.tar`` are read as the data set `webdataset`, which
        accepts an address, too, such as ``https://host/folder``.
    registry
        Supplies the image formats and the data set.
    console, workers
        See :func:`check_recipe`.

    Raises
    ------
    DataError
        If there is no image, or the shards have no index or are incomplete.
    """
    formats, served = Formats.of(registry), "://" in folder
    path = Path(folder) if served else Path(folder).resolve()
    if served or any(path.glob("shard-*.tar")):
        factory = registry.get("datasets", "webdataset").factory
        root = folder if served else str(path)
        dataset: Dataset = build(factory, {"root": root}, formats=formats)
        checked = Checked(path.name, {"shards": OfDataset(dataset, None)}, notes=[*dataset.notes])
    else:
        files = sorted(
            file
            for file in path.rglob("*")
            if file.is_file()
            and formats.knows(file)
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
        )
        if not files:
            raise DataError(f"{folder}: contains no image; known are {', '.join(formats.suffixes)}")
        checked = Checked(path.name, {"files": OfFolder(files, path, formats)})
    return _examine(checked, console, workers)


def _examine(checked: Checked, console: Console, workers: int) -> Checked:
    with progress_bars(console) as bars:
        for split, images in checked.images.items():
            task = bars.add_task(split, total=len(images))
            looks = checked.looks[split] = []
            measured = map_in_workers(partial(_measure, images), range(len(images)), workers)
            for index, found in enumerate(measured):
                if isinstance(found, SrkitError):
                    checked.errors[Place(split, index)] = str(found)
                    looks.append(None)
                else:
                    looks.append(found)
                bars.advance(task)
    for judge in JUDGES:
        checked.findings.extend(judge(checked))
    checked.findings.sort(key=lambda finding: not finding.problem)
    return checked


def _measure(images: Images, index: int) -> Look:
    return look_at(*images.read(index))
