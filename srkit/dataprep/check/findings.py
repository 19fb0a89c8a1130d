"""What is wrong with images: by one, by two that are the same, by all of a class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from srkit.dataprep.check.measures import Look
from srkit.dataprep.check.sources import Images
from srkit.interfaces import Task

#: Bits that the hashes of two images may differ in, and the least correlation of their small
#: images, for them to be alike.
DIFFERENT_BITS, CORRELATION = 3, 0.98
#: LR pixels by which a pair is out of place.
SHIFT = 0.5
#: How many times as many images one class may have as another.
BALANCE = 10


@dataclass(frozen=True, slots=True)
class Place:
    """An image: its split and its number there."""

    split: str
    index: int


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found.

    Parameters
    ----------
    kind
        A word for it, such as ``corrupt``.
    problem
        Whether it spoils a training or a test; else it is only to be known.
    text
        What it is.
    places
        The images that have it; groups of them where they belong together.
    details
        A line for each group.
    """

    kind: str
    problem: bool
    text: str
    places: Sequence[Sequence[Place]] = ()
    details: Sequence[str] = ()


@dataclass(slots=True)
class Checked:
    """All that was found.

    Parameters
    ----------
    title
        What was checked.
    images
        By split.
    looks
        By split and number; None for an image that cannot be read.
    errors
        Why not, by split and number.
    notes
        What the data sets tell of themselves.
    told
        Task and number of classes of each teacher, by its name.
    findings
        In order of weight.
    """

    title: str
    images: Mapping[str, Images]
    looks: dict[str, list[Look | None]] = field(default_factory=dict)
    errors: dict[Place, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    told: dict[str, tuple[Task, int]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def problems(self) -> list[Finding]:
        """The findings that spoil a training or a test."""
        return [finding for finding in self.findings if finding.problem]

    def all(self) -> Iterator[tuple[Place, Look]]:
        """Give every image that can be read."""
        for split, looks in self.looks.items():
            for index, look in enumerate(looks):
                if look is not None:
                    yield Place(split, index), look

    def name(self, place: Place) -> str:
        """Name an image, with its split where there are several."""
        look = self.looks[place.split][place.index]
        name = f"image {place.index}" if look is None else look.name
        return f"{place.split}: {name}" if len(self.images) > 1 else name


def _unreadable(checked: Checked) -> Iterator[Finding]:
    if checked.errors:
        yield Finding(
            "corrupt",
            True,
            f"{_count(checked.errors, 'image')} cannot be read",
            details=list(checked.errors.values()),
        )


def _values(checked: Checked) -> Iterator[Finding]:
    """Values that are no numbers, and images without any content."""
    unfinite = [(place, look.unfinite) for place, look in checked.all() if look.unfinite]
    if unfinite:
        yield Finding(
            "not finite",
            True,
            f"{_count(unfinite, 'image')} with values that are NaN or infinite",
            [[place] for place, _ in unfinite],
            [f"{checked.name(place)}: {count} values" for place, count in unfinite],
        )
    flat = [place for place, look in checked.all() if look.flat]
    if flat:
        yield Finding(
            "flat",
            True,
            f"{_count(flat, 'image')} of one value only",
            [[place] for place in flat],
            [checked.name(place) for place in flat],
        )


def _pairs(checked: Checked) -> Iterator[Finding]:
    """LR of another size than HR's over the scale, or out of place."""
    sizes, shifts = [], []
    for place, look in checked.all():
        scale = checked.images[place.split].scale
        if look.lr_size is None or scale is None:
            continue
        expected = tuple(side / scale for side in look.size)
        if any(abs(side - lr) >= 1 for side, lr in zip(expected, look.lr_size, strict=True)):
            told = f"HR {_size(look.size)}, LR {_size(look.lr_size)}, scale {scale}"
            sizes.append((place, told))
        elif look.shift is not None and max(map(abs, look.shift)) >= SHIFT:
            down, right = look.shift
            told = f"LR is {down:+.2f} pixels down and {right:+.2f} to the right"
            shifts.append((place, told))
    for kind, found, text in (
        ("mis-sized", sizes, "whose sizes are not the scale apart"),
        ("misaligned", shifts, f"that lie {SHIFT:g} LR pixels apart or more"),
    ):
        if found:
            yield Finding(
                kind,
                True,
                f"{_count(found, 'pair')} {text}",
                [[place] for place, _ in found],
                [f"{checked.name(place)}: {told}" for place, told in found],
            )


def _equal(checked: Checked) -> Iterator[Finding]:
    """Images that are there twice: a problem where one tests what the other has trained."""
    groups: dict[bytes, list[Place]] = {}
    for place, look in checked.all():
        if not look.flat:
            groups.setdefault(look.digest, []).append(place)
    same = [group for group in groups.values() if len(group) > 1]
    yield from _repeated(checked, same, "duplicate", "that are equal, value by value")


def _alike(checked: Checked) -> Iterator[Finding]:
    """Images that show the same, in another size or compression."""
    looks = [(place, look) for place, look in checked.all() if look.hash is not None]
    first_of: dict[bytes, int] = {}
    single = [i for i, (_, look) in enumerate(looks) if first_of.setdefault(look.digest, i) == i]
    hashes = np.array([looks[i][1].hash for i in single], dtype=np.uint64)
    groups = Groups(len(single))
    for one, other in near(hashes):
        first, second = (looks[single[i]][1].small for i in (one, other))
        assert first is not None
        assert second is not None
        if float((first * second).mean()) >= CORRELATION:
            groups.join(one, other)
    alike = [[looks[single[i]][0] for i in group] for group in groups.several()]
    yield from _repeated(checked, alike, "alike", "that show the same")


def _repeated(
    checked: Checked, groups: Sequence[list[Place]], kind: str, text: str
) -> Iterator[Finding]:
    # What `train.mix` draws from is trained on as `train` is.
    across = [g for g in groups if len({place.split.partition(".")[0] for place in g}) > 1]
    within = [group for group in groups if group not in across]
    for found, problem, where in (
        (across, True, "in several splits"),
        (within, False, "in one split"),
    ):
        if found:
            yield Finding(
                kind,
                problem,
                f"{_count(found, 'group')} of images {text}, {where}",
                found,
                [" = ".join(checked.name(place) for place in group) for group in found],
            )


def _classes(checked: Checked) -> Iterator[Finding]:
    for split, images in checked.images.items():
        if images.classes is None:
            continue
        looks = [look for look in checked.looks[split] if look is not None]
        counts = Counter(look.label for look in looks if look.label is not None)
        missing = images.classes - len(counts)
        if missing:
            text = f"{split}: {missing} of {images.classes} classes have no image"
            yield Finding("classes", False, text)
        if counts and max(counts.values()) > BALANCE * min(counts.values()):
            (most, many), (least, few) = counts.most_common()[0], counts.most_common()[-1]
            text = f"{split}: class {most} has {many} images, class {least} only {few}"
            yield Finding("classes", False, text)


def _truth(checked: Checked) -> Iterator[Finding]:
    """Labels, masks and boxes of classes that a teacher does not tell; masks of a single class."""
    for name, (task, count) in checked.told.items():
        first = 1 if task == "detection" else 0
        wrong = []
        for place, look in checked.all():
            strange = [each for each in _labels(look, task) if not first <= each < count]
            if strange:
                wrong.append((place, strange))
        if wrong:
            yield Finding(
                "truth",
                True,
                f"{_count(wrong, 'image')} of classes that teacher '{name}' does not tell",
                [[place] for place, _ in wrong],
                [
                    f"{checked.name(place)}: {', '.join(map(str, strange))}; expected {first} to "
                    f"{count - 1}"
                    for place, strange in wrong
                ],
            )
    for split in checked.images:
        masked = [look for look in checked.looks[split] if look and look.drawn and not look.boxed]
        if masked and {each for look in masked for each in look.drawn or ()} == {0}:
            share = sum(look.unknown for look in masked) / len(masked)
            text = f"{split}: masks hold class 0 alone; {share:.0%} of the pixels are unknown"
            yield Finding("truth", False, text + ": is that value a class?" if share else text)


def _labels(look: Look, task: Task) -> Sequence[int]:
    """List the classes of an image that a teacher of a task would be judged by."""
    if task == "classification":
        return [] if look.label is None else [look.label]
    return look.drawn or [] if look.boxed == (task == "detection") else []


def _mixture(checked: Checked) -> Iterator[Finding]:
    """Kinds of images that lie side by side."""
    for split in checked.images:
        looks = [look for look in checked.looks[split] if look is not None]
        kinds = Counter(_kind(look) for look in looks)
        if len(kinds) > 1:
            listed = "; ".join(f"{count} of {kind}" for kind, count in kinds.most_common())
            yield Finding("kinds", False, f"{split}: {listed}")


JUDGES: Sequence[Callable[[Checked], Iterator[Finding]]] = (
    _unreadable,
    _pairs,
    _values,
    _equal,
    _alike,
    _classes,
    _truth,
    _mixture,
)


class Groups:
    """Things that belong together, joined two by two."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def join(self, one: int, other: int) -> None:
        """Put two things, and all that belongs to either, together."""
        self._parents[self._root(other)] = self._root(one)

    def several(self) -> list[list[int]]:
        """Give the groups of more than one."""
        found: dict[int, list[int]] = {}
        for i in range(len(self._parents)):
            found.setdefault(self._root(i), []).append(i)
        return [group for group in found.values() if len(group) > 1]

    def _root(self, i: int) -> int:
        while self._parents[i] != i:
            self._parents[i] = self._parents[self._parents[i]]
            i = self._parents[i]
        return i


def near(hashes: np.ndarray[Any, np.dtype[np.uint64]]) -> Iterator[tuple[int, int]]:
    """Find the pairs of hashes that differ in at most 3 bits.

    Of four parts of 16 bits at least one is then the same, so only hashes that share a part are
    compared.
    """
    seen: set[tuple[int, int]] = set()
    for part in range(DIFFERENT_BITS + 1):
        keys = (hashes >> np.uint64(16 * part)) & np.uint64(0xFFFF)
        order = np.argsort(keys, kind="stable")
        edges = np.flatnonzero(np.diff(keys[order])) + 1
        for bucket in np.split(order, edges):
            for position, one in enumerate(bucket[:-1]):
                others = bucket[position + 1 :]
                apart = np.bitwise_count(hashes[others] ^ hashes[one])
                for other in others[apart <= DIFFERENT_BITS]:
                    pair = (int(min(one, other)), int(max(one, other)))
                    if pair not in seen:
                        seen.add(pair)
                        yield pair


def _kind(look: Look) -> str:
    channels = "1 channel" if look.channels == 1 else f"{look.channels} channels"
    return f"{channels}, {look.kind}" if look.kind else channels


def _size(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"


def _count(found: Any, noun: str) -> str:
    return f"{len(found)} {noun}{'' if len(found) == 1 else 's'}"
