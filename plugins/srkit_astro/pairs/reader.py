"""From the two files of a pair to images on one scale of surface brightness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from astropy.io.fits import Header
from torch import Tensor

from srkit.errors import DataError
from srkit.interfaces import Sample
from srkit_astro.files.calibration import Values, per_lr_area, values_of, zero_point
from srkit_astro.files.masked_images import Exposure, fill, read_exposure
from srkit_astro.files.wcs import celestial, pixel_scale
from srkit_astro.instruments.cameras import UNIT

#: How far the ratio of the pixels' sides may be from the scale.
SIDES = 0.01
#: How far the corners of HR may lie from those of LR by their WCS, in LR pixels.
CORNERS = 0.5

Masked = Literal["refuse", "fill"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a pair."""

    name: str
    lr: Path
    hr: Path
    variance: Path | None = None


@dataclass(frozen=True, slots=True)
class Common:
    """What all pairs of a data set share.

    Parameters
    ----------
    channels
        Of every image.
    unit
        Of the pixel values.
    zero_point
        AB magnitude of one unit; None where no file tells.
    pixel_scale
        Side of an HR pixel in arcsec; None where no file tells.
    """

    channels: int
    unit: str
    zero_point: float | None
    pixel_scale: float | None


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair as it was read: the sample, what it shares with others, and how much was filled."""

    sample: Sample
    common: Common
    filled: int


@dataclass(frozen=True, slots=True)
class Reading:
    """How pairs are read; the options of :class:`srkit_astro.pairs.dataset.LensPairs`."""

    scale: int
    values: Values | None
    unit: str | None
    pixel_scale: float | None
    zero_point: float | None
    lr_zero_point: float | None
    hr_zero_point: float | None
    masked: Masked

    def read(self, files: Files, common: Common | None) -> Pair:
        """Read a pair.

        Parameters
        ----------
        files
            The pair.
        common
            What it has to share; None for the first, which decides it.

        Raises
        ------
        DataError
            If a file cannot be used, the two do not fit, or the pair is of another kind.
        """
        lr, hr = read_exposure(files.lr), read_exposure(files.hr)
        check_sizes(lr, hr, self.scale)
        side = hr_side(lr, hr, self.scale) or self.pixel_scale
        unit, points = self._calibrate(lr, hr)
        target = self.zero_point if self.zero_point is not None else points[0]
        found = Common(len(lr.values), unit, target, side)
        common = found if common is None else agree(hr.path, found, common)
        factors = [_factor(point, common.zero_point) for point in points]
        area = self._area(lr, hr)
        images = [self._whole(exposure) for exposure in (lr, hr)]
        sample = Sample(
            files.name,
            images[1] * (factors[1] * area),
            images[0] * factors[0],
            unit=common.unit,
            pixel_scale=common.pixel_scale,
            variance=variance_of(lr, files.variance, factors[0]),
            zero_point=common.zero_point,
        )
        return Pair(sample, common, int(lr.bad.sum() + hr.bad.sum()))

    def _whole(self, exposure: Exposure) -> Tensor:
        """Give the values, bad ones filled; refuse an image that holds nothing."""
        count, total = int(exposure.bad.sum()), exposure.bad.numel()
        if count == total:
            raise DataError(f"{exposure.path}: no pixel has a value (NaN or masked)")
        if count and self.masked == "refuse":
            raise DataError(
                f"{exposure.path}: {count} of {total} pixels have no value (NaN or masked); set "
                "masked: fill"
            )
        valid = exposure.values[~exposure.bad]
        if valid.min() == valid.max():
            raise DataError(f"{exposure.path}: every pixel has the value {float(valid[0]):g}")
        return fill(exposure) if count else exposure.values

    def _area(self, lr: Exposure, hr: Exposure) -> float:
        """Give the factor from HR values to flux per area of an LR pixel."""
        kinds = [self._values_of(exposure) for exposure in (lr, hr)]
        if kinds[0] != kinds[1]:
            raise DataError(
                f"{hr.path}: holds {_words(kinds[1])} and {lr.path} {_words(kinds[0])}; "
                "convert one, or set values where a header is wrong"
            )
        return per_lr_area(kinds[1], self.scale)

    def _values_of(self, exposure: Exposure) -> Values:
        if self.values is not None:
            return self.values
        if exposure.header is None:
            return "surface_brightness"
        found: Values | None = _told(exposure, values_of)
        if found is None:
            raise DataError(
                f"{exposure.path}: BUNIT is '{exposure.header.get('BUNIT', '')}', which does not "
                "tell flux per pixel from surface brightness; set values"
            )
        return found

    def _calibrate(self, lr: Exposure, hr: Exposure) -> tuple[str, list[float | None]]:
        """Find the unit of the values and the zero points of LR and HR; both have one, or none."""
        given = (self.lr_zero_point, self.hr_zero_point)
        points = [
            _told(exposure, zero_point) if point is None else point
            for exposure, point in zip((lr, hr), given, strict=True)
        ]
        units = [_unit(exposure.header) for exposure in (lr, hr)]
        for exposure, point, option in zip((lr, hr), points, ("lr", "hr"), strict=True):
            if point is None and any(p is not None for p in (*points, self.zero_point)):
                raise DataError(
                    f"{exposure.path}: states no zero point, which others do; set "
                    f"{option}_zero_point"
                )
        if points[0] is None and units[0] != units[1]:
            raise DataError(
                f"{hr.path}: BUNIT is '{units[1]}', that of {lr.path} is '{units[0]}', and none "
                "states a zero point; set lr_zero_point and hr_zero_point"
            )
        unit = units[0] if self.zero_point is None else UNIT
        return unit if self.unit is None else self.unit, points


def check_sizes(lr: Exposure, hr: Exposure, scale: int) -> None:
    """Require that HR is `scale` times as large as LR.

    Raises
    ------
    DataError
        If it is not.
    """
    channels, height, width = lr.values.shape
    expected = (channels, scale * height, scale * width)
    if hr.values.shape != expected:
        raise DataError(
            f"{hr.path}: has the shape {tuple(hr.values.shape)}; expected {expected}, {scale} "
            "times its LR"
        )


def hr_side(lr: Exposure, hr: Exposure, scale: int) -> float | None:
    """Give the side of an HR pixel in arcsec by the WCS, or None where neither file has one.

    Raises
    ------
    DataError
        If the sides of the pixels do not have the scale, or the corners of HR are not on LR's.
    """
    small, large = (_told(exposure, pixel_scale) for exposure in (hr, lr))
    if small is None or large is None:
        return small if large is None else large / scale
    if abs(large / small / scale - 1) > SIDES:
        raise DataError(
            f"{hr.path}: its pixels are {small:.4g} arcsec and those of its LR {large:.4g}, "
            f"{large / small:.4g} times as large; expected {scale} times"
        )
    away = _corners_apart(lr, hr, scale)
    if not away <= CORNERS:
        raise DataError(
            f"{hr.path}: its corners lie up to {away:.2g} LR pixels from those of its LR by their "
            "WCS; expected the same sky"
        )
    return small


def _corners_apart(lr: Exposure, hr: Exposure, scale: int) -> float:
    assert lr.header is not None
    assert hr.header is not None
    coarse, fine = celestial(lr.header), celestial(hr.header)
    assert coarse is not None
    assert fine is not None
    height, width = lr.values.shape[-2:]
    corners = np.array([[x, y] for x in (-0.5, width - 0.5) for y in (-0.5, height - 0.5)])
    found = fine.all_world2pix(coarse.all_pix2world(corners, 0), 0, quiet=True)
    return float(np.abs((found + 0.5) / scale - (corners + 0.5)).max())


def agree(path: Path, found: Common, common: Common) -> Common:
    """Require that a pair is of the kind of the others.

    Raises
    ------
    DataError
        If channels, unit or pixel side differ, or only some pairs have a zero point.
    """
    if found.channels != common.channels:
        raise DataError(f"{path}: has {found.channels} channels; the others have {common.channels}")
    if (found.zero_point is None) != (common.zero_point is None):
        states = "no zero point, which others do" if found.zero_point is None else "a zero point"
        raise DataError(f"{path}: states {states}; set lr_zero_point and hr_zero_point for all")
    if found.zero_point is None and found.unit != common.unit:
        raise DataError(f"{path}: its unit is '{found.unit}'; that of the others '{common.unit}'")
    sides = (found.pixel_scale, common.pixel_scale)
    if (sides[0] is None) != (sides[1] is None):
        raise DataError(
            f"{path}: it has {'no' if sides[0] is None else 'a'} WCS, unlike the others"
        )
    if sides[0] is not None and sides[1] is not None and abs(sides[0] / sides[1] - 1) > SIDES:
        raise DataError(
            f"{path}: its pixels are {sides[0]:.4g} arcsec; those of the others {sides[1]:.4g}"
        )
    return common


def variance_of(lr: Exposure, path: Path | None, factor: float) -> Tensor | None:
    """Give the variance of the noise in LR, infinite where it has no value; None if unknown.

    Raises
    ------
    DataError
        If it has another shape, or values that no variance has.
    """
    variance = lr.variance if path is None else read_exposure(path).values
    if variance is None:
        return None
    where = lr.path if path is None else path
    if variance.shape not in (lr.values.shape, (1, *lr.values.shape[1:])):
        raise DataError(
            f"{where}: has the shape {tuple(variance.shape)}; expected that of LR, "
            f"{tuple(lr.values.shape)}"
        )
    variance = (factor**2 * variance).expand_as(lr.values).masked_fill(lr.bad, float("inf"))
    wrong = int((~(variance > 0)).sum())
    if wrong:
        raise DataError(f"{where}: the variance of {wrong} pixels is not a positive number")
    return variance


def _factor(point: float | None, target: float | None) -> float:
    """Give the factor that brings values from one zero point to another."""
    if point is None or target is None:
        return 1.0
    return float(10 ** (0.4 * (target - point)))


def _told(exposure: Exposure, ask: Callable[[Header], T | None]) -> T | None:
    """Ask a header, if there is one; an error names the file."""
    if exposure.header is None:
        return None
    try:
        return ask(exposure.header)
    except DataError as error:
        raise DataError(f"{exposure.path}: {error}") from error


def _unit(header: Header | None) -> str:
    return "" if header is None else str(header.get("BUNIT", "")).strip()


def _words(values: Values) -> str:
    return "flux per pixel" if values == "flux" else "surface brightness"
