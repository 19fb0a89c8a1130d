"""Journal of the finished strips of a frame, from which an interrupted run is resumed."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from srkit.system.files import write_file


@dataclass(frozen=True, slots=True)
class Strip:
    """Rows of SR that have been written.

    Parameters
    ----------
    start, stop
        The first row, and the one after the last.
    digest
        Checksum of the rows as stored in the file.
    total, count
        Sum and number of their values, see :class:`srkit.upscaling.frames.windows.RestoredWindow`.
    """

    start: int
    stop: int
    digest: str
    total: float
    count: int


@dataclass(slots=True)
class Journal:
    """A small file beside the partial output.

    Parameters
    ----------
    path
        The file.
    task
        Identifies the work: input, model and options, as plain data.
    side
        Side of the windows in LR pixels.
    strips
        The finished strips, from the top.
    """

    path: Path
    task: Mapping[str, Any]
    side: int = 0
    strips: list[Strip] = field(default_factory=list)

    def read(self) -> bool:
        """Read the journal of an earlier run; return False if it is missing or of another task."""
        try:
            stored = json.loads(self.path.read_text("utf-8"))
            content = stored["content"]
            if stored["seal"] != _seal(content) or content["task"] != self.task:
                return False
            self.side = int(content["side"])
            self.strips = [Strip(**each) for each in content["strips"]]
        except (OSError, ValueError, KeyError, TypeError):  # missing or damaged
            return False
        return True

    def write(self) -> None:
        """Write the file atomically.

        Raises
        ------
        OutputError
            If it cannot be written, as on a full disk.
        """
        strips = [asdict(each) for each in self.strips]
        content = {"task": dict(self.task), "side": self.side, "strips": strips}
        write_file(self.path, json.dumps({"content": content, "seal": _seal(content)}, indent=1))

    def remove(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)


def _seal(content: Mapping[str, Any]) -> int:
    """Return a checksum, by which a damaged journal is recognised."""
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())
