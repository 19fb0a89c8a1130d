"""Reading of pairs: two files become LR and HR in the same unit of surface brightness."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from astropy.io.fits import Header
from torch import Tensor

from srkit.errors import DataError
from srkit.interfaces import Sample
from srkit_astro.files.calibration import (
    PhysicalType,
    per_lr_area,
    physical_type,
    pixel_area,
    zero_point,
    zero_point_of_pixels,
)
from srkit_astro.files.masked_images import MaskedImage, fill_bad_pixels, read_masked_image
from srkit_astro.files.wcs import celestial, pixel_scale
from srkit_astro.footprints import Footprint, footprint_around, footprint_of
from srkit_astro.instruments.cameras import UNIT
from srkit_astro.pairing.results import Position

#: Largest relative deviation of a pixel scale from the expected one.
SCALE_TOLERANCE = 0.01
#: Largest distance of the corners of HR from those of LR according to their WCS, in LR pixels.
CORNER_TOLERANCE = 0.5

Masked = Literal["refuse", "fill"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PairFiles:
    """The files of a pair, and its name."""

    name: str
    lr: Path
    hr: Path
    variance: Path | None = None


@dataclass(frozen=True, slots=True)
class CommonProperties:
    """The properties that all pairs of a data set have in common.

    Parameters
    ----------
    channels
        Number of channels of every image.
    unit
        Unit of the pixel values.
    zero_point
        AB magnitude of one unit; None if unknown.
    pixel_scale
        Side of an HR pixel in arcsec; None if unknown.
    """

    channels: int
    unit: str
    zero_point: float | None
    pixel_scale: float | None


@dataclass(frozen=True, slots=True)
class ReadPair:
    """A pair that was read.

    Parameters
    ----------
    sample
        The pair.
    common
        The properties that it has in common with the others.
    filled
        Number of filled pixels.
    saturated
        Number of those that are saturated.
    footprint
        Its footprint on the sky; None without a WCS and without `positions`.
    """

    sample: Sample
    common: CommonProperties
    filled: int
    saturated: int
    footprint: Footprint | None


@dataclass(frozen=True, slots=True)
class PairReader:
    """Reads pairs; for the parameters see :class:`srkit_astro.pairs.dataset.LensPairs`.

    `positions` are the rows, by name, of the catalogue that places files without a WCS on the sky.
    """

    scale: int
    values: PhysicalType | None
    unit: str | None
    pixel_scale: float | None
    zero_point: float | None
    lr_zero_point: float | None
    hr_zero_point: float | None
    masked: Masked
    positions: Mapping[str, Position] | None = None
    lr_hdu: str | None = None
    hr_hdu: str | None = None

    def read(self, files: PairFiles, common: CommonProperties | None) -> ReadPair:
        """Read a pair.

        Parameters
        ----------
        files
            The files.
        common
            The properties that the pair must have; None for the first pair, which defines them.

        Raises
        ------
        DataError
            If a file cannot be used, LR and HR do not match, or the pair has other properties.
        """
        lr, hr = (
            read_masked_image(path, extension, f"choose with {option}")
            for path, extension, option in (
                (files.lr, self.lr_hdu, "lr_hdu"),
                (files.hr, self.hr_hdu, "hr_hdu"),
            )
        )
        check_sizes(lr, hr, self.scale)
        pixel = hr_pixel_scale(lr, hr, self.scale) or self.pixel_scale
        unit, points = self._calibrate(lr, hr, pixel)
        target = self.zero_point if self.zero_point is not None else points[0]
        found = CommonProperties(len(lr.values), unit, target, pixel)
        common = found if common is None else check_common(hr.path, found, common)
        factors = [_factor(point, common.zero_point) for point in points]
        area = self._area(lr, hr)
        images = [self._valid_values(image) for image in (lr, hr)]
        sample = Sample(
            files.name,
            images[1] * (factors[1] * area),
            images[0] * factors[0],
            unit=common.unit,
            pixel_scale=common.pixel_scale,
            variance=read_variance(lr, files.variance, factors[0]),
            zero_point=common.zero_point,
        )
        filled = int(lr.bad.sum() + hr.bad.sum())
        footprint = _footprint(lr) or _footprint(hr) or self._footprint_around(sample)
        return ReadPair(sample, common, filled, lr.saturated + hr.saturated, footprint)

    def _footprint_around(self, sample: Sample) -> Footprint | None:
        """Return the footprint of a pair without a WCS around its position in the catalogue."""
        if self.positions is None:
            return None
        centre = self.positions.get(sample.name)
        if centre is None:
            raise DataError(
                f"'{sample.name}' has no row in the catalogue of positions; add its ra and dec"
            )
        assert sample.pixel_scale is not None
        height, width = (sample.pixel_scale * side for side in sample.hr.shape[-2:])
        return footprint_around(centre.ra, centre.dec, (height, width))

    def _valid_values(self, image: MaskedImage) -> Tensor:
        """Return the values, with bad pixels filled; refuse an image without information."""
        count, total = int(image.bad.sum()), image.bad.numel()
        if count == total:
            raise DataError(f"{image.path}: no pixel has a value (NaN, masked or saturated)")
        if count and self.masked == "refuse":
            raise DataError(
                f"{image.path}: {count} of {total} pixels have no value (NaN, masked or "
                "saturated); set masked: fill"
            )
        valid = image.values[~image.bad]
        if valid.min() == valid.max():
            raise DataError(f"{image.path}: every pixel has the value {float(valid[0]):g}")
        return fill_bad_pixels(image) if count else image.values

    def _area(self, lr: MaskedImage, hr: MaskedImage) -> float:
        """Return the factor from HR values to flux per area of an LR pixel."""
        types = [self._physical_type(image) for image in (lr, hr)]
        if types[0] != types[1]:
            raise DataError(
                f"{hr.path}: contains {_words(types[1])}, but {lr.path} {_words(types[0])}; "
                "convert one, or set values if a header is wrong"
            )
        return per_lr_area(types[1], self.scale)

    def _physical_type(self, image: MaskedImage) -> PhysicalType:
        if self.values is not None:
            return self.values
        if image.header is None:
            return "surface_brightness"
        found: PhysicalType | None = _from_header(image, physical_type)
        if found is None:
            raise DataError(
                f"{image.path}: BUNIT is '{image.header.get('BUNIT', '')}', which could be flux "
                "per pixel or surface brightness; set values"
            )
        return found

    def _calibrate(
        self, lr: MaskedImage, hr: MaskedImage, pixel: float | None
    ) -> tuple[str, list[float | None]]:
        """Return the unit of the values, and the zero points of LR and HR: both or neither."""
        given = (self.lr_zero_point, self.hr_zero_point)
        side = None if pixel is None else pixel * self.scale
        area = _from_header(lr, lambda header: pixel_area(header, side))

        def stated(header: Header) -> float | None:
            found = zero_point(header)
            # HR becomes flux per area of an LR pixel.
            return zero_point_of_pixels(header, area) if found is None else found

        points = [
            _from_header(image, stated) if point is None else point
            for image, point in zip((lr, hr), given, strict=True)
        ]
        units = [_unit(image.header) for image in (lr, hr)]
        for image, point, option in zip((lr, hr), points, ("lr", "hr"), strict=True):
            if point is None and any(p is not None for p in (*points, self.zero_point)):
                raise DataError(
                    f"{image.path}: has no zero point, unlike the others; set {option}_zero_point"
                )
        if points[0] is None and units[0] != units[1]:
            raise DataError(
                f"{hr.path}: BUNIT is '{units[1]}', that of {lr.path} is '{units[0]}', and neither "
                "has a zero point; set lr_zero_point and hr_zero_point"
            )
        unit = units[0] if self.zero_point is None else UNIT
        return unit if self.unit is None else self.unit, points


def check_sizes(lr: MaskedImage, hr: MaskedImage, scale: int) -> None:
    """Check that HR is `scale` times as large as LR.

    Raises
    ------
    DataError
        If it is not.
    """
    channels, height, width = lr.values.shape
    expected = (channels, scale * height, scale * width)
    if hr.values.shape != expected:
        raise DataError(
            f"{hr.path}: the shape is {tuple(hr.values.shape)}; expected {expected}, {scale} times "
            "that of LR"
        )


def hr_pixel_scale(lr: MaskedImage, hr: MaskedImage, scale: int) -> float | None:
    """Return the pixel scale of HR in arcsec according to the WCS; None if neither file has one.

    Raises
    ------
    DataError
        If the ratio of the pixel scales is not `scale`, or the corners of LR and HR differ.
    """
    fine, coarse = (_from_header(image, pixel_scale) for image in (hr, lr))
    if fine is None or coarse is None:
        return fine if coarse is None else coarse / scale
    if abs(coarse / fine / scale - 1) > SCALE_TOLERANCE:
        raise DataError(
            f"{hr.path}: its pixels are {fine:.4g} arcsec and those of LR {coarse:.4g} arcsec, "
            f"{coarse / fine:.4g} times as large; expected {scale} times"
        )
    distance = _corner_distance(lr, hr, scale)
    if not distance <= CORNER_TOLERANCE:
        raise DataError(
            f"{hr.path}: according to the WCS, its corners are up to {distance:.2g} LR pixels from "
            "those of LR; expected the same sky"
        )
    return fine


def _footprint(image: MaskedImage) -> Footprint | None:
    wcs = _from_header(image, celestial)
    height, width = image.values.shape[-2:]
    return None if wcs is None else footprint_of(wcs, (height, width))


def _corner_distance(lr: MaskedImage, hr: MaskedImage, scale: int) -> float:
    """Return the largest distance between corners of LR and HR along an axis, in LR pixels."""
    assert lr.header is not None
    assert hr.header is not None
    coarse, fine = celestial(lr.header), celestial(hr.header)
    assert coarse is not None
    assert fine is not None
    height, width = lr.values.shape[-2:]
    corners = np.array([[x, y] for x in (-0.5, width - 0.5) for y in (-0.5, height - 0.5)])
    found = fine.all_world2pix(coarse.all_pix2world(corners, 0), 0, quiet=True)
    return float(np.abs((found + 0.5) / scale - (corners + 0.5)).max())


def check_common(path: Path, found: CommonProperties, common: CommonProperties) -> CommonProperties:
    """Check that a pair has the properties of the others, and return these.

    Raises
    ------
    DataError
        If the channels, the unit or the pixel scale differ, or only some have a zero point.
    """
    if found.channels != common.channels:
        raise DataError(f"{path}: has {found.channels} channels; the others have {common.channels}")
    if (found.zero_point is None) != (common.zero_point is None):
        article = "no" if found.zero_point is None else "a"
        raise DataError(
            f"{path}: has {article} zero point, unlike the others; set lr_zero_point and "
            "hr_zero_point for all"
        )
    if found.zero_point is None and found.unit != common.unit:
        raise DataError(f"{path}: the unit is '{found.unit}'; that of the others '{common.unit}'")
    ours, others = found.pixel_scale, common.pixel_scale
    if (ours is None) != (others is None):
        raise DataError(f"{path}: has {'no' if ours is None else 'a'} WCS, unlike the others")
    if ours is not None and others is not None and abs(ours / others - 1) > SCALE_TOLERANCE:
        raise DataError(
            f"{path}: its pixels are {ours:.4g} arcsec; those of the others {others:.4g}"
        )
    return common


def read_variance(lr: MaskedImage, path: Path | None, factor: float) -> Tensor | None:
    """Return the variance of the noise in LR, infinite for bad pixels; None if it is unknown.

    Raises
    ------
    DataError
        If it has a different shape, or values that are not positive.
    """
    variance = lr.variance if path is None else read_masked_image(path).values
    if variance is None:
        return None
    source = lr.path if path is None else path
    if variance.shape not in (lr.values.shape, (1, *lr.values.shape[1:])):
        raise DataError(
            f"{source}: the variance has the shape {tuple(variance.shape)}; expected that of LR, "
            f"{tuple(lr.values.shape)}"
        )
    variance = (factor**2 * variance).expand_as(lr.values).masked_fill(lr.bad, float("inf"))
    wrong = int((~(variance > 0)).sum())
    if wrong:
        raise DataError(f"{source}: the variance of {wrong} pixels is not a positive number")
    return variance


def _factor(point: float | None, target: float | None) -> float:
    """Return the factor that converts values from one zero point to another."""
    if point is None or target is None:
        return 1.0
    return float(10 ** (0.4 * (target - point)))


def _from_header(image: MaskedImage, read: Callable[[Header], T | None]) -> T | None:
    """Read a property from the header, if there is one; errors name the file."""
    if image.header is None:
        return None
    try:
        return read(image.header)
    except DataError as error:
        raise DataError(f"{image.path}: {error}") from error


def _unit(header: Header | None) -> str:
    return "" if header is None else str(header.get("BUNIT", "")).strip()


def _words(values: PhysicalType) -> str:
    return "flux per pixel" if values == "flux" else "surface brightness"
