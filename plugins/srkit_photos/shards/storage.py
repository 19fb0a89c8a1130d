"""Where shards lie: in a folder, or on a server, from which they are kept on disk up to a bound."""

from __future__ import annotations

import os
import tarfile
import threading
import urllib.error
import urllib.request
import zlib
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock

from srkit.errors import DataError, DownloadError, SrkitError
from srkit.system import atomic, cache_folder, download, remove_partials, verify, write_file
from srkit_photos.shards.format import INDEX, SAMPLES, Shard, name_of, parse_index, read_rows

#: What copies of a server's shards may take up by default.
SHARD_CACHE_BYTES = 100 * 10**9
#: Seconds without a byte after which a connection counts as dead.
TIMEOUT = 60


def shard_cache() -> Path:
    """Name the folder in srkit's cache for copies of a server's shards."""
    return cache_folder() / "shards"


class LocalShards:
    """Shards in a folder.

    Parameters
    ----------
    folder
        As `srkit data shard` wrote it.

    Raises
    ------
    DataError
        If there is no index, or a shard is missing or not of the size that it tells.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        path = folder / INDEX
        if not path.is_file():
            raise DataError(
                f"{path}: no such file; make the shards with srkit data shard, or wait until it is "
                "done"
            )
        self.notes: Sequence[str] = ()
        self.index = parse_index(path.read_bytes(), str(path))
        self.rows_path = folder / SAMPLES
        for shard in self.index.shards:
            _check_size(folder / shard.name, shard)

    def path(self, shard: Shard) -> Path:
        """Give the file of a shard."""
        return self._folder / shard.name

    def expect(self, shards: Sequence[Shard]) -> None:
        """Do nothing: they are here."""


class RemoteShards:
    """Shards on a server: each is downloaded whole when it is first read, verified, and kept.

    Addresses of http and https are downloaded by srkit itself, and taken up where a connection
    broke; all others, such as ``s3://bucket/shards``, through fsspec.

    Parameters
    ----------
    address
        Of the folder.
    cache
        Folder of what is kept; each version of the shards gets its own in there.
    room
        Bytes that it may hold: those that were read the longest time ago are removed.

    Raises
    ------
    DataError
        If there is no index, or the server does not answer and has not given one before; or if the
        largest shard exceeds the room.
    """

    def __init__(self, address: str, cache: Path, room: int) -> None:
        self._address, self._room = address.rstrip("/"), room
        content = self._index(cache)
        self.index = parse_index(content, f"{self._address}/{INDEX}")
        self._cache = cache / sha256(content).hexdigest()[:16]
        self._cache.mkdir(parents=True, exist_ok=True)
        self.rows_path = self._cache / SAMPLES
        self._keep(self.rows_path, self.index.rows)
        largest = max(self.index.shards, key=lambda shard: shard.bytes)
        if largest.bytes > room:
            raise DataError(
                f"{self._address}/{largest.name}: has {largest.bytes / 1e9:.3g} GB, and the cache "
                f"may hold {room / 1e9:.3g}; raise cache_gb"
            )

    def _index(self, cache: Path) -> bytes:
        """Fetch the index; where the server does not answer, take the one that it last gave."""
        address = f"{self._address}/{INDEX}"
        kept = cache / f"index-{sha256(address.encode()).hexdigest()[:16]}.json"
        self.notes: Sequence[str] = ()
        try:
            content = _fetch(address)
        except DataError as error:
            told = isinstance(error.__cause__, urllib.error.HTTPError | FileNotFoundError)
            if told or not kept.is_file():
                raise
            self.notes = [f"{error}; going on with the shards that are kept"]
            return kept.read_bytes()
        cache.mkdir(parents=True, exist_ok=True)
        write_file(kept, content)
        return content

    def path(self, shard: Shard) -> Path:
        """Give the file of a shard, downloading it if it is not here."""
        path = self._cache / shard.name
        if not _is_whole(path, shard):
            with FileLock(self._cache / ".room.lock"):
                if not _is_whole(path, shard):
                    path.unlink(missing_ok=True)  # cut short since it was verified
                self._make_room(shard)
            self._keep(path, shard.sha256)
        os.utime(path)
        return path

    def expect(self, shards: Sequence[Shard]) -> None:
        """Download shards in the background; what goes wrong is told when they are read."""

        def fetch() -> None:
            for shard in shards:
                try:
                    self.path(shard)
                except (SrkitError, OSError):
                    return

        threading.Thread(target=fetch, daemon=True).start()

    def _keep(self, path: Path, digest: str) -> None:
        address, checksum = f"{self._address}/{path.name}", f"sha256:{digest}"
        try:
            if address.startswith(("http://", "https://")):
                if not path.is_file():
                    download(address, path, checksum=checksum)
                return
            with FileLock(path.with_name(f".{path.name}.lock")):
                if not path.is_file():
                    remove_partials(path.parent, path.name)
                    system, place = _open(address)
                    with atomic(path) as partial:
                        try:
                            system.get_file(place, str(partial))
                        except OSError as error:
                            raise _unreachable(address, error) from error
                        verify(partial, checksum, address, "copy it there again")
        except DownloadError as error:
            raise DataError(str(error)) from error

    def _make_room(self, shard: Shard) -> None:
        there = {path: path.stat() for path in self._cache.glob("shard-*.tar")}
        held = sum(each.st_size for each in there.values())
        for path in sorted(there, key=lambda each: there[each].st_mtime):
            if held + shard.bytes <= self._room:
                return
            path.unlink(missing_ok=True)
            held -= there[path].st_size


ShardFiles = LocalShards | RemoteShards


def open_shards(root: str, cache: Path, room: int) -> ShardFiles:
    """Find shards by a folder or an address, see :class:`LocalShards` and :class:`RemoteShards`."""
    return RemoteShards(root, cache, room) if "://" in root else LocalShards(Path(root))


class ShardReader:
    """Reads samples out of shards, each by itself.

    Parameters
    ----------
    files
        Where the shards are.
    """

    def __init__(self, files: ShardFiles) -> None:
        self.files = files
        self.rows = read_rows(files.rows_path, files.index)

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files}  # another process maps the rows itself

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.files = state["files"]
        self.rows = read_rows(self.files.rows_path, self.files.index)

    def name(self, index: int) -> str:
        """Read the name of a picture alone."""
        shard, start, place, *_ = self.rows[index].item()
        path, header = self._bytes(index, shard, start, place)
        return self._name(path, index, header)

    def read(self, index: int) -> tuple[Path, str, bytes]:
        """Read a picture: its shard, its name in there, and its file.

        Raises
        ------
        DataError
            If the shard is missing or damaged.
        """
        shard, start, place, size, crc, *_ = self.rows[index].item()
        path, found = self._bytes(index, shard, start, place + size)
        content = found[place - start :]
        if zlib.crc32(content) != crc:
            raise DataError(f"{path}: its sample {index} has another checksum; {REMEDY}")
        return path, self._name(path, index, found[: place - start]), content

    def _bytes(self, index: int, shard: int, start: int, stop: int) -> tuple[Path, bytes]:
        path = self.files.path(self.files.index.shards[shard])
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(start)
                found = file.read(stop - start)
        except FileNotFoundError:
            raise DataError(f"{path}: no such shard; {REMEDY}") from None
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error
        if len(found) < stop - start:
            raise DataError(f"{path}: ends before its sample {index}; {REMEDY}")
        return path, found

    def _name(self, path: Path, index: int, header: bytes) -> str:
        try:
            return name_of(header)
        except tarfile.TarError as error:
            raise DataError(
                f"{path}: its sample {index} has a damaged header ({error}); {REMEDY}"
            ) from error


#: What is to be done about a damaged shard.
REMEDY = (
    "copy it again; a copy of a server's may be removed, and is fetched anew; else remove the "
    "whole folder and run srkit data shard again"
)


def _is_whole(path: Path, shard: Shard) -> bool:
    return path.is_file() and path.stat().st_size == shard.bytes


def _check_size(path: Path, shard: Shard) -> None:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise DataError(f"{path}: no such shard; {REMEDY}") from None
    if size != shard.bytes:
        raise DataError(f"{path}: has {size} bytes, its index tells {shard.bytes}; {REMEDY}")


def _fetch(address: str) -> bytes:
    try:
        if address.startswith(("http://", "https://")):
            with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:
                received: bytes = answer.read()
                return received
        system, place = _open(address)
        content: bytes = system.cat_file(place)
    except OSError as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise _unreachable(address, error) from error
    return content


def _open(address: str) -> tuple[Any, str]:
    """Find what reads an address that is not http."""
    try:
        from fsspec.core import url_to_fs

        system, place = url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise DataError(
            f"{address}: cannot be opened ({error}); expected a folder, http(s)://, or an address "
            'that fsspec knows: pip install "srkit[remote]" brings s3://'
        ) from error
    return system, str(place)


def _unreachable(address: str, error: OSError) -> DataError:
    return DataError(f"{address}: cannot be had ({error}); check the address and your access to it")
