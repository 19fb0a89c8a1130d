"""Write shards."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from rich.console import Console
from torch import Tensor

from srkit import __version__
from srkit.errors import DataError, SrkitError
from srkit.functional import resize_short_side
from srkit.images import Formats
from srkit.system import (
    LOCK,
    atomic,
    check_provenance,
    deferred_signals,
    map_in_workers,
    output_folder,
    parse_json,
    progress_bars,
    write_file,
)
from srkit_photos.shards.collection import Collection, Picture
from srkit_photos.shards.format import (
    INDEX,
    PAIRED_ROW,
    ROW,
    Index,
    Rows,
    Shard,
    ShardWriter,
    Sides,
    encode_rows,
    parse_index,
    shard_name,
    write_index,
)
from srkit_photos.shards.storage import LocalShards

#: Folder with the records of finished shards, until all are finished.
PARTS = ".parts"
#: What a message says if the digest of the inputs differs.
PHRASES = {"inputs": "made from pictures of other names, labels or sizes"}


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of shards.

    Parameters
    ----------
    short_side
        Pixels to which the short sides of larger pictures are reduced; None keeps all files.
    quality
        Quality of the JPEG files that result.
    per_shard
        Pictures in a shard.
    seed
        Determines the order of the pictures.
    """

    short_side: int | None = None
    quality: int = 95
    per_shard: int = 10_000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Packed:
    """A picture as it is stored: name in the shard, content of the file, height and width.

    `lr` has extension, content and sides of its LR.
    """

    name: str
    content: bytes
    sides: Sides
    lr: tuple[str, bytes, Sides] | None = None


def write_shards(
    collection: Collection,
    formats: Formats,
    folder: Path,
    settings: Settings,
    console: Console,
    *,
    workers: int = 2,
) -> Index:
    """Write pictures to shards; shards that an interrupted call finished are kept.

    Every picture is decoded once; those that cannot be decoded are listed in the index. The same
    pictures and settings result in the same bytes. Whether the pictures are those of an interrupted
    call is decided by their names, labels and sizes in bytes.

    Parameters
    ----------
    collection, formats
        The pictures, and the image formats.
    folder
        Output folder.
    settings
        The settings.
    console
        Where progress is shown.
    workers
        Worker processes that read; 0 reads in this process.

    Raises
    ------
    DataError
        If the folder has other contents, or no picture can be used.
    OutputError
        If a file cannot be written; finished shards are kept.
    """
    made = _describe(collection, settings)
    finished = _finished(folder, made)
    if finished is not None:
        return finished
    order = np.random.default_rng(settings.seed).permutation(len(collection.pictures))
    portions = [
        [collection.pictures[i] for i in order[first : first + settings.per_shard]]
        for first in range(0, len(order), settings.per_shard)
    ]
    with output_folder(folder, folder / PARTS / "made.json", made, "srkit data shard", **PHRASES):
        parts = _write_parts(folder, portions, formats, settings, console, workers)
        bad = [each for part in parts for each in part.bad]
        if len(bad) == len(order):
            raise DataError(f"{folder}: none of {len(order)} pictures could be used; {bad[0][1]}")
        return _write_index(folder, parts, collection.classes, made)


def _describe(collection: Collection, settings: Settings) -> dict[str, Any]:
    """Describe what shards are made from, to recognise it."""
    inputs = blake2b(digest_size=16)
    for picture in collection.pictures:
        size = _bytes_of(picture.path)
        pair = "" if picture.lr is None else f"\0{picture.lr.name}\0{_bytes_of(picture.lr)}"
        line = f"{picture.name}\0{picture.label}\0{size}{pair}\n"
        inputs.update(line.encode("utf-8", "surrogateescape"))
    return {
        "pictures": len(collection.pictures),
        "inputs": inputs.hexdigest(),
        **asdict(settings),
        "srkit": __version__,
    }


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1  # the reason is reported when it is read


def _finished(folder: Path, made: dict[str, Any]) -> Index | None:
    """Return the index of a folder whose shards are complete."""
    index = folder / INDEX
    if not index.is_file():
        return None
    check_provenance(index, parse_index(index.read_bytes(), str(index)).made, made, **PHRASES)
    found = LocalShards(folder).index  # which checks that all shards are there
    with suppress(OSError):  # a process that was killed after it wrote the index left these
        shutil.rmtree(folder / PARTS, ignore_errors=True)
        (folder / LOCK).unlink()
    return found


@dataclass(frozen=True, slots=True)
class _Part:
    """A finished shard, its rows, and the pictures of it that cannot be used."""

    shard: Shard
    rows: Rows
    bad: list[tuple[str, str]]


def _write_parts(
    folder: Path,
    portions: Sequence[Sequence[Picture]],
    formats: Formats,
    settings: Settings,
    console: Console,
    workers: int,
) -> list[_Part]:
    """Write the shards that are missing; return all."""
    kept = [_read_part(folder, number) for number in range(len(portions))]
    missing = [
        picture
        for part, portion in zip(kept, portions, strict=True)
        if part is None
        for picture in portion
    ]
    total = sum(map(len, portions))
    packed = map_in_workers(partial(_pack, formats, settings), missing, workers)
    with progress_bars(console) as bars, closing(packed), deferred_signals() as received:
        task = bars.add_task("shards", total=total, completed=total - len(missing))

        def checked() -> Iterator[Packed | SrkitError]:
            for each in packed:
                yield each
                bars.advance(task)
                if received:  # raised in the signal handler, it could get lost in a library
                    raise KeyboardInterrupt

        results = checked()
        return [
            part or _write_part(folder, number, portion, results)
            for number, (part, portion) in enumerate(zip(kept, portions, strict=True))
        ]


def _record(folder: Path, number: int) -> Path:
    return folder / PARTS / f"{number:06d}.json"


def _read_part(folder: Path, number: int) -> _Part | None:
    """Read the record of a shard; None if an interrupted call did not finish it."""
    record = _record(folder, number)
    if not record.is_file():
        return None
    path = folder / shard_name(number)
    try:
        recorded = parse_json(record.read_bytes())
        shard = Shard(**recorded["shard"])
        if shard.samples and not (path.is_file() and path.stat().st_size == shard.bytes):
            return None
        rows: Rows = np.load(record.with_suffix(".npy"), allow_pickle=False)
        bad = [(name, problem) for name, problem in recorded["bad"]]
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None  # damaged by a power failure; it is written again
    whole = rows.dtype in (ROW, PAIRED_ROW) and rows.shape == (shard.samples,)
    return _Part(shard, rows, bad) if whole else None


def _write_part(
    folder: Path, number: int, pictures: Sequence[Picture], packed: Iterator[Packed | SrkitError]
) -> _Part:
    """Write a shard and its record."""
    path = folder / shard_name(number)
    bad: list[tuple[str, str]] = []
    with atomic(path) as partial, partial.open("wb") as file:
        writer = ShardWriter(file, number)
        for picture, result in zip(pictures, packed, strict=False):
            if isinstance(result, SrkitError):
                bad.append((_printable(str(picture.path)), _printable(str(result))))
            else:
                writer.add(result.name, result.content, picture.label, result.sides, result.lr)
        shard = writer.finish()
    if not shard.samples:
        path.unlink()
    rows = np.array(writer.rows, ROW if pictures[0].lr is None else PAIRED_ROW)
    record = _record(folder, number)
    write_file(record.with_suffix(".npy"), encode_rows(rows))
    write_file(record, json.dumps({"shard": asdict(shard), "bad": bad}))
    return _Part(shard, rows, bad)


def _printable(name: str) -> str:
    """Replace the bytes of a file name that are not UTF-8, which JSON cannot hold."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _write_index(
    folder: Path,
    parts: Sequence[_Part],
    classes: Sequence[str] | None,
    made: Mapping[str, Any],
) -> Index:
    """Write the index and remove the records."""
    rows = np.concatenate([part.rows for part in parts])
    # Shards without samples are not written.
    rows["shard"] = np.unique(rows["shard"], return_inverse=True)[1]
    shards = [part.shard for part in parts if part.shard.samples]
    bad = [each for part in parts for each in part.bad]
    index = Index(shards, classes, sha256(encode_rows(rows)).hexdigest(), made, bad)
    write_index(folder, index, rows)
    shutil.rmtree(folder / PARTS, ignore_errors=True)
    return index


def _pack(formats: Formats, settings: Settings, picture: Picture) -> Packed:
    """Read and decode a picture and its LR, and reduce its size if required."""
    content = _read(picture.path)
    lr = None
    if picture.lr is not None:
        small = _read(picture.lr)
        pixels = formats.levels(picture.lr, small)
        pixels = formats.read(picture.lr).pixels if pixels is None else pixels
        lr = picture.lr.suffix.lower(), small, (pixels.shape[-2], pixels.shape[-1])
    levels = formats.levels(picture.path, content)
    if levels is None:
        image = formats.read(picture.path)
        levels = image.pixels
        if settings.short_side is not None and image.metadata.get("bits") != 8:
            raise DataError(
                f"{picture.path}: has {image.metadata.get('bits')} bits per value, but resized "
                "pictures have 8; run without --short-side"
            )
    height, width = levels.shape[-2:]
    if settings.short_side is None or min(height, width) <= settings.short_side:
        return Packed(picture.name, content, (height, width), lr)
    levels = levels if levels.dtype.itemsize == 1 else (levels * 255).round().byte()
    small = resize_short_side(levels, settings.short_side)
    name = picture.name.rpartition(".")[0] + ".jpg"
    return Packed(name, _encode(small, settings.quality), (small.shape[1], small.shape[2]))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _encode(levels: Tensor, quality: int) -> bytes:
    """Encode ``(C, H, W)`` bytes as JPEG with full colour resolution."""
    values = levels.movedim(0, -1).contiguous().numpy()
    content = io.BytesIO()
    picture = PIL.Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)
    picture.save(content, "JPEG", quality=quality, subsampling=0)
    return content.getvalue()
