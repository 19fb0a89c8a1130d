"""Write files whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from srkit.errors import OutputError


def write_file(path: Path, content: bytes | str) -> Path:
    """Write a file under a temporary name, force it to disk, then rename it: no half file ever.

    Parameters
    ----------
    path
        The file; its folder is made if absent.
    content
        Bytes, or text that is encoded as UTF-8.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OutputError
        If it cannot be written, as on a full disk; what stood there before is left as it was.
    """
    data = content.encode() if isinstance(content, str) else content
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error}); free some space or choose another folder"
        ) from error
    return path
