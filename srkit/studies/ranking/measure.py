"""Rank models by a metric of the images that they restore, and measure what they cost."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise, product

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from srkit.components.crashes import describe, wants_traceback
from srkit.components.options import downloads
from srkit.components.registry import Registry
from srkit.errors import DataError, SrkitError
from srkit.evaluation.results import Evaluation, ModelResult
from srkit.images._levels import rounded
from srkit.interfaces import Batch, Metric
from srkit.models.costs import count_multiply_adds, count_parameters
from srkit.models.open import INTERPOLATIONS, Interpolation, Model, open_model
from srkit.report._details import even_choice, most_detailed
from srkit.report._metric_info import MetricInfo
from srkit.report._pictures import Pixels, to_picture
from srkit.report.colour_scales import brightness_scale
from srkit.studies.metrics import build_metrics, measure_image
from srkit.studies.ranking.bootstrap import FEW, Difference, paired_difference
from srkit.studies.ranking.results import Cost, Example, Ranking
from srkit.studies.ranking.testset import Pair, TestSet
from srkit.system.devices import default_device
from srkit.system.memory import PeakMemory
from srkit.system.precision import warn_of_precision
from srkit.system.progress import progress_bars
from srkit.upscaling.network import WantedPrecision
from srkit.upscaling.normalisation import as_bands
from srkit.upscaling.tiling import LARGEST
from srkit.upscaling.upscaler import ImageUpscaler

#: Metrics that are measured by default, of 8-bit images and of measured values. Metrics whose
#: weights would have to be downloaded are left out.
METRICS_8_BIT = ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "lpips", "dists", "niqe")
METRICS_MEASURED = ("psnr", "ssim", "mae")
#: Multiply-adds are counted on an LR image of this side, and reported for an SR image of this size.
COUNTED_SIDE, REPORTED_SIZE = 64, (1280, 720)
ENSEMBLE = " + self-ensemble"


def default_metrics(pair: Pair, registry: Registry) -> list[str]:
    """Return the names of the metrics that are measured by default of such images."""
    known = set(registry.names("metrics"))
    return [
        name
        for name in (METRICS_8_BIT if pair.is_8_bit else METRICS_MEASURED)
        if name in known and not downloads(registry.get("metrics", name).factory, {})
    ]


def common_scale(references: Sequence[str], registry: Registry) -> int:
    """Return the scale of the first model that has one, unlike interpolations.

    Raises
    ------
    SrkitError
        If there is none, or why the first cannot be opened if none can.
    """
    failures: list[SrkitError] = []
    for reference in references:
        if reference not in INTERPOLATIONS:
            try:
                return open_model(reference, registry).scale
            except SrkitError as error:
                failures.append(error)  # it will be reported, unless it is the only one
    if failures:
        raise failures[0]
    raise DataError("no model determines the scale; add, for example, --scale 4")


def rank(
    references: Sequence[str],
    testset: TestSet,
    registry: Registry,
    *,
    metrics: Sequence[str] | None = None,
    by: str | None = None,
    precision: WantedPrecision = "fp32",
    self_ensemble: bool = False,
    examples: int = 4,
    seed: int = 0,
    console: Console | None = None,
) -> Ranking:
    """Rank models on a test set.

    Parameters
    ----------
    references
        The models, as :func:`srkit.models.open.open_model` accepts them.
    testset
        The images.
    registry
        The available components.
    metrics
        Names of the metrics; :func:`default_metrics` by default.
    by
        The metric that determines the order; by default the first.
    precision
        Precision of the networks.
    self_ensemble
        Whether to rank each network a second time, averaged over the eight flips and rotations.
    examples
        Number of images on the sheet, evenly spread over the test set.
    seed
        Seed of the bootstrap.
    console
        Where to show progress; by default on standard error.

    Returns
    -------
    Ranking
        The result, including the reasons for models that failed.

    Raises
    ------
    DataError
        If an image cannot be read or measured.
    PluginError
        If a metric is unknown.
    SrkitError
        If no model could be ranked.
    """
    first = testset[0]
    names = list(dict.fromkeys(metrics or default_metrics(first, registry)))
    by = by or names[0]
    names += [] if by in names else [by]
    built = build_metrics(names, registry, testset.scale, len(first.hr.pixels))
    ranker = _Ranker(testset, built, even_choice(len(testset), examples), precision)
    failures: dict[str, str] = {}
    passes = (False, True) if self_ensemble else (False,)
    for reference, ensemble in product(dict.fromkeys(references), passes):
        if ensemble and (reference in INTERPOLATIONS or reference in failures):
            continue
        try:
            ranker.measure(reference, registry, ensemble, console)
        except SrkitError as error:
            failures[reference + ENSEMBLE * ensemble] = str(error)
        except Exception as error:  # such as a bug in a plugin; the other models are ranked
            if wants_traceback():
                raise
            failures[reference + ENSEMBLE * ensemble] = describe(error)
    if not ranker.results:
        reasons = "\n  ".join(f"{name}: {why}" for name, why in failures.items())
        raise SrkitError(f"no model could be ranked\n  {reasons}")
    return ranker.ranking(by, failures, seed)


class _Ranker:
    """Measures one model after another on the same images."""

    def __init__(
        self,
        testset: TestSet,
        metrics: Mapping[str, Metric],
        shown: Sequence[int],
        precision: WantedPrecision,
    ) -> None:
        self.testset, self.metrics, self.precision = testset, metrics, precision
        self.device = default_device()
        self.names: list[str] = []
        self.examples: dict[int, Example] = {}
        self.results: list[ModelResult] = []
        self.costs: dict[str, Cost] = {}
        # Read every image once, so that no model is blamed for an invalid image.
        sizes = []
        for index, pair in enumerate(testset):
            self.names.append(pair.name)
            sizes.append(pair.lr.pixels.numel())
            if index in shown:
                self.examples[index] = _example(index, pair)
        self._largest = int(np.argmax(sizes))
        smallest = testset[int(np.argmin(sizes))]
        self._measure_image(smallest.hr.pixels.float(), smallest)

    def measure(
        self, reference: str, registry: Registry, ensemble: bool, console: Console | None
    ) -> None:
        """Open a model, and restore and measure every image."""
        large = self.testset[self._largest].lr
        memory = PeakMemory(self.device)
        model = open_model(reference, registry, scale=self.testset.scale)
        name = model.name + ENSEMBLE * ensemble
        if name in self.costs:  # two models of one name are distinguished by their references
            name = f"{name} ({reference})"
        upscaler = ImageUpscaler(
            model,
            precision=self.precision,
            self_ensemble=ensemble,
            tile=LARGEST,  # images of published test sets are restored as a whole
            device=self.device,
        )
        with memory:  # the first call, with its set-up, is not timed
            upscaler(large)
        values: dict[str, list[float]] = {metric: [] for metric in self.metrics}
        crops: dict[int, Pixels] = {}
        seconds, count = 0.0, len(self.testset)
        with progress_bars(console) as bars:
            for index, pair in enumerate(bars.track(self.testset, count, description=name)):
                start = time.perf_counter()
                pixels = upscaler(pair.lr).pixels
                seconds += time.perf_counter() - start
                sr = rounded(pixels, pair.hr) if pair.is_8_bit else pixels
                for metric, value in self._measure_image(sr, pair).items():
                    values[metric].append(value)
                if index in self.examples:
                    crops[index] = self.examples[index].box.cut(_displayed(sr, pair))
        arrays = {metric: np.array(each) for metric, each in values.items()}
        passes = len(as_bands(large.pixels, model.channels)) * (8 if ensemble else 1)
        self.costs[name] = Cost(*_count(model, passes), seconds / count, memory.peak)
        self.results.append(ModelResult(name, arrays, None, seconds))
        for index, crop in crops.items():
            self.examples[index].models[name] = crop

    def _measure_image(self, sr: Tensor, pair: Pair) -> dict[str, float]:
        batch = _batch(pair).to(self.device, torch.contiguous_format)
        return measure_image(sr[None].to(self.device), batch, self.metrics)

    def ranking(self, by: str, failures: dict[str, str], seed: int) -> Ranking:
        """Sort the models, the best first, and compare each with the next."""
        infos = [MetricInfo.of(name, metric) for name, metric in self.metrics.items()]
        metric = next(info for info in infos if info.name == by)
        sign = -1 if metric.higher_is_better and not metric.signed else 1

        def key(model: ModelResult) -> tuple[bool, float]:
            value = model.score(metric)
            return math.isnan(value), sign * value

        models = sorted(self.results, key=key)
        leads: dict[str, Difference | None] = {
            model.name: paired_difference(model.values[by], after.values[by], metric, seed=seed)
            for model, after in pairwise(models)
        }
        title, scale = f"{self.testset.title}, scale {self.testset.scale}", self.testset.scale
        found = Evaluation(title, self.names, None, "", None, infos, models, self._notes())
        leads |= {models[-1].name: None}
        examples = list(self.examples.values())
        return Ranking(found, metric, scale, self.costs, leads, failures, examples)

    def _notes(self) -> list[str]:
        where = f"a CPU with {torch.get_num_threads()} thread(s)"
        if self.device.type != "cpu":
            report = getattr(torch.get_device_module(self.device), "get_device_name", None)
            where = report(self.device) if report else self.device.type
        notes = [*self.testset.notes, f"Computed on {where} in {self.precision}."]
        notes += warn_of_precision(self.precision, self.device)
        count = len(self.testset)
        if count == 1:
            notes.append("A single image cannot show whether models are tied.")
        elif count < FEW:
            notes.append(
                f"{count} images: the intervals are too narrow for so few; a lead whose interval "
                "barely excludes 0 may still be due to chance."
            )
        return notes


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


def _example(index: int, pair: Pair) -> Example:
    whole = _displayed(pair.hr.pixels, pair)
    box = most_detailed(whole.mean(axis=2))
    scale = pair.hr.pixels.shape[-1] // pair.lr.pixels.shape[-1]
    # LR is enlarged before it is cropped, so that the squares match to the pixel of HR.
    lr = _displayed(pair.lr.pixels, pair).repeat(scale, axis=0).repeat(scale, axis=1)
    return Example(index, whole, box, box.cut(whole), box.cut(lr))


def _displayed(pixels: Tensor, pair: Pair) -> Pixels:
    """Convert an image to ``(H, W, 3)`` or ``(H, W, 1)`` in [0, 1], on the scale of HR."""
    if pair.is_8_bit:
        return to_picture(pixels[None], _batch(pair))
    norm = brightness_scale(pair.hr.pixels[0].numpy())
    shown: Pixels = np.clip(norm(pixels[0].numpy()).filled(0), 0, 1).astype(np.float32)
    return shown[..., None]


def _count(model: Model, passes: int) -> tuple[int, int]:
    """Count the parameters, and the multiply-adds for an image of the reported size."""
    network = model.generator
    if isinstance(network, Interpolation):
        return 0, 0  # published tables count none for interpolation
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    lr = torch.zeros(1, model.channels or 3, COUNTED_SIDE, COUNTED_SIDE, device=device)
    counted = count_multiply_adds(network, lr)[""]
    width, height = REPORTED_SIZE
    share = width * height / (COUNTED_SIDE * model.scale) ** 2
    return count_parameters(network), round(passes * counted * share)
