"""Sizes of picture files, found in parallel and kept in a cache."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from srkit.errors import DataError, OutputError
from srkit.system import atomic, cache_folder, map_in_workers, progress_bars, record_cached

#: An entry of the cache: path, size and modification time of a file as a digest; its sides.
ENTRY = np.dtype([("key", "<u8"), ("height", "<u4"), ("width", "<u4")])
#: Files that a process examines at a time, and the number up to which this process examines all.
PART, FEW = 256, 1024
#: Seconds after which results are saved, in case that the process is killed.
PERIOD = 60.0
#: Maximum number of processes, and of threads that look for changes.
WORKERS, THREADS = 8, 16

Sides = tuple[int, int]
Entries = NDArray[np.void]


def measure(
    root: Path, names: Sequence[str], examine: Callable[[Path], Sides], settings: str = ""
) -> tuple[NDArray[np.int64], dict[int, str]]:
    """Find the sizes of files; those that were found before are not read again.

    What an interrupted call found is kept. Files with problems are examined each time.

    Parameters
    ----------
    root
        Folder of the files, which names the file of the cache.
    names
        Their paths, relative to `root` or absolute.
    examine
        Returns height and width of a file, or raises DataError.
    settings
        What else decides the result of `examine`.

    Returns
    -------
    sides
        ``(N, 2)``: height and width of each file; 0 if there is a problem.
    problems
        Why files cannot be used, by their positions.
    """
    cache = _cache_of(root)
    known = _read(cache)
    keys = _keys(root, names, settings)
    sides = np.zeros((len(names), 2), np.int64)
    places = np.searchsorted(known["key"], keys).clip(max=max(0, len(known) - 1))
    found = known["key"][places] == keys if len(known) else np.zeros(len(names), bool)
    for column, name in enumerate(("height", "width")):
        sides[found, column] = known[name][places[found]]
    missing = np.flatnonzero(~found).tolist()
    problems: dict[int, str] = {}
    examined: list[int] = []
    saved = time.monotonic()
    try:
        results = _examine(root, [names[index] for index in missing], examine)
        for index, result in zip(missing, results, strict=False):
            if isinstance(result, str):
                problems[index] = result
            else:
                sides[index] = result
                examined.append(index)
            if time.monotonic() - saved > PERIOD:
                _write(cache, known, keys[examined], sides[examined])
                saved = time.monotonic()
    finally:
        if examined:
            _write(cache, known, keys[examined], sides[examined])
    return sides, problems


def _examine(
    root: Path, names: Sequence[str], examine: Callable[[Path], Sides]
) -> Iterator[Sides | str]:
    """Examine files in worker processes, or here if they are few, with a progress bar."""
    parts = [names[i : i + PART] for i in range(0, len(names), PART)]
    workers = 0 if len(names) <= FEW else min(WORKERS, os.cpu_count() or 1)
    results = map_in_workers(partial(_examine_part, root, examine), parts, workers)
    with progress_bars() as bars, closing(results):
        task = bars.add_task(f"sizes in {root}", total=len(names))
        for part in results:
            assert not isinstance(part, Exception)  # they are caught for each file
            yield from part
            bars.advance(task, len(part))


def _examine_part(
    root: Path, examine: Callable[[Path], Sides], names: Sequence[str]
) -> list[Sides | str]:
    results: list[Sides | str] = []
    for name in names:
        try:
            results.append(examine(root / name))
        except DataError as error:
            results.append(str(error))
    return results


def _cache_of(root: Path) -> Path:
    place = blake2b(os.fsencode(root.absolute()), digest_size=16).hexdigest()
    return cache_folder() / "sizes" / f"{place}.npy"


def _keys(root: Path, names: Sequence[str], settings: str) -> NDArray[np.uint64]:
    """Return a digest of the name and the state of each file; threads, since servers are slow."""

    def key(name: str) -> int:
        state = "missing"
        with suppress(OSError):  # it is examined, which reports the problem
            found = os.stat(os.path.join(root, name))  # noqa: PTH116, PTH118 - twice as fast
            state = f"{found.st_size} {found.st_mtime_ns}"
        text = f"{name}\0{state} {settings}".encode("utf-8", "surrogateescape")
        return int.from_bytes(blake2b(text, digest_size=8).digest())

    def keys(part: Sequence[str]) -> list[int]:
        return [key(name) for name in part]

    with ThreadPoolExecutor(THREADS) as pool:
        parts = pool.map(keys, [names[i : i + PART] for i in range(0, len(names), PART)])
        return np.array([each for part in parts for each in part], np.uint64)


def _read(cache: Path) -> Entries:
    """Read the entries, sorted by their keys; none if the file is missing or damaged."""
    with suppress(OSError, ValueError, EOFError):
        entries: Entries = np.load(cache, allow_pickle=False)
        if entries.dtype == ENTRY and entries.ndim == 1:
            return entries
    return np.empty(0, ENTRY)


def _write(cache: Path, known: Entries, keys: NDArray[np.uint64], sides: NDArray[np.int64]) -> None:
    """Add entries to the cache."""
    entries = np.empty(len(keys), ENTRY)
    entries["key"], entries["height"], entries["width"] = keys, *sides.T
    _, first = np.unique(np.concatenate([known["key"], keys]), return_index=True)
    # Where nothing can be written, as in some clusters, the next call examines the files again.
    with suppress(OutputError):
        with atomic(cache) as partial_file:
            np.save(partial_file, np.concatenate([known, entries])[first])
        record_cached(cache)
