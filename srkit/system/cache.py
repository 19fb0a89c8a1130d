"""The cache folder."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Folder of fetched weights: ``$SRKIT_CACHE``, else ``srkit`` in the user's cache folder."""
    given = os.environ.get("SRKIT_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "srkit"
