"""Try a recipe on a few images before hours are spent on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from srkit.assembly.assembly import Assembly
from srkit.assembly.device import autocast, evaluating, prepare
from srkit.assembly.restore import postprocess
from srkit.data.batches import check_traits, stack
from srkit.data.crops import Drawn
from srkit.data.scales import set_scale
from srkit.data.survey import sizes_of, survey
from srkit.data.truth import truth_of
from srkit.errors import RecipeError, SrkitError
from srkit.evaluation.evaluator import Evaluator
from srkit.interfaces import Batch, Dataset, GroupedDataset, Sizes
from srkit.interfaces._contract import require_shape
from srkit.interfaces.view import View
from srkit.recipe.recipe import Recipe
from srkit.training.turns import adversarial_term, pixel_terms, teacher_terms, variance_terms
from srkit.training.views import view_in_training

#: Rows and columns of the LR image on which the generator is tried: different, and odd.
SIDES = (13, 17)


def rehearse(assembly: Assembly, process: PartialState, source: str, *, fetch: bool = True) -> None:
    """Compute losses on a few training samples, and metrics on an image of each other data set.

    This finds problems that only the data show: masks or boxes that a metric needs and the data
    lack, classes that a teacher does not have, images of several kinds, and components that
    violate their contracts. The generator runs on a small image only; elsewhere SR is LR, enlarged.
    The sizes of all samples are compared with crop and scale, if the data sets find them quickly.

    Parameters
    ----------
    assembly
        On the device of the process. What is not built, because it waits for a download or for
        another run, is not tried.
    process
        This process: its device, and how many share a batch.
    source
        Names the recipe in errors.
    fetch
        Whether to read data sets whose groups are on a server.

    Raises
    ------
    RecipeError
        With every problem, after the key of the recipe where it shows.
    """
    data = {
        place: dataset
        for place, dataset in assembly.data.items()
        if fetch or not isinstance(dataset, GroupedDataset) or dataset.local
    }
    surveyed = _survey(assembly, data, process)
    usable = data.keys() - surveyed.keys()  # problems are not reported twice
    problems = [problem for found in surveyed.values() for problem in found]
    with torch.no_grad(), evaluating(assembly):
        problems += _rehearse_generator(assembly, process.device)
        if "train" in usable:
            problems += _rehearse_training(assembly, process)
        for place in data:
            if place in usable and place != "train" and _is_whole(assembly):
                with _collecting(problems, f"data.{place}"):
                    Evaluator(assembly, data[place], process).rehearse()
    if problems:
        raise RecipeError(source, problems)


@contextmanager
def _collecting(problems: list[str], path: str) -> Iterator[None]:
    """Add an error to the problems."""
    try:
        yield
    except (SrkitError, ValueError) as error:
        problems.append(f"{path}: {error}")


def _survey(
    assembly: Assembly, data: Mapping[str, Dataset], process: PartialState
) -> dict[str, list[str]]:
    """Find the samples that cannot be used by their sizes; return problems by split.

    Only the main process looks, since the others share its files or its result.
    """
    found: dict[str, list[str]] = {}
    if process.is_main_process:
        for split in data:
            if problems := _survey_split(assembly, split, process):
                found[split] = problems
    (found,) = broadcast_object_list([found])
    return found


def _survey_split(assembly: Assembly, split: str, process: PartialState) -> list[str]:
    """Survey a data set and what is mixed into it, at every scale."""
    recipe, problems = assembly.recipe, list[str]()
    source = recipe.data.train if split == "train" else None
    measured: dict[int, Sizes | None] = {}
    for scale, part in assembly.by_scale.items():
        crop = None if source is None else source.hr_crop(scale)
        together = source is not None and crop is None and _per_part(recipe, process) > 1
        pairs = None if recipe.generator is None else scale
        for path, group in ((f"data.{split}", part.data), (f"data.{split}.mix", part.mixed_in)):
            dataset = group.get(split)
            if dataset is None:
                continue
            with _collecting(problems, path), assembly.blamed(f"{path}.dataset"):
                sizes = measured[id(dataset)] = measured.get(id(dataset)) or sizes_of(dataset)
                if sizes is not None:
                    found = survey(dataset, sizes, crop=crop, scale=pairs, equal=together)
                    problems += [f"{path}: {problem}" for problem in found]
    return list(dict.fromkeys(problems))  # scales may share a data set


def _per_part(recipe: Recipe, process: PartialState) -> int:
    """Return how many samples a process computes together."""
    parts: int = process.num_processes * recipe.training.accumulate
    return recipe.training.batch_size // parts


def _rehearse_training(assembly: Assembly, process: PartialState) -> list[str]:
    """Draw samples, check that they fit in one batch, and compute the losses on them."""
    together = _per_part(assembly.recipe, process) > 1
    draws = assembly.draws()[assembly.scale]
    problems: list[str] = []
    drawn: list[Drawn] = []
    with _collecting(problems, "data.train"):
        drawn += draws.examples()
        if together:
            check_traits([item.sample for item in drawn])
        # Of a single image, two crops are in one batch.
        parts = [drawn * (2 // len(drawn))] if together else [[item] for item in drawn]
        for part in parts:
            _compute_losses(assembly, process.device, stack(part))
    with _collecting(problems, "data.train.mix"):
        mixed = drawn[:1] + draws.mixed_in_examples()
        if together and mixed:
            check_traits([item.sample for item in mixed])
    return problems


def _rehearse_generator(assembly: Assembly, device: torch.device) -> list[str]:
    """Check the size of SR at every scale."""
    problems: list[str] = []
    generator = assembly.generator
    if generator is None:
        return problems
    lr = torch.zeros(1, assembly.recipe.channels, *SIDES, device=device)
    for scale, part in assembly.by_scale.items():
        set_scale(generator, scale)
        with _collecting(problems, "generator"), autocast(part, device):
            part.checked(generator)(lr)
    set_scale(generator, assembly.scale)
    return problems


def _compute_losses(assembly: Assembly, device: torch.device, batch: Batch) -> None:
    """Compute the terms of all turns that depend on the data, if all components are built."""
    if not _is_whole(assembly):
        return
    batch = assembly.augmented(prepare(batch, assembly, device))
    with assembly.blamed("stretch"):
        view = View.of(batch, assembly.stretch)
        seen = view.stretched
        require_shape(seen.hr, batch.hr.shape, "the stretched images")
    with autocast(assembly, device):
        if seen.lr is not None:
            with assembly.blamed("constraint"):
                sr = postprocess(seen.lr, view, assembly.constraint)
            average = None if assembly.recipe.training.ema is None else (lambda lr: lr)
            pixel_terms(assembly, sr, view_in_training(view, assembly, average))
            teacher_terms(assembly, sr, seen)
            variance_terms(assembly, sr, torch.zeros_like(sr), seen)
            adversarial_term(assembly, sr, seen)
        for name, spec in assembly.recipe.teachers.items():
            if spec.trainable:
                answer = assembly.answer(name, seen.hr)
                truth_of(answer.logits, seen, f"trained teacher '{name}'")


def _is_whole(assembly: Assembly) -> bool:
    """Return whether everything that losses and metrics depend on is built."""
    recipe = assembly.recipe
    parts = ("generator", "degradation", "stretch", "constraint")
    return (
        assembly.teachers.keys() == recipe.teachers.keys()
        and assembly.losses.keys() == recipe.losses.keys()
        and assembly.metrics.keys() == recipe.metrics.keys()
        and all((getattr(recipe, p) is None) == (getattr(assembly, p) is None) for p in parts)
    )
