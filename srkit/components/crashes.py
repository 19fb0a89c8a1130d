"""Describe an unexpected error in one line, with the distribution that raised it."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from srkit.components.registry import OWN, OWNERS, Component, Registry, owner_of
from srkit.errors import ContractError, DataError, PluginError, SrkitError

#: Environment variable; any value shows tracebacks.
TRACEBACK = "SRKIT_TRACEBACK"


def wants_traceback() -> bool:
    """Return whether the user asked for tracebacks."""
    return bool(os.environ.get(TRACEBACK))


def describe(error: Exception) -> str:
    """Return the error, the last line of srkit or a plugin that led to it, and its distribution."""
    if len(OWNERS) == 1:  # as in a process that was not forked
        Registry.discover()
    what, culprit = _located(error)
    return (
        f"{what}. This is a bug in {culprit}; please report it, with the output of srkit doctor. "
        f"{TRACEBACK}=1 shows the traceback. Results saved so far are kept"
    )


def _located(error: Exception) -> tuple[str, str]:
    """Return an error with the last line of srkit or a plugin, and the distribution of the line."""
    place, culprit = "", OWN
    for frame, line in traceback.walk_tb(error.__traceback__):
        # Not by the path: the folder of a cloned repository can have any name.
        module = str(frame.f_globals.get("__name__", ""))
        owner = owner_of(module)
        if owner is not None:
            file = Path(frame.f_code.co_filename).name
            place, culprit = f" at {module.partition('.')[0]}, {file}:{line}", owner
    reason = " ".join(str(error).split()) or "no reason given"
    return f"{type(error).__name__}{place}: {reason}", culprit


@contextmanager
def explained() -> Iterator[None]:
    """Make any error one that a worker process can pass on, which loses tracebacks.

    Raises
    ------
    DataError
        If a file cannot be read.
    PluginError
        If a component raises an error that its author did not expect.
    """
    try:
        yield
    except (SrkitError, MemoryError):
        raise
    except OSError as error:
        raise DataError(f"{error.filename or 'the data'}: {error.strerror or error}") from error
    except Exception as error:
        if wants_traceback():
            raise
        raise PluginError(describe(error)) from error


class blaming:  # noqa: N801 - used like a function; a generator would take 10 us of each step
    """Attribute what goes wrong in a component to its distribution.

    Errors that users cause or that callers explain pass unchanged: bad values and files, and
    torch's RuntimeError, which can mean that memory ran out.

    Parameters
    ----------
    component
        The component; None if its origin is unknown.
    values
        Whether to attribute a ValueError of a third party, too.

    Raises
    ------
    PluginError
        If the component violates its contract, or raises an error that its author did not expect.
    """

    __slots__ = ("component", "values")

    def __init__(self, component: Component | None, *, values: bool = False) -> None:
        self.component, self.values = component, values

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        component = self.component
        if component is None or not isinstance(error, Exception):
            return
        foreign = self.values and component.distribution != OWN and isinstance(error, ValueError)
        if foreign or isinstance(error, ContractError):
            raise PluginError(f"{component.title} of {component.source}: {error}") from error
        passed = (SrkitError, ValueError, OSError, MemoryError, RuntimeError)
        if isinstance(error, passed) or wants_traceback():
            return
        culprit = OWN if component.distribution == OWN else component.source
        raise PluginError(
            f"{component.title} failed: {_located(error)[0]}. This is a bug in {culprit}; please "
            f"report it, with the output of srkit doctor. {TRACEBACK}=1 shows the traceback"
        ) from error
