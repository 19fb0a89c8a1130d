"""The diagram of the data flow through the stages of a network."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path as Outline

from srkit.errors import OutputError
from srkit.models.data_flow import LR, Stage
from srkit.report.plotting import COLOURS, DPI, GREY, style
from srkit.system.files import write_file

#: Supported file extensions.
FORMATS = (".png", ".svg", ".pdf")

#: Half the width and height of a box; the distance between boxes is 1.
HALF_WIDTH, HALF_HEIGHT = 1.7, 0.3
#: Distance between the lanes of skip connections.
LANE = 0.22


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
    lanes = assign_lanes(boxes)
    right = HALF_WIDTH + LANE * (max(lanes.values(), default=0) + 2)
    with style():
        figure = Figure(figsize=((HALF_WIDTH + right) * 0.95, (len(boxes) + 0.8) * 0.62))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(-HALF_WIDTH - 0.25, right), ylim=(-len(boxes) + 0.4, 1.1))
        axes.axis("off")
        axes.text(0, 0.75, title, ha="center", va="center", fontsize=11, fontweight="bold")
        kinds = list(dict.fromkeys(_kind(box) for box in boxes if box.type))
        for box in boxes:
            colour = COLOURS[kinds.index(_kind(box)) % len(COLOURS)] if box.type else GREY
            _draw_box(axes, box, rows[box.name], colour)
            for source in box.sources:
                if (source, box.name) in lanes:
                    _draw_skip(axes, rows[source], rows[box.name], lanes[source, box.name])
                elif rows[source] == rows[box.name] + 1:
                    _draw_step(axes, rows[source])
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


def assign_lanes(boxes: Sequence[Stage]) -> dict[tuple[str, str], int]:
    """Assign each skip connection to a lane beside the boxes, short ones inside long ones."""
    rows = {box.name: row for row, box in enumerate(boxes)}
    skips = sorted(
        (rows[box.name] - rows[source], source, box.name)
         for box in boxes for source in box.sources if rows[box.name] - rows[source] > 1
    )  # fmt: skip
    taken: list[list[tuple[int, int]]] = []
    lanes = {}
    for _, source, target in skips:
        span = rows[source], rows[target]
        free = (
            lane
            for lane, spans in enumerate(taken)
            if all(span[1] <= first or last <= span[0] for first, last in spans)
        )
        lane = next(free, len(taken))
        if lane == len(taken):
            taken.append([])
        taken[lane].append(span)
        lanes[source, target] = lane
    return lanes


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


def _draw_step(axes: Axes, y: float) -> None:
    axes.annotate(
        "", (0, y - 1 + HALF_HEIGHT), (0, y - HALF_HEIGHT),
        arrowprops={"arrowstyle": "-|>", "color": "#333333", "shrinkA": 0, "shrinkB": 0},
    )  # fmt: skip


def _draw_skip(axes: Axes, above: float, below: float, lane: int) -> None:
    """Draw a line out to the right, down a lane, and back into a box."""
    x = HALF_WIDTH + LANE * (lane + 1)
    start, end = above - HALF_HEIGHT / 2, below + HALF_HEIGHT / 2
    corners = [(HALF_WIDTH, start), (x, start), (x, end), (HALF_WIDTH + 0.08, end)]
    axes.add_patch(PathPatch(Outline(corners), fill=False, edgecolor="#333333", linewidth=1))
    axes.annotate(
        "", (HALF_WIDTH, end), (HALF_WIDTH + 0.15, end),
        arrowprops={"arrowstyle": "-|>", "color": "#333333", "shrinkA": 0, "shrinkB": 0},
    )  # fmt: skip
