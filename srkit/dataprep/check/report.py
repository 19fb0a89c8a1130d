"""The report of a data check: terminal output, tables, a figure and a page."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from matplotlib.figure import Figure
from rich.console import Console
from rich.text import Text
from torch import Tensor

from srkit.dataprep.check.issues import DataCheck, ImageId, Issue
from srkit.dataprep.check.measurements import Measurements
from srkit.errors import SrkitError
from srkit.report.colour_scales import brightness_scale
from srkit.report.pages import data_uri
from srkit.report.plotting import colours, panels, style
from srkit.report.writer import ReportWriter

#: Lines of details that are printed for each issue.
LINES = 5
#: On the page: groups of images of each issue, images of each group, and their side in pixels.
GROUPS, MEMBERS, SIDE = 12, 4, 96
#: Classes that are listed by number.
CLASSES = 12

HEADER = [
    *("split", "index", "name", "width", "height", "channels", "lr_width", "lr_height"),
    *("class", "kind", "low", "high", "mean", "not_finite"),
    *("shift_down", "shift_right", "shift_error", "error"),
]


def print_check(check: DataCheck, console: Console) -> None:
    """Print the issues, with a few lines of details for each."""
    for note in check.notes:
        console.print(Text(note), soft_wrap=True)
    for split in check.images:
        console.print(Text(f"{split}: {summary(check, split)}"), soft_wrap=True)
    for issue in check.issues:
        severity = Text("problem ", "red") if issue.problem else Text("note ", "yellow")
        console.print(severity + Text(issue.text), soft_wrap=True)
        for line in issue.details[:LINES]:
            console.print(Text(f"  {line}"), soft_wrap=True)
        if len(issue.details) > LINES:
            console.print(f"  and {len(issue.details) - LINES} more", highlight=False)
    if not check.issues:
        console.print("no issues found")


def summary(check: DataCheck, split: str) -> str:
    """Return the number, sizes and values of a split's images in one line."""
    images = check.readable(split)
    count = len(check.measured[split])
    parts = [f"{count} image{'' if count == 1 else 's'}"]
    if images:
        heights, widths = zip(*(image.size for image in images), strict=True)
        parts.append(f"{_span(widths)} x {_span(heights)} pixels")
        values = [v for image in images for v in (image.low, image.high) if v is not None]
        if values:
            parts.append(f"values from {min(values):.4g} to {max(values):.4g}")
    classes = check.images[split].classes
    parts += [] if classes is None else [f"{classes} classes"]
    return ", ".join([*parts, *_ground_truth(images)])


def _ground_truth(images: Sequence[Measurements]) -> Iterator[str]:
    """List the classes of masks and boxes."""
    for boxed, noun in ((False, "masks"), (True, "boxes")):
        found = [i.classes for i in images if i.classes is not None and i.boxed == boxed]
        if found:
            classes = sorted(set().union(*found))
            listed = ", ".join(map(str, classes[:CLASSES])) or "none"
            more = ", ..." if len(classes) > CLASSES else ""
            yield f"{noun} of {'class' if len(classes) == 1 else 'classes'} {listed}{more}"


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}-{high}"


def write_check(check: DataCheck, folder: Path) -> Path:
    """Write the report of a data check.

    Parameters
    ----------
    check
        The data check.
    folder
        Output folder; gets ``images.csv`` (all images), ``check.json`` (the issues),
        ``images.png`` and ``report.html``.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    writer = ReportWriter(folder)
    writer.csv("images.csv", HEADER, _rows(check))
    writer.json("check.json", _json(check))
    caption = (
        "Width and height of each image; its smallest and largest value; images of each class."
    )
    writer.figure("images.png", draw_images(check), "All images", caption)
    return writer.page(
        "report.html",
        "data_check.html",
        package="srkit.dataprep.check",
        check=check,
        summaries=[(split, summary(check, split)) for split in check.images],
        issues=[(issue, _thumbnails(check, issue)) for issue in check.issues],
    )


def _json(check: DataCheck) -> dict[str, Any]:
    return {
        "title": check.title,
        "images": {split: len(images) for split, images in check.measured.items()},
        "problems": len(check.problems),
        "findings": [
            {
                "kind": issue.kind,
                "problem": issue.problem,
                "text": issue.text,
                "images": [[check.name(image) for image in group] for group in issue.images],
                "details": list(issue.details),
            }
            for issue in check.issues
        ],
        "notes": check.notes,
    }


def _rows(check: DataCheck) -> Iterator[list[Any]]:
    for split, images in check.measured.items():
        for index, image in enumerate(images):
            cells = [""] * 15 if image is None else _cells(image)
            yield [split, index, *cells, check.errors.get(ImageId(split, index), "")]


def _cells(image: Measurements) -> list[Any]:
    (height, width), (lr_height, lr_width) = image.size, image.lr_size or (None, None)
    sizes = [width, height, image.channels, lr_width, lr_height]
    values = [image.low, image.high, image.mean, image.not_finite]
    shift = (None,) * 3 if image.shift is None else astuple(image.shift)
    cells = [image.name, *sizes, image.label, image.kind, *values, *shift]
    return ["" if cell is None else cell for cell in cells]


def draw_images(check: DataCheck) -> Figure:
    """Plot the sizes, values and classes of all images."""
    splits = list(check.images)
    colour = colours(splits)
    labelled = any(images.classes for images in check.images.values())
    with style():
        figure, axes = panels(3 if labelled else 2, 3, (4.2, 3.2))
        for split in splits:
            images = check.readable(split)
            shade: dict[str, Any] = {"color": colour[split], "label": split}
            points: dict[str, Any] = {"s": 12, "alpha": 0.5, "linewidths": 0, **shade}
            heights, widths = np.array([image.size for image in images]).reshape(-1, 2).T
            axes[0].scatter(widths, heights, **points)
            ends = [(image.low, image.high) for image in images if image.low is not None]
            axes[1].scatter(*np.array(ends, dtype=float).reshape(-1, 2).T, **points)
            if labelled:
                counts = Counter(image.label for image in images if image.label is not None)
                ranked = [count for _, count in counts.most_common()]
                axes[2].plot(range(1, len(ranked) + 1), ranked, drawstyle="steps-mid", **shade)
        axes[0].set(title="Sizes", xlabel="width in pixels", ylabel="height in pixels")
        axes[1].set(title="Values", xlabel="smallest", ylabel="largest")
        if labelled:
            axes[2].set(title="Classes", xlabel="class, by number of images", ylabel="images")
            axes[2].set_ylim(bottom=0)
        if len(splits) > 1:
            axes[0].legend()
    return figure


def _thumbnails(check: DataCheck, issue: Issue) -> list[list[dict[str, str]]]:
    """Return name and data URI of some images of an issue, by group."""
    return [
        [{"name": check.name(image), "uri": _thumbnail(check, image)} for image in group[:MEMBERS]]
        for group in issue.images[:GROUPS]
    ]


def _thumbnail(check: DataCheck, image: ImageId) -> str:
    """Read and shrink an image; return nothing if it can no longer be read."""
    try:
        sample, _ = check.images[image.split].read(image.index)
    except SrkitError:
        return ""
    measured = sample.unit != ""
    levels = _measured_levels(sample.hr) if measured else _levels(sample.hr, sample.data_range)
    picture = PIL.Image.fromarray(levels)
    picture.thumbnail((SIDE, SIDE))
    content = io.BytesIO()
    picture.save(content, "png")
    return data_uri(content.getvalue())


def _measured_levels(image: Tensor) -> np.ndarray[Any, Any]:
    """Scale the first band of measured values by asinh, with the first row at the bottom."""
    band = image[0].float().numpy()
    if not np.isfinite(band).any():
        return np.zeros(band.shape, np.uint8)
    scaled = np.ma.filled(brightness_scale(band)(np.ma.masked_invalid(band)), 0.0)
    return np.flipud(np.round(255 * scaled).astype(np.uint8))


def _levels(image: Tensor, data_range: tuple[float, float]) -> np.ndarray[Any, Any]:
    """Scale colours by their data range, or else the first channel by its finite values."""
    low, high = data_range
    if len(image) != 3:
        image = image[0]
        finite = image[image.isfinite()]
        low, high = (float(finite.min()), float(finite.max())) if finite.numel() else (0.0, 1.0)
    scaled = (image.float() - low) / (high - low if high > low else 1.0)
    levels = scaled.nan_to_num(0, 1, 0).clamp(0, 1).mul(255).round().byte()
    return levels.numpy() if levels.ndim == 2 else levels.movedim(0, -1).numpy()
