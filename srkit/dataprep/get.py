"""`srkit data get`: download and unpack a data set."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from srkit.components.options import options_model, supplied_to, validate
from srkit.components.problems import explain
from srkit.components.registry import Registry
from srkit.errors import DownloadError, RecipeError
from srkit.interfaces import Archive, Download
from srkit.recipe.trees import override
from srkit.system.archives import unpack
from srkit.system.downloads import RESERVE, download
from srkit.system.files import write_file
from srkit.system.untrusted import inside, parse_json


@dataclass(frozen=True, slots=True)
class DownloadPlan:
    """What is to be downloaded, and where to.

    Parameters
    ----------
    download
        The whole download.
    folder
        Output folder.
    missing
        The archives whose files are not there yet.
    """

    download: Download
    folder: Path
    missing: Sequence[Archive]

    @property
    def size(self) -> int | None:
        """Bytes to be downloaded; None if unknown."""
        sizes = [archive.size for archive in self.missing]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def __str__(self) -> str:
        unknown = ", ".join(archive.name for archive in self.missing if archive.checksum is None)
        rows = {
            "homepage": self.download.homepage,
            "licence": self.download.licence,
            "from": "\n".join(archive.url for archive in self.missing),
            "size": "unknown" if self.size is None else f"{self.size / 1e9:.2f} GB",
            "checksums": (
                f"not published for {unknown}; recorded at the first download"
                if unknown
                else "published"
            ),
            "to": str(self.folder),
            "note": "\n".join(self.download.notes),
        }
        lines = [self.download.title]
        for name, text in rows.items():
            for number, line in enumerate(text.splitlines()):
                lines.append(f"  {name if number == 0 else '':10} {line}")
        return "\n".join(lines)


def plan_download(name: str, options: Sequence[str], registry: Registry, out: Path) -> DownloadPlan:
    """Find out what is to be downloaded.

    Parameters
    ----------
    name
        Name of a registered download.
    options
        Its options, each ``key=value``.
    registry
        Supplies the download.
    out
        Folder of all data.

    Raises
    ------
    SrkitError
        If the download or an option is unknown, or a value is wrong.
    """
    component = registry.get("downloads", name)
    supplied, source = supplied_to(component.kind), f"srkit data get {name}"
    given = override({}, options, source)
    try:
        checked = validate(component.factory, given, supplied)
        found: Download = component.factory(**checked)
    except ValidationError as error:
        model = options_model(component.factory, supplied)
        raise RecipeError(source, explain(error, "", model)) from None
    except ValueError as error:
        raise RecipeError(source, [str(error)]) from None
    folder = out / found.folder
    missing = [archive for archive in found.archives if not _is_unpacked(archive, folder)]
    return DownloadPlan(found, folder, missing)


def run_download(
    plan: DownloadPlan, console: Console, *, keep: bool = False, overwrite: bool = False
) -> None:
    """Download, verify and unpack the missing archives; resume partial downloads.

    Parameters
    ----------
    plan
        What to download, and where to.
    console
        Where progress is shown.
    keep
        Whether to keep the archives after they are unpacked.
    overwrite
        Whether files that srkit did not write may be replaced.

    Raises
    ------
    DownloadError
        If the disk is too small, or an archive cannot be downloaded, verified or unpacked.
    """
    _check_space(plan)
    for archive in plan.missing:
        path = plan.folder / archive.name
        download(archive.url, path, checksum=archive.checksum, console=console)
        with console.status(f"unpacking {archive.name}"):
            _, own = _read_record(archive, plan.folder)
            sizes = unpack(path, plan.folder, strip=archive.strip, own=own, overwrite=overwrite)
        record = {"url": archive.url, "files": sizes}
        write_file(_record_of(archive, plan.folder), json.dumps(record, indent=1) + "\n")
        if not keep:
            path.unlink()
        console.print(f"{archive.name}: {len(sizes)} files in {plan.folder}", soft_wrap=True)


def _record_of(archive: Archive, folder: Path) -> Path:
    """Return the path of the file that lists the unpacked files of an archive."""
    return folder / f"{archive.name}.files.json"


def _read_record(archive: Archive, folder: Path) -> tuple[str, dict[str, int]]:
    """Read the address and the files, with their sizes, of the archive that was unpacked before."""
    path = _record_of(archive, folder)
    try:
        record = parse_json(path.read_bytes())
        files: dict[str, int] = dict(record["files"])
        for name in files:
            inside(folder, name)
        return str(record["url"]), files
    except FileNotFoundError:
        return "", {}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise DownloadError(
            f"{path}: cannot be read ({error}); delete it to download the archive again"
        ) from error


def _is_unpacked(archive: Archive, folder: Path) -> bool:
    """Return whether all files of an archive are there, with their sizes."""
    url, files = _read_record(archive, folder)
    places = [(folder / name, size) for name, size in files.items()]
    return url == archive.url and all(
        place.is_file() and place.stat().st_size == size for place, size in places
    )


def _check_space(plan: DownloadPlan) -> None:
    """Check that the disk has room for all archives unpacked, and for the largest one packed."""
    if not plan.size:
        return
    needed = plan.size + max(archive.size or 0 for archive in plan.missing)
    plan.folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(plan.folder).free
    if needed + RESERVE > free:
        raise DownloadError(
            f"{plan.folder}: needs about {needed / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free; "
            "free some space or choose another --out"
        )
