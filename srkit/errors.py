"""Errors that a user can act on; the command line prints them without a traceback."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

__all__ = [
    "DataError",
    "DownloadError",
    "GraphError",
    "OutputError",
    "PluginError",
    "RecipeError",
    "SrkitError",
    "TrainingError",
    "WeightsError",
    "nearest",
]


class SrkitError(Exception):
    """Something the user can mend: the message says what was found, expected, and what to do."""


class RecipeError(SrkitError):
    """Everything that is wrong with a recipe, all at once.

    Parameters
    ----------
    source
        The recipe's file, or another name for where it came from.
    problems
        One line each: ``path.in.recipe: what is wrong, and what was expected``.
    rest
        The recipe without its faulty keys, in which more may be found; None if nothing is left.
    """

    def __init__(self, source: str, problems: Sequence[str], rest: Any = None) -> None:
        self.source = source
        self.problems = list(problems)
        self.rest = rest
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n  ".join([f"{source}: {count}", *problems]))


class PluginError(SrkitError):
    """A component that is unknown, offered twice, or whose plugin failed to load."""


class DataError(SrkitError):
    """A data set, a picture or a label that cannot be used; the message names the file."""


class DownloadError(SrkitError):
    """A file that cannot be downloaded or unpacked; the message names address and target."""


class WeightsError(SrkitError):
    """A weight file or checkpoint that is missing, damaged, unsafe, or made for another network."""


class TrainingError(SrkitError):
    """A run that cannot go on, such as one whose loss is no longer a number."""


class OutputError(SrkitError):
    """A result that cannot be written, as on a full disk; what was written before is kept."""


class GraphError(OutputError):
    """A network that cannot become a graph, or whose graph answers otherwise than it does."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known names resemble `name`, or list the known ones.

    Returns
    -------
    str
        ``did you mean 'x'?``, ``known: a, b, c``, or ``none is known``.
    """
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(names)}" if names else "none is known"


def innermost(error: BaseException) -> str:
    """Give the first cause of an error of another library, with its kind, in a line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
