"""How commands print, and how they fail."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from rich.console import Console


def new_console(*, stderr: bool = False) -> Console:
    """Make the console that tables and progress are shown on.

    Parameters
    ----------
    stderr
        Leave standard output to the result itself.
    """
    from rich.console import Console

    return Console(stderr=stderr)


def print_json(tree: object) -> None:
    """Print plain data for other programs."""
    import json

    print(json.dumps(tree, indent=2))


def fail(message: str) -> NoReturn:
    """Print an error and exit with status 1."""
    # In one write, newline included: the lines of several processes stay whole.
    sys.stderr.write(f"error: {message}\n")
    raise SystemExit(1)
