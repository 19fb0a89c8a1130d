"""Compare the outputs of one model with their inputs, or several models on one image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from os.path import commonpath
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.functional.resizing import resized_side
from srkit.images._levels import is_measured
from srkit.images.formats import Formats
from srkit.interfaces import CalibratedFormat, Image, Metric
from srkit.models.open import open_model
from srkit.report._details import even_choice
from srkit.studies.compare.report import write_comparison
from srkit.studies.compare.results import Scene
from srkit.studies.compare.scenes import make_scene, restore
from srkit.studies.consistency.pairs import read_known, read_restored
from srkit.studies.metrics import build_metrics
from srkit.upscaling.files import describe_failure
from srkit.upscaling.jobs import Job
from srkit.upscaling.network import WantedPrecision
from srkit.upscaling.upscaler import ImageUpscaler
from srkit.upscaling.upscalers import AnyUpscaler

#: Most images on a page.
MOST = 12
#: Metrics that are measured if there is HR, of 8-bit and 16-bit images and of measured values.
LEVEL_METRICS, MEASURED_METRICS = ("psnr_y", "ssim_y"), ("psnr", "ssim", "mae")


def compare_outputs(
    jobs: Sequence[Job],
    upscalers: AnyUpscaler,
    registry: Registry,
    console: Console,
    *,
    metadata: Mapping[str, Any] | None = None,
) -> list[str]:
    """Write a page that shows outputs beside their inputs and a baseline.

    The page of one output is ``NAME_compare.html`` beside it; that of several is ``compare.html``
    in their common folder. Of many outputs, some that are evenly spread are shown.

    Parameters
    ----------
    jobs
        The images that were restored; those without an output are skipped.
    upscalers
        The upscalers that were used.
    registry
        The available components.
    console
        Where to print the path of the page, and errors.
    metadata
        Metadata that replace those of the files.

    Returns
    -------
    list of str
        One error for each file that failed.

    Raises
    ------
    OutputError
        If the page cannot be written.
    """
    restored = [job for job in jobs if job.target.path.is_file()]
    chosen = [restored[index] for index in even_choice(len(restored), MOST)] if restored else []
    scenes: list[Scene] = []
    models: dict[str, None] = {}
    failed: list[str] = []
    for job in chosen:
        try:
            one = read_restored(job, upscalers, metadata or {})[0]
            results, share = {one.model.name: one.sr}, 1 / len(chosen)
            scenes.append(make_scene(str(job), one.lr, results, one.scale, registry, share=share))
            models |= dict.fromkeys(results)
        except Exception as error:
            failed.append(describe_failure(job, error))
            console.print(f"[red]failed[/] {escape(failed[-1])}", soft_wrap=True)
    if scenes:
        few = f"Shown are {len(chosen)} of {len(restored)} images, evenly spread."
        lines = failed if len(chosen) == len(restored) else [few, *failed]
        page = write_comparison(_page_path(restored), scenes, list(models), {}, lines)
        console.print(f"page: {page}", highlight=False, soft_wrap=True)
    return failed


def _page_path(jobs: Sequence[Job]) -> Path:
    """Return the path of the page beside one output, or in the common folder of several."""
    if len(jobs) > 1:
        return Path(commonpath([job.target.path.parent.resolve() for job in jobs])) / "compare.html"
    target = jobs[0].target
    return target.path.with_name(f"{target.stem}_compare.html")


def compare_models(
    source: Path,
    references: Sequence[str],
    scale: float,
    formats: Formats,
    registry: Registry,
    *,
    reference: Path | None = None,
    centre: tuple[float, float] | None = None,
    precision: WantedPrecision = "auto",
    self_ensemble: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> tuple[Scene, list[str], dict[str, Metric]]:
    """Restore an image with several models, and draw a scene of the results.

    Parameters
    ----------
    source
        File of the image.
    references
        The models, as :func:`srkit.models.open.open_model` accepts them.
    scale
        Ratio of the sides of SR and LR, for all models.
    formats, registry
        The formats that can be read, and the available components.
    reference
        File of HR, with which the results are compared.
    centre
        As for :func:`srkit.studies.compare.scenes.make_scene`.
    precision, self_ensemble
        As for :class:`srkit.Upscaler`.
    metadata
        Metadata that replace those of the file.

    Returns
    -------
    scene, names, metrics
        The scene, the names of the models, and the metrics of their scores.

    Raises
    ------
    SrkitError
        If a model cannot be opened, or an image cannot be read or restored.
    """
    lr = read_known(formats.source(source), metadata or {})[0]
    hr = None if reference is None else _read_reference(reference, source, lr, scale, formats)
    results: dict[str, Image] = {}
    for given in references:
        model = open_model(given, registry, at_least=scale)
        name = model.name if model.name not in results else f"{model.name} ({given})"
        upscaler = ImageUpscaler(
            model, scale=scale, precision=precision, self_ensemble=self_ensemble
        )
        results[name] = restore(upscaler, lr)
    metrics: dict[str, Metric] = {}
    if hr is not None:
        names = MEASURED_METRICS if is_measured(lr) else LEVEL_METRICS
        channels = len(lr.pixels) if is_measured(lr) else 3
        metrics = build_metrics(names, registry, math.ceil(scale), channels)
    scene = make_scene(
        source.name,
        lr,
        results,
        scale,
        registry,
        reference=hr,
        metrics=metrics,
        centre=centre,
    )
    return scene, list(results), metrics


def _read_reference(path: Path, source: Path, lr: Image, scale: float, formats: Formats) -> Image:
    """Read HR in the values of LR."""
    file = formats.source(path)
    hr = read_known(file, {})[0]
    if is_measured(hr) != is_measured(lr):
        kind = "floating-point values" if is_measured(lr) else "integer levels"
        raise DataError(f"{path}: expected {kind}, as in {source}")
    channels, *sides = lr.pixels.shape
    expected = channels, *(resized_side(side, scale) for side in sides)
    if tuple(hr.pixels.shape) != expected:
        raise DataError(
            f"{path}: the reference is {_text(hr.pixels.shape)} (width x height x channels) but SR "
            f"is {_text(expected)}; they must have the same size"
        )
    pixels = hr.pixels
    if isinstance(file.format, CalibratedFormat):
        pixels = file.format.brightness(hr, pixels, scale)
    metadata = {key: hr.metadata[key] for key in ("bits", "alpha") if key in hr.metadata}
    return Image(pixels, lr.data_range, metadata)


def _text(shape: Sequence[int]) -> str:
    channels, height, width = shape
    return f"{width} x {height} x {channels}"
