"""Errors that a user can fix; the command line prints them without a traceback."""

from __future__ import annotations

import ast
import re
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


#: Bytes in the notation of Python, which many libraries put into their messages.
_BYTES = re.compile(
    r"""(?<![^\s(\[{,=:])b(['"])(?:(?!\1)[ -\[\]-~]|\\x[0-9a-f]{2}|\\[\\'"nrt])*\1"""
)


class SrkitError(Exception):
    """An error that the user can fix: its message says what is wrong and what to do.

    Bytes in the message are shown as text, or else in hexadecimal.
    """

    def __str__(self) -> str:
        return _BYTES.sub(_readable, super().__str__())


def _readable(found: re.Match[str]) -> str:
    content: bytes = ast.literal_eval(found[0])
    text = content.decode("ascii", "replace")
    return f"'{text}'" if text.isprintable() and text.isascii() else content.hex(" ")


class RecipeError(SrkitError):
    """All problems of a recipe.

    Parameters
    ----------
    source
        The recipe's file, or another name for its origin.
    problems
        A line for each: ``path.in.recipe: what is wrong, and what was expected``.
    rest
        The recipe without its faulty keys, for further checks; None if nothing is left.
    hint
        What the user can do instead; a last line, if it is not empty.
    """

    def __init__(
        self, source: str, problems: Sequence[str], rest: Any = None, hint: str = ""
    ) -> None:
        self.source = source
        self.problems = list(problems)
        self.rest = rest
        self.hint = hint
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "\n  ".join([f"{source}: {count}", *problems])
        super().__init__(f"{lines}\n{hint}" if hint else lines)


class PluginError(SrkitError):
    """A component is unknown or offered twice, or its plugin cannot be loaded."""


class ContractError(AssertionError):
    """A component violates its contract; the message is a sentence without the component's name."""


class DataError(SrkitError):
    """A data set, an image or a label cannot be used; the message names the file."""


class DownloadError(SrkitError):
    """A file cannot be downloaded or unpacked; the message names address and target."""


class WeightsError(SrkitError):
    """A weight file or checkpoint is missing, damaged, unsafe, or made for another network."""


class TrainingError(SrkitError):
    """A run cannot continue, for instance since its loss is NaN."""


class OutputError(SrkitError):
    """A result cannot be written, for instance to a full disk; earlier results are kept."""


class GraphError(OutputError):
    """A network cannot be exported as a graph, or the graph's output differs from its own."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that resembles an unknown one most, or list the known names.

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
    """Return the type and message of the first cause of an error, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
