"""The steps that are finished, so that an interrupted validation is resumed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from srkit.errors import OutputError
from srkit.system import parse_json, write_file

#: The file in the output folder.
JOURNAL = "steps.jsonl"


class Journal:
    """A file of finished steps, one JSON object per line, after one with their identity.

    Parameters
    ----------
    path
        The file. Steps of another identity, and those behind a damaged line, are dropped.
    identity
        Digest of everything that affects the steps.

    Attributes
    ----------
    steps
        The finished steps, in order.
    replaced
        Whether the file had steps of another identity.
    """

    def __init__(self, path: Path, identity: str) -> None:
        self.path = path
        lines = _lines(path)
        same = bool(lines) and lines[0] == {"identity": identity}
        self.replaced = bool(lines) and not same
        self.steps: list[dict[str, Any]] = lines[1:] if same else []
        whole = [{"identity": identity}, *self.steps]
        write_file(path, "".join(json.dumps(line) + "\n" for line in whole))

    def append(self, step: dict[str, Any]) -> None:
        """Add a finished step.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        self.steps.append(step)
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(step) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be written ({error}); free some space and run the same "
                "command to resume"
            ) from error


def _lines(path: Path) -> list[dict[str, Any]]:
    """Read the objects before the first damaged line, such as one cut off by a crash."""
    found: list[dict[str, Any]] = []
    try:
        for line in path.read_text("utf-8").splitlines():
            parsed = parse_json(line)
            if not isinstance(parsed, dict):
                break
            found.append(parsed)
    except (FileNotFoundError, ValueError):
        pass
    return found
