"""A tracker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class CSV:
    """A table of all values in the run folder.

    Parameters
    ----------
    name
        Name of the file.
    """

    def __init__(self, *, name: str = "values.csv") -> None:
        self.name = name

    def start(
        self, name: str, folder: Path, settings: Mapping[str, bool | int | float | str]
    ) -> None:
        """Begin to track a run."""
        self.path = folder / self.name

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Record the values after a step."""
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(f"{step},{key},{value}\n" for key, value in values.items())

    def finish(self) -> None:
        """End the tracking."""
