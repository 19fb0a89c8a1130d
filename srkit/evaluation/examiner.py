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
from srkit.assembly.restore import restore
from srkit.assembly.uncertainty import Estimate, estimate, sample_pixels
from srkit.assembly.variance_head import VarianceHead
from srkit.data.batches import evaluation_batches
from srkit.data.scales import set_scale
from srkit.data.truth import check_boxes, take_as_truth, task_of
from srkit.errors import DataError
from srkit.evaluation.calibration import PIXELS, Calibration
from srkit.evaluation.results import Evaluation, ModelResult
from srkit.functional.resizing import Kernel, to_hr_grid
from srkit.interfaces import Answer, Batch, Dataset, MappedMetric, PooledMetric, TeacherMetric
from srkit.interfaces.view import View
from srkit.report.metric_info import MetricInfo
from srkit.report.pictures import Pixels, Row, to_picture, to_row

#: Makes an image of the HR size from a batch's LR, and may say how sure it is.
Restorer = Callable[[Batch], Tensor | Estimate]


def baseline(name: str) -> Restorer:
    """Give a restorer that needs no network: ``original``, or an interpolation by name."""
    if name == "original":
        return lambda batch: batch.hr
    kernel: Kernel = name  # type: ignore[assignment]

    def interpolate(batch: Batch) -> Tensor:
        assert batch.lr is not None
        return to_hr_grid(batch.lr, batch, kernel)

    return interpolate


def network(generator: Callable[[Tensor], Tensor], assembly: Assembly) -> Restorer:
    """Give the restorer that runs a generator, in the precision of the run: from flux to flux."""

    def run(batch: Batch) -> Tensor:
        set_scale(generator, assembly.scale)
        view = View.of(batch, assembly.stretch)
        with autocast(assembly, batch.hr.device):
            sr = restore(generator, view, assembly.constraint)
        return view.to_flux(sr)

    return run


def estimator(
    generator: Callable[[Tensor], Tensor],
    assembly: Assembly,
    head: VarianceHead | None = None,
) -> Restorer:
    """Give the restorer that says how sure it is, by a head or by the self-ensemble."""

    def run(batch: Batch) -> Estimate:
        set_scale(generator, assembly.scale)
        view = View.of(batch, assembly.stretch)
        with autocast(assembly, batch.hr.device):
            return estimate(generator, view, assembly.constraint, head)

    return run


def image_of(made: Tensor | Estimate) -> Tensor:
    """Take the image of what a restorer made."""
    return made.sr if isinstance(made, Estimate) else made


@dataclass(slots=True)
class Examiner:
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

    def examine(
        self,
        restorers: Mapping[str, Restorer],
        title: str,
        report: Callable[[int, int], None] = lambda done, total: None,
        indices: Sequence[int] | None = None,
    ) -> Evaluation:
        """Measure every restorer on every image.

        The seconds of a model are those of restoring and, where there is a teacher, judging.

        Parameters
        ----------
        restorers
            By the name they get in the table.
        title
            Title of the table.
        report
            Called with the number of images done and in all.
        indices
            Of the images, if not of all; then no time is taken.
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
                        restorer(batch)  # what a network does once, it does untimed
                rows += self._examine_batch(batch, restorers, seconds)
                report(min(len(rows) * processes, len(self.dataset)), len(self.dataset))
        for index, row in zip(share, rows, strict=True):
            row["index"] = index
        if processes > 1:
            rows = sorted(gather_object(rows), key=lambda row: int(row["index"]))
            slowest = gather_object([seconds])
            seconds = {name: max(one[name] for one in slowest) for name in seconds}
        return self._collect(rows, seconds, title)

    def rehearse(self) -> None:
        """Measure one image, so that what cannot be measured says so now.

        Raises
        ------
        DataError
            If the image cannot be read, degraded or measured.
        """
        name = "original" if self.assembly.generator is None else "bicubic"
        with torch.no_grad(), evaluating(self.assembly):
            for batch in self.batches([0]):
                self._examine_batch(batch, {name: baseline(name)}, {name: 0.0})

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

    def render(self, restorers: Mapping[str, Restorer], indices: Sequence[int]) -> list[Row]:
        """Restore chosen images, one by one, for looking at.

        Returns
        -------
        list of Row
            For each index ``original``, ``LR`` and each restorer's image, and the metrics' maps.
        """
        rows = []
        for batch, images in self._restored(restorers, indices):
            rows.append(to_row(images, batch, self.assembly.stretch, self._maps(images, batch)))
        return rows

    def pictures(
        self, restorers: Mapping[str, Restorer], indices: Sequence[int]
    ) -> list[dict[str, Pixels]]:
        """Restore chosen images for a quick look: the columns of `render` in [0, 1]."""
        stretch = self.assembly.stretch
        return [
            {name: to_picture(image, batch, stretch) for name, image in images.items()}
            for batch, images in self._restored(restorers, indices)
        ]

    def _restored(
        self, restorers: Mapping[str, Restorer], indices: Sequence[int]
    ) -> Iterator[tuple[Batch, dict[str, Tensor]]]:
        """Give each image as a batch of its own, with ``original``, ``LR`` and each restorer's."""
        for index in indices:
            (batch,) = self.batches([index])
            assert batch.lr is not None
            images = {"original": batch.hr, "LR": batch.lr}
            with torch.no_grad(), evaluating(self.assembly):
                images |= {
                    name: image_of(run(batch))
                    for name, run in restorers.items()
                    if name != "original"
                }
            yield batch, images

    def _maps(self, images: Mapping[str, Tensor], batch: Batch) -> dict[str, dict[str, Tensor]]:
        """Ask the metrics that can tell where in the images their numbers come from."""
        with torch.no_grad():
            return {
                name: {
                    model: metric.map(sr, batch) for model, sr in images.items() if model != "LR"
                }
                for name, metric in self.assembly.metrics.items()
                if isinstance(metric, MappedMetric)
            }

    def _examine_batch(
        self, batch: Batch, restorers: Mapping[str, Restorer], seconds: dict[str, float]
    ) -> list[dict[str, Any]]:
        """Give a row for each image: its label, and values and prediction for each model.

        In the place of its value, a pooled metric has what it takes from the image.
        """
        device = self.process.device
        started = time.perf_counter()
        targets = self._answers(batch.hr, batch)
        _wait_for(device)
        asking = time.perf_counter() - started
        batch = self._labelled(batch, targets)
        labels = [None] * len(batch) if batch.labels is None else batch.labels.tolist()
        known = any(truth is not None for truth in (batch.labels, batch.masks, batch.boxes))
        rows: list[dict[str, Any]] = [
            {"name": name, "label": label, "truth": known, "models": {}}
            for name, label in zip(batch.names, labels, strict=True)
        ]
        for model, restorer in restorers.items():
            started = time.perf_counter()
            made = restorer(batch)
            sr = image_of(made)
            answers = targets if model == "original" else self._answers(sr, batch)
            _wait_for(device)
            seconds[model] += time.perf_counter() - started
            seconds[model] += asking if model == "original" else 0.0
            values = self._measure(sr, answers, targets, batch)
            predictions = self._predictions(answers, len(batch))
            for i, row in enumerate(rows):
                measured = {name: value[i] for name, value in values.items()}
                pixels = None
                if isinstance(made, Estimate):
                    pixels = sample_pixels(made, batch, i, PIXELS // len(self.dataset) + 1)
                row["models"][model] = (measured, predictions[i], pixels)
        return rows

    def _measure(
        self,
        sr: Tensor,
        answers: Mapping[str, Answer],
        targets: Mapping[str, Answer],
        batch: Batch,
    ) -> dict[str, Sequence[Any]]:
        values: dict[str, Sequence[Any]] = {}
        for name, metric in self.assembly.metrics.items():
            try:
                found: Any
                if isinstance(metric, TeacherMetric):
                    teacher = self.assembly.teacher_of(self.assembly.recipe.metrics[name])
                    judge = self.assembly.teachers[teacher]
                    if task_of(judge) == "detection":
                        check_boxes(batch, judge.classes, f"metric '{name}'")
                    found = metric(answers[teacher], targets[teacher], batch)
                else:
                    found = metric(sr, batch)
            except ValueError as error:
                raise DataError(f"metrics.{name} on {batch.names[0]}: {error}") from error
            values[name] = found.double().tolist() if isinstance(found, Tensor) else found
        return values

    def _predictions(self, answers: Mapping[str, Answer], count: int) -> Sequence[int | None]:
        """Give the class that the first teacher sees in each image, if it tells one."""
        name, teacher = next(iter(self.assembly.teachers.items()), ("", None))
        if teacher is None or task_of(teacher) != "classification":
            return [None] * count
        predictions: list[int] = answers[name].logits.argmax(1).tolist()
        return predictions

    def _answers(self, images: Tensor, batch: Batch) -> dict[str, Answer]:
        """Ask every teacher about images of a batch, for the stages that its metrics read."""
        images = View.of(batch, self.assembly.stretch).to_seen(images)
        answers = {}
        for name, teacher in self.assembly.teachers.items():
            stages = wanted_stages(self.assembly.metrics_on(name), teacher)
            with autocast(self.assembly, images.device):
                answers[name] = teacher(images, stages)
        return answers

    def _labelled(self, batch: Batch, targets: Mapping[str, Answer]) -> Batch:
        if self.assembly.recipe.evaluation.labels == "dataset":
            return batch
        if not targets:
            raise DataError("evaluation.labels: 'teacher' needs a teacher in the recipe")
        name, teacher = next(iter(self.assembly.teachers.items()))
        return take_as_truth(batch, targets[name], task_of(teacher))

    def _class_names(self) -> list[str] | None:
        """Names of the classes: the data set's, else those of the teacher that judges."""
        judge = next(iter(self.assembly.teachers.values()), None)
        names = self.dataset.classes or (judge.class_names if judge else None)
        return None if names is None else list(names)

    def _collect(
        self, rows: Sequence[Mapping[str, Any]], seconds: Mapping[str, float], title: str
    ) -> Evaluation:
        labelled = bool(rows) and rows[0]["label"] is not None
        models = []
        for model, spent in seconds.items():
            entries = [row["models"][model] for row in rows]
            judged = bool(entries) and entries[0][1] is not None
            values, pooled = self._pool([measured for measured, _, _ in entries])
            models.append(
                ModelResult(
                    name=model,
                    values=values,
                    pooled=pooled,
                    predictions=np.array([p for _, p, _ in entries]) if judged else None,
                    seconds=spent,
                    calibration=Calibration.gather([pixels for _, _, pixels in entries]),
                )
            )
        by_teacher = self.assembly.recipe.evaluation.labels == "teacher"
        source = "the teacher's own answers on the originals" if by_teacher else "data set"
        return Evaluation(
            title=title,
            names=[row["name"] for row in rows],
            labels=np.array([row["label"] for row in rows]) if labelled else None,
            label_source=source if rows and rows[0]["truth"] else "",
            classes=self._class_names(),
            metrics=metric_infos(self.assembly),
            models=models,
            notes=list(self.dataset.notes),
        )

    def _pool(
        self, measured: Sequence[Mapping[str, Any]]
    ) -> tuple[dict[str, NDArray[np.float64]], dict[str, float]]:
        """Give each metric's values, and of pooled ones the number of the whole set."""
        values: dict[str, NDArray[np.float64]] = {}
        pooled: dict[str, float] = {}
        for name, metric in self.assembly.metrics.items():
            found = [of_image[name] for of_image in measured]
            if isinstance(metric, PooledMetric):
                found, pooled[name] = metric.pool(found)
            values[name] = np.array(found, np.float64)
        return values, pooled


def metric_infos(assembly: Assembly) -> list[MetricInfo]:
    """Describe the metrics of a recipe for tables and figures."""
    return [MetricInfo.of(name, metric) for name, metric in assembly.metrics.items()]


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
