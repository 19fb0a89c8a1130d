"""The style of all figures; matplotlib, which takes long, is imported with the first of them."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from srkit.report._metric_info import ORIGINAL
from srkit.report._tables import short_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "text.parse_math": False,  # names may hold dollar signs
}
#: The colours of Okabe and Ito, which colour-blind readers can distinguish, without yellow, which
#: is faint on white; see https://jfly.uni-koeln.de/color/.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
GREY = "#7f7f7f"
BETTER, WORSE = "#0072B2", "#D55E00"
DPI = 150


@contextmanager
def style() -> Iterator[None]:
    """Set the style of the figures drawn in this context."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield


def colours(models: Sequence[str]) -> dict[str, str]:
    """Return the colour of each model; the original is grey."""
    others = [name for name in models if name != ORIGINAL]
    chosen = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(others)}
    return {name: chosen.get(name, GREY) for name in models}


def panels(count: int, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """Create a figure with a grid of axes.

    Parameters
    ----------
    count
        Number of axes.
    columns
        Maximum number of axes in a row; fewer if that fills the rows evenly.
    size
        Width and height of each, in inches.
    """
    from matplotlib.figure import Figure

    rows = math.ceil(count / columns)
    columns = math.ceil(count / rows)
    figure = Figure(figsize=(columns * size[0], rows * size[1]), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, i + 1) for i in range(count)]


def png(figure: Figure, dpi: float = DPI) -> bytes:
    """Return a figure as PNG."""
    from matplotlib.text import Text

    for label in figure.findobj(Text):
        if not label.get_text().isprintable():  # such as a file name that is not UTF-8
            label.set_text(label.get_text().encode("utf-8", "replace").decode())
    data = io.BytesIO()
    with style():
        figure.savefig(data, format="png", dpi=dpi, facecolor="white")
    return data.getvalue()


def shorten(name: str, width: int) -> str:
    """Shorten a name to at most `width` characters: to its first synonym, or by cutting it off."""
    if len(name) <= width:
        return name
    first = name.partition(",")[0]
    return first if len(first) <= width else f"{first[: width - 1].rstrip()}…"


def log_scale(axis: Axes, values: Sequence[float], margin: float = 0.5) -> None:
    """Set a logarithmic horizontal axis with readable ticks, for all values above 0.

    Parameters
    ----------
    axis
        The axes.
    values
        The values.
    margin
        Minimum margin at each end, in decades.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    known = [value for value in values if value]
    low, high = math.log10(min(known)), math.log10(max(known))
    margin = max(margin, 0.15 * (high - low))
    axis.set_xscale("log")
    axis.set_xlim(10 ** (low - margin), 10 ** (high + margin))
    steps = (1.0, 2.0, 5.0) if high - low < 1 else (1.0,)
    axis.xaxis.set_major_locator(LogLocator(subs=steps, numticks=8))
    axis.xaxis.set_major_formatter(lambda value, _: short_number(value))
    axis.xaxis.set_minor_formatter(NullFormatter())
