"""Printing of results and errors."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from rich.console import Console


def new_console(*, stderr: bool = False) -> Console:
    """Create the console for tables and progress.

    Parameters
    ----------
    stderr
        Print to standard error, since standard output is for the result.
    """
    from rich.console import Console

    return Console(stderr=stderr)


def print_json(tree: object) -> None:
    """Print plain data for other programs."""
    import json

    print(json.dumps(tree, indent=2))


def fail(message: str) -> NoReturn:
    """Print an error and exit with status 1."""
    # One write, newline included, so that lines of several processes do not mix.
    sys.stderr.write(f"error: {message}\n")
    raise SystemExit(1)
