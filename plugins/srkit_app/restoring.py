"""What the page does with the files that are dropped on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

import PIL.Image

from srkit import Upscaler
from srkit.errors import SrkitError
from srkit.interfaces import Style
from srkit_app.previews import previews

#: The styles of the networks that are part of srkit, by their choice.
INCLUDED: Mapping[str, Style] = {
    "srkit, faithful": "faithful",
    "srkit, enhanced: without noise, sharper, with invented detail": "enhanced",
}
#: Receives the share that is done, in [0, 1], and what is being restored.
Report = Callable[[float, str], None]


@dataclass(slots=True)
class Restored:
    """The results of one press of the button.

    Parameters
    ----------
    files
        The files of SR.
    shown
        LR and SR for the slider, by the name of the file.
    messages
        What the user should know, errors among them, in one line each.
    """

    files: list[Path] = field(default_factory=list)
    shown: dict[str, tuple[PIL.Image.Image, PIL.Image.Image]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)


def models_in(folder: Path) -> list[str]:
    """List the models to choose from: those of srkit, interpolations, and runs in a folder."""
    runs = sorted(folder.glob("runs/*/checkpoints/*.safetensors"))
    trained = dict.fromkeys(str(path.parents[1].relative_to(folder)) for path in runs)
    return [*INCLUDED, "bicubic", "lanczos", *trained]


@lru_cache(maxsize=1)
def _upscaler(model: str, scale: float | None, width: int | None) -> Upscaler:
    """Open a model for a size; it is kept for the next files."""
    if model in INCLUDED:
        return Upscaler(style=INCLUDED[model], scale=scale, width=width)
    return Upscaler(model, scale=scale, width=width)


def restore(
    files: Sequence[str], model: str, scale: float, width: int | None, report: Report
) -> Restored:
    """Restore files beside themselves; one that fails does not stop the others.

    Parameters
    ----------
    files
        The files of LR.
    model
        One of :data:`INCLUDED`, or a model as for `srkit upscale`.
    scale, width
        Side of SR over that of LR, and the width of SR in pixels, which replaces it.
    report
        Receives the progress.
    """
    found = Restored()
    try:
        upscaler = _upscaler(model.strip(), None if width else scale, width)
    except (SrkitError, ValueError) as error:
        found.messages.append(_line(error))
        return found
    for number, given in enumerate(files):
        source = Path(given)
        progress = partial(_report, report, source.name, number, len(files))
        try:
            path, notes = upscaler.write(source, overwrite=True, report=progress)
            pair = previews(source, path)
        except SrkitError as error:
            found.messages.append(_line(error).replace(str(source), source.name))
            continue
        found.files.append(path)
        found.messages += [f"{source.name}: {note}" for note in notes]
        if pair is None:
            found.messages.append(f"{path.name}: too large to be shown; it can be downloaded")
        else:
            found.shown[path.name] = pair
    return found


def _report(
    report: Report, name: str, number: int, count: int, done: int, total: int | None
) -> None:
    """Report the share of all files from the pixels of one."""
    report((number + (done / total if total else 0)) / count, name)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def literal(message: str) -> str:
    """Write a message in Markdown that shows it as it is."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#+-!|~$" else c for c in message)
