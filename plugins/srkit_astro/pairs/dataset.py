"""Real pairs: arrays or FITS of the same sky in low and high resolution, matched by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, PositiveFloat, PositiveInt

from srkit.errors import DataError
from srkit.interfaces import Sample
from srkit_astro.files.calibration import Values
from srkit_astro.files.masked_images import find_exposures
from srkit_astro.pairs.reader import Common, Files, Masked, Pair, Reading
from srkit_astro.pairs.splits import Part, part_of, place

#: Pairs that cannot be used and that an error or a note names.
NAMED = 10
#: Bytes of images that are kept in memory; further pairs are read from their files each time.
KEPT = 2**29
Share = Annotated[float, Field(ge=0, le=1)]


class LensPairs:
    """Pairs of ``.npy`` arrays or FITS images of the same sky, matched by name.

    The DeepLense layout, ``lr/NAME.npy`` and ``hr/NAME.npy`` of the shape (H, W) or (1, H, W) in
    any type of float, or FITS of the same layout; ``LR_12`` pairs with ``HR_12``. HR has to be
    the recipe's scale times as large, and cover the sky of LR pixel by pixel: shapes, pixel sides
    and corners are compared. Every file is read once at the start; all that cannot be used are
    named at once. Which names train, validate and test is decided by a hash of the name.

    Parameters
    ----------
    lr, hr
        Folders of the low- and the high-resolution images, with all their subfolders.
    variance
        Folder of the variance of the noise in LR, by the same names; FITS may hold it itself.
    split
        The part to take; ``all`` takes every pair.
    fractions
        Expected shares of train, validation and test.
    folds, fold
        For cross-validation: of what is not for testing, fold number `fold`, from 0, of `folds`
        validates and the others train.
    limit
        Take at most so many pairs, chosen by a hash of the name.
    values
        ``flux`` is flux per pixel, so that HR is multiplied by scale**2; ``surface_brightness`` is
        the same in LR and HR for a flat image. By default FITS goes by its BUNIT, and arrays are
        surface brightness.
    unit
        Unit of the values; by default BUNIT of the first LR image.
    pixel_scale
        Side of an HR pixel in arcsec, for files without a WCS.
    zero_point
        AB magnitude of one count per second that all images are brought to; by default that of
        the first LR image.
    lr_zero_point, hr_zero_point
        AB magnitude of one unit of LR and of HR, instead of what the headers say (MAGZERO,
        FLUXMAG0, PHOTFLAM with PHOTPLAM).
    data_range
        The values of black and white; by default the smallest and the largest value of all pairs,
        whatever the split.
    masked
        ``refuse`` takes no pair with NaN or masked pixels; ``fill`` gives them the median of their
        neighbours, up to a tenth of an image, and LR infinite variance there.
    unreadable
        ``error`` stops at files that cannot be used; ``skip`` leaves such pairs out, with a note.

    Raises
    ------
    DataError
        If a folder or a pair cannot be used, or none is left.
    ValueError
        If options contradict each other.
    """

    classes = None

    def __init__(
        self,
        *,
        scale: int,
        lr: Path,
        hr: Path,
        variance: Path | None = None,
        split: Part | Literal["all"] = "all",
        fractions: tuple[Share, Share, Share] = (0.8, 0.1, 0.1),
        folds: Annotated[int, Field(ge=2)] | None = None,
        fold: int | None = None,
        limit: PositiveInt | None = None,
        values: Values | None = None,
        unit: str | None = None,
        pixel_scale: PositiveFloat | None = None,
        zero_point: float | None = None,
        lr_zero_point: float | None = None,
        hr_zero_point: float | None = None,
        data_range: tuple[float, float] | None = None,
        masked: Masked = "refuse",
        unreadable: Literal["error", "skip"] = "error",
    ) -> None:
        part_of("", fractions, folds, fold)  # refuses what no name can be placed in
        if data_range is not None and not data_range[0] < data_range[1]:
            raise ValueError(f"data_range is {list(data_range)}; expected black below white")
        self._reading = Reading(
            scale=scale,
            values=values,
            unit=unit,
            pixel_scale=pixel_scale,
            zero_point=zero_point,
            lr_zero_point=lr_zero_point,
            hr_zero_point=hr_zero_point,
            masked=masked,
        )
        found = survey(self._reading, lr, hr, variance, skip=unreadable == "skip")
        self.notes = list(found.notes)
        self.channels, self._common = found.common.channels, found.common
        self._with_variance = found.with_variance
        self._data_range = found.data_range if data_range is None else data_range
        if data_range is None:
            low, high = found.data_range
            self.notes.append(f"data range {low:.6g} to {high:.6g}, measured over all pairs")
        chosen = [
            files
            for files in found.files
            if split == "all" or part_of(files.name, fractions, folds, fold) == split
        ]
        by_hash = sorted(chosen, key=lambda files: place(files.name, "limit"))[:limit]
        self._files = sorted(by_hash, key=lambda files: files.name)
        if not self._files:
            raise DataError(
                f"{lr}: none of {len(found.files)} pairs falls to split '{split}'; give it a "
                "larger fraction, or take all"
            )
        names = {files.name for files in self._files}
        self._kept = {name: sample for name, sample in found.kept.items() if name in names}

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Sample:
        files = self._files[index]
        sample = self._kept.get(files.name)
        if sample is None:
            sample = self._reading.read(files, self._common).sample
        variance = sample.variance if self._with_variance else None
        return replace(sample, variance=variance, data_range=self._data_range)


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first look at all pairs found.

    Parameters
    ----------
    files
        The pairs that can be used, sorted by name.
    common
        What they share.
    with_variance
        Whether all of them know their noise.
    data_range
        Smallest and largest value of all.
    notes
        What the user must see.
    kept
        Samples by name, up to `KEPT` bytes.
    """

    files: Sequence[Files]
    common: Common
    with_variance: bool
    data_range: tuple[float, float]
    notes: Sequence[str]
    kept: Mapping[str, Sample]


def survey(reading: Reading, lr: Path, hr: Path, variance: Path | None, *, skip: bool) -> Survey:
    """Read every pair once; the first that can be used decides what all share.

    Raises
    ------
    DataError
        If a pair cannot be used, naming ten of them; with `skip`, if none can.
    """
    files, problems = match(lr, hr, variance)
    total = len(files) + len(problems)
    common: Common | None = None
    usable, summaries = [], []
    kept, size = dict[str, Sample](), 0
    for each in files:
        try:
            pair = reading.read(each, common)
        except DataError as error:
            problems.append(str(error))
            continue
        common = pair.common
        usable.append(each)
        summaries.append(_summary(pair))
        size += _size(pair.sample)
        if size <= KEPT:
            kept[each.name] = pair.sample
    notes = []
    if problems:
        more = [f"and {len(problems) - NAMED} more"] if len(problems) > NAMED else []
        named = "\n  ".join(["", *problems[:NAMED], *more])
        if not skip or not usable:
            raise DataError(f"{lr}: {len(problems)} of {total} pairs cannot be used:{named}")
        notes.append(f"skipped {len(problems)} of {total} pairs:{named}")
    assert common is not None
    filled = [summary.filled for summary in summaries if summary.filled]
    if filled:
        notes.append(
            "filled pixels without a value with the median of their neighbours: "
            f"{sum(filled)} in {len(filled)} pairs"
        )
    known = sum(summary.with_variance for summary in summaries)
    if 0 < known < len(usable):
        notes.append(f"{known} of {len(usable)} pairs know their noise, so it is not used")
    at = "" if common.zero_point is None else f" at AB {common.zero_point:g}"
    ratio = float(np.median([summary.ratio for summary in summaries]))
    unit = f"in {common.unit}{at}" if common.unit else "without a unit"
    notes.append(f"{len(usable)} pairs {unit}; HR has {ratio:.3g} of the flux of LR (median)")
    span = min(s.low for s in summaries), max(s.high for s in summaries)
    return Survey(usable, common, known == len(usable), span, notes, kept)


@dataclass(frozen=True, slots=True)
class _Summary:
    low: float
    high: float
    ratio: float
    with_variance: bool
    filled: int


def _size(sample: Sample) -> int:
    images = (sample.hr, sample.lr, sample.variance)
    return sum(image.nbytes for image in images if image is not None)


def _summary(pair: Pair) -> _Summary:
    sample = pair.sample
    assert sample.lr is not None
    low, high = (
        pick(float(limit(image)) for image in (sample.hr, sample.lr))
        for pick, limit in ((min, torch.min), (max, torch.max))
    )
    means = [float(image.double().mean()) for image in (sample.hr, sample.lr)]
    ratio = means[0] / means[1] if means[1] else math.nan
    return _Summary(low, high, ratio, sample.variance is not None, pair.filled)


def match(lr: Path, hr: Path, variance: Path | None) -> tuple[list[Files], list[str]]:
    """Match files by name: the pairs, sorted, and a line on each file that has no partner.

    Raises
    ------
    DataError
        If a folder is missing or empty.
    """
    sides = {side: find_exposures(folder) for side, folder in (("LR", lr), ("HR", hr))}
    if variance is not None:
        sides["variance"] = find_exposures(variance)
    files, problems = [], []
    for name in sorted(set().union(*sides.values())):
        found = {side: paths.get(name, []) for side, paths in sides.items()}
        double = next((paths for paths in found.values() if len(paths) > 1), None)
        missing = [side for side, paths in found.items() if not paths]
        if double:
            problems.append(f"{double[0]}: {double[1].name} has the name '{name}' too")
        elif missing:
            there = next(paths[0] for paths in found.values() if paths)
            problems.append(f"{there}: has no {' and no '.join(missing)} of the name '{name}'")
        else:
            noise = found["variance"][0] if variance is not None else None
            files.append(Files(name, found["LR"][0], found["HR"][0], noise))
    return files, problems
