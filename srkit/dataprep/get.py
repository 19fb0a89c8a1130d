"""`srkit data get`: download and unpack a data set, once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from srkit.components.options import explain, options_model, supplied_to, validate
from srkit.components.registry import Registry
from srkit.errors import DownloadError, RecipeError
from srkit.interfaces import Archive, Download
from srkit.recipe.trees import override
from srkit.system.archives import unpack
from srkit.system.downloads import RESERVE, download
from srkit.system.files import write_file


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be downloaded, and where to.

    Parameters
    ----------
    download
        All of it.
    folder
        Where it goes.
    missing
        The archives that are not there, whole, already.
    """

    download: Download
    folder: Path
    missing: Sequence[Archive]

    @property
    def size(self) -> int | None:
        """Bytes to be downloaded, where they are known."""
        sizes = [archive.size for archive in self.missing]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def __str__(self) -> str:
        size = "not known" if self.size is None else f"{self.size / 1e9:.2f} GB"
        unknown = [archive.name for archive in self.missing if archive.checksum is None]
        told = f"not published of {', '.join(unknown)}; recorded at the first download"
        rows = {
            "described": self.download.homepage,
            "licence": self.download.licence,
            "from": "\n".join(archive.url for archive in self.missing),
            "size": size,
            "checksums": told if unknown else "published",
            "to": str(self.folder),
            "note": "\n".join(self.download.notes),
        }
        lines = [self.download.title]
        for name, text in rows.items():
            for number, line in enumerate(text.splitlines()):
                lines.append(f"  {name if number == 0 else '':10} {line}")
        return "\n".join(lines)


def plan(name: str, options: Sequence[str], registry: Registry, out: Path) -> Plan:
    """Find out what is to be downloaded.

    Parameters
    ----------
    name
        A registered download.
    options
        ``key=value`` each.
    registry
        Where it comes from.
    out
        Folder of all data.

    Raises
    ------
    SrkitError
        If there is no such download, or it has no such options.
    """
    component = registry.get("downloads", name)
    supplied, source = supplied_to(component.kind), f"srkit data get {name}"
    given = override({}, options, source)
    try:
        checked = validate(component.factory, given, supplied)
        wanted: Download = component.factory(**checked)
    except ValidationError as error:
        model = options_model(component.factory, supplied)
        raise RecipeError(source, explain(error, "", model)) from None
    except ValueError as error:
        raise RecipeError(source, [str(error)]) from None
    folder = out / wanted.folder
    missing = [archive for archive in wanted.archives if not _is_there(archive, folder)]
    return Plan(wanted, folder, missing)


def obtain(plan: Plan, console: Console, *, keep: bool = False) -> None:
    """Download, verify and unpack what is missing; what an earlier call left is taken up.

    Parameters
    ----------
    plan
        What, and where to.
    console
        Where the progress is shown.
    keep
        Whether the archives stay once they are unpacked.

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
            sizes = unpack(path, plan.folder, strip=archive.strip)
        listed = {"url": archive.url, "files": sizes}
        write_file(_listing(archive, plan.folder), json.dumps(listed, indent=1) + "\n")
        if not keep:
            path.unlink()
        console.print(f"{archive.name}: {len(sizes)} files in {plan.folder}", soft_wrap=True)


def _listing(archive: Archive, folder: Path) -> Path:
    """Name the file that lists what an archive was unpacked to."""
    return folder / f"{archive.name}.files.json"


def _is_there(archive: Archive, folder: Path) -> bool:
    """Tell whether everything that an archive was unpacked to is there, with its size."""
    path = _listing(archive, folder)
    try:
        listed = json.loads(path.read_text())
        files = listed["files"].items()
        return listed["url"] == archive.url and all(
            (folder / name).stat().st_size == size for name, size in files
        )
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise DownloadError(
            f"{path}: cannot be read ({error}); delete it, and its archive is downloaded again"
        ) from error


def _check_space(plan: Plan) -> None:
    """Check that the disk holds all archives unpacked, and the largest one beside."""
    if not plan.size:
        return
    needed = plan.size + max(archive.size or 0 for archive in plan.missing)
    plan.folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(plan.folder).free
    if needed + RESERVE > free:
        raise DownloadError(
            f"{plan.folder}: needs about {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; make "
            "room, or choose another --out"
        )
