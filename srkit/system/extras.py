"""Packages that only an extra of srkit installs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from srkit.errors import PluginError


@contextmanager
def needs(package: str, extra: str) -> Iterator[None]:
    """Import a package of the extra ``srkit[extra]`` in this context.

    Raises
    ------
    PluginError
        If it is not installed; the message says how to install it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise PluginError(
            f"the package {package} is not installed; install srkit[{extra}]: "
            f'pip install "srkit[{extra}]"'
        ) from error
