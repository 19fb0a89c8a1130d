"""Pages that compare what was made of images with their inputs, as one file each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import commonpath
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.images.levels import is_measured
from srkit.interfaces import CalibratedFormat, Image, Metric
from srkit.models.open import open_model
from srkit.report.metric_info import MetricInfo
from srkit.report.pages import render_page
from srkit.report.squares import even_choice
from srkit.report.tables import format_value, heading
from srkit.studies.compare.scenes import Scene, Subject, check_reference, make_scene
from srkit.studies.consistency.pairs import read_known, read_restored
from srkit.studies.metrics import build_metrics
from srkit.system.files import write_file
from srkit.upscaling.files import Job, name_error, split
from srkit.upscaling.opacity import upscale_picture
from srkit.upscaling.sizing import Sized
from srkit.upscaling.upscaler import ImageUpscaler, Precision

#: Images that a page shows.
MOST = 12
#: What is measured where there is HR, of photographs and of other images.
PICTURE_METRICS, OTHER_METRICS = ("psnr_y", "ssim_y"), ("psnr", "ssim", "mae")


@dataclass(frozen=True, slots=True)
class Cell:
    """A score in a table."""

    text: str
    best: bool


def compare_outputs(
    jobs: Sequence[Job],
    upscalers: Sized,
    formats: Formats,
    registry: Registry,
    console: Console,
    *,
    metadata: Mapping[str, Any] | None = None,
) -> list[str]:
    """Write a page that shows outputs beside their inputs and a baseline.

    One output gets ``NAME_compare.html`` beside it, several ``compare.html`` in the folder that
    they share; of many, some are shown, evenly spread.

    Parameters
    ----------
    jobs
        What was restored; one whose output is not there is left out.
    upscalers
        What restored it.
    formats, registry
        What reads files, and where the baseline comes from.
    console
        Is told where the page is, and what failed.
    metadata
        What the user says of all images in place of their files.

    Returns
    -------
    list of str
        What went wrong, a line for each file.

    Raises
    ------
    OutputError
        If the page cannot be written.
    """
    there = [job for job in jobs if job.target.is_file()]
    chosen = [there[index] for index in even_choice(len(there), MOST)] if there else []
    scenes: list[Scene] = []
    models: list[str] = []
    failed: list[str] = []
    for job in chosen:
        try:
            subject = _subject(job, upscalers, formats, metadata or {})
            scenes.append(make_scene(subject, registry, {}, share=1 / len(chosen)))
            models += subject.results
        except Exception as error:
            failed.append(name_error(job, error))
            console.print(f"[red]failed[/] {escape(failed[-1])}", soft_wrap=True)
    if scenes:
        some = f"{len(chosen)} of {len(there)} images, evenly spread, are shown."
        lines = failed if len(chosen) == len(there) else [some, *failed]
        page = write_page(_page_of(there, formats), scenes, list(dict.fromkeys(models)), {}, lines)
        console.print(f"page: {page}", highlight=False, soft_wrap=True)
    return failed


def _page_of(jobs: Sequence[Job], formats: Formats) -> Path:
    """Name the page beside one output, or in the folder that several share."""
    if len(jobs) > 1:
        return Path(commonpath([job.target.parent.resolve() for job in jobs])) / "compare.html"
    target = jobs[0].target
    return target.with_name(f"{split(target.name, formats)[0]}_compare.html")


def _subject(job: Job, upscalers: Sized, formats: Formats, metadata: Mapping[str, Any]) -> Subject:
    def scale_of(lr: Image) -> float:
        return upscalers.for_image(lr).scale

    one = read_restored(job.source, job.target, scale_of, formats, metadata)[0]
    model = upscalers.for_image(one.lr).model
    return Subject(str(job), one.lr, {model.name: one.sr}, one.scale)


def compare_models(
    source: Path,
    references: Sequence[str],
    scale: float,
    formats: Formats,
    registry: Registry,
    *,
    reference: Path | None = None,
    centre: tuple[float, float] | None = None,
    precision: Precision = "auto",
    self_ensemble: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> tuple[list[Scene], list[str], dict[str, Metric]]:
    """Restore an image with several models, to be shown side by side.

    Parameters
    ----------
    source
        File of the image.
    references
        Models as :func:`srkit.models.open.open_model` takes them.
    scale
        SR pixels for each LR pixel along a side, for all.
    formats, registry
        What reads files, and where models come from.
    reference
        File of HR, by which each is measured.
    centre
        See :func:`srkit.studies.compare.scenes.make_scene`.
    precision, self_ensemble
        As :class:`srkit.upscaling.upscaler.ImageUpscaler` has them.
    metadata
        What the user says of the image in place of its file.

    Returns
    -------
    scenes, names, metrics
        For :func:`write_page`.

    Raises
    ------
    SrkitError
        If a model or an image cannot be used.
    """
    lr = read_known(source, formats, metadata or {})[0]
    hr = None if reference is None else _read_reference(reference, source, lr, scale, formats)
    results: dict[str, Image] = {}
    for given in references:
        model = open_model(given, registry, at_least=scale)
        upscaler = ImageUpscaler(
            model, scale=scale, precision=precision, self_ensemble=self_ensemble
        )
        name = model.name if model.name not in results else f"{model.name} ({given})"
        upscaled, alpha = upscale_picture(upscaler, lr)
        known = {"bits": lr.metadata.get("bits", 32)}
        known |= {} if alpha is None else {"alpha": alpha}
        results[name] = Image(upscaled.pixels, lr.data_range, known)
    metrics: dict[str, Metric] = {}
    if hr is not None:
        names = OTHER_METRICS if is_measured(lr) else PICTURE_METRICS
        channels = len(lr.pixels) if is_measured(lr) else 3
        metrics = build_metrics(names, registry, math.ceil(scale), channels)
    subject = Subject(source.name, lr, results, scale, hr)
    try:
        scene = make_scene(subject, registry, metrics, centre=centre)
    except DataError as error:
        raise DataError(f"{reference or source}: {error}") from error
    return [scene], list(results), metrics


def _read_reference(path: Path, source: Path, lr: Image, scale: float, formats: Formats) -> Image:
    """Read HR in the values of LR."""
    hr = read_known(path, formats, {})[0]
    if is_measured(hr) != is_measured(lr):
        kinds = "floats" if is_measured(lr) else "levels of grey"
        raise DataError(f"{path}: expected {kinds}, as in {source}")
    try:
        check_reference(hr, lr, scale)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    image_format, pixels = formats.of_path(path), hr.pixels
    if isinstance(image_format, CalibratedFormat):
        pixels = image_format.brightness(hr, pixels, scale)
    metadata = {key: hr.metadata[key] for key in ("bits", "alpha") if key in hr.metadata}
    return Image(pixels, lr.data_range, metadata)


def write_page(
    path: Path,
    scenes: Sequence[Scene],
    models: Sequence[str],
    metrics: Mapping[str, Metric],
    lines: Sequence[str] = (),
) -> Path:
    """Write a page that holds everything it shows.

    Parameters
    ----------
    path
        The page.
    scenes
        What it shows.
    models
        Names for its title.
    metrics
        What the scores of the scenes are.
    lines
        What else the reader should know.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    infos = [MetricInfo.of(name, metric) for name, metric in metrics.items()]
    count = "1 image" if len(scenes) == 1 else f"{len(scenes)} images"
    text = render_page(
        "compare.html",
        package="srkit.studies.compare",
        title=", ".join(models),
        summary=f"{count}, beside the input and bicubic interpolation",
        scenes=scenes,
        metrics=infos,
        headings=[heading(info) for info in infos],
        scores=[_table(scene, infos) for scene in scenes],
        lines=list(lines),
    )
    return write_file(path, text)


def _table(scene: Scene, metrics: Sequence[MetricInfo]) -> list[tuple[str, list[Cell]]]:
    """Lay out the scores of a scene, a row for each view that has them."""
    measured = [view for view in scene.views if view.scores]
    rows = []
    for view in measured:
        cells = []
        for metric in metrics:
            values = [each.scores[metric.name] for each in measured]
            best = max(values) if metric.higher_is_better else min(values)
            value = view.scores[metric.name]
            cells.append(Cell(format_value(metric, value), value == best))
        rows.append((view.name, cells))
    return rows
