"""What srkit wrote to its cache, and how it is cleared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from srkit.system.folders import cache_folder
from srkit.system.untrusted import inside, parse_json

#: The file in the cache that lists what srkit wrote to it: one line of JSON for each file.
LEDGER = ".srkit-wrote.jsonl"


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file in the cache.

    Parameters
    ----------
    path
        The file.
    size
        In bytes.
    own
        Whether srkit wrote it as it is now; other files are never removed.
    """

    path: Path
    size: int
    own: bool


def record_cached(path: Path) -> None:
    """Record that a file was just written, if it is in the cache, so that it can be cleared."""
    folder = cache_folder().resolve()
    if not path.resolve().is_relative_to(folder):
        return
    name, state = path.resolve().relative_to(folder).as_posix(), path.stat()
    line = json.dumps({"name": name, "size": state.st_size, "time": state.st_mtime_ns})
    with (folder / LEDGER).open("a", encoding="utf-8") as ledger:
        ledger.write(f"{line}\n")


def cached_files() -> list[CachedFile]:
    """List the files in the cache, apart from locks and the list of what srkit wrote."""
    folder, states = cache_folder(), dict(_recorded(cache_folder()))
    found = []
    for path in sorted(folder.rglob("*")):
        if path.name == LEDGER or path.name.endswith(".lock") or not path.is_file():
            continue
        state = path.stat()
        own = states.get(path) == (state.st_size, state.st_mtime_ns) or _is_unfinished(path)
        found.append(CachedFile(path, state.st_size, own and not path.is_symlink()))
    return found


def _recorded(folder: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Iterate over the files that srkit wrote, with their size and time then."""
    with suppress(FileNotFoundError), (folder / LEDGER).open(encoding="utf-8") as ledger:
        for line in ledger:
            with suppress(ValueError, KeyError, TypeError):  # such as a line of a killed process
                entry = parse_json(line)
                yield inside(folder, entry["name"]), (entry["size"], entry["time"])


def _is_unfinished(path: Path) -> bool:
    """Return whether a file belongs to a download that was interrupted."""
    notes = path if path.suffix == ".json" else path.with_name(f"{path.name}.json")
    if not notes.name.endswith(".partial.json"):
        return False
    with suppress(OSError, ValueError, TypeError):
        return set(parse_json(notes.read_bytes())) == {"url", "version"}
    return False


def clear_cache(files: Iterable[CachedFile]) -> None:
    """Remove those of the files that srkit wrote, and the folders that are empty then."""
    folder = cache_folder()
    for each in files:
        if not each.own:
            continue
        each.path.unlink(missing_ok=True)
        for parent in each.path.parents:
            if parent == folder:
                break
            with suppress(OSError):  # it is not empty
                parent.rmdir()
    if not any(each.own for each in cached_files()):
        (folder / LEDGER).unlink(missing_ok=True)
