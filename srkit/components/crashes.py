"""A fault in srkit or in a plugin, told in a line; whoever mends it asks for the traceback."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from srkit.components.registry import KINDS, Registry

#: Set to anything, this environment variable shows tracebacks.
TRACEBACK = "SRKIT_TRACEBACK"


def wants_traceback() -> bool:
    """Tell whether the user asked to see where faults come from."""
    return bool(os.environ.get(TRACEBACK))


def describe(error: Exception) -> str:
    """Say what went wrong, and where in whose code: the last line in srkit or in a plugin."""
    distributions = _distributions()
    place, culprit = "", "srkit"
    for frame, line in traceback.walk_tb(error.__traceback__):
        # By the module: the folder that a repository was cloned into may have any name.
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package in distributions:
            place = f" at {package}, {Path(frame.f_code.co_filename).name}:{line}"
            culprit = distributions[package]
    reason = " ".join(str(error).split()) or "no reason given"
    return (
        f"{type(error).__name__}{place}: {reason}. This is a fault of {culprit}, please report it; "
        f"{TRACEBACK}=1 shows the traceback. What was saved before is kept"
    )


def _distributions() -> dict[str, str]:
    """Give the distribution of srkit's package and of each that offers a component."""
    registry = Registry.discover()
    found = {"srkit": "srkit"}
    for kind in KINDS:
        for component in registry.components(kind):
            reference = component.reference
            module = reference if isinstance(reference, str) else reference.__module__
            found[module.partition(":")[0].partition(".")[0]] = component.distribution
    return found
