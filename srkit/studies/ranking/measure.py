"""Rank models: what each makes of the same pictures, and what it costs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srkit.components.crashes import describe, wants_traceback
from srkit.components.options import build, downloads
from srkit.components.registry import Registry
from srkit.errors import DataError, PluginError, SrkitError
from srkit.evaluation.results import Evaluation, ModelResult
from srkit.evaluation.statistics import standing
from srkit.images.formats import Formats
from srkit.images.levels import rounded
from srkit.interfaces import Batch, Metric, TeacherMetric
from srkit.models.anatomy import count_multiply_adds, count_parameters
from srkit.models.open import INTERPOLATIONS, Interpolation, Model, open_model
from srkit.report.colour_scales import brightness_scale
from srkit.report.metric_info import MetricInfo
from srkit.report.pictures import Pixels, to_picture
from srkit.report.squares import even_choice, most_detailed
from srkit.studies.ranking.bootstrap import FEW, Difference, paired_difference
from srkit.studies.ranking.results import Cost, Ranking, View
from srkit.studies.ranking.testset import Pair, TestSet
from srkit.system.memory import PeakMemory
from srkit.upscaling.tiling import LARGEST
from srkit.upscaling.upscaler import ImageUpscaler, Precision, as_bands

#: What is measured unasked, of photographs and of other images; those whose weights would have to
#: be downloaded are left out.
PICTURE_METRICS = ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "lpips", "dists", "niqe")
OTHER_METRICS = ("psnr", "ssim", "mae")
#: Multiply-adds are counted on so many LR pixels a side, and told for a picture of this size.
COUNTED, TOLD = 64, (1280, 720)
ENSEMBLE = " + self-ensemble"

Floats = NDArray[np.float64]
Report = Callable[[str, int, int], None]


def default_metrics(pair: Pair, registry: Registry) -> list[str]:
    """Name what is measured of such images unless the user says what."""
    names = PICTURE_METRICS if pair.is_picture else OTHER_METRICS
    known = set(registry.names("metrics"))
    return [name for name in names if name in known and _available(registry, name)]


def _available(registry: Registry, name: str) -> bool:
    return not downloads(registry.get("metrics", name).factory, {})


def build_metrics(
    names: Sequence[str], registry: Registry, scale: int, channels: int
) -> dict[str, Metric]:
    """Build metrics with their default options.

    Raises
    ------
    PluginError
        If a name is unknown, or the metric judges by a teacher, which only a recipe has.
    SrkitError
        If one cannot be built, as for want of its weights.
    """
    supplied: dict[str, Any] = {"scale": scale, "channels": channels}
    metrics: dict[str, Metric] = {}
    for name in names:
        factory = registry.get("metrics", name).factory
        metric = build(factory, {}, **supplied, formats=Formats.of(registry))
        if isinstance(metric, TeacherMetric):
            raise PluginError(f"metric '{name}' judges by a teacher; 'srkit eval' can measure it")
        metrics[name] = metric
    return metrics


def common_scale(references: Sequence[str], registry: Registry) -> int:
    """Take the scale of the first model that has one of its own.

    Raises
    ------
    DataError
        If none can be opened, or all are interpolations.
    """
    for reference in references:
        if reference not in INTERPOLATIONS:
            try:
                return open_model(reference, registry).scale
            except SrkitError:
                continue  # it is named among the failures
    raise DataError("no model tells the scale; give it: --scale 4")


def rank(
    references: Sequence[str],
    testset: TestSet,
    registry: Registry,
    *,
    metrics: Sequence[str] | None = None,
    by: str | None = None,
    precision: Precision = "fp32",
    self_ensemble: bool = False,
    examples: int = 4,
    seed: int = 0,
    device: torch.device | None = None,
    report: Report = lambda name, done, total: None,
) -> Ranking:
    """Measure models on the same pictures.

    Parameters
    ----------
    references
        Models by any name that :func:`srkit.models.open.open_model` takes.
    testset
        The pictures.
    registry
        Where components come from.
    metrics
        Their names; by default those of the field for photographs.
    by
        The one that ranks; the first by default.
    precision
        That networks run in.
    self_ensemble
        Measure each network a second time, averaged over eight flips and turns.
    examples
        Pictures of the set, evenly spread, for the sheet.
    seed
        Of the bootstrap.
    device
        Where to compute; a GPU if there is one.
    report
        Called with the model's name and the number of pictures done and in all.

    Returns
    -------
    Ranking
        Models that failed are named in it.

    Raises
    ------
    DataError
        If a picture cannot be read or measured.
    PluginError
        If a metric is unknown.
    SrkitError
        If no model could be ranked.
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    first = testset[0]
    chosen = list(dict.fromkeys(metrics or default_metrics(first, registry)))
    by = by or chosen[0]
    chosen += [] if by in chosen else [by]
    built = build_metrics(chosen, registry, testset.scale, len(first.hr.pixels))
    judge = _Judge(testset, built, even_choice(len(testset), examples), device)
    failures: dict[str, str] = {}
    for reference in dict.fromkeys(references):
        for ensemble in (False, True) if self_ensemble else (False,):
            if ensemble and (reference in INTERPOLATIONS or reference in failures):
                continue
            try:
                judge.measure(reference, registry, precision, ensemble, report)
            except SrkitError as error:
                failures[reference + ENSEMBLE * ensemble] = str(error)
            except Exception as error:  # a plugin's fault, or no memory: it stops no other model
                if wants_traceback():
                    raise
                failures[reference + ENSEMBLE * ensemble] = describe(error)
    if not judge.results:
        reasons = "\n  ".join(f"{name}: {why}" for name, why in failures.items())
        raise SrkitError(f"no model could be ranked\n  {reasons}")
    return _ranking(judge, by, failures, precision, seed)


@dataclass(slots=True)
class _Judge:
    """Measures model after model on the same pictures, and keeps what it found."""

    testset: TestSet
    metrics: dict[str, Metric]
    shown: Sequence[int]
    device: torch.device
    names: list[str] = field(init=False)
    views: dict[int, View] = field(init=False)
    largest: int = field(init=False)
    results: dict[str, ModelResult] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # All pictures are read once, so that what is wrong with them is no model's fault.
        self.names, self.views, sizes = [], {}, []
        for index, pair in enumerate(self.testset):
            self.names.append(pair.name)
            sizes.append(pair.lr.pixels.numel())
            if index in self.shown:
                self.views[index] = _view(index, pair)
        self.largest = int(np.argmax(sizes))
        smallest = self.testset[int(np.argmin(sizes))]
        self._values(smallest.hr.pixels.float(), smallest)

    def measure(
        self,
        reference: str,
        registry: Registry,
        precision: Precision,
        ensemble: bool,
        report: Report,
    ) -> None:
        """Open a model, and restore and measure every picture."""
        large = self.testset[self.largest].lr
        memory = PeakMemory(self.device)
        model = open_model(reference, registry, scale=self.testset.scale)
        name = model.name + ENSEMBLE * ensemble
        if name in self.results:  # two of one name are told apart by how the user named them
            name = f"{name} ({reference})"
        upscaler = ImageUpscaler(
            model,
            precision=precision,
            self_ensemble=ensemble,
            tile=LARGEST,  # pictures of the field are restored whole
            device=self.device,
        )
        with memory:  # what it does once, it does untimed
            upscaler(large)
        values, crops, seconds = self._restore(upscaler, name, report)
        passes = len(as_bands(large.pixels, model.channels, [])) * (8 if ensemble else 1)
        cost = Cost(*_count(model, passes), seconds / len(self.testset), memory.peak)
        self.results[name], self.costs[name] = ModelResult(name, values, None, seconds), cost
        for index, crop in crops.items():
            self.views[index].models[name] = crop

    def _restore(
        self, upscaler: ImageUpscaler, name: str, report: Report
    ) -> tuple[dict[str, Floats], dict[int, Pixels], float]:
        """Restore every picture: values of the metrics, squares for the sheet, seconds in all."""
        values: dict[str, list[float]] = {metric: [] for metric in self.metrics}
        crops, seconds = {}, 0.0
        for index, pair in enumerate(self.testset):
            report(name, index, len(self.testset))
            start = time.perf_counter()
            pixels = upscaler(pair.lr).pixels
            seconds += time.perf_counter() - start
            sr = rounded(pixels, pair.hr) if pair.is_picture else pixels
            for metric, value in self._values(sr, pair).items():
                values[metric].append(value)
            if index in self.views:
                crops[index] = self.views[index].box.cut(_shown(sr, pair))
        return {metric: np.array(each) for metric, each in values.items()}, crops, seconds

    def _values(self, sr: Tensor, pair: Pair) -> dict[str, float]:
        batch = _batch(pair).to(self.device, torch.contiguous_format)
        found = {}
        for name, metric in self.metrics.items():
            try:
                value = metric(sr[None].to(self.device), batch)
            except ValueError as error:
                raise DataError(f"metric '{name}' on {pair.name}: {error}") from error
            found[name] = float(value)
        return found


def _batch(pair: Pair) -> Batch:
    hr, metadata = pair.hr, pair.hr.metadata
    return Batch(
        names=[pair.name],
        hr=hr.pixels[None].float(),
        seeds=[0],
        lr=pair.lr.pixels[None].float(),
        data_range=hr.data_range,
        pixel_scale=metadata.get("pixel_scale"),
        zero_point=metadata.get("zero_point"),
    )


def _view(index: int, pair: Pair) -> View:
    whole = _shown(pair.hr.pixels, pair)
    box = most_detailed(whole.mean(axis=2))
    scale = pair.hr.pixels.shape[-1] // pair.lr.pixels.shape[-1]
    # Enlarged first, so that the square is the same to the pixel of HR.
    lr = _shown(pair.lr.pixels, pair).repeat(scale, axis=0).repeat(scale, axis=1)
    return View(index, whole, box, box.cut(whole), box.cut(lr))


def _shown(pixels: Tensor, pair: Pair) -> Pixels:
    """Bring an image to ``(H, W, 3)`` or ``(H, W, 1)`` in [0, 1], on the scale of HR."""
    if pair.is_picture:
        return to_picture(pixels[None], _batch(pair))
    norm = brightness_scale(pair.hr.pixels[0].numpy())
    shown: Pixels = np.clip(norm(pixels[0].numpy()).filled(0), 0, 1).astype(np.float32)
    return shown[..., None]


def _count(model: Model, passes: int) -> tuple[int, int]:
    """Count the weights, and the multiply-adds for a picture of the size that is told."""
    network = model.generator
    if isinstance(network, Interpolation):
        return 0, 0  # the field counts none for them
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    lr = torch.zeros(1, model.channels or 3, COUNTED, COUNTED, device=device)
    counted = count_multiply_adds(network, lr)[""]
    width, height = TOLD
    share = width * height / (COUNTED * model.scale) ** 2
    return count_parameters(network), round(passes * counted * share)


def _ranking(
    judge: _Judge, by: str, failures: dict[str, str], precision: Precision, seed: int
) -> Ranking:
    """Put the models in order, and tell which neighbours are tied."""
    infos = [
        MetricInfo(
            name,
            metric.unit,
            metric.higher_is_better,
            metric.protocol,
            getattr(metric, "signed", False),
        )
        for name, metric in judge.metrics.items()
    ]
    ranking = next(info for info in infos if info.name == by)
    models = sorted(judge.results.values(), key=lambda model: _key(model, ranking))
    leads: dict[str, Difference | None] = {model.name: None for model in models}
    for model, after in pairwise(models):
        leads[model.name] = paired_difference(
            model.values[by], after.values[by], ranking, seed=seed
        )
    evaluation = Evaluation(
        title=f"{judge.testset.title}, scale {judge.testset.scale}",
        names=judge.names,
        labels=None,
        label_source="",
        classes=None,
        metrics=infos,
        models=models,
        notes=_notes(judge, precision),
    )
    views = [judge.views[index] for index in sorted(judge.views)]
    return Ranking(evaluation, ranking, judge.testset.scale, judge.costs, leads, failures, views)


def _key(model: ModelResult, metric: MetricInfo) -> tuple[bool, float]:
    """Sort the best first, and what could not be measured last."""
    value = standing(model, metric)
    higher = metric.higher_is_better and not metric.signed
    return math.isnan(value), -value if higher else value


def _notes(judge: _Judge, precision: Precision) -> list[str]:
    count = len(judge.testset)
    computed = f"Computed on {_device_name(judge.device)} in {precision}."
    notes = [*judge.testset.notes, computed]
    if count == 1:
        notes.append("One picture: whether models are tied cannot be told.")
    elif count < FEW:
        notes.append(
            f"{count} pictures: intervals of so few are too narrow; a lead whose interval just "
            "excludes 0 may still be chance."
        )
    return notes


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"a CPU with {torch.get_num_threads()} thread(s)"
