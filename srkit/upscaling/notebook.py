"""Results in a notebook: what :func:`srkit.upscale` returned shows itself as a picture.

Results keep their types, which cannot be changed; IPython is asked to show these objects otherwise.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from srkit.interfaces import Image

#: Most images of a stack that are shown, and width of the output in CSS pixels.
MOST, WIDTH = 6, 640
#: Each living result by its identity, and what converts it to images.
_results: dict[int, tuple[weakref.ref[Any], Callable[[Any], list[Image]]]] = {}


def _shell() -> Any:
    """Return the shell of the notebook in which this process runs; None elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell if hasattr(shell, "kernel") else None


@contextmanager
def progress() -> Iterator[Callable[[int, int], None]]:
    """Show how many LR pixels are done, in a notebook only."""
    if _shell() is None:
        yield lambda done, total: None
        return
    from rich.console import Console

    from srkit.system.progress import progress_bars

    with progress_bars(Console()) as bars:
        task = bars.add_task("restoring", total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def show_itself(result: Any, images: Callable[[Any], list[Image]]) -> None:
    """Let a result be shown as a picture when it is the output of a cell.

    Parameters
    ----------
    result
        An array, a tensor or another object; of a list or a tuple, each entry shows itself.
    images
        Converts it to its image, or to those of a stack.
    """
    shell = _shell()
    if shell is None:
        return
    if type(result) in (list, tuple):
        for each in result:
            show_itself(each, images)
        return
    key = id(result)
    _results[key] = weakref.ref(result, lambda _: _results.pop(key, None)), images
    shell.display_formatter.formatters["text/html"].for_type(type(result), _html)


def _html(shown: Any) -> str | None:
    """Return the picture of a result; any other object is shown as it would be without srkit."""
    if id(shown) in _results:
        return _figure(_results[id(shown)][1](shown), str(getattr(shown, "unit", None) or ""))
    usual = getattr(shown, "_repr_html_", None)
    return None if usual is None else usual()


def _figure(images: Sequence[Image], unit: str) -> str:
    from srkit.images._drawing import draw

    first, shown = images[0], images[:MOST]
    uris, bar = draw(first, shown)
    channels, height, width = first.pixels.shape
    side = min(WIDTH // len(shown), max(width, 320))
    pictures = " ".join(
        f'<img src="{uri}" style="width:{side}px;image-rendering:pixelated">' for uri in uris
    )
    caption = f"{width} × {height} pixels, {channels} channel{'s' if channels > 1 else ''}"
    caption += f"; {len(shown)} of {len(images)} images" if len(images) > 1 else ""
    if bar is not None:
        values = first.pixels[0][first.pixels[0].isfinite()]
        if len(values):
            limits = f"{values.min():.4g} to {values.max():.4g} {unit}".rstrip()
            caption += f"; {limits}, in an asinh stretch"
    return f"<figure>{pictures}<figcaption>{caption}</figcaption></figure>"
