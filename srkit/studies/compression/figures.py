"""Curves of a comparison at equal bytes."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from srkit.report.plotting import GREY, colours, log_scale, panels, shorten, style
from srkit.report.tables import label
from srkit.studies.compression.measure import HR, Compression

CAPTION = (
    "Means over the pictures against the mean bytes of a file, which is LR's, and HR's where HR "
    "itself is compressed. Grey: HR without compression. Open circles: of some pictures even the "
    "lowest quality of HR is larger than LR's file."
)


def curves_figure(found: Compression) -> Figure:
    """Draw every metric against the bytes, a column for each format and a row for each metric."""
    curves = found.curves()
    formats = list(dict.fromkeys(form for form, _ in curves))
    models = list(dict.fromkeys(model for _, model in curves))
    colour = {**colours([model for model in models if model != HR]), HR: "#000000"}
    original = next(point for point in found.points() if not point.arm.format)
    sizes = [point.size for curve in curves.values() for point in curve]
    with style():
        figure, axes = panels(len(formats) * len(found.metrics), len(formats), (3.6, 2.9))
        for place, axis in enumerate(axes):
            info, form = found.metrics[place // len(formats)], formats[place % len(formats)]
            for model in models:
                curve = curves[form, model]
                values = [point.values[info.name] for point in curve]
                name = "HR, compressed" if model == HR else shorten(model, 40)
                axis.plot(
                    [p.size for p in curve], values, color=colour[model], label=name, linewidth=1.4
                )
                for point, value in zip(curve, values, strict=True):
                    face = colour[model] if point.reached == 1 else "white"
                    axis.plot(point.size, value, "o", color=colour[model], markerfacecolor=face,
                              markersize=5)  # fmt: skip
            if math.isfinite(original.values[info.name]):
                axis.axhline(original.values[info.name], color=GREY, linestyle="--", linewidth=1)
            log_scale(axis, sizes, margin=0.05)
            if place < len(formats):
                axis.set_title(form)
            if place >= len(axes) - len(formats):
                axis.set_xlabel("bytes of a file")
            if place % len(formats) == 0:
                axis.set_ylabel(label(info).replace("_", " "))
        lines, names = axes[0].get_legend_handles_labels()
        figure.legend(lines, names, loc="outside lower center", ncols=min(4, len(names)))
    return figure
