"""Storage of shards: in a folder, or on a server with a local cache of limited size."""

from __future__ import annotations

import http.client
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock

from srkit.errors import DataError, DownloadError, SrkitError
from srkit.system import (
    atomic,
    cache_folder,
    download,
    free_memory,
    record_cached,
    verify,
    write_file,
)
from srkit_photos.shards.format import INDEX, SAMPLES, Shard, parse_index

#: Default size of the cache of a server's shards.
SHARD_CACHE_BYTES = 100 * 10**9
#: Bytes of memory that a byte of the index takes when it is parsed, at most.
PARSED = 32
#: Seconds without a byte after which a connection counts as dead.
TIMEOUT = 60


class LocalShards:
    """Shards in a folder.

    Parameters
    ----------
    folder
        The folder, written by `srkit data shard`.

    Raises
    ------
    DataError
        If there is no index, or a shard is missing or has another size than in the index.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        path = folder / INDEX
        if not path.is_file():
            raise DataError(
                f"{path}: no such file; make the shards with srkit data shard, or wait until it "
                "has finished"
            )
        self.notes: Sequence[str] = ()
        self.index = parse_index(path.read_bytes(), str(path))
        self.rows_path = folder / SAMPLES
        for shard in self.index.shards:
            _check_size(folder / shard.name, shard)

    def path(self, shard: Shard) -> Path:
        """Return the file of a shard."""
        return self._folder / shard.name

    def expect(self, shards: Sequence[Shard]) -> None:
        """Do nothing, since the shards are local."""


class RemoteShards:
    """Shards on a server; each is downloaded, verified and cached when it is first read.

    Addresses of http and https are downloaded by srkit itself, which resumes partial downloads;
    all others, such as ``s3://bucket/shards``, by fsspec.

    Parameters
    ----------
    address
        Address of the folder.
    cache
        Folder of the cache, in which each version of the shards has its own.
    cache_bytes
        Maximum size of the cached shards; the least recently read ones are removed.

    Raises
    ------
    DataError
        If there is no index, the server does not respond and no index is cached, or the largest
        shard exceeds `cache_bytes`.
    """

    def __init__(self, address: str, cache: Path, cache_bytes: int) -> None:
        self._address, self._cache_bytes = address.rstrip("/"), cache_bytes
        content = self._fetch_index(cache)
        self.index = parse_index(content, f"{self._address}/{INDEX}")
        self._cache = cache / sha256(content).hexdigest()[:16]
        self._cache.mkdir(parents=True, exist_ok=True)
        self.rows_path = self._cache / SAMPLES
        self._download(self.rows_path, self.index.rows)
        largest = max(self.index.shards, key=lambda shard: shard.bytes)
        if largest.bytes > cache_bytes:
            raise DataError(
                f"{self._address}/{largest.name}: has {largest.bytes / 1e9:.3g} GB, which exceeds "
                f"the size of the cache, {cache_bytes / 1e9:.3g} GB; raise cache_gb"
            )

    def _fetch_index(self, cache: Path) -> bytes:
        """Fetch the index; if the server does not respond, use the cached one."""
        address = f"{self._address}/{INDEX}"
        cached = cache / f"index-{sha256(address.encode()).hexdigest()[:16]}.json"
        self.notes: Sequence[str] = ()
        try:
            content = _fetch(address)
        except DataError as error:
            responded = isinstance(error.__cause__, urllib.error.HTTPError | FileNotFoundError)
            if responded or not cached.is_file():
                raise
            content = cached.read_bytes()
            parse_index(content, str(cached))  # which names the cached file if it is damaged
            self.notes = [f"{error}; using the cached shards"]
            return content
        cache.mkdir(parents=True, exist_ok=True)
        write_file(cached, content)
        record_cached(cached)
        return content

    def path(self, shard: Shard) -> Path:
        """Return the file of a shard, which is downloaded if it is not cached."""
        path = self._cache / shard.name
        if not _is_whole(path, shard):
            with FileLock(self._cache / ".room.lock"):
                if not _is_whole(path, shard):
                    path.unlink(missing_ok=True)  # truncated after it was verified
                self._make_room(shard)
            self._download(path, shard.sha256)
        # The time of its last change stays, by which the cache knows that srkit wrote it.
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
        return path

    def expect(self, shards: Sequence[Shard]) -> None:
        """Download shards in the background; errors are raised when the shards are read."""

        def fetch() -> None:
            for shard in shards:
                try:
                    self.path(shard)
                except (SrkitError, OSError):
                    return

        threading.Thread(target=fetch, daemon=True).start()

    def _download(self, path: Path, digest: str) -> None:
        address, checksum = f"{self._address}/{path.name}", f"sha256:{digest}"
        try:
            if address.startswith(("http://", "https://")):
                if not path.is_file():
                    download(address, path, checksum=checksum)
                return
            with FileLock(path.with_name(f".{path.name}.lock")):
                if not path.is_file():
                    system, place = _open(address)
                    with atomic(path) as partial:
                        try:
                            system.get_file(place, str(partial))
                        except OSError as error:
                            raise _unreachable(address, error) from error
                        verify(partial, checksum, address, "upload it again")
                    record_cached(path)
        except DownloadError as error:
            raise DataError(str(error)) from error

    def _make_room(self, shard: Shard) -> None:
        """Remove the least recently read shards until another one fits into the cache."""
        paths = {self._cache / each.name for each in self.index.shards}
        cached = {path: path.stat() for path in paths if path.is_file()}
        used = sum(each.st_size for each in cached.values())
        for path in sorted(cached, key=lambda each: cached[each].st_atime):
            if used + shard.bytes <= self._cache_bytes:
                return
            with suppress(PermissionError):  # Windows removes no shard that is being read
                path.unlink(missing_ok=True)
                used -= cached[path].st_size


ShardFiles = LocalShards | RemoteShards


def open_shards(root: str, cache: Path | None, cache_bytes: int) -> ShardFiles:
    """Open the shards of a folder or an address.

    Parameters are those of :class:`LocalShards` and :class:`RemoteShards`; by default, the cache is
    the folder ``shards`` of srkit's cache.
    """
    if "://" not in root:
        return LocalShards(Path(root))
    return RemoteShards(root, cache or cache_folder() / "shards", cache_bytes)


#: What to do about a damaged shard.
REMEDY = (
    "copy it again; a cached copy can be deleted, it is downloaded again; otherwise remove the "
    "folder and run srkit data shard again"
)


def _is_whole(path: Path, shard: Shard) -> bool:
    return path.is_file() and path.stat().st_size == shard.bytes


def _check_size(path: Path, shard: Shard) -> None:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise DataError(f"{path}: no such shard; {REMEDY}") from None
    if size != shard.bytes:
        raise DataError(f"{path}: has {size} bytes, expected {shard.bytes}; {REMEDY}")


def _fetch(address: str) -> bytes:
    """Fetch the content of an address, which a server could make larger than memory."""
    limit = free_memory() // PARSED
    try:
        if address.startswith(("http://", "https://")):
            with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:
                content: bytes = answer.read(limit + 1)
        else:
            system, place = _open(address)
            content = system.cat_file(place, end=limit + 1)
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise _unreachable(address, error) from error
    if len(content) > limit:
        raise DataError(f"{address}: has more than {limit / 1e6:.0f} MB, too many for this memory")
    return content


def _open(address: str) -> tuple[Any, str]:
    """Return the file system of an address that is not http, and the path in it."""
    try:
        from fsspec.core import url_to_fs

        system, place = url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise DataError(
            f"{address}: cannot be opened ({error}); expected a folder, http(s)://, or an address "
            'that fsspec supports; pip install "srkit[remote]" adds s3://'
        ) from error
    return system, str(place)


def _unreachable(address: str, error: Exception) -> DataError:
    return DataError(
        f"{address}: cannot be fetched ({error}); check the address and your permissions"
    )
