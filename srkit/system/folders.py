"""The cache folder, and output folders that a command fills and resumes filling later."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from srkit.errors import DataError, OutputError
from srkit.system.files import is_partial, remove_partials, write_file
from srkit.system.locks import locked
from srkit.system.untrusted import parse_json

#: The lock file in such a folder; a name that no other program uses, since it is removed.
LOCK = ".srkit.lock"


def cache_folder() -> Path:
    """Return the folder of downloaded weights and the like.

    It is ``$SRKIT_CACHE``, or else ``srkit`` in the user's cache folder.
    """
    given = os.environ.get("SRKIT_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "srkit"


def contains_files(folder: Path) -> bool:
    """Return whether a folder contains more than a lock and what killed processes left in it."""
    return any(path.name != LOCK and not is_partial(path) for path in folder.iterdir())


def check_replaceable(path: Path, *own: str, overwrite: bool) -> None:
    """Check that an output replaces no file that srkit did not write.

    Parameters
    ----------
    path
        A file, or the folder of a report; a page of srkit may be replaced, and so may its folder.
    *own
        Further names of files by which a folder that srkit writes is recognised.
    overwrite
        Whether everything may be replaced.

    Raises
    ------
    OutputError
        If the file exists, or the folder contains other files.
    """
    if overwrite or not path.exists():
        return
    if not path.is_dir():
        if not _is_page(path):
            raise OutputError(f"{path}: already exists; choose another --out, or add --overwrite")
    elif any(path.iterdir()) and not any(
        found.name in own or _is_page(found) for found in path.rglob("*")
    ):
        raise OutputError(
            f"{path}: contains files that srkit did not write; choose another --out, or add "
            "--overwrite"
        )


def _is_page(path: Path) -> bool:
    """Return whether a file is a page that srkit wrote."""
    if path.suffix.lower() not in (".html", ".htm"):
        return False
    with path.open("rb") as file:
        return b'<meta name="generator" content="srkit ' in file.read(1024)


@contextmanager
def output_folder(
    folder: Path, record: Path, provenance: Mapping[str, Any], command: str, **phrases: str
) -> Iterator[None]:
    """Let one process at a time fill a folder, always from the same inputs.

    Parameters
    ----------
    folder
        The folder; created if needed. Files that killed processes left half written are removed.
    record
        The file in it that records the provenance.
    provenance
        What the folder is made from, as JSON data.
    command
        Name of the command that fills it, for messages.
    **phrases
        See :func:`check_provenance`.

    Raises
    ------
    DataError
        If the folder has another provenance, or contains other files.
    OutputError
        If another process is filling it, or it cannot be written.
    """
    busy = OutputError(f"{folder}: is being written by another process")
    with locked(folder / LOCK, busy):
        if record.is_file():
            check_provenance(record, _read_record(record), provenance, **phrases)
        elif contains_files(folder):
            raise DataError(
                f"{folder}: contains files that {command} did not write; choose another --out"
            )
        else:
            write_file(record, json.dumps(provenance, indent=2) + "\n")
        remove_partials(folder)
        yield


def _read_record(record: Path) -> dict[str, Any]:
    """Read the provenance of a folder.

    Raises
    ------
    DataError
        If the file is damaged, as after a power failure.
    """
    try:
        return dict(parse_json(record.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{record}: damaged ({error}); remove the folder, or choose another --out"
        ) from error


def check_provenance(
    record: Path, recorded: Mapping[str, Any], provenance: Mapping[str, Any], **phrases: str
) -> None:
    """Check that a folder was made from the same inputs.

    Parameters
    ----------
    record
        The file with `recorded`, for the message.
    recorded, provenance
        What the folder was made from, and what it would be made from now.
    **phrases
        What the message says if a key differs whose values mean nothing to the user.

    Raises
    ------
    DataError
        If any value of `provenance` differs.
    """
    for key, value in provenance.items():
        if recorded.get(key) != value:
            phrase = phrases.get(key, f"made with {key} {recorded.get(key)!r}, not {value!r}")
            raise DataError(f"{record}: {phrase}; choose another --out, or remove the folder")
