"""Issues of images: in a single one, among several, or in a whole class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from srkit.data.overlaps import overlaps
from srkit.dataprep.check.duplicates import identical, similar
from srkit.dataprep.check.measurements import Measurements
from srkit.dataprep.check.shifts import Shift
from srkit.dataprep.check.sources import DatasetImages, Images
from srkit.interfaces import Task

#: A pair counts as misaligned if its offset exceeds this number of LR pixels by so many of its
#: standard errors.
MIN_SHIFT, SIGMAS = 0.5, 5
#: Largest ratio of the numbers of images of two classes that is not reported.
BALANCE = 10


@dataclass(frozen=True, slots=True)
class ImageId:
    """Split and index of an image."""

    split: str
    index: int


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue and the images that have it.

    Parameters
    ----------
    kind
        Short identifier, such as ``corrupt``.
    problem
        Whether it spoils training or evaluation; otherwise it is reported as a note.
    text
        One-line summary.
    images
        The images that have it, in groups that belong together.
    details
        A line for each group.
    """

    kind: str
    problem: bool
    text: str
    images: Sequence[Sequence[ImageId]] = ()
    details: Sequence[str] = ()


@dataclass(slots=True)
class DataCheck:
    """Measurements and issues of data sets.

    Parameters
    ----------
    title
        Name of the recipe or folder.
    images
        The images of each split.
    measured
        Measurements of each image by split; None for an image that cannot be read.
    errors
        Why images cannot be read.
    notes
        Notes of the data sets.
    teachers
        Task and number of classes of each teacher.
    issues
        Problems first.
    """

    title: str
    images: Mapping[str, Images]
    measured: dict[str, list[Measurements | None]] = field(default_factory=dict)
    errors: dict[ImageId, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    teachers: dict[str, tuple[Task, int]] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)

    @property
    def problems(self) -> list[Issue]:
        """The issues that spoil training or evaluation."""
        return [issue for issue in self.issues if issue.problem]

    def readable(self, split: str) -> list[Measurements]:
        """Return the measurements of all readable images of a split."""
        return [image for image in self.measured[split] if image is not None]

    def items(self) -> list[tuple[ImageId, Measurements]]:
        """Return all readable images."""
        return [
            (ImageId(split, index), image)
            for split, images in self.measured.items()
            for index, image in enumerate(images)
            if image is not None
        ]

    def name(self, image: ImageId) -> str:
        """Return the name of an image, with its split if there are several."""
        found = self.measured[image.split][image.index]
        name = f"image {image.index}" if found is None else found.name
        return f"{image.split}: {name}" if len(self.images) > 1 else name


def find_issues(check: DataCheck) -> list[Issue]:
    """Return the issues of all images, problems first."""
    issues = [issue for find in CHECKS for issue in find(check)]
    return sorted(issues, key=lambda issue: not issue.problem)


def _unreadable(check: DataCheck) -> Iterator[Issue]:
    if check.errors:
        text = f"{_count(check.errors, 'image')} cannot be read"
        yield Issue("corrupt", True, text, details=list(check.errors.values()))


def _problem(
    check: DataCheck, kind: str, noun: str, text: str, found: Sequence[tuple[ImageId, str]]
) -> Iterator[Issue]:
    """Report a problem of single images, with a detail for each, if there are any."""
    if found:
        yield Issue(
            kind,
            True,
            f"{_count(found, noun)} {text}",
            [[image] for image, _ in found],
            [f"{check.name(image)}{detail}" for image, detail in found],
        )


def _values(check: DataCheck) -> Iterator[Issue]:
    """Report values that are not finite, and images without content."""
    found = [
        (key, f": {image.not_finite} values") for key, image in check.items() if image.not_finite
    ]
    yield from _problem(check, "not finite", "image", "with values that are NaN or infinite", found)
    flat = [(key, "") for key, image in check.items() if image.flat]
    yield from _problem(check, "flat", "image", "with a single value", flat)


def _small(check: DataCheck) -> Iterator[Issue]:
    """Report images that are smaller than the crop."""
    for split, images in check.images.items():
        found = [
            (key, f": {_size(image.size)}")
            for key, image in check.items()
            if key.split == split and images.crop is not None and min(image.size) < images.crop
        ]
        text = f"smaller than the crop of {images.crop}"
        yield from _problem(check, "small", "image", text, found)


def _pairs(check: DataCheck) -> Iterator[Issue]:
    """Report pairs whose sizes do not fit the scale, or that are misaligned."""
    sizes, shifts = [], []
    for key, image in check.items():
        scale = check.images[key.split].scale
        if image.lr_size is None or scale is None:
            continue
        expected = tuple(side / scale for side in image.size)
        if any(abs(side - lr) >= 1 for side, lr in zip(expected, image.lr_size, strict=True)):
            detail = f": HR {_size(image.size)}, LR {_size(image.lr_size)}, scale {scale}"
            sizes.append((key, detail))
        elif image.shift is not None and _is_misaligned(image.shift):
            down, right, error = image.shift.down, image.shift.right, image.shift.error
            where = f"{down:+.2f} pixels down and {right:+.2f} to the right, ± {error:.2f}"
            shifts.append((key, f": LR is {where}"))
    yield from _problem(check, "mis-sized", "pair", "with sizes that do not fit the scale", sizes)
    text = f"shifted by more than {MIN_SHIFT:g} LR pixels, beyond the error of the measurement"
    yield from _problem(check, "misaligned", "pair", text, shifts)


def _is_misaligned(shift: Shift) -> bool:
    return shift.distance - SIGMAS * shift.error >= MIN_SHIFT


def _duplicates(check: DataCheck) -> Iterator[Issue]:
    """Report repeated images: a problem if they are in several splits."""
    keys, images = zip(*check.items(), strict=True) if check.items() else ((), ())
    for kind, text, groups in (
        ("duplicate", "identical", identical(images)),
        ("alike", "similar", similar(images)),
    ):
        named = [[keys[index] for index in group] for group in groups]
        # Images that are mixed into training belong to the same split.
        across = [g for g in named if len({key.split.partition(".")[0] for key in g}) > 1]
        within = [group for group in named if group not in across]
        for found, problem, where in (
            (across, True, "in different splits"),
            (within, False, "in one split"),
        ):
            if found:
                yield Issue(
                    kind,
                    problem,
                    f"{_count(found, 'group')} of {text} images {where}",
                    found,
                    [" = ".join(map(check.name, group)) for group in found],
                )


def _overlaps(check: DataCheck) -> Iterator[Issue]:
    """Report images that overlap images of another split, such as on the sky."""
    data = {
        split: images.dataset
        for split, images in check.images.items()
        if isinstance(images, DatasetImages)
    }
    for each in overlaps(data):
        ranked = sorted(each.found, key=lambda one: -one[2])
        groups = [[ImageId(each.first, i), ImageId(each.second, j)] for i, j, _ in ranked]
        details = [
            f"{' and '.join(map(check.name, group))} share {100 * share:.2g} % of the area of the "
            "smaller one"
            for group, (*_, share) in zip(groups, ranked, strict=True)
        ]
        text = (
            f"{each}, so that results are too good: leave them out, or let one data set divide all "
            "images with its option split"
        )
        yield Issue("overlap", True, text, groups, details)


def _labels(check: DataCheck) -> Iterator[Issue]:
    """Report classes without images, and classes with far fewer images than others."""
    for split, images in check.images.items():
        if images.classes is None:
            continue
        labels = [image.label for image in check.readable(split) if image.label is not None]
        counts = Counter(labels)
        missing = images.classes - len(counts)
        if missing:
            text = f"{split}: {missing} of {images.classes} classes have no image"
            yield Issue("classes", False, text)
        if counts and max(counts.values()) > BALANCE * min(counts.values()):
            (most, many), (least, few) = counts.most_common()[0], counts.most_common()[-1]
            text = f"{split}: class {most} has {many} images, class {least} only {few}"
            yield Issue("classes", False, text)


def _ground_truth(check: DataCheck) -> Iterator[Issue]:
    """Report classes that a teacher does not have, and masks with a single class."""
    for name, (task, count) in check.teachers.items():
        first = 1 if task == "detection" else 0
        wrong = []
        for key, image in check.items():
            unknown = [each for each in _classes_of(image, task) if not first <= each < count]
            if unknown:
                listed = ", ".join(map(str, unknown))
                wrong.append((key, f": {listed}; expected {first} to {count - 1}"))
        text = f"with classes that teacher '{name}' does not have"
        yield from _problem(check, "truth", "image", text, wrong)
    for split in check.images:
        masked = [image for image in check.readable(split) if image.classes and not image.boxed]
        if masked and all(image.classes == (0,) for image in masked):
            unknown_share = sum(image.unknown for image in masked) / len(masked)
            text = f"{split}: masks contain class 0 only"
            if unknown_share:
                text += f", and {unknown_share:.0%} of the pixels are unknown; is that a class?"
            yield Issue("truth", False, text)


def _classes_of(image: Measurements, task: Task) -> Sequence[int]:
    """Return the classes of an image that are compared with a teacher's answer."""
    if task == "classification":
        return [] if image.label is None else [image.label]
    return image.classes or [] if image.boxed == (task == "detection") else []


def _kinds(check: DataCheck) -> Iterator[Issue]:
    """Report splits with several kinds of images."""
    for split in check.images:
        kinds = Counter(_kind(image) for image in check.readable(split))
        if len(kinds) > 1:
            listed = "; ".join(f"{count} with {kind}" for kind, count in kinds.most_common())
            yield Issue("kinds", False, f"{split}: several kinds of images: {listed}")


def _kind(image: Measurements) -> str:
    channels = _count(range(image.channels), "channel")
    return f"{channels}, {image.kind}" if image.kind else channels


CHECKS: Sequence[Callable[[DataCheck], Iterator[Issue]]] = (
    _unreadable,
    _small,
    _pairs,
    _values,
    _duplicates,
    _overlaps,
    _labels,
    _ground_truth,
    _kinds,
)


def _size(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"


def _count(found: Any, noun: str) -> str:
    return f"{len(found)} {noun}{'' if len(found) == 1 else 's'}"
