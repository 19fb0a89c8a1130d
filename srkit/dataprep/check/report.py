"""What `srkit data check` found: on the terminal, as tables, as a figure and as a page."""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image as Pictures
from rich.console import Console
from rich.text import Text
from torch import Tensor

from srkit.dataprep.check.findings import Checked, Finding, Place
from srkit.dataprep.check.measures import Look
from srkit.errors import SrkitError
from srkit.functional.resizing import resize
from srkit.report.pages import Picture, render_page
from srkit.report.plotting import DPI, colours, panels, png, style
from srkit.report.tables import csv_text
from srkit.system.files import write_file

#: Lines of a finding on the terminal; groups of thumbnails on the page, images in each, and pixels.
TOLD, GROUPS, MEMBERS, SIDE = 5, 12, 4, 96


def print_check(checked: Checked, console: Console) -> None:
    """Print the findings, the first few images of each."""
    for note in checked.notes:
        console.print(Text(note), soft_wrap=True)
    for split in checked.images:
        console.print(Text(f"{split}: {summary(checked, split)}"), soft_wrap=True)
    for finding in checked.findings:
        mark = Text("problem ", "red") if finding.problem else Text("note ", "yellow")
        console.print(mark + Text(finding.text), soft_wrap=True)
        for line in finding.details[:TOLD]:
            console.print(Text(f"  {line}"), soft_wrap=True)
        if len(finding.details) > TOLD:
            console.print(f"  and {len(finding.details) - TOLD} more", highlight=False)
    if not checked.findings:
        console.print("nothing found")


def summary(checked: Checked, split: str) -> str:
    """Tell number, sizes and values of a split's images in a line."""
    looks = [look for look in checked.looks[split] if look is not None]
    count = len(checked.looks[split])
    parts = [f"{count} image{'' if count == 1 else 's'}"]
    if looks:
        parts.append(
            f"{_span([look.size[1] for look in looks])} x "
            f"{_span([look.size[0] for look in looks])} pixels"
        )
        values = [v for look in looks for v in (look.low, look.high) if v is not None]
        if values:
            parts.append(f"values from {min(values):.4g} to {max(values):.4g}")
    classes = checked.images[split].classes
    parts += [] if classes is None else [f"{classes} classes"]
    return ", ".join([*parts, *_drawn(looks)])


def _drawn(looks: Sequence[Look]) -> Iterator[str]:
    """Tell of which classes the masks and boxes are."""
    for boxed, what in ((False, "masks"), (True, "boxes")):
        some = [look for look in looks if look.drawn is not None and look.boxed == boxed]
        if some:
            classes = sorted({each for look in some for each in look.drawn or ()})
            listed = ", ".join(map(str, classes[:12])) + (", ..." if len(classes) > 12 else "")
            yield f"{what} of {'class' if len(classes) == 1 else 'classes'} {listed or 'none'}"


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}-{high}"


def write_check(checked: Checked, folder: Path) -> Path:
    """Write what was found.

    Parameters
    ----------
    checked
        The findings.
    folder
        Gets ``images.csv`` (each image), ``check.json`` (the findings), ``images.png`` and
        ``report.html``.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    write_file(folder / "images.csv", _csv(checked))
    text = json.dumps(as_json(checked), indent=2, ensure_ascii=False) + "\n"
    write_file(folder / "check.json", text)
    figure = write_file(folder / "images.png", png(draw_images(checked), DPI))
    caption = "Width and height of each image; its darkest and its brightest value; images a class."
    page = render_page(
        "data_check.html",
        package="srkit.dataprep.check",
        checked=checked,
        summaries=[(split, summary(checked, split)) for split in checked.images],
        findings=[(finding, thumbnails(checked, finding)) for finding in checked.findings],
        shown=GROUPS,
        pictures=[Picture(figure, "All images", caption)],
    )
    return write_file(folder / "report.html", page)


def as_json(checked: Checked) -> dict[str, Any]:
    """Give the findings as plain data."""
    return {
        "title": checked.title,
        "images": {split: len(looks) for split, looks in checked.looks.items()},
        "problems": len(checked.problems),
        "findings": [
            {
                "kind": finding.kind,
                "problem": finding.problem,
                "text": finding.text,
                "images": [[checked.name(place) for place in group] for group in finding.places],
                "details": list(finding.details),
            }
            for finding in checked.findings
        ],
        "notes": checked.notes,
    }


def _csv(checked: Checked) -> str:
    header = ["split", "index", "name", "width", "height", "channels", "lr_width", "lr_height"]
    header += ["class", "kind", "low", "high", "mean", "not_finite", "shift_down", "shift_right"]
    rows = []
    for split, looks in checked.looks.items():
        for index, look in enumerate(looks):
            error = checked.errors.get(Place(split, index), "")
            rows.append([split, index, *(_cells(look) if look else [""] * 14), error])
    return csv_text([*header, "error"], rows)


def _cells(look: Look) -> list[Any]:
    lr, shift = look.lr_size or ("", ""), look.shift or ("", "")
    numbers = [look.low, look.high, look.mean]
    return [
        *(look.name, look.size[1], look.size[0], look.channels, lr[1], lr[0]),
        "" if look.label is None else look.label,
        look.kind,
        *("" if number is None else number for number in numbers),
        look.unfinite,
        *shift,
    ]


def draw_images(checked: Checked) -> Figure:
    """Draw sizes, values and classes of all images."""
    splits = list(checked.images)
    colour = colours(splits)
    labelled = any(images.classes for images in checked.images.values())
    with style():
        figure, axes = panels(3 if labelled else 2, 3, (4.2, 3.2))
        for split in splits:
            looks = [look for look in checked.looks[split] if look is not None]
            sizes = np.array([look.size for look in looks]).reshape(-1, 2)
            shade: dict[str, Any] = {"color": colour[split], "label": split}
            axes[0].scatter(sizes[:, 1], sizes[:, 0], s=12, alpha=0.5, linewidths=0, **shade)
            ends = [(look.low, look.high) for look in looks if look.low is not None]
            lows, highs = np.array(ends, dtype=float).reshape(-1, 2).T
            axes[1].scatter(lows, highs, s=12, alpha=0.5, linewidths=0, **shade)
            if labelled:
                counts = Counter(look.label for look in looks if look.label is not None)
                ranked = [count for _, count in counts.most_common()]
                axes[2].plot(range(1, len(ranked) + 1), ranked, drawstyle="steps-mid", **shade)
        axes[0].set(title="Sizes", xlabel="width in pixels", ylabel="height in pixels")
        axes[1].set(title="Values", xlabel="darkest", ylabel="brightest")
        if labelled:
            axes[2].set(title="Classes", xlabel="class, by number of images", ylabel="images")
            axes[2].set_ylim(bottom=0)
        if len(splits) > 1:
            axes[0].legend()
    return figure


def thumbnails(checked: Checked, finding: Finding) -> list[list[dict[str, str]]]:
    """Give the first groups of images of a finding: name and data URI of each."""
    return [
        [{"name": checked.name(place), "uri": _thumbnail(checked, place)} for place in group]
        for group in ([*group[:MEMBERS]] for group in finding.places[:GROUPS])
    ]


def _thumbnail(checked: Checked, place: Place) -> str:
    """Read an image again and shrink it; empty where it can no longer be read."""
    try:
        sample, _ = checked.images[place.split].read(place.index)
    except SrkitError:
        return ""
    content = io.BytesIO()
    _shrink(sample.hr, sample.data_range).save(content, "png")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def _shrink(image: Tensor, data_range: tuple[float, float]) -> Pictures.Image:
    """Show colours within their range; of anything else the first channel between its ends."""
    shown = image if len(image) == 3 else image[:1].expand(3, -1, -1)
    low, high = data_range
    if len(image) != 3:
        finite = image[:1][image[:1].isfinite()]
        low, high = (float(finite.min()), float(finite.max())) if finite.numel() else (0.0, 1.0)
    shown = _levels(shown, low, high)
    factor = min(1.0, SIDE / max(shown.shape[-2:]))
    small = resize(shown[None], factor=factor, kernel="bilinear")[0].clamp(0, 1)
    return Pictures.fromarray(small.mul(255).round().byte().movedim(0, -1).numpy())


def _levels(image: Tensor, low: float, high: float) -> Tensor:
    """Bring values to levels from 0 to 1; what is not finite is black."""
    width = high - low if high > low else 1.0
    return ((image.float() - low) / width).nan_to_num(0, 1, 0).clamp(0, 1)
