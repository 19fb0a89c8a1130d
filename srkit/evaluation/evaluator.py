"""Run the metrics over models and images."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from numpy.typing import NDArray
from torch import Tensor

from srkit.assembly.assembly import Assembly, wanted_stages
from srkit.assembly.device import autocast, evaluating, prepare
from srkit.assembly.uncertainty import Estimate, sample_pixels
from srkit.data.batches import evaluation_batches
from srkit.data.truth import check_boxes, take_as_truth, task_of
from srkit.errors import DataError, PluginError
from srkit.evaluation.calibration import PIXELS, Calibration
from srkit.evaluation.restorers import Restorer, baseline, image_of, refined
from srkit.evaluation.results import Evaluation, ModelResult
from srkit.interfaces import Answer, Batch, Dataset, PooledMetric, TeacherMetric
from srkit.interfaces._contract import require_values, unchanged
from srkit.interfaces.view import View
from srkit.report._metric_info import MetricInfo
from srkit.system.cores import hold_cores
from srkit.system.devices import synchronize


@dataclass(slots=True)
class Evaluator:
    """Measures restorers on one data set.

    Parameters
    ----------
    assembly
        Degradation, teachers and metrics, on their device.
    dataset
        The images.
    process
        This process: its device, and its place among those that share the work.
    """

    assembly: Assembly
    dataset: Dataset
    process: PartialState

    def evaluate(
        self,
        restorers: Mapping[str, Restorer],
        title: str,
        report: Callable[[int, int], None] = lambda done, total: None,
        indices: Sequence[int] | None = None,
    ) -> Evaluation:
        """Measure every restorer on every image.

        The time of a model is that of restoring and, if there is a teacher, of its predictions.

        Parameters
        ----------
        restorers
            By name in the tables.
        title
            Title of the table.
        report
            Called with the number of images done and the number of all images.
        indices
            Measure only these images, without an untimed first run.
        """
        processes = self.process.num_processes
        whole = range(len(self.dataset)) if indices is None else indices
        share = whole[self.process.process_index :: processes]
        rows: list[dict[str, Any]] = []
        seconds = dict.fromkeys(restorers, 0.0)
        with torch.no_grad(), evaluating(self.assembly):
            for batch in self.batches(share):
                if not rows and indices is None:
                    for restorer in restorers.values():
                        restorer(batch)  # what networks do only once is not timed
                with hold_cores(self.process.device):
                    rows += self._evaluate_batch(batch, restorers, seconds)
                report(min(len(rows) * processes, len(self.dataset)), len(self.dataset))
        for index, row in zip(share, rows, strict=True):
            row["index"] = index
        if processes > 1:
            rows = sorted(gather_object(rows), key=lambda row: int(row["index"]))
            slowest = gather_object([seconds])
            seconds = {name: max(one[name] for one in slowest) for name in seconds}
        return self._collect(rows, seconds, title)

    def rehearse(self) -> None:
        """Measure one image, so that errors are raised before the training.

        Raises
        ------
        DataError
            If the image cannot be read, degraded or measured.
        """
        name = "original" if self.assembly.generator is None else "bicubic"
        restorers = {name: baseline(name), **refined(self.assembly)}
        with torch.no_grad(), evaluating(self.assembly):
            for batch in self.batches([0]):
                self._evaluate_batch(batch, restorers, dict.fromkeys(restorers, 0.0))

    def batches(self, indices: Sequence[int]) -> Iterator[Batch]:
        """Load, move and degrade batches of whole images."""
        recipe = self.assembly.recipe
        loaded = evaluation_batches(
            self.dataset,
            indices,
            recipe.evaluation.batch_size,
            recipe.seed,
            min(recipe.training.workers, len(indices) - 1),
        )
        for batch in loaded:
            yield prepare(batch, self.assembly, self.process.device)

    def _evaluate_batch(
        self, batch: Batch, restorers: Mapping[str, Restorer], seconds: dict[str, float]
    ) -> list[dict[str, Any]]:
        """Return a row for each image: its label, and values and prediction for each model.

        For a pooled metric the row contains what it extracts from the image.
        """
        started = time.perf_counter()
        targets = self._answers(batch.hr, batch)
        asking = self._seconds_since(started)
        batch = self._labelled(batch, targets)
        labels = [None] * len(batch) if batch.labels is None else batch.labels.tolist()
        known = any(truth is not None for truth in (batch.labels, batch.masks, batch.boxes))
        rows: list[dict[str, Any]] = [
            {"name": name, "label": label, "truth": known, "models": {}}
            for name, label in zip(batch.names, labels, strict=True)
        ]
        for model, restorer in restorers.items():
            started = time.perf_counter()
            restored = restorer(batch)
            sr = image_of(restored)
            answers = targets if model == "original" else self._answers(sr, batch)
            seconds[model] += self._seconds_since(started)
            seconds[model] += asking if model == "original" else 0.0
            values = self._measure(sr, answers, targets, batch)
            predictions = self._predictions(answers, len(batch))
            for i, row in enumerate(rows):
                measured = {name: value[i] for name, value in values.items()}
                pixels = None
                if isinstance(restored, Estimate):
                    pixels = sample_pixels(restored, batch, i, PIXELS // len(self.dataset) + 1)
                row["models"][model] = (measured, predictions[i], pixels)
        return rows

    def _seconds_since(self, start: float) -> float:
        synchronize(self.process.device)
        return time.perf_counter() - start

    def _measure(
        self,
        sr: Tensor,
        answers: Mapping[str, Answer],
        targets: Mapping[str, Answer],
        batch: Batch,
    ) -> dict[str, Sequence[Any]]:
        values: dict[str, Sequence[Any]] = {}
        for name, metric in self.assembly.metrics.items():
            found: Any
            try:
                if isinstance(metric, TeacherMetric):
                    asked = self.assembly.teacher_of(self.assembly.recipe.metrics[name])
                    teacher = self.assembly.teachers[asked]
                    if task_of(teacher) == "detection":
                        check_boxes(batch, teacher.classes, f"metric '{name}'")
                    given: tuple[Any, ...] = (answers[asked], targets[asked], batch)
                else:
                    given = (sr, batch)
                with self.assembly.blamed(f"metrics.{name}"):
                    with unchanged("a metric", *given):
                        found = metric(*given)
                    require_values(found, metric, len(batch))
            except (ValueError, PluginError) as error:
                raise DataError(f"metrics.{name} on {batch.names[0]}: {error}") from error
            values[name] = found.cpu().double().tolist() if isinstance(found, Tensor) else found
        return values

    def _predictions(self, answers: Mapping[str, Answer], count: int) -> Sequence[int | None]:
        """Return the class that the first teacher predicts for each image, if it classifies."""
        name, teacher = next(iter(self.assembly.teachers.items()), ("", None))
        if teacher is None or task_of(teacher) != "classification":
            return [None] * count
        predictions: list[int] = answers[name].logits.argmax(1).tolist()
        return predictions

    def _answers(self, images: Tensor, batch: Batch) -> dict[str, Answer]:
        """Run every teacher on images of a batch, with the stages that its metrics read."""
        images = View.of(batch, self.assembly.stretch).to_stretched(images)
        answers = {}
        for name, teacher in self.assembly.teachers.items():
            stages = wanted_stages(self.assembly.metrics_on(name), teacher)
            with autocast(self.assembly, images.device):
                answers[name] = self.assembly.answer(name, images, stages)
        return answers

    def _labelled(self, batch: Batch, targets: Mapping[str, Answer]) -> Batch:
        if self.assembly.recipe.evaluation.labels == "dataset":
            return batch
        if not targets:
            raise DataError("evaluation.labels: 'teacher' needs a teacher in the recipe")
        name, teacher = next(iter(self.assembly.teachers.items()))
        return take_as_truth(batch, targets[name], task_of(teacher))

    def _collect(
        self, rows: Sequence[Mapping[str, Any]], seconds: Mapping[str, float], title: str
    ) -> Evaluation:
        labelled = bool(rows) and rows[0]["label"] is not None
        by_teacher = self.assembly.recipe.evaluation.labels == "teacher"
        source = "predictions of the teacher for the originals" if by_teacher else "data set"
        teacher = next(iter(self.assembly.teachers.values()), None)
        classes = self.dataset.classes or (teacher.class_names if teacher else None)
        return Evaluation(
            title=title,
            names=[row["name"] for row in rows],
            labels=np.array([row["label"] for row in rows]) if labelled else None,
            label_source=source if rows and rows[0]["truth"] else "",
            classes=None if classes is None else list(classes),
            metrics=metric_infos(self.assembly),
            models=[
                self._model_result(name, [row["models"][name] for row in rows], spent)
                for name, spent in seconds.items()
            ],
            notes=list(self.dataset.notes),
        )

    def _model_result(
        self, name: str, entries: Sequence[tuple[Any, Any, Any]], seconds: float
    ) -> ModelResult:
        measured, predictions, pixels = zip(*entries, strict=True) if entries else ((), (), ())
        values: dict[str, NDArray[np.float64]] = {}
        pooled: dict[str, float] = {}
        for key, metric in self.assembly.metrics.items():
            found = [of_image[key] for of_image in measured]
            if isinstance(metric, PooledMetric):
                found, pooled[key] = metric.pool(found)
            values[key] = np.array(found, np.float64)
        return ModelResult(
            name=name,
            values=values,
            pooled=pooled,
            predictions=np.array(predictions) if entries and predictions[0] is not None else None,
            seconds=seconds,
            calibration=Calibration.gather(pixels),
        )


def metric_infos(assembly: Assembly) -> list[MetricInfo]:
    """Return the properties of the metrics of a recipe."""
    return [MetricInfo.of(name, metric) for name, metric in assembly.metrics.items()]
