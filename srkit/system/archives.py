"""Unpack archives that strangers made: what could do harm is refused, and nothing is left of it."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from srkit.errors import DownloadError

#: How many times its own size an archive may unpack to; of text it may be 20, of pictures 1.
RATIO = 100
#: How many members an archive may have.
MEMBERS = 1_000_000
#: What a damaged archive raises, or one that is encrypted.
_DAMAGES = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError)
#: Bytes copied at a time.
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class _Member:
    """A file in an archive: its name, the bytes that it says it has, and its content."""

    name: str
    size: int
    content: IO[bytes]


def unpack(archive: Path, folder: Path, *, strip: int = 0) -> dict[str, int]:
    """Unpack a zip or tar archive, whole or not at all.

    Members are unpacked beside their places and moved there when all are whole; files that stand
    there are replaced.

    Parameters
    ----------
    archive
        The content decides of which kind it is.
    folder
        Where its members go; made if absent.
    strip
        Leading folders of each member's path that are dropped.

    Returns
    -------
    dict
        Size in bytes of each file by its path in `folder`, POSIX style.

    Raises
    ------
    DownloadError
        If it is damaged or of another kind; if a member has an absolute path, one with ``..``, or
        is a link or a device; or if it would unpack to more than `RATIO` times its size.
    """
    staging = folder / f".{archive.name}.unpacking"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(staging, ignore_errors=True)  # of a process that was killed
        try:
            sizes = _extract(archive, staging, strip)
            for name in sizes:
                place = folder / name
                place.parent.mkdir(parents=True, exist_ok=True)
                (staging / name).replace(place)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except _DAMAGES as error:
        raise DownloadError(
            f"{archive}: damaged ({error}); delete it and download it again"
        ) from error
    except OSError as error:
        raise DownloadError(
            f"{archive}: cannot be unpacked into {folder} ({error}); make room, or choose another "
            "folder"
        ) from error
    if not sizes:
        raise DownloadError(f"{archive}: holds no file; delete it and download it again")
    return sizes


def _extract(archive: Path, folder: Path, strip: int) -> dict[str, int]:
    """Write the members below a folder, stopping at what must not be written."""
    limit = max(RATIO * archive.stat().st_size, BLOCK)
    sizes: dict[str, int] = {}
    for number, member in enumerate(_members(archive)):
        name = _safe(archive, member.name, strip)
        limit -= member.size
        if limit < 0 or number >= MEMBERS:
            raise DownloadError(
                f"{archive}: refused, since it would unpack to more than {RATIO} times its size or "
                f"{MEMBERS} files"
            )
        if name is None:
            continue
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as file:
            shutil.copyfileobj(member.content, file, BLOCK)
        sizes[name] = place.stat().st_size
    return sizes


def _safe(archive: Path, name: str, strip: int) -> str | None:
    """Give the path below the folder, or None for what lies in the dropped folders themselves."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        raise DownloadError(
            f"{archive}: refused, since its member '{name}' would be written outside the folder"
        )
    parts = path.parts[strip:]
    return "/".join(parts) or None


def _members(archive: Path) -> Iterator[_Member]:
    if zipfile.is_zipfile(archive):
        yield from _in_zip(archive)
    elif tarfile.is_tarfile(archive):
        yield from _in_tar(archive)
    else:
        raise DownloadError(
            f"{archive}: neither a zip nor a tar archive; delete it and download it again"
        )


def _in_zip(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as zipped:
        for info in zipped.infolist():
            if stat.S_ISLNK(info.external_attr >> 16):
                raise _link(archive, info.filename)
            if not info.is_dir():
                with zipped.open(info) as content:
                    yield _Member(info.filename, info.file_size, content)


def _in_tar(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive) as tar:
        for info in tar:
            if info.isdir():
                continue
            content = tar.extractfile(info) if info.isfile() else None
            if content is None:
                raise _link(archive, info.name)
            with content:
                yield _Member(info.name, info.size, content)


def _link(archive: Path, name: str) -> DownloadError:
    return DownloadError(f"{archive}: refused, since its member '{name}' is a link or a device")
