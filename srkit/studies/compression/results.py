"""The results of a compression study: means, curves and Bjontegaard deltas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import TypedDict

from srkit.report._metric_info import MetricInfo
from srkit.studies.compression.bjontegaard import Delta, RateCurve, delta_quality, delta_rate

#: What the tables call compressed HR, and uncompressed HR.
HR, ORIGINAL = "HR", "original"


@dataclass(frozen=True, slots=True)
class Setting:
    """A combination of format, quality and model.

    Parameters
    ----------
    format
        The image format; empty without compression.
    quality
        Quality of the LR files; HR files have the quality that results in the same size.
    model
        The model that restores LR, or :data:`HR`.
    """

    format: str
    quality: int
    model: str

    def __str__(self) -> str:
        return f"{self.format}/{self.quality}/{self.model}" if self.format else self.model


class Measurement(TypedDict):
    """The size of a file, whether it is at most that of LR, and the value of each metric."""

    bytes: int
    reached: bool
    values: dict[str, float]


class ImageResult(TypedDict):
    """The name of an image, the number of pixels of HR, and a measurement for each setting."""

    name: str
    pixels: int
    settings: dict[str, Measurement]


@dataclass(frozen=True, slots=True)
class Point:
    """The means of a setting over the images.

    Parameters
    ----------
    setting
        The setting.
    size
        File size in bytes; 0 without compression.
    reached
        Share of the images whose HR could be compressed to the size of LR; 1 for LR.
    values
        Mean of each metric.
    """

    setting: Setting
    size: float
    reached: float
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ModelDelta:
    """The Bjontegaard deltas of a model against compressed HR, for one format and metric.

    Parameters
    ----------
    format, model, metric
        What is compared.
    quality
        Mean difference of the metric at equal size.
    rate
        Mean difference of the size at equal metric, in percent.
    """

    format: str
    model: str
    metric: MetricInfo
    quality: Delta
    rate: Delta


@dataclass(frozen=True, slots=True)
class Compression:
    """The results of a compression study.

    Parameters
    ----------
    title
        Name of the recipe.
    metrics
        The metrics.
    images
        The results of each image.
    settings
        All settings: those without compression first, then those of each format.
    notes
        Notes for the reader.
    """

    title: str
    metrics: list[MetricInfo]
    images: list[ImageResult]
    settings: list[Setting]
    notes: list[str]

    def points(self) -> list[Point]:
        """Average each setting over the images."""
        points = []
        for setting in self.settings:
            found = [image["settings"][str(setting)] for image in self.images]
            means = {
                info.name: fmean(each["values"][info.name] for each in found)
                for info in self.metrics
            }
            size, reached = (fmean(each[key] for each in found) for key in ("bytes", "reached"))
            points.append(Point(setting, size, reached, means))
        return points

    def curves(self) -> dict[tuple[str, str], list[Point]]:
        """Group the points of compressed files by format and model, in order of their size."""
        curves: dict[tuple[str, str], list[Point]] = {}
        for point in self.points():
            if point.setting.format:
                curves.setdefault((point.setting.format, point.setting.model), []).append(point)
        return {key: sorted(curve, key=lambda point: point.size) for key, curve in curves.items()}

    def deltas(self) -> list[ModelDelta]:
        """Compare the curve of every model with that of compressed HR in the same format."""
        curves = self.curves()

        def curve(form: str, model: str, metric: str) -> RateCurve:
            points = curves[form, model]
            return [p.size for p in points], [p.values[metric] for p in points]

        deltas = []
        for form, model in curves:
            for info in self.metrics if model != HR else ():
                pair = curve(form, HR, info.name), curve(form, model, info.name)
                deltas.append(
                    ModelDelta(form, model, info, delta_quality(*pair), delta_rate(*pair))
                )
        return deltas
