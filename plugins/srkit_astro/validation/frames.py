"""The windows of LR in which sources are injected: parts of real frames, or images of a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from astropy.io.fits import Header
from pydantic import ValidationError
from torch import Tensor

from srkit import load_recipe
from srkit.components import Registry, build
from srkit.errors import DataError, RecipeError
from srkit.images import Formats, crop_image
from srkit.interfaces import Image, Sample
from srkit_astro.files.fits import Fits, bad_pixels
from srkit_astro.files.fits_io import read
from srkit_astro.instruments.gain import Gain, gain_of
from srkit_astro.validation.plan import Bools
from srkit_astro.validation.sources import Floats

#: Largest side of a window in LR pixels, and largest number of windows and of images of a data set.
SIDE, WINDOWS, IMAGES = 256, 4, 32
#: Largest fraction of pixels without a value in a window.
MOST_BAD = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A part of an image of LR.

    Parameters
    ----------
    name
        File, and place in it, or name of the sample.
    image
        One band, ``(1, h, w)``, without missing values; the metadata are those of a FITS frame.
    bad
        The pixels that had no value, which are filled with the median, ``(h, w)``.
    """

    name: str
    image: Image
    bad: Bools

    @property
    def pixels(self) -> Floats:
        """The values, ``(h, w)``, double precision."""
        return np.asarray(self.image.pixels[0].double().numpy())

    @property
    def pixel_scale(self) -> float | None:
        """Side of an LR pixel in arcsec, if known."""
        return self.image.metadata.get("pixel_scale")

    @property
    def zero_point(self) -> float | None:
        """AB magnitude of one unit in an LR pixel, if known."""
        return self.image.metadata.get("zero_point")

    @property
    def gain(self) -> Gain | None:
        """Electrons per unit of the values, if known."""
        return self.image.metadata.get("gain")

    def with_pixels(self, pixels: Floats) -> Image:
        """Return an image with the metadata of this window and other pixels."""
        values = torch.from_numpy(pixels.astype(np.float32))[None]
        metadata = {k: v for k, v in self.image.metadata.items() if k in ("frame", "header")}
        return Image(values, (float(values.min()), float(values.max())), metadata)


def read_windows(
    paths: Sequence[Path],
    hdu: str | None,
    zero_point: float | None,
    sample: bool,
    gain: float | None = None,
) -> list[Window]:
    """Read frames, or the test images of a recipe, and choose the windows.

    Parameters
    ----------
    paths
        FITS files, or one YAML file.
    hdu
        Extension of the FITS files; by default that of the image.
    zero_point
        AB magnitude of one unit; by default that of the header.
    sample
        Whether a recipe is that of ``--sample``.
    gain
        Electrons per unit of the values; by default that of the header, or of the variance.

    Raises
    ------
    DataError
        If a file cannot be read, has several bands, or has no usable window.
    RecipeError
        If the data set of a recipe cannot be built.
    """
    found: list[Window] = []
    for path in paths:
        if is_recipe(path):
            images = _images_of_recipe(path, sample)
        else:
            images = iter([(str(path), read(path, hdu))])
        for name, image in images:
            calibrated = _calibrated(name, image, zero_point, gain)
            found += _windows_of(name, calibrated, WINDOWS)
    return found


def is_recipe(path: Path) -> bool:
    """Return whether an input is a recipe, by its extension."""
    return path.suffix in (".yaml", ".yml")


def _calibrated(name: str, image: Image, zero_point: float | None, gain: float | None) -> Image:
    if len(image.pixels) != 1:
        raise DataError(f"{name}: has {len(image.pixels)} bands; expected one band per file")
    try:
        known = Fits().calibrate(image)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    found = gain_of(image) if gain is None else Gain(gain, "--gain")
    given = {} if zero_point is None else {"zero_point": zero_point}
    return replace(known, metadata={**known.metadata, "gain": found, **given})


def _windows_of(name: str, image: Image, most: int) -> list[Window]:
    """Divide an image into windows; the most populated corners of a huge frame are not needed."""
    height, width = image.pixels.shape[-2:]
    bad = bad_pixels(image)[0].numpy()
    if bad.all():
        raise DataError(f"{name}: no pixel has a value")
    rows, columns = (_starts(side) for side in (height, width))
    places = [(y, x) for y in rows for x in columns]
    chosen = np.linspace(0, len(places) - 1, min(most, len(places))).round().astype(int)
    windows = []
    for y, x in (places[place] for place in chosen):
        part = slice(y, y + min(SIDE, height)), slice(x, x + min(SIDE, width))
        if bad[part].mean() <= MOST_BAD:
            window = crop_image(image, *part)
            pixels = window.pixels.clone()
            pixels[:, bad[part]] = pixels[:, ~bad[part]].median()
            place = f"{name}[{y}:{part[0].stop}, {x}:{part[1].stop}]" if len(places) > 1 else name
            windows.append(Window(place, replace(window, pixels=pixels), bad[part].copy()))
    if not windows:
        raise DataError(f"{name}: more than {MOST_BAD:.0%} of the pixels have no value")
    return windows


def _starts(side: int) -> list[int]:
    """Return where windows begin along a side: evenly, and never beyond the end."""
    count = max(1, side // SIDE)
    return [int(at) for at in np.linspace(0, max(side - SIDE, 0), count)]


def _images_of_recipe(path: Path, sample: bool) -> Iterator[tuple[str, Image]]:
    """Return LR of the test images of a recipe, as frames."""
    recipe = load_recipe(path, sample=sample)
    sources = [
        source
        for split in ("test", "validation")
        for place, source in recipe.data.sources().items()
        if place.partition(".")[0] == split
    ]
    scale = recipe.scales[0]
    if not sources:
        raise RecipeError(str(path), ["data.test: missing; expected images to inject sources into"])
    registry = Registry.discover()
    supplied = {
        "scale": scale,
        "channels": recipe.channels,
        "formats": Formats.of(registry),
    }
    try:
        spec = sources[0].dataset
        dataset = build(registry.get("datasets", spec.type).factory, spec.options, **supplied)
        steps = [
            build(registry.get("degradations", step.type).factory, step.options, **supplied)
            for _, step in recipe.degradation_steps()
        ]
    except (ValidationError, ValueError) as error:
        raise RecipeError(str(path), [f"data.test: {error}"]) from error
    for index in range(min(len(dataset), IMAGES)):
        each: Sample = dataset[index]
        lr = each.lr
        if lr is None:
            if not steps:
                raise RecipeError(str(path), ["degradation: missing; the data set has no LR"])
            images = each.hr[None]
            for step in steps:
                images = step(images, [index])
            lr = images[0]
        yield each.name, _frame(each, lr, scale)


def _frame(sample: Sample, lr: Tensor, scale: int) -> Image:
    """Return LR of a sample with the header of a FITS frame."""
    header = Header()
    if sample.unit:
        header["BUNIT"] = sample.unit
    if sample.zero_point is not None:
        header["MAGZERO"] = sample.zero_point
    if sample.pixel_scale is not None:
        side = sample.pixel_scale * scale / 3600
        for axis, (kind, sign) in enumerate((("RA---TAN", -1), ("DEC--TAN", 1)), 1):
            header[f"CTYPE{axis}"], header[f"CUNIT{axis}"] = kind, "deg"
            header[f"CRPIX{axis}"], header[f"CRVAL{axis}"] = 1.0, 0.0
            header[f"CDELT{axis}"] = sign * side
    return Image(lr, sample.data_range, {"frame": True, "header": header, "bits": 32})
