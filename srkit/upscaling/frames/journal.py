"""What is done of a frame that is restored strip by strip, so that it goes on when interrupted."""

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
    """Rows of SR that are written.

    Parameters
    ----------
    start, stop
        Where they begin and end.
    digest
        Checksum of the rows as the file holds them.
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
        Of the file.
    task
        What identifies the work: input, model and options, as plain data.
    side
        Of the windows in LR pixels.
    strips
        Those that are done, from the top.
    """

    path: Path
    task: Mapping[str, Any]
    side: int = 0
    strips: list[Strip] = field(default_factory=list)

    def read(self) -> bool:
        """Take over what an earlier run did; False if there is none, or of another task."""
        try:
            stored = json.loads(self.path.read_text())
            content = stored["content"]
            if stored["seal"] != _seal(content) or content["task"] != self.task:
                return False
            self.side = int(content["side"])
            self.strips = [Strip(**each) for each in content["strips"]]
        except (OSError, ValueError, KeyError, TypeError):  # absent, or not whole
            return False
        return True

    def write(self) -> None:
        """Write it whole.

        Raises
        ------
        OutputError
            If that fails, as on a full disk.
        """
        strips = [asdict(each) for each in self.strips]
        content = {"task": dict(self.task), "side": self.side, "strips": strips}
        write_file(self.path, json.dumps({"content": content, "seal": _seal(content)}, indent=1))

    def remove(self) -> None:
        """Remove it, when all is done or nothing of it can be used."""
        self.path.unlink(missing_ok=True)


def _seal(content: Mapping[str, Any]) -> int:
    """Give a checksum, so that a changed journal is noticed."""
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())
