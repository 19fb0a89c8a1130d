"""Download files: interrupted downloads are resumed, and complete ones verified."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from rich.console import Console
from rich.progress import Progress, TaskID

from srkit import __version__
from srkit.errors import DownloadError
from srkit.system.cache import record_cached
from srkit.system.digests import digest_of_file
from srkit.system.files import write_file
from srkit.system.progress import progress_bars
from srkit.system.untrusted import parse_json

#: Seconds without a byte after which a connection counts as broken.
TIMEOUT = 60
#: Seconds to wait before each attempt to resume a download whose connection broke.
PAUSES = (1, 2, 4, 8, 16)
#: Bytes read at a time.
BLOCK = 1 << 20
#: Bytes that have to stay free on the disk.
RESERVE = 1 << 26


def verify(path: Path, checksum: str, name: str, remedy: str) -> None:
    """Compare a file with its checksum.

    Parameters
    ----------
    path
        The file.
    checksum
        Algorithm and hexadecimal digest, such as ``sha256:9d0b...`` or ``md5:5d3f...``.
    name, remedy
        The name of the file in the error, and what the error advises.

    Raises
    ------
    DownloadError
        If they differ.
    """
    algorithm, _, expected = checksum.partition(":")
    found = digest_of_file(path, algorithm)
    if found != expected:
        raise DownloadError(f"{name}: its {algorithm} is {found}, expected {expected}; {remedy}")


def download(
    url: str, target: Path, *, checksum: str | None = None, console: Console | None = None
) -> Path:
    """Download a file, unless it exists; resume what an earlier attempt left.

    This is implemented here, and not by a library such as pooch, because those do not resume
    interrupted downloads. The bytes received so far are in ``NAME.partial`` beside the target;
    ``NAME.partial.json`` records which version of the file they belong to. If the server has
    another version by then, the download starts again. A connection that breaks is opened again.
    Processes that need the same file wait for one of them to download it.

    Parameters
    ----------
    url
        An http or https address.
    target
        The file; its folder is created if needed.
    checksum
        See :func:`verify`. If it is None, the checksum of the first download is written to
        ``NAME.sha256``, and later ones are compared with it.
    console
        Where to show progress; by default on standard error.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    DownloadError
        If the download fails, the disk is too small, or the checksum differs.
    """
    if not url.startswith(("http://", "https://")):
        raise DownloadError(f"{url}: expected an address that begins with http:// or https://")
    if target.is_file():
        return _verify_existing(target, checksum, url)
    lock = target.with_name(f".{target.name}.lock")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            if not target.is_file():
                partial = _Partial(url, target)
                _receive(partial, console)
                _accept(partial, checksum)
                record_cached(target)
    except (OSError, ValueError) as error:  # a ValueError if the server redirects to no address
        raise DownloadError(
            f"{url} could not be downloaded ({error}); try again, which resumes the download, or "
            f"download it elsewhere and save it as {target}"
        ) from error
    with suppress(PermissionError):  # on Windows, while other processes wait for it
        lock.unlink(missing_ok=True)  # they will find the target
    return target


def _recorded(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")


def _read_recorded(path: Path) -> str:
    """Read the checksum of the first download."""
    words = path.read_bytes().split()
    if not words or not re.fullmatch(rb"[0-9a-f]{64}", words[0]):
        raise DownloadError(f"{path}: damaged, contains no checksum; delete it")
    return f"sha256:{words[0].decode()}"


def _verify_existing(target: Path, checksum: str | None, url: str) -> Path:
    """Verify a file that exists, if its checksum is known."""
    recorded = _recorded(target)
    if checksum is None and recorded.is_file():
        checksum = _read_recorded(recorded)
    if checksum is not None:
        verify(target, checksum, str(target), f"delete it and download {url} again")
    return target


@dataclass(frozen=True, slots=True)
class _Partial:
    """The part of a file that has been received."""

    url: str
    target: Path

    @property
    def path(self) -> Path:
        return self.target.with_name(f"{self.target.name}.partial")

    @property
    def notes(self) -> Path:
        return self.target.with_name(f"{self.target.name}.partial.json")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def version(self) -> str | None:
        """Return the server's name for the version that this is part of, if it is known."""
        with suppress(OSError, ValueError, KeyError, TypeError):  # missing or damaged
            notes = parse_json(self.notes.read_bytes())
            if notes["url"] == self.url:
                version: str = notes["version"]
                return version
        return None

    def begin(self, version: str | None) -> None:
        self.notes.unlink(missing_ok=True)
        self.path.write_bytes(b"")
        if version is not None:
            write_file(self.notes, json.dumps({"url": self.url, "version": version}))

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)


class _InterruptedError(OSError):
    """A connection that ended before the file did."""


#: The errors of a connection that breaks.
_BREAKS = (http.client.HTTPException, ConnectionError, TimeoutError)


def _receive(partial: _Partial, console: Console | None) -> None:
    """Receive the rest of a file; a connection that breaks is opened again."""
    with progress_bars(console, unit="bytes") as bars:
        task = bars.add_task(partial.target.name, total=None)
        failures, most = 0, -1
        while True:
            try:
                return _request(partial, bars, task)
            except (_InterruptedError, urllib.error.URLError) as error:
                if isinstance(error, urllib.error.URLError) and most < 0:
                    raise  # there is no connection, or no such file
                failures = 0 if partial.size() > most else failures + 1
                if failures == len(PAUSES):
                    raise
                most = max(most, partial.size())
            time.sleep(PAUSES[failures])


def _request(partial: _Partial, bars: Progress, task: TaskID) -> None:
    """Request the missing part once, and append the answer."""
    version, have = partial.version(), partial.size()
    headers = {"User-Agent": f"srkit/{__version__}"}
    if have and version is not None:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    try:
        request = urllib.request.Request(partial.url, headers=headers)
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return  # it is complete, but was not renamed
        partial.remove()
        raise _InterruptedError(f"the server has no bytes after {have}") from error
    except _BREAKS as error:
        raise _InterruptedError(f"the connection broke: {error}") from error
    with answer:
        start = _start_of(answer)
        if start not in (0, have):
            raise OSError(f"the server sent bytes from {start}, not from {have}")
        if start == 0:
            partial.begin(_version(answer))
        length = answer.headers.get("Content-Length", "")
        total = start + int(length) if length.isascii() and length.isdecimal() else None
        _check_space(partial, 0 if total is None else total - start)
        bars.update(task, total=total, completed=start)
        _append(partial, answer, bars, task)
    if total is not None and partial.size() != total:
        raise _InterruptedError(f"the connection ended after {partial.size()} of {total} bytes")


def _start_of(answer: Any) -> int:
    """Return the position in the file at which an answer starts."""
    if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    if found is None:
        raise OSError("the server's partial answer does not state where it starts")
    return int(found[1])


def _version(answer: Any) -> str | None:
    """Return the ETag, or else the date, by which this version can be requested again."""
    tag = answer.headers.get("ETag")
    if tag is not None and not tag.startswith("W/"):
        return str(tag)
    modified = answer.headers.get("Last-Modified")
    return None if modified is None else str(modified)


def _append(partial: _Partial, answer: Any, bars: Progress, task: TaskID) -> None:
    with partial.path.open("ab") as file:
        try:
            while block := answer.read(BLOCK):
                _check_space(partial, len(block))  # the server may send more than it announced
                file.write(block)
                bars.advance(task, len(block))
        except _BREAKS as error:
            raise _InterruptedError(f"the connection broke: {error}") from error
        finally:
            file.flush()
            os.fsync(file.fileno())


def _check_space(partial: _Partial, needed: int) -> None:
    free = shutil.disk_usage(partial.target.parent).free
    if needed + RESERVE > free:
        raise DownloadError(
            f"{partial.target}: {needed / 1e9:.2f} GB of {partial.url} remain to be downloaded, "
            f"{free / 1e9:.2f} GB are free; free some space or choose another disk"
        )


def _accept(partial: _Partial, checksum: str | None) -> None:
    """Verify a complete file and give it its name; remove it if its checksum differs."""
    recorded = _recorded(partial.target)
    known, remedy = checksum, f"try again, or download it elsewhere and save it as {partial.target}"
    if known is None and recorded.is_file():
        known = _read_recorded(recorded)
        remedy = f"this was that of the first download; to accept the new one, delete {recorded}"
    if known is not None:
        try:
            verify(partial.path, known, f"{partial.url}, just downloaded", remedy)
        except DownloadError:
            partial.remove()
            raise
    if checksum is None:
        write_file(recorded, f"{digest_of_file(partial.path)}  {partial.target.name}\n")
    partial.path.replace(partial.target)
    partial.notes.unlink(missing_ok=True)
