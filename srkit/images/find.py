"""Find the image files in a folder."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from srkit.errors import DataError


def find_pictures(root: Path, suffixes: Collection[str], remedy: str = "") -> list[str]:
    """List the images in a folder and its subfolders, except hidden files.

    Parameters
    ----------
    root
        The folder.
    suffixes
        File name extensions of images, in lower case.
    remedy
        How to obtain the images, for the error.

    Returns
    -------
    list of str
        Sorted POSIX paths relative to `root`.

    Raises
    ------
    DataError
        If the folder is missing or contains no images.
    """
    if not root.is_dir():
        raise DataError("; ".join(filter(None, (f"{root}: no such folder", remedy))))
    found: list[str] = []
    endings = tuple(suffixes)
    for folder, _, files in os.walk(root, followlinks=True):
        inside = os.path.relpath(folder, root).replace(os.sep, "/")
        prefix = "" if inside == "." else f"{inside}/"
        pictures = (f for f in files if not f.startswith(".") and f.lower().endswith(endings))
        found.extend(prefix + name for name in pictures)
    if not found:
        lacks = f"{root}: contains no images; looked for {', '.join(sorted(suffixes))}"
        raise DataError("; ".join(filter(None, (lacks, remedy))))
    return sorted(found)
