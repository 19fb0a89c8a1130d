"""Names and text from untrusted files, archives and servers."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any


def inside(folder: Path, name: object) -> Path:
    """Return the path of a file in a folder, whose name comes from a file or a server.

    Parameters
    ----------
    folder
        The folder.
    name
        The name, relative to the folder, with ``/`` between its parts.

    Raises
    ------
    ValueError
        If the path would leave the folder on any operating system, or is that of the folder; says
        so. Also if `name` is not text.
    """
    parts = PurePosixPath(name).parts if isinstance(name, str) else ()
    outside = not parts or parts[0] == "/" or parts[0] == "//" or ".." in parts
    if outside or any(character in str(name) for character in ":\\\0"):
        raise ValueError(f"{name!r} is not the name of a file inside its folder")
    return folder.joinpath(*parts)


def parse_json(text: str | bytes) -> Any:
    """Parse JSON.

    Raises
    ------
    ValueError
        If it is not valid, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
