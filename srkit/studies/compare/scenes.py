"""What a page of comparison shows of an image: input, baseline and results, all shown alike."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import matplotlib
import numpy as np
import PIL.Image
from matplotlib.colors import Normalize
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.functional.resizing import resized_side
from srkit.images.levels import is_measured, rounded
from srkit.interfaces import Batch, Image, Metric
from srkit.models.open import open_model
from srkit.report.colour_scales import VALUES, brightness_scale, round_ticks
from srkit.report.pages import data_uri
from srkit.upscaling.opacity import upscale_picture
from srkit.upscaling.upscaler import ImageUpscaler

INPUT, BASELINE, HR = "input", "bicubic", "HR"
#: Pixels of all pictures of a page, so that it stays below some 20 MB; of a side of one.
BUDGET, LONGEST = 8_000_000, 1536
#: LR pixels around a part that matter to the baseline.
MARGIN = 8
#: How far values of SR may stretch the colours beyond those of LR, in ranges of LR.
STRETCHED = 3.0
#: Colours of measured values; one of 256 is left for pixels without a value.
COLOURS = 255

Box = tuple[int, int, int, int]
Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Subject:
    """An image to be shown with what was made of it.

    Parameters
    ----------
    name
        What the user knows it by.
    lr
        The input.
    results
        SR by the name of its model, in the values of `lr`.
    scale
        SR pixels for each LR pixel along a side.
    reference
        HR in the values of `lr`, of the size of SR; None where there is none.
    """

    name: str
    lr: Image
    results: Mapping[str, Image]
    scale: float
    reference: Image | None = None


@dataclass(frozen=True, slots=True)
class View:
    """One of the pictures of a scene.

    Parameters
    ----------
    name
        What it is.
    uri
        The picture.
    coarseness
        Pixels of the scene for each of its own along a side.
    scores
        By metric, of the whole image, where there is HR.
    """

    name: str
    uri: str
    coarseness: float = 1.0
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ColourBar:
    """Which value a colour stands for.

    Parameters
    ----------
    colours
        From the darkest value to the brightest, as CSS writes them.
    ticks
        Place in percent, and value.
    unit
        Of the values.
    """

    colours: list[str]
    ticks: list[tuple[float, str]]
    unit: str


@dataclass(frozen=True, slots=True)
class Scene:
    """What is shown of an image.

    Parameters
    ----------
    name, title
        The image's, and its size in a few words.
    width, height
        Of SR as it is shown.
    views
        Input, baseline, results, and HR where there is one.
    bar
        Of measured values; None of pictures.
    """

    name: str
    title: str
    width: int
    height: int
    views: list[View]
    bar: ColourBar | None = None


def make_scene(
    subject: Subject,
    registry: Registry,
    metrics: Mapping[str, Metric],
    *,
    share: float = 1.0,
    centre: tuple[float, float] | None = None,
) -> Scene:
    """Bring an image and what was made of it to pictures that share scale, colours and place.

    Photographs are shown from black to white; of measured values the first band, by an asinh
    stretch that all share, and FITS frames with their first row at the bottom. Of an image that is
    too large a part is shown.

    Parameters
    ----------
    subject
        The images.
    registry
        Where the baseline comes from.
    metrics
        Measured on the whole image, if there is HR.
    share
        Of the pixels that a page has room for.
    centre
        LR pixel (x, y) in the middle of the part; by default that is where most detail is.

    Raises
    ------
    DataError
        If HR has another size than SR, or cannot be measured.
    """
    count = len(subject.results) + 1 + (subject.reference is not None)
    side = min(LONGEST, math.sqrt(BUDGET * share / count))
    box = _part(subject.lr, max(16, int(side / subject.scale)), centre)
    shown = {INPUT: cut(subject.lr, box, 1)}
    whole: dict[str, Image] = {}
    if BASELINE not in subject.results:
        shown[BASELINE] = _baseline(subject, box, registry)
        if subject.reference is not None:
            everything = (0, 0, *_size(subject.lr))
            whole[BASELINE] = _baseline(subject, everything, registry)
    whole |= subject.results
    shown |= {name: cut(sr, box, subject.scale) for name, sr in subject.results.items()}
    if subject.reference is not None:
        shown[HR] = cut(subject.reference, box, subject.scale)
    scores = {name: _scores(sr, subject, metrics) for name, sr in whole.items()}
    height, width = next(reversed(shown.values())).pixels.shape[-2:]
    draw = _Drawing.of(subject, list(shown.values()))
    views = [
        View(
            name,
            draw(image),
            width / image.pixels.shape[-1],
            scores.get(name, {}),
        )
        for name, image in shown.items()
    ]
    return Scene(subject.name, _title(subject, box), width, height, views, draw.bar)


def cut(image: Image, box: Box, scale: float) -> Image:
    """Cut a part, in LR pixels, out of an image that is `scale` times as large as LR."""
    left, top, right, bottom = (round(edge * scale) for edge in box)
    rows, columns = slice(top, bottom), slice(left, right)
    metadata = dict(image.metadata)
    if "alpha" in metadata:
        metadata["alpha"] = metadata["alpha"][..., rows, columns]
    return replace(image, pixels=image.pixels[..., rows, columns], metadata=metadata)


def _size(image: Image) -> tuple[int, int]:
    height, width = image.pixels.shape[-2:]
    return width, height


def _part(lr: Image, side: int, centre: tuple[float, float] | None) -> Box:
    """Choose the part that is shown: all, the most detailed, or that around a pixel."""
    width, height = _size(lr)
    columns, rows = min(width, side), min(height, side)
    if centre is None:
        centre = _most_detailed(lr.pixels, rows, columns)
    left = min(max(round(centre[0] - columns / 2), 0), width - columns)
    top = min(max(round(centre[1] - rows / 2), 0), height - rows)
    return left, top, left + columns, top + rows


def _most_detailed(pixels: Tensor, rows: int, columns: int) -> tuple[float, float]:
    """Find the middle (x, y) of the part that varies most between neighbours."""
    plane = np.nan_to_num(pixels.float().mean(0).numpy())
    change = np.abs(np.gradient(plane, axis=0)) if len(plane) > 1 else np.zeros_like(plane)
    if plane.shape[1] > 1:
        change = change + np.abs(np.gradient(plane, axis=1))
    bright = np.quantile(change, 0.99)  # a single star is no detail
    mean = ndimage.uniform_filter(np.minimum(change, bright), (rows, columns), mode="constant")
    y, x = np.unravel_index(int(mean.argmax()), mean.shape)
    return float(x), float(y)


def _baseline(subject: Subject, box: Box, registry: Registry) -> Image:
    """Enlarge a part of LR by bicubic interpolation."""
    left, top, right, bottom = box
    width, height = _size(subject.lr)
    around = (
        max(0, left - MARGIN),
        max(0, top - MARGIN),
        min(width, right + MARGIN),
        min(height, bottom + MARGIN),
    )
    model = open_model(BASELINE, registry, at_least=subject.scale)
    upscaler = ImageUpscaler(model, scale=subject.scale, precision="fp32")
    lr = cut(subject.lr, around, 1)
    upscaled, alpha = upscale_picture(upscaler, lr)
    known = {"bits": subject.lr.metadata.get("bits", 32)}
    known |= {} if alpha is None else {"alpha": alpha}
    sr = Image(upscaled.pixels, lr.data_range, known)
    inner = (left - around[0], top - around[1], right - around[0], bottom - around[1])
    return cut(sr, inner, subject.scale)


def check_reference(hr: Image, lr: Image, scale: float) -> None:
    """Refuse HR of another size than SR will have.

    Raises
    ------
    DataError
        If it is.
    """
    channels, *sides = lr.pixels.shape
    expected = channels, *(resized_side(side, scale) for side in sides)
    if tuple(hr.pixels.shape) != expected:
        raise DataError(
            f"the reference has {_text(hr.pixels.shape)} (width x height x channels), SR "
            f"{_text(expected)}; expected the same"
        )


def _scores(sr: Image, subject: Subject, metrics: Mapping[str, Metric]) -> dict[str, float]:
    """Measure SR against HR, pictures as their files hold them."""
    hr = subject.reference
    if hr is None:
        return {}
    pixels = sr.pixels if is_measured(subject.lr) else rounded(sr.pixels, subject.lr)
    channels = 3 if len(pixels) == 1 and not is_measured(subject.lr) else -1
    batch = Batch(
        names=[subject.name],
        hr=hr.pixels[None].float().expand(-1, channels, -1, -1),
        seeds=[0],
        lr=subject.lr.pixels[None].float().expand(-1, channels, -1, -1),
        data_range=hr.data_range,
    )
    found = {}
    for name, metric in metrics.items():
        try:
            found[name] = float(metric(pixels[None].float().expand(-1, channels, -1, -1), batch))
        except ValueError as error:
            raise DataError(f"metric '{name}': {error}") from error
    return found


def _text(shape: Sequence[int]) -> str:
    channels, height, width = shape
    return f"{width} x {height} x {channels}"


def _title(subject: Subject, box: Box) -> str:
    width, height = _size(subject.lr)
    large = [resized_side(side, subject.scale) for side in (width, height)]
    title = f"{width} × {height} pixels, restored to {large[0]} × {large[1]}"
    if box != (0, 0, width, height):
        left, top, right, bottom = box
        part = f"{right - left} × {bottom - top}"
        title += f"; shown are {part} of the input's pixels from ({left}, {top})"
    bands = len(subject.lr.pixels)
    if _is_plane(subject.lr) and bands > 1:
        title += f"; the first of {bands} bands"
    side = subject.lr.metadata.get("pixel_scale")
    return title + (f"; a pixel of the input is {side:.3g}″ wide" if side else "")


def _is_plane(image: Image) -> bool:
    """Tell whether colours are to stand for values."""
    channels = len(image.pixels)
    is_photograph = channels == 3 and "unit" not in image.metadata
    return channels not in (1, 3) or (is_measured(image) and not is_photograph)


@dataclass(frozen=True, slots=True)
class _Drawing:
    """How the images of a scene are drawn."""

    data_range: tuple[float, float]
    norm: Normalize | None
    upwards: bool
    bar: ColourBar | None

    @classmethod
    def of(cls, subject: Subject, images: list[Image]) -> _Drawing:
        lr = subject.lr
        upwards = bool(lr.metadata.get("frame"))  # as FITS files are shown
        if not _is_plane(lr):
            return cls(lr.data_range, None, upwards, None)
        first = images[0].pixels[0].numpy()
        if not np.isfinite(first).any():
            first = np.nan_to_num(first, nan=0.0)
        low, high = float(np.nanmin(first)), float(np.nanmax(first))
        span = STRETCHED * (high - low)
        # A model that went astray must not hide the others.
        others = [image.pixels[0].numpy().clip(low - span, high + span) for image in images[1:]]
        norm = brightness_scale(first, *others)
        return cls(lr.data_range, norm, upwards, _bar(norm, str(lr.metadata.get("unit", ""))))

    def __call__(self, image: Image) -> str:
        """Draw an image as a data URI."""
        picture = self._picture(image) if self.norm is None else self._plane(image)
        data = io.BytesIO()
        picture.save(data, "PNG")
        return data_uri(data.getvalue())

    def _picture(self, image: Image) -> PIL.Image.Image:
        low, high = self.data_range
        light = np.nan_to_num((image.pixels.float().numpy() - low) / (high - low))
        planes = [*light]
        if "alpha" in image.metadata:
            planes += [*image.metadata["alpha"].numpy()]
        levels = (np.stack(planes, -1).clip(0, 1) * 255).round().astype(np.uint8)
        return PIL.Image.fromarray(self._turned(levels.squeeze(-1) if len(planes) == 1 else levels))

    def _plane(self, image: Image) -> PIL.Image.Image:
        assert self.norm is not None
        values = image.pixels[0].float().numpy()
        known = np.isfinite(values)
        index = np.full(values.shape, COLOURS, np.uint8)
        index[known] = (self.norm(values[known]).clip(0, 1) * (COLOURS - 1)).round()
        picture = PIL.Image.fromarray(self._turned(index))
        picture = picture.convert("L")
        picture.putpalette([*_colours(COLOURS).ravel().tolist(), 0, 0, 0])
        picture.info["transparency"] = COLOURS
        return picture

    def _turned(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.ascontiguousarray(values[::-1] if self.upwards else values)


def _colours(count: int) -> NDArray[np.uint8]:
    shades = matplotlib.colormaps[VALUES](np.linspace(0, 1, count))[:, :3]
    levels: NDArray[np.uint8] = (shades * 255).round().astype(np.uint8)
    return levels


def _bar(norm: Normalize, unit: str) -> ColourBar:
    colours = ["#{:02x}{:02x}{:02x}".format(*shade) for shade in _colours(24)]
    ticks = [
        (100 * float(norm(value)), f"{value:g}".replace("-", "−")) for value in round_ticks(norm)
    ]
    return ColourBar(colours, ticks, unit or "value")
