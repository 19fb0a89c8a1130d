"""The diagram of the data flow through the stages of a network."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from srkit.errors import OutputError
from srkit.models.data_flow import LR, Stage
from srkit.report.plotting import COLOURS, DPI, GREY, style
from srkit.system.files import write_file

#: Supported file extensions.
FORMATS = (".png", ".svg", ".pdf")

#: Half the width and height of a box; the distance between boxes is 1.
HALF_WIDTH, HALF_HEIGHT = 1.7, 0.3
#: Width of a box and height of a row in inches, per unit of the drawing.
INCHES = (0.95, 0.62)
#: Curvature of skip connections: the distance of a control point over the length.
BEND = 0.35


def draw_flow(stages: Sequence[Stage], title: str, path: Path) -> Path:
    """Draw stages as boxes from LR down to SR, with skip connections beside them.

    Parameters
    ----------
    stages
        The stages from :func:`srkit.models.data_flow.trace_stages`; a chain of equal stages is
        drawn as one box.
    title
        Title of the diagram.
    path
        A PNG, SVG or PDF file.

    Raises
    ------
    OutputError
        If the file has another extension or cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise OutputError(f"{path}: ends in '{path.suffix}'; expected {', '.join(FORMATS)}")
    start = Stage(LR, "", 0, (), ())
    boxes = [start, *merge_chains(stages)]
    rows = {box.name: -row for row, box in enumerate(boxes)}
    longest = max(rows[source] - rows[box.name] for box in boxes for source in box.sources)
    right = HALF_WIDTH + 0.3 + BEND / 2 * longest * INCHES[1] / INCHES[0]
    with style():
        size = ((HALF_WIDTH + right) * INCHES[0], (len(boxes) + 0.8) * INCHES[1])
        figure = Figure(figsize=size)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(-HALF_WIDTH - 0.25, right), ylim=(-len(boxes) + 0.4, 1.1))
        axes.axis("off")
        axes.text(0, 0.75, title, ha="center", va="center", fontsize=11, fontweight="bold")
        kinds = list(dict.fromkeys(_kind(box) for box in boxes if box.type))
        for box in boxes:
            colour = COLOURS[kinds.index(_kind(box)) % len(COLOURS)] if box.type else GREY
            _draw_box(axes, box, rows[box.name], colour)
            for source in box.sources:
                _draw_connection(axes, rows[source], rows[box.name])
        data = io.BytesIO()
        figure.savefig(data, format=path.suffix[1:].lower(), dpi=DPI, facecolor="white")
    return write_file(path, data.getvalue())


def merge_chains(stages: Sequence[Stage]) -> list[Stage]:
    """Merge consecutive equal stages whose inputs are their predecessors only; name both ends."""
    groups: list[list[Stage]] = []
    for stage in stages:
        group = groups[-1] if groups else []
        alike = all(_same(stage, other) for other in group)
        if group and alike and {*stage.sources} <= {other.name for other in group}:
            group.append(stage)
        else:
            groups.append([stage])
    names = {
        stage.name: f"{group[0].name} … {group[-1].name}" if len(group) > 1 else stage.name
        for group in groups
        for stage in group
    }
    return [
        replace(
            group[-1],
            name=names[group[0].name],
            type=f"{len(group)} × {group[0].type}" if len(group) > 1 else group[0].type,
            parameters=sum(stage.parameters for stage in group),
            sources=_renamed(group, names),
        )
        for group in groups
    ]


def _same(one: Stage, other: Stage) -> bool:
    """Return whether two stages are equal except for names and sources."""
    return replace(one, name="", sources=()) == replace(other, name="", sources=())


def _kind(box: Stage) -> str:
    """Return the class of the stages in a box."""
    return box.type.rpartition(" × ")[2]


def _renamed(group: Sequence[Stage], names: dict[str, str]) -> tuple[str, ...]:
    """Return the names of the groups from which a group gets its inputs."""
    own = names[group[0].name]
    sources = [names.get(source, source) for stage in group for source in stage.sources]
    return tuple(dict.fromkeys(source for source in sources if source != own))


def _draw_box(axes: Axes, box: Stage, y: float, colour: str) -> None:
    corner = (-HALF_WIDTH, y - HALF_HEIGHT)
    shape = FancyBboxPatch(
        corner, 2 * HALF_WIDTH, 2 * HALF_HEIGHT, boxstyle="round,pad=0,rounding_size=0.12",
        facecolor=f"{colour}22", edgecolor=colour,
    )  # fmt: skip
    axes.add_patch(shape)
    if not box.type:
        axes.text(0, y, _with_shape(box), ha="center", va="center", fontweight="bold")
        return
    axes.text(0, y + 0.11, _with_shape(box), ha="center", va="center", fontsize=8.5)
    below = f"{box.type}   {box.parameters:,} parameters" if box.parameters else box.type
    axes.text(0, y - 0.14, below, ha="center", va="center", fontsize=7.5, color="#555555")


def _with_shape(box: Stage) -> str:
    shape = " × ".join(str(side) for side in box.output[1:])
    return f"{box.name}   {shape}" if shape else box.name


def _draw_connection(axes: Axes, above: float, below: float) -> None:
    """Draw an arrow to the next box, or an arc on the right past the boxes in between."""
    if above == below + 1:
        start, end, bend = (0.0, above - HALF_HEIGHT), (0.0, below + HALF_HEIGHT), 0.0
    else:
        start, end = (HALF_WIDTH, above - HALF_HEIGHT / 2), (HALF_WIDTH, below + HALF_HEIGHT / 2)
        bend = -BEND
    arrow = {"arrowstyle": "-|>", "color": "#333333", "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops={**arrow, "connectionstyle": f"arc3,rad={bend}"})
