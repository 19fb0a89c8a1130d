"""The pictures that go into shards: those of a folder, or of a list."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from srkit.errors import DataError
from srkit.images import Formats, find_pictures


@dataclass(frozen=True, slots=True)
class Picture:
    """A file, the name of its member in a tar file, and its class index."""

    path: Path
    name: str
    label: int | None


@dataclass(frozen=True, slots=True)
class Collection:
    """The pictures that are to be put into shards, and their classes."""

    pictures: Sequence[Picture]
    classes: Sequence[str] | None


def collect(given: Path, formats: Formats) -> Collection:
    """Find the pictures of a folder or a list.

    Parameters
    ----------
    given
        A folder, whose first level are the classes unless pictures lie on that level, too; or a
        CSV file with the column ``path``, relative to its own folder, and for labelled pictures
        ``class_index``, from 0.
    formats
        Which files are pictures.

    Raises
    ------
    DataError
        If there are none, a row is wrong, or two would have one name in a shard.
    """
    if given.is_dir():
        names = find_pictures(given, formats.suffixes)
        labelled = all("/" in name for name in names)
        classes = sorted({name.partition("/")[0] for name in names}) if labelled else None
        numbers = {name: number for number, name in enumerate(classes or ())}
        labels = [numbers[name.partition("/")[0]] if labelled else None for name in names]
        root = given
    else:
        root = given.parent
        names, labels = _read_list(given)
        known = [label for label in labels if label is not None]
        classes = [str(index) for index in range(max(known) + 1)] if known else None
    members = [_member_name(name) for name in names]
    _check_keys(given, names, members)
    pictures = [
        Picture(root / name, member, label)
        for name, member, label in zip(names, members, labels, strict=True)
    ]
    return Collection(pictures, classes)


def _read_list(path: Path) -> tuple[list[str], list[int | None]]:
    names: list[str] = []
    labels: list[int | None] = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            columns = rows.fieldnames or []
            if "path" not in columns:
                raise DataError(
                    f"{path}: its columns are {', '.join(columns)}; expected path, and class_index "
                    "if there are labels"
                )
            for row in rows:
                index = row.get("class_index")
                if "class_index" in columns and not (index and index.isascii() and index.isdigit()):
                    raise DataError(
                        f"{path}, line {rows.line_num}: the class index is '{index}'; expected "
                        "0, 1, 2, ..."
                    )
                names.append(row["path"])
                labels.append(int(index) if index else None)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); expected a folder of pictures, or a CSV file"
        ) from error
    if not names:
        raise DataError(f"{path}: lists no picture")
    return names, labels


def _member_name(name: str) -> str:
    """Name a picture in a tar file: no dot but that of its ending, no way out of a folder."""
    inside = PurePosixPath(name)
    parts = [part for part in inside.parts if part not in ("..", "/", ".")]
    stem = inside.stem.replace(".", "_")
    return "/".join([*parts[:-1], stem + inside.suffix.lower()])


def _check_keys(given: Path, names: Sequence[str], members: Sequence[str]) -> None:
    """Refuse two pictures that a reader of WebDataset would take for one sample."""
    seen: dict[str, str] = {}
    for name, member in zip(names, members, strict=True):
        key = member.rpartition(".")[0]
        if key in seen:
            raise DataError(
                f"{given}: {seen[key]} and {name} would be one sample, {key}; rename one, since "
                "the ending does not count"
            )
        seen[key] = name
