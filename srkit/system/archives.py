"""Unpack archives from untrusted sources: harmful ones are refused, and nothing of them is left."""

from __future__ import annotations

import filecmp
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from srkit.errors import DownloadError
from srkit.system.untrusted import inside

#: Largest ratio of the unpacked size to the size of an archive; text may have 20, images 1.
RATIO = 100
#: Largest number of files in an archive.
MEMBERS = 1_000_000
#: Archives may unpack to this many bytes, however small they are.
LEAST = 1 << 20
#: The errors that a damaged or encrypted archive raises.
_DAMAGES = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError)
#: Writes the content of a member to a path.
_Extract = Callable[[Path], None]


def unpack(
    archive: Path,
    folder: Path,
    *,
    strip: int = 0,
    own: Collection[str] = (),
    overwrite: bool = False,
) -> dict[str, int]:
    """Unpack a zip or tar archive, completely or not at all.

    Members are unpacked to a temporary folder and moved to their places when all are complete.

    Parameters
    ----------
    archive
        The archive; its kind is determined from its content.
    folder
        Where the members are unpacked; created if needed.
    strip
        Number of leading folders that are dropped from the path of each member.
    own
        The files that an earlier call unpacked, which may be replaced.
    overwrite
        Whether all files may be replaced.

    Returns
    -------
    dict
        Size in bytes of each file, by its POSIX path relative to `folder`.

    Raises
    ------
    DownloadError
        If the archive is damaged or of another kind; if a member has an absolute path or one with
        ``..``, or is a link or a device; if it would unpack to more than `RATIO` times its size; or
        if it would replace other files.
    """
    staging = folder / f".{archive.name}.unpacking"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(staging, ignore_errors=True)  # left by a process that was killed
        try:
            sizes = _extract(archive, staging, strip)
            if not overwrite:
                _check_replaceable(folder, staging, [name for name in sizes if name not in own])
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
            f"{archive}: cannot be unpacked into {folder} ({error}); free some space or choose "
            "another folder"
        ) from error
    if not sizes:
        raise DownloadError(f"{archive}: contains no files; delete it and download it again")
    return sizes


def _check_replaceable(folder: Path, staging: Path, names: Collection[str]) -> None:
    """Check that existing files are those of an archive; an interrupted call may have moved them.

    Raises
    ------
    DownloadError
        If others have their names.
    """
    others = [
        name
        for name in names
        if (folder / name).exists() and not filecmp.cmp(staging / name, folder / name, False)
    ]
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise DownloadError(
            f"{folder / others[0]}{more}: would be replaced, but srkit did not write it; choose "
            "another --out, or add --overwrite"
        )


def _extract(archive: Path, folder: Path, strip: int) -> dict[str, int]:
    """Write the members to a folder, up to the first one that has to be refused."""
    limit = max(RATIO * archive.stat().st_size, LEAST)
    sizes: dict[str, int] = {}
    for number, (member, size, extract) in enumerate(_members(archive)):
        name = _safe_name(archive, member, strip)
        limit -= size
        if limit < 0 or number >= MEMBERS:
            raise DownloadError(
                f"{archive}: refused, since it would unpack to more than {RATIO} times its size or "
                f"{MEMBERS} files"
            )
        if name is not None:
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            extract(place)
            sizes[name] = place.stat().st_size
    return sizes


def _safe_name(archive: Path, name: str, strip: int) -> str | None:
    """Return the path relative to the folder; None for files in the folders that are dropped."""
    try:
        path = inside(Path(), name)
    except ValueError:
        raise DownloadError(
            f"{archive}: refused, since its member '{name}' would be written outside the folder"
        ) from None
    return "/".join(path.parts[strip:]) or None


def _members(archive: Path) -> Iterator[tuple[str, int, _Extract]]:
    """Iterate over the files in an archive: name, size in bytes, and what writes the content."""
    if zipfile.is_zipfile(archive):
        yield from _in_zip(archive)
    elif tarfile.is_tarfile(archive):
        yield from _in_tar(archive)
    else:
        raise DownloadError(
            f"{archive}: neither a zip nor a tar archive; delete it and download it again"
        )


def _in_zip(archive: Path) -> Iterator[tuple[str, int, _Extract]]:
    with zipfile.ZipFile(archive) as zipped:

        def extract(place: Path) -> None:
            with zipped.open(info) as content, place.open("wb") as file:
                shutil.copyfileobj(content, file)

        for info in zipped.infolist():
            if stat.S_ISLNK(info.external_attr >> 16):
                raise _link(archive, info.filename)
            if not info.is_dir():
                yield info.filename, info.file_size, extract


def _in_tar(archive: Path) -> Iterator[tuple[str, int, _Extract]]:
    with tarfile.open(archive) as tar:

        def extract(place: Path) -> None:
            tar.extract(info.replace(name=place.name, deep=False), place.parent, filter="data")

        for info in tar:
            if not (info.isfile() or info.isdir()):
                raise _link(archive, info.name)
            if info.isfile():
                yield info.name, info.size, extract


def _link(archive: Path, name: str) -> DownloadError:
    return DownloadError(f"{archive}: refused, since its member '{name}' is a link or a device")
