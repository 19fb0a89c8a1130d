"""Find the picture files below a folder."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from srkit.errors import DataError


def find_pictures(root: Path, suffixes: Collection[str]) -> list[str]:
    """List the pictures under a folder: relative POSIX paths, sorted; hidden files are left out.

    Raises
    ------
    DataError
        If the folder is missing or holds no picture.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    found: list[str] = []
    endings = tuple(suffixes)
    for folder, _, files in os.walk(root, followlinks=True):
        inside = os.path.relpath(folder, root).replace(os.sep, "/")
        prefix = "" if inside == "." else f"{inside}/"
        pictures = (f for f in files if not f.startswith(".") and f.lower().endswith(endings))
        found.extend(prefix + name for name in pictures)
    if not found:
        raise DataError(f"{root}: holds no pictures; looked for {', '.join(sorted(suffixes))}")
    return sorted(found)
