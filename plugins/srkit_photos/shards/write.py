"""`srkit data shard`: pictures into tar shards in the WebDataset format."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
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
    atomic,
    check_same,
    claimed,
    gathered_signals,
    map_in_workers,
    progress_bars,
    write_file,
)
from srkit_photos.shards.collection import Collection, Picture
from srkit_photos.shards.format import (
    INDEX,
    ROW,
    Index,
    Rows,
    Shard,
    ShardWriter,
    encode_rows,
    parse_index,
    shard_name,
    write_index,
)
from srkit_photos.shards.storage import LocalShards

#: Where a finished shard's rows and record wait until all are done.
PARTS = ".parts"
#: What a message says if the digest of the inputs differs.
PHRASES = {"inputs": "made from pictures of other names, labels or sizes"}


@dataclass(frozen=True, slots=True)
class Settings:
    """How shards are made.

    Parameters
    ----------
    short_side
        Pixels to which the short sides of larger pictures are brought; None keeps all files.
    quality
        Of the JPEG files that this makes.
    per_shard
        Pictures of a shard.
    seed
        Decides the order of the pictures.
    """

    short_side: int | None = None
    quality: int = 95
    per_shard: int = 10_000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Read:
    """A picture as it goes into a shard: its member's name, its file, its height and width."""

    name: str
    content: bytes
    sides: tuple[int, int]


def write_shards(
    collection: Collection,
    formats: Formats,
    folder: Path,
    settings: Settings,
    console: Console,
    *,
    workers: int = 2,
) -> Index:
    """Write pictures to shards; those that a stopped run finished are kept.

    Every picture is decoded once; one that cannot be is left out, and stands in the index. The
    same pictures and settings give the same bytes. Whether they are the same as a stopped run's
    is told by their names, labels and sizes in bytes.

    Parameters
    ----------
    collection, formats
        The pictures, and what reads them.
    folder
        Where to.
    settings
        How.
    console
        Where to show progress.
    workers
        Processes that read; 0 reads in this one.

    Raises
    ------
    DataError
        If the folder holds something else, or no picture can be used.
    OutputError
        If a file cannot be written; finished shards are kept.
    """
    made = _describe(collection, settings)
    finished = _finished(folder, made)
    if finished is not None:
        return finished
    with claimed(folder, folder / PARTS / "made.json", made, "srkit data shard", **PHRASES):
        return _write_all(collection, formats, folder, settings, made, console, workers)


def _write_all(
    collection: Collection,
    formats: Formats,
    folder: Path,
    settings: Settings,
    made: dict[str, Any],
    console: Console,
    workers: int,
) -> Index:
    """Write the shards that are missing, then the index."""
    order = np.random.default_rng(settings.seed).permutation(len(collection.pictures))
    rows: list[Rows] = []
    shards: list[Shard] = []
    bad: list[tuple[str, str]] = []
    portions = [
        [collection.pictures[i] for i in order[first : first + settings.per_shard]]
        for first in range(0, len(order), settings.per_shard)
    ]
    kept = {number: part for number in range(len(portions)) if (part := _read_part(folder, number))}
    missing = [each for n, portion in enumerate(portions) if n not in kept for each in portion]
    reader = _Reader(formats, settings.short_side, settings.quality)
    found = map_in_workers(reader.read, missing, workers)
    with progress_bars(console) as bars, closing(found), gathered_signals() as received:
        task = bars.add_task("shards", total=len(order))

        def advance() -> None:
            bars.advance(task)
            if received:  # raised where the signal came, it could be lost in a library's hook
                raise KeyboardInterrupt

        for number, portion in enumerate(portions):
            if number in kept:
                part = kept[number]
                bars.advance(task, len(portion))
            else:
                part = _write_shard(folder, number, portion, found, advance)
            shards += [part.shard] if part.shard.samples else []
            rows.append(part.rows)
            bad += part.bad
    if not shards:
        raise DataError(f"{folder}: none of {len(order)} pictures could be used; {bad[0][1]}")
    return _finish(folder, shards, rows, bad, collection.classes, made)


def _describe(collection: Collection, settings: Settings) -> dict[str, Any]:
    """Tell what shards are made of and how, so that others are not taken for them."""
    inputs = blake2b(digest_size=16)
    for picture in collection.pictures:
        try:
            size = picture.path.stat().st_size
        except OSError:
            size = -1  # reading it will tell why
        inputs.update(
            f"{picture.name}\0{picture.label}\0{size}\n".encode("utf-8", "surrogateescape")
        )
    return {
        "pictures": len(collection.pictures),
        "inputs": inputs.hexdigest(),
        **asdict(settings),
        "srkit": __version__,
    }


def _finished(folder: Path, made: dict[str, Any]) -> Index | None:
    """Return the index of a folder whose shards are complete."""
    index = folder / INDEX
    if not index.is_file():
        return None
    check_same(index, parse_index(index.read_bytes(), str(index)).made, made, **PHRASES)
    return LocalShards(folder).index  # which checks that all shards are there


@dataclass(frozen=True, slots=True)
class _Part:
    """A finished shard: what it is, its rows, and the pictures that it lacks."""

    shard: Shard
    rows: Rows
    bad: list[tuple[str, str]]


def _record(folder: Path, number: int) -> Path:
    return folder / PARTS / f"{number:06d}.json"


def _read_part(folder: Path, number: int) -> _Part | None:
    """Read what a stopped run recorded of a shard; None if it did not finish it."""
    record = _record(folder, number)
    if not record.is_file():
        return None
    told = json.loads(record.read_text("utf-8"))
    shard, place = Shard(**told["shard"]), folder / shard_name(number)
    if shard.samples and not (place.is_file() and place.stat().st_size == shard.bytes):
        return None
    rows: Rows = np.load(record.with_suffix(".npy"), allow_pickle=False)
    return _Part(shard, rows, [(name, problem) for name, problem in told["bad"]])


def _write_shard(
    folder: Path,
    number: int,
    pictures: Sequence[Picture],
    found: Iterator[Read | SrkitError],
    advance: Callable[[], None],
) -> _Part:
    """Write the next of what is found of pictures to a shard, and a record of it."""
    place = folder / shard_name(number)
    bad: list[tuple[str, str]] = []
    with atomic(place) as partial, partial.open("wb") as file:
        writer = ShardWriter(file, number)
        for picture, one in zip(pictures, found, strict=False):
            if isinstance(one, SrkitError):
                bad.append((str(picture.path), str(one)))
            else:
                writer.add(one.name, one.content, picture.label, one.sides)
            advance()
        shard = writer.finish()
    if not shard.samples:
        place.unlink()
    rows = np.array(writer.rows, ROW)
    record = _record(folder, number)
    write_file(record.with_suffix(".npy"), encode_rows(rows))
    write_file(record, json.dumps({"shard": asdict(shard), "bad": bad}))
    return _Part(shard, rows, bad)


def _finish(
    folder: Path,
    shards: Sequence[Shard],
    rows: Sequence[Rows],
    bad: Sequence[tuple[str, str]],
    classes: Sequence[str] | None,
    made: dict[str, Any],
) -> Index:
    """Write the index, after which nothing of the work in progress is needed."""
    together = np.concatenate(rows)
    # A shard of which no picture could be used was not written.
    together["shard"] = np.unique(together["shard"], return_inverse=True)[1]
    index = Index(shards, classes, sha256(encode_rows(together)).hexdigest(), made, bad)
    write_index(folder, index, together)
    for file in (folder / PARTS).iterdir():
        file.unlink()
    (folder / PARTS).rmdir()
    return index


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads pictures for shards, in worker processes."""

    formats: Formats
    short_side: int | None
    quality: int

    def read(self, picture: Picture) -> Read:
        """Read a file, be sure that it can be decoded, and shrink it if that is wanted."""
        try:
            content = picture.path.read_bytes()
        except FileNotFoundError:
            raise DataError(f"{picture.path}: no such file") from None
        except OSError as error:
            raise DataError(f"{picture.path}: cannot be read ({error.strerror})") from error
        levels = self.formats.levels(picture.path, content)
        if levels is None:
            image = self.formats.read(picture.path)
            levels = image.pixels
            if self.short_side is not None and image.metadata.get("bits") != 8:
                raise DataError(
                    f"{picture.path}: has {image.metadata.get('bits')} bits a value, and shrunk "
                    "pictures are written in 8; leave out --short-side"
                )
        height, width = levels.shape[-2:]
        if self.short_side is None or min(height, width) <= self.short_side:
            return Read(picture.name, content, (height, width))
        levels = levels if levels.dtype.itemsize == 1 else (levels * 255).round().byte()
        small = resize_short_side(levels, self.short_side)
        name = picture.name.rpartition(".")[0] + ".jpg"
        return Read(name, _encode(small, self.quality), (small.shape[1], small.shape[2]))


def _encode(levels: Tensor, quality: int) -> bytes:
    """Encode ``(C, H, W)`` bytes as JPEG with full colour."""
    values = levels.movedim(0, -1).contiguous().numpy()
    content = io.BytesIO()
    picture = PIL.Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)
    picture.save(content, "JPEG", quality=quality, subsampling=0)
    return content.getvalue()
