"""Describe an unexpected error in one line, with the distribution that raised it."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from srkit.components.registry import KINDS, Registry

#: Environment variable; any value shows tracebacks.
TRACEBACK = "SRKIT_TRACEBACK"


def wants_traceback() -> bool:
    """Return whether the user asked for tracebacks."""
    return bool(os.environ.get(TRACEBACK))


def describe(error: Exception) -> str:
    """Return the error, the last line of srkit or a plugin that led to it, and its distribution."""
    distributions = _distributions()
    place, culprit = "", "srkit"
    for frame, line in traceback.walk_tb(error.__traceback__):
        # Not by the path: the folder of a cloned repository can have any name.
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package in distributions:
            place = f" at {package}, {Path(frame.f_code.co_filename).name}:{line}"
            culprit = distributions[package]
    reason = " ".join(str(error).split()) or "no reason given"
    return (
        f"{type(error).__name__}{place}: {reason}. This is a bug in {culprit}; please report it. "
        f"{TRACEBACK}=1 shows the traceback. Results saved so far are kept"
    )


def _distributions() -> dict[str, str]:
    """Return the distribution of each package of srkit and of the plugins."""
    registry = Registry.discover()
    found = {"srkit": "srkit"}
    for kind in KINDS:
        for component in registry.components(kind):
            reference = component.reference
            module = reference if isinstance(reference, str) else reference.__module__
            found[module.partition(":")[0].partition(".")[0]] = component.distribution
    return found
