"""Compare restored compressed LR with compressed HR of the same file size."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import nn

from srkit.assembly.assembly import Assembly
from srkit.assembly.build import assemble
from srkit.assembly.device import memory_format, move, precision_on, set_up_process
from srkit.components.registry import Registry
from srkit.errors import DataError, OutputError, PluginError, RecipeError, SrkitError, WeightsError
from srkit.evaluation.evaluator import Evaluator, metric_infos
from srkit.evaluation.restorers import Restorer, baseline, baselines, image_of, network
from srkit.evaluation.run import load_networks
from srkit.interfaces import LossyFormat
from srkit.recipe.recipe import Recipe
from srkit.studies.compression.codecs import Codec
from srkit.studies.compression.results import (
    HR,
    ORIGINAL,
    Compression,
    ImageResult,
    Measurement,
    Setting,
)
from srkit.system.digests import add_tensors
from srkit.system.files import write_file
from srkit.system.progress import progress_bars
from srkit.system.untrusted import parse_json

#: The file that records the images measured so far.
JOURNAL = "images.jsonl"
#: Keys of a recipe that affect the results.
RELEVANT = ("seed", "scale", "channels", "degradation", "constraint", "teachers", "metrics")

Restorers = dict[Setting, Restorer]


def measure_compression(
    recipe: Recipe,
    registry: Registry,
    run: Path,
    *,
    source: str,
    console: Console,
    out: Path | None = None,
) -> list[tuple[Compression, Path]]:
    """Measure restored LR and HR at equal file size; an interrupted measurement is resumed.

    Parameters
    ----------
    recipe, registry
        The recipe, and the available components.
    run
        Run folder, whose best checkpoint is measured if there is one.
    source
        Name of the recipe in errors.
    console
        Where to show progress.
    out
        Output folder for the results of each image; by default ``compression/`` in the run folder.

    Returns
    -------
    list of tuple of Compression and Path
        The results and their folder, for each test set at each scale.

    Raises
    ------
    SrkitError
        If there are no test data or models, or the images are not in [0, 1].
    """
    process = set_up_process(recipe, source)
    if process.num_processes > 1:
        raise SrkitError("--task compression runs in a single process; start it without others")
    assembly = assemble(recipe, registry, source, splits=("test",))
    codecs, notes = _codecs(assembly, registry, source)
    networks = load_networks(assembly, run, trained=False)
    if not networks:
        raise WeightsError(
            f"{run}: contains no checkpoint, and the recipe names no weights; train first, set "
            "--run, or set start.weights"
        )
    move(assembly, process.device)
    for module in networks.values():
        layout: Any = memory_format(assembly, process.device)
        module.to(process.device).to(memory_format=layout).eval()
    results, several = [], len(assembly.by_scale) > 1
    precision = precision_on(recipe, process.device)[0]
    for part in assembly.by_scale.values():
        part.recipe.training.workers = 0  # few images are loaded at a time
        folder, title = out or run / "compression", recipe.name
        if several:
            folder, title = folder / f"x{part.scale}", f"{title} x{part.scale}"
        restorers = _restorers(part, networks, codecs)
        for place, dataset in part.data.items():
            name = place.partition(".")[2]  # empty if there is one set only
            images = _measure(
                Evaluator(part, dataset, process),
                restorers,
                codecs,
                folder / name / JOURNAL,
                _identity(recipe, place, networks, precision),
                console,
            )
            own_title = f"{title}: {name}" if name else title
            all_notes = [*notes, *dataset.notes]
            found = Compression(own_title, metric_infos(part), images, list(restorers), all_notes)
            results.append((found, folder / name))
    return results


def _codecs(
    assembly: Assembly, registry: Registry, source: str
) -> tuple[dict[str, Codec], list[str]]:
    """Build the formats, and check that the recipe can be measured.

    Returns
    -------
    codecs, notes
        The formats by name, and notes on formats that are not available.

    Raises
    ------
    RecipeError
        With everything that is wrong with the recipe.
    """
    recipe = assembly.recipe
    stretched = recipe.stretch is not None or recipe.channels not in (1, 3)
    checks = {
        "data.test: missing; there is nothing to compress": not assembly.data,
        "generator: missing; it restores the compressed images": assembly.generator is None,
        "stretch and channels: only grey or RGB images in [0, 1] can be compressed": stretched,
        "metrics: missing; add a metric such as psnr": not recipe.metrics,
    }
    problems = [problem for problem, found in checks.items() if found]
    codecs: dict[str, Codec] = {}
    notes: list[str] = []
    path = "evaluation.compression.formats"
    for place, name in enumerate(recipe.evaluation.compression.formats):
        try:
            factory = registry.get("image_formats", name).factory
        except PluginError as error:
            problems.append(f"{path}.{place}: {error}")
            continue
        try:
            built: Any = factory()
        except PluginError as error:
            notes.append(f"{name} is skipped: {error}")
            continue
        if isinstance(built, LossyFormat):
            codecs[name] = Codec(name, built)
        else:
            problems.append(f"{path}.{place}: '{name}' is lossless; choose jpeg, webp or avif")
    if not codecs and not problems:
        problems.append(f"{path}: none is available; {'; '.join(notes)}")
    if problems:
        raise RecipeError(source, problems)
    return codecs, notes


def _restorers(
    assembly: Assembly, networks: Mapping[str, nn.Module], codecs: Mapping[str, Codec]
) -> Restorers:
    """Return all settings with the functions that compute their images."""
    evaluation = assembly.recipe.evaluation
    models = {name: each for name, each in baselines(assembly).items() if name != ORIGINAL}
    models |= {name: network(module, assembly) for name, module in networks.items()}
    restorers: Restorers = {Setting("", 0, ORIGINAL): baseline(ORIGINAL)}
    restorers |= {Setting("", 0, name): model for name, model in models.items()}
    for name, codec in codecs.items():
        for quality in sorted(evaluation.compression.qualities):
            for model, restorer in models.items():
                restorers[Setting(name, quality, model)] = _compressed(codec, quality, restorer)
            compressed_hr = partial(codec.compress_hr, quality=quality)
            restorers[Setting(name, quality, HR)] = compressed_hr
    return restorers


def _compressed(codec: Codec, quality: int, restorer: Restorer) -> Restorer:
    return lambda batch: image_of(restorer(codec.compress_lr(batch, quality)))


def _measure(
    evaluator: Evaluator,
    restorers: Restorers,
    codecs: Mapping[str, Codec],
    journal: Path,
    identity: str,
    console: Console,
) -> list[ImageResult]:
    """Measure the images that the journal does not contain, a batch at a time."""
    total = len(evaluator.dataset)
    results = _read(journal, identity, console)
    missing = [index for index in range(total) if index not in results]
    if results and missing:
        console.print(f"{journal}: resumes after {len(results)} of {total} images", soft_wrap=True)
    step = evaluator.assembly.recipe.evaluation.batch_size
    with progress_bars(console) as bars:
        bar = bars.add_task(f"{len(restorers)} settings", total=total, completed=len(results))
        for start in range(0, len(missing), step):
            indices = missing[start : start + step]
            batch = _measure_images(evaluator, restorers, codecs, indices)
            results |= dict(zip(indices, batch, strict=True))
            _append(journal, [{"index": index, **results[index]} for index in indices])
            bars.update(bar, completed=len(results))
    return [results[index] for index in range(total)]


def _measure_images(
    evaluator: Evaluator,
    restorers: Restorers,
    codecs: Mapping[str, Codec],
    indices: Sequence[int],
) -> list[ImageResult]:
    pixels = []
    for index in indices:
        sample = evaluator.dataset[index]
        if tuple(sample.data_range) != (0.0, 1.0):
            raise DataError(
                f"{sample.name}: its values are not in [0, 1]; only such images can be compressed"
            )
        pixels.append(sample.hr[0].numel())
    by_name = {str(setting): restorer for setting, restorer in restorers.items()}
    found = evaluator.evaluate(by_name, title="", indices=indices)
    results = []
    for place, name in enumerate(found.names):
        settings: dict[str, Measurement] = {}
        for setting, model in zip(restorers, found.models, strict=True):
            size, reached = 0, True
            if setting.format:
                side = "HR" if setting.model == HR else "LR"
                size, reached = codecs[setting.format].files[side, setting.quality, name]
            values = {metric: float(each[place]) for metric, each in model.values.items()}
            settings[str(setting)] = Measurement(bytes=size, reached=reached, values=values)
        results.append(ImageResult(name=name, pixels=pixels[place], settings=settings))
    return results


def _identity(recipe: Recipe, place: str, networks: Mapping[str, nn.Module], precision: str) -> str:
    """Digest what affects the results; a journal with another digest is not resumed."""
    tree = recipe.dump()
    relevant = {key: tree.get(key) for key in RELEVANT}
    relevant["precision"] = precision
    relevant["test"] = recipe.data.sources()[place].model_dump(mode="json", exclude_none=True)
    relevant["evaluation"] = {
        key: value for key, value in tree["evaluation"].items() if key not in ("examples", "models")
    }
    digest = hashlib.sha256(json.dumps(relevant, sort_keys=True).encode())
    for name, module in networks.items():
        digest.update(name.encode("utf-8", "surrogateescape"))
        add_tensors(digest, module.state_dict())
    return digest.hexdigest()


def _read(journal: Path, identity: str, console: Console) -> dict[int, ImageResult]:
    """Read the complete lines of a journal, or start a new one if its identity is another."""
    lines: list[Any] = []
    with suppress(FileNotFoundError, ValueError):  # keep the lines before one cut off by a crash
        lines.extend(map(parse_json, journal.read_text("utf-8").splitlines()))
    whole: list[Any] = [line for line in lines if isinstance(line, dict)]
    if len(whole) < len(lines) or not all("index" in line for line in whole[1:]):
        lines = []  # a damaged journal is made again
    if not lines or lines[0].get("identity") != identity:
        if lines:
            console.print(
                f"{journal.parent}: overwriting results of other images, settings or weights; use "
                "--out to keep both",
                soft_wrap=True,
                highlight=False,
            )
        lines = [{"identity": identity}]
    write_file(journal, "".join(json.dumps(line) + "\n" for line in lines))
    return {line.pop("index"): line for line in lines[1:]}


def _append(journal: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    try:
        with journal.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(
            f"{journal}: cannot be written ({error}); free some space and run the same command to "
            "resume"
        ) from error
