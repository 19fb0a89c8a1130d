"""Run the command line in this process or in another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Done(NamedTuple):
    """Exit status and output of a command."""

    status: int
    out: str
    err: str


Srkit = Callable[..., Done]
