"""Download files: taken up where they stopped, verified, whole or not at all."""

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
from rich.progress import Progress

from srkit import __version__
from srkit.errors import DownloadError
from srkit.system.digests import digest_of_file
from srkit.system.files import write_file
from srkit.system.progress import progress_bars

#: Seconds without a byte after which a connection counts as dead.
TIMEOUT = 60
#: Seconds to wait before each attempt to take up a connection that broke.
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
        What the error calls the file, and what it says is to be done.

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
    """Download a file, unless it is there; go on with what an earlier attempt left.

    What has arrived lies in ``NAME.partial`` beside the target, and ``NAME.partial.json`` says of
    which version of the file it is: a server that has another one by now sends it from its start.
    A connection that breaks is taken up again. Processes that want the same file wait for one of
    them.

    Parameters
    ----------
    url
        http or https.
    target
        The file; its folder is made if absent.
    checksum
        As :func:`verify` takes it. Where none is known, that of the first download is written to
        ``NAME.sha256``, which later ones are compared with.
    console
        Where the progress is shown; by default on a terminal's error output.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    DownloadError
        If it cannot be downloaded whole, the disk is too small, or the checksum differs. It names
        the address and the target.
    """
    if not url.startswith(("http://", "https://")):
        raise DownloadError(f"{url}: expected an address that begins with http:// or https://")
    if target.is_file():
        return _verify_kept(target, checksum, url)
    lock = target.with_name(f".{target.name}.lock")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            if not target.is_file():
                partial = _Partial(url, target)
                _receive(partial, console)
                _accept(partial, checksum)
    except OSError as error:
        raise DownloadError(
            f"{url} could not be downloaded ({error}); try again to go on from where it stopped, "
            f"or fetch it elsewhere and put it at {target}"
        ) from error
    lock.unlink(missing_ok=True)  # whoever still waits for it finds the target
    return target


def _recorded(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")


def _verify_kept(target: Path, checksum: str | None, url: str) -> Path:
    """Verify a file that is there, where anything is known of it."""
    remedy = f"delete it and fetch {url} again"
    recorded = _recorded(target)
    if checksum is None and recorded.is_file():
        checksum = f"sha256:{recorded.read_text().split()[0]}"
    if checksum is not None:
        verify(target, checksum, str(target), remedy)
    return target


@dataclass(frozen=True, slots=True)
class _Partial:
    """What there is of a file so far."""

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
        """Give what the server called the version that this is part of, if it is known."""
        with suppress(OSError, ValueError):
            notes = json.loads(self.notes.read_text())
            if notes["url"] == self.url:
                version: str = notes["version"]
                return version
        return None

    def begin(self, version: str | None) -> None:
        self.notes.unlink(missing_ok=True)
        self.path.write_bytes(b"")
        if version is not None:
            self.notes.write_text(json.dumps({"url": self.url, "version": version}))

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)


class _BrokenOffError(OSError):
    """A connection that ended before the file did."""


#: What a connection that breaks raises.
_BREAKS = (http.client.HTTPException, ConnectionError, TimeoutError)


def _receive(partial: _Partial, console: Console | None) -> None:
    """Bring a partial file to its whole length; a connection that breaks is taken up again."""
    with progress_bars(console, unit="bytes") as bar:
        task = bar.add_task(partial.target.name, total=None)
        failures, most = 0, -1
        while True:
            try:
                return _request(partial, bar, task)
            except (_BrokenOffError, urllib.error.URLError) as error:
                if isinstance(error, urllib.error.URLError) and most < 0:
                    raise  # there is no connection, or no such file
                failures = 0 if partial.size() > most else failures + 1
                if failures == len(PAUSES):
                    raise
                most = max(most, partial.size())
            time.sleep(PAUSES[failures])


def _request(partial: _Partial, bar: Progress, task: Any) -> None:
    """Ask once for what is missing, and append what comes."""
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
            return  # it was whole, and only its last step had not been done
        partial.remove()
        raise _BrokenOffError(f"the server has no bytes after {have}") from error
    except _BREAKS as error:
        raise _BrokenOffError(f"the connection broke: {error}") from error
    with answer:
        start = _start_of(answer)
        if start not in (0, have):
            raise OSError(f"the server sent bytes from {start} on, not from {have}")
        if start == 0:
            partial.begin(_version(answer))
        length = answer.headers.get("Content-Length")
        total = None if length is None else start + int(length)
        if total is not None:
            _check_space(partial, total - start)
        bar.update(task, total=total, completed=start)
        _append(partial, answer, bar, task)
    if total is not None and partial.size() != total:
        raise _BrokenOffError(f"the connection ended after {partial.size()} of {total} bytes")


def _start_of(answer: Any) -> int:
    """Tell at which byte an answer begins."""
    if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    if found is None:
        raise OSError("the server's partial answer does not say where it begins")
    return int(found[1])


def _version(answer: Any) -> str | None:
    """Give the server's name for this version of the file, if it can be asked for again."""
    tag = answer.headers.get("ETag")
    if tag is not None and not tag.startswith("W/"):
        return str(tag)
    modified = answer.headers.get("Last-Modified")
    return None if modified is None else str(modified)


def _append(partial: _Partial, answer: Any, bar: Progress, task: Any) -> None:
    with partial.path.open("ab") as file:
        try:
            while block := answer.read(BLOCK):
                file.write(block)
                bar.advance(task, len(block))
        except _BREAKS as error:
            raise _BrokenOffError(f"the connection broke: {error}") from error
        finally:
            file.flush()
            os.fsync(file.fileno())


def _check_space(partial: _Partial, needed: int) -> None:
    free = shutil.disk_usage(partial.target.parent).free
    if needed + RESERVE > free:
        raise DownloadError(
            f"{partial.target}: {needed / 1e9:.2f} GB of {partial.url} are missing and "
            f"{free / 1e9:.2f} GB are free; make room, or choose another disk"
        )


def _accept(partial: _Partial, checksum: str | None) -> None:
    """Verify what has arrived whole and give it its name, or remove it."""
    recorded = _recorded(partial.target)
    try:
        if checksum is not None:
            remedy = f"try again, or fetch it elsewhere and put it at {partial.target}"
            verify(partial.path, checksum, f"{partial.url}, just downloaded", remedy)
        elif recorded.is_file():
            known = f"sha256:{recorded.read_text().split()[0]}"
            remedy = f"that of the first download, in {recorded}; delete that file to trust this"
            verify(partial.path, known, f"{partial.url}, just downloaded", remedy)
    except DownloadError:
        partial.remove()
        raise
    if checksum is None:
        write_file(recorded, f"{digest_of_file(partial.path)}  {partial.target.name}\n")
    partial.path.replace(partial.target)
    partial.notes.unlink(missing_ok=True)
