"""The data set of real pairs: arrays or FITS of the same sky in low and high resolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt

from srkit.errors import DataError
from srkit.interfaces import Sample
from srkit.system import digest_of_states
from srkit_astro.files.calibration import PhysicalType
from srkit_astro.files.masked_images import find_images
from srkit_astro.footprints import Footprint, note_on_groups, representatives, shared_sky
from srkit_astro.pairing.catalogue import read_catalogue
from srkit_astro.pairs.reader import CommonProperties, Masked, PairFiles, PairReader, ReadPair
from srkit_astro.pairs.splits import Split, hash_fraction, split_of

#: How to obtain pairs.
REMEDY = (
    "srkit data pair makes pairs of your mosaics, see docs/how_to/make_pairs.md, and srkit "
    "data make simulates some; or set lr and hr to folders of yours"
)
#: Largest number of unusable pairs that an error or a note lists.
LISTED = 10
#: Bytes of images that are kept in memory; further pairs are read from their files each time.
KEPT = 2**29
Fraction = Annotated[float, Field(ge=0, le=1)]


class LensPairs:
    """Pairs of ``.npy`` arrays or FITS images of the same sky, matched by name.

    The layout is that of DeepLense, ``lr/NAME.npy`` and ``hr/NAME.npy`` with the shape (H, W) or
    (1, H, W) and any float type, or FITS files; ``LR_12`` pairs with ``HR_12``. HR must be larger
    than LR by the scale of the recipe and cover the same sky: shapes, pixel scales and corners are
    compared. Every file is read once at the start, and all unusable files are reported together.
    Pairs are assigned to train, validation and test by a hash of their name. Pairs that share a
    part of the sky, directly or through others, are in one split: that of the first name.

    Parameters
    ----------
    lr, hr
        Folders with the low- and the high-resolution images; subfolders are included.
    variance
        Folder with the variance of the noise in LR, under the same names; FITS files may contain it
        themselves.
    split
        The split to use; ``all`` uses every pair.
    fractions
        Expected fractions of train, validation and test.
    folds, fold
        For cross-validation: the pairs outside the test split are divided into `folds`; fold number
        `fold`, from 0, validates and the others train.
    limit
        Largest number of pairs, chosen by a hash of the name.
    positions
        CSV file with the columns name, ra and dec (ICRS, degrees) of the centres, which place files
        without a WCS on the sky; needs `pixel_scale`.
    values
        ``flux`` is flux per pixel, for which HR is multiplied by scale**2; ``surface_brightness``
        is the same in LR and HR for a uniform image. By default FITS files follow BUNIT, and arrays
        are surface brightness.
    unit
        Unit of the values; by default BUNIT of the first LR image.
    pixel_scale
        Side of an HR pixel in arcsec, for files without a WCS.
    zero_point
        AB magnitude of one count per second, to which all images are converted; by default that of
        the first LR image.
    lr_zero_point, hr_zero_point
        AB magnitude of one unit of LR and of HR; overrides the headers (MAGZERO, FLUXMAG0, PHOTFLAM
        with PHOTPLAM).
    data_range
        The values of black and white; by default the smallest and the largest value of all pairs in
        all splits.
    lr_hdu, hr_hdu
        Name (``SCI``), name and version (``SCI,2``) or number of the extension of the FITS files.
    masked
        ``refuse`` refuses pairs with NaN, masked or saturated pixels; ``fill`` replaces up to a
        tenth of the pixels of an image by the median of their neighbours, with infinite variance in
        LR.
    unreadable
        ``error`` stops if there are unusable files; ``skip`` leaves such pairs out, with a note.

    Raises
    ------
    DataError
        If a folder or a pair cannot be used, or there are no pairs.
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
        split: Split | Literal["all"] = "all",
        fractions: tuple[Fraction, Fraction, Fraction] = (0.8, 0.1, 0.1),
        folds: Annotated[int, Field(ge=2)] | None = None,
        fold: int | None = None,
        limit: PositiveInt | None = None,
        positions: Path | None = None,
        values: PhysicalType | None = None,
        unit: str | None = None,
        pixel_scale: PositiveFloat | None = None,
        zero_point: float | None = None,
        lr_zero_point: float | None = None,
        hr_zero_point: float | None = None,
        data_range: tuple[float, float] | None = None,
        lr_hdu: str | None = None,
        hr_hdu: str | None = None,
        masked: Masked = "refuse",
        unreadable: Literal["error", "skip"] = "error",
    ) -> None:
        if positions is not None and pixel_scale is None:
            raise ValueError("positions need pixel_scale, since the sizes on the sky are unknown")
        split_of("", fractions, folds, fold)  # check the options before files are read
        if data_range is not None and not data_range[0] < data_range[1]:
            raise ValueError(f"data_range is {list(data_range)}; expected black below white")
        self._reader = PairReader(
            scale=scale,
            values=values,
            unit=unit,
            pixel_scale=pixel_scale,
            zero_point=zero_point,
            lr_zero_point=lr_zero_point,
            hr_zero_point=hr_zero_point,
            lr_hdu=lr_hdu,
            hr_hdu=hr_hdu,
            masked=masked,
            positions=positions and {each.name: each for each in read_catalogue(positions)},
        )
        found = scan(self._reader, lr, hr, variance, skip=unreadable == "skip")
        assert found.common is not None
        self.notes = found.notes
        self.channels, self._common = found.common.channels, found.common
        self._with_variance = found.with_variance == len(found.files)
        self._data_range = found.data_range if data_range is None else data_range
        if data_range is None:
            low, high = found.data_range
            self.notes.append(f"data range {low:.6g} to {high:.6g}, measured over all pairs")
        first = representatives([files.name for files in found.files], found.footprints)
        if note := note_on_groups(first):
            self.notes.append(note)
        chosen = [
            (files, footprint)
            for files, name, footprint in zip(found.files, first, found.footprints, strict=True)
            if split == "all" or split_of(name, fractions, folds, fold) == split
        ]
        chosen = sorted(chosen, key=lambda each: hash_fraction(each[0].name, "limit"))[:limit]
        chosen = sorted(chosen, key=lambda each: each[0].name)
        self._files = [files for files, _ in chosen]
        self._footprints = [footprint for _, footprint in chosen]
        if not self._files:
            groups, count = len(set(first)), len(first)
            grouped = f", in {groups} groups that share no sky," if groups < count else ""
            raise DataError(
                f"{lr}: none of {count} pairs{grouped} is in the split '{split}'; increase its "
                "fraction, or use all"
            )
        names = {files.name for files in self._files}
        self._samples = {name: sample for name, sample in found.samples.items() if name in names}

    def __len__(self) -> int:
        return len(self._files)

    def fingerprint(self) -> str:
        """Return a digest of the names, sizes and modification times of the files."""
        files = ((each.lr, each.hr, each.variance) for each in self._files)
        return digest_of_states(path for group in files for path in group if path is not None)

    def overlaps(self, other: object) -> Sequence[tuple[int, int, float]]:
        """Return the pairs that share a part of the sky with pairs of another data set.

        Returns
        -------
        sequence of tuple of int, int and float
            Indices here and there, and the share of the area of the smaller image.
        """
        if not isinstance(other, LensPairs):
            return []
        return list(shared_sky(self._footprints, other._footprints))

    def __getitem__(self, index: int) -> Sample:
        files = self._files[index]
        sample = self._samples.get(files.name)
        if sample is None:
            sample = self._reader.read(files, self._common).sample
        variance = sample.variance if self._with_variance else None
        return replace(sample, variance=variance, data_range=self._data_range)


@dataclass(slots=True)
class Scan:
    """The result of reading all pairs of a data set once.

    Parameters
    ----------
    files
        The usable pairs, sorted by name.
    footprints
        Their footprints on the sky; None for those whose place is unknown.
    common
        The properties that all of them share.
    data_range
        Smallest and largest value of all pairs.
    ratios
        Flux of HR over flux of LR, per pair.
    filled
        Number of filled pixels, for pairs with any.
    saturated
        Number of those that are saturated.
    with_variance
        Number of pairs whose noise is known.
    samples
        Samples by name, up to `KEPT` bytes.
    notes
        Messages for the user.
    """

    files: list[PairFiles] = field(default_factory=list)
    footprints: list[Footprint | None] = field(default_factory=list)
    common: CommonProperties | None = None
    data_range: tuple[float, float] = (math.inf, -math.inf)
    ratios: list[float] = field(default_factory=list)
    filled: list[int] = field(default_factory=list)
    saturated: int = 0
    with_variance: int = 0
    samples: dict[str, Sample] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _bytes: int = 0

    def add(self, files: PairFiles, pair: ReadPair) -> None:
        """Add a pair."""
        sample = pair.sample
        assert sample.lr is not None
        self.files.append(files)
        self.footprints.append(pair.footprint)
        self.common = pair.common
        self.data_range = (
            min(self.data_range[0], float(sample.hr.min()), float(sample.lr.min())),
            max(self.data_range[1], float(sample.hr.max()), float(sample.lr.max())),
        )
        hr, lr = (float(image.double().mean()) for image in (sample.hr, sample.lr))
        self.ratios.append(hr / lr if lr else math.nan)
        self.with_variance += sample.variance is not None
        self.saturated += pair.saturated
        if pair.filled:
            self.filled.append(pair.filled)
        images = (sample.hr, sample.lr, sample.variance)
        self._bytes += sum(image.nbytes for image in images if image is not None)
        if self._bytes <= KEPT:
            self.samples[files.name] = sample


def scan(reader: PairReader, lr: Path, hr: Path, variance: Path | None, *, skip: bool) -> Scan:
    """Read every pair once; the first usable pair defines the common properties.

    Raises
    ------
    DataError
        If pairs cannot be used; the message lists up to ten. With `skip`, only if none can be used.
    """
    files, problems = match_files(lr, hr, variance)
    total = len(files) + len(problems)
    found = Scan()
    for each in files:
        try:
            found.add(each, reader.read(each, found.common))
        except DataError as error:
            problems.append(str(error))
    if problems:
        more = [f"and {len(problems) - LISTED} more"] if len(problems) > LISTED else []
        listed = "\n  ".join(["", *problems[:LISTED], *more])
        if not skip or not found.files:
            raise DataError(f"{lr}: {len(problems)} of {total} pairs cannot be used:{listed}")
        found.notes.append(f"skipped {len(problems)} of {total} pairs:{listed}")
    assert found.common is not None
    usable, unit, zero_point = len(found.files), found.common.unit, found.common.zero_point
    if found.filled:
        saturated = f", {found.saturated} of them saturated," if found.saturated else ""
        found.notes.append(
            f"filled {sum(found.filled)} pixels without a value{saturated} in {len(found.filled)} "
            "pairs with the median of their neighbours"
        )
    if 0 < found.with_variance < usable:
        found.notes.append(
            f"only {found.with_variance} of {usable} pairs have a variance; it is not used"
        )
    at = "" if zero_point is None else f" at AB {zero_point:g}"
    found.notes.append(
        f"{usable} pairs {f'in {unit}{at}' if unit else 'without a unit'}; the flux of HR is "
        f"{float(np.median(found.ratios)):.3g} times that of LR (median)"
    )
    return found


def match_files(lr: Path, hr: Path, variance: Path | None) -> tuple[list[PairFiles], list[str]]:
    """Match files by name: return the pairs, sorted, and a line for each file without a partner.

    Raises
    ------
    DataError
        If a folder does not exist or is empty.
    """
    sides = {side: find_images(folder, REMEDY) for side, folder in (("LR", lr), ("HR", hr))}
    if variance is not None:
        sides["variance"] = find_images(variance)
    files, problems = [], []
    for name in sorted(set().union(*sides.values())):
        found = {side: paths.get(name, []) for side, paths in sides.items()}
        double = next((paths for paths in found.values() if len(paths) > 1), None)
        missing = [side for side, paths in found.items() if not paths]
        if double:
            problems.append(f"{double[0]}: {double[1].name} has the same name '{name}'")
        elif missing:
            path = next(paths[0] for paths in found.values() if paths)
            problems.append(f"{path}: there is no {' and no '.join(missing)} named '{name}'")
        else:
            noise = found["variance"][0] if variance is not None else None
            files.append(PairFiles(name, found["LR"][0], found["HR"][0], noise))
    return files, problems
