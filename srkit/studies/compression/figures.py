"""Figures of a compression study."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from srkit.report._tables import label
from srkit.report.plotting import GREY, colours, log_scale, panels, shorten, style
from srkit.studies.compression.results import HR, Compression

CAPTION = (
    "Means over the images against the mean file size of LR, or of HR where HR itself is "
    "compressed. Grey: uncompressed HR. Open circles: some HR files are larger than the LR files "
    "even at the lowest quality."
)


def curves_figure(found: Compression) -> Figure:
    """Draw each metric (row) against the file size, for each format (column)."""
    curves = found.curves()
    formats = list(dict.fromkeys(form for form, _ in curves))
    models = list(dict.fromkeys(model for _, model in curves))
    colour = {**colours([model for model in models if model != HR]), HR: "#000000"}
    original = next(point for point in found.points() if not point.setting.format)
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
                axis.set_xlabel("file size in bytes")
            if place % len(formats) == 0:
                axis.set_ylabel(label(info).replace("_", " "))
        lines, names = axes[0].get_legend_handles_labels()
        figure.legend(lines, names, loc="outside lower center", ncols=min(4, len(names)))
    return figure
