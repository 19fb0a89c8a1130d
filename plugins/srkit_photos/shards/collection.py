"""The pictures that are packed into shards, from a folder or a list."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from srkit.errors import DataError
from srkit.images import Formats, find_pictures
from srkit_photos.datasets.partners import find_partners


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture file, its name in a shard, its class index, and the file of its LR."""

    path: Path
    name: str
    label: int | None
    lr: Path | None = None


@dataclass(frozen=True, slots=True)
class Collection:
    """Pictures, the names of their classes (None if they have no labels), and notes."""

    pictures: Sequence[Picture]
    classes: Sequence[str] | None
    notes: Sequence[str] = ()


def collect(
    source: Path, formats: Formats, lr: Path | None = None, lr_suffix: str = ""
) -> Collection:
    """Find the pictures of a folder or a list.

    Parameters
    ----------
    source
        A folder, whose subfolders are the classes unless pictures lie beside them; or a CSV file
        with the column ``path``, relative to its folder, and for labelled pictures ``class_index``,
        from 0.
    formats
        The image formats.
    lr, lr_suffix
        Folder of the LR pictures, and what follows the names of HR in theirs.

    Raises
    ------
    DataError
        If there are no pictures, one has no LR, a row is wrong, or two pictures would be one
        sample.
    """
    if source.is_dir():
        names = find_pictures(source, formats.suffixes)
        labelled = all("/" in name for name in names)
        classes = sorted({name.partition("/")[0] for name in names}) if labelled else None
        numbers = {name: number for number, name in enumerate(classes or ())}
        labels = [numbers[name.partition("/")[0]] if labelled else None for name in names]
        root = source
    else:
        root = source.parent
        names, labels = _read_list(source)
        known = [label for label in labels if label is not None]
        classes = [str(index) for index in range(max(known) + 1)] if known else None
    members = [_member_name(name) for name in names]
    _check_keys(source, names, members)
    partners = None if lr is None else find_partners(formats, lr, lr_suffix, 1, names)
    pictures = [
        Picture(root / name, member, label, partners and partners.of(formats, root / name, name))
        for name, member, label in zip(names, members, labels, strict=True)
    ]
    return Collection(pictures, classes, partners.note(formats, source, names) if partners else [])


def _read_list(path: Path) -> tuple[list[str], list[int | None]]:
    names: list[str] = []
    labels: list[int | None] = []
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = csv.DictReader(file)
            columns = rows.fieldnames or []
            if "path" not in columns:
                raise DataError(
                    f"{path}: has the columns {', '.join(columns)}; expected path and, for labels, "
                    "class_index"
                )
            for row in rows:
                index = row.get("class_index")
                if "class_index" in columns and not re.fullmatch(r"[0-9]{1,6}", index or ""):
                    raise DataError(
                        f"{path}, line {rows.line_num}: got class_index '{index}'; expected 0, 1, "
                        "2, ..."
                    )
                names.append(row["path"])
                labels.append(int(index) if index else None)
    except (OSError, csv.Error) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); expected a folder of pictures, or a CSV file"
        ) from error
    if not names:
        raise DataError(f"{path}: lists no pictures")
    return names, labels


def _member_name(name: str) -> str:
    """Return the name in a shard: relative, with no dot but that of the extension."""
    inside = PurePosixPath(name)
    parts = [part for part in inside.parts if part not in ("..", "/", ".")]
    stem = inside.stem.replace(".", "_")
    return "/".join([*parts[:-1], stem + inside.suffix.lower()])


def _check_keys(source: Path, names: Sequence[str], members: Sequence[str]) -> None:
    """Check that readers of WebDataset keep all pictures apart."""
    seen: dict[str, str] = {}
    for name, member in zip(names, members, strict=True):
        key = member.rpartition(".")[0]
        if key in seen:
            raise DataError(
                f"{source}: {seen[key]} and {name} would be one sample, {key}; rename one so that "
                "they differ in more than the extension"
            )
        seen[key] = name
