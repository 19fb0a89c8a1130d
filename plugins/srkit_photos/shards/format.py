"""The format of shards: tar files in the WebDataset format, with an index.

A folder of shards contains ``shard-000000.tar`` and so on, which any reader of WebDataset reads:
the members of a sample follow one another and have the same name up to its first dot, such as
``cats/tom.jpg``, ``cats/tom.lr.jpg`` with LR, and ``cats/tom.cls``. In addition, ``index.json``
lists the shards with their sizes and checksums, and ``samples.npy`` has a row for each sample, in
order, so that any sample can be read by itself.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, NonNegativeInt, TypeAdapter, ValidationError

from srkit.errors import DataError
from srkit.system import inside, parse_json, write_file

#: The list of shards, and the table of samples.
INDEX, SAMPLES = "index.json", "samples.npy"
#: Version of the index.
FORMAT = 1
#: Label of samples without one.
UNLABELLED = -1

#: A sample: its shard; the first byte of its tar header and of its content in there; the size of
#: the content in bytes and its CRC-32; its class, and the picture's sides in pixels.
ROW = np.dtype(
    [
        ("shard", "<u4"),
        ("header", "<u8"),
        ("content", "<u8"),
        ("bytes", "<u4"),
        ("crc32", "<u4"),
        ("label", "<i4"),
        ("height", "<u4"),
        ("width", "<u4"),
    ]
)

#: A sample with LR: also the first byte of LR's content in the shard, its size and CRC-32, and its
#: sides in pixels.
PAIRED_ROW = np.dtype(
    [
        *[(name, ROW[name]) for name in ROW.names or ()],
        ("lr_content", "<u8"),
        ("lr_bytes", "<u4"),
        ("lr_crc32", "<u4"),
        ("lr_height", "<u4"),
        ("lr_width", "<u4"),
    ]
)

Rows = NDArray[np.void]
Sides = tuple[int, int]


def _plain(name: str) -> str:
    """Check that the name of a shard is that of a file in its folder, and not of the index."""
    if inside(Path(), name).name != name or name.startswith(".") or name in (INDEX, SAMPLES):
        raise ValueError(f"{name!r} is not the name of a shard")
    return name


@dataclass(frozen=True, slots=True)
class Shard:
    """A tar file: its name, its numbers of samples and bytes, and its SHA-256."""

    name: Annotated[str, AfterValidator(_plain)]
    samples: NonNegativeInt
    bytes: NonNegativeInt
    sha256: str


@dataclass(frozen=True, slots=True)
class Index:
    """The contents of a folder of shards.

    Parameters
    ----------
    shards
        The shards, in order.
    classes
        Class names by label; None for unlabelled pictures.
    rows
        SHA-256 of ``samples.npy``.
    made
        What they are made from, and how.
    bad
        Names and problems of the pictures that cannot be used.
    """

    shards: Annotated[Sequence[Shard], Field(min_length=1)]
    classes: Sequence[str] | None
    rows: str
    made: Mapping[str, Any] = field(default_factory=dict)
    bad: Sequence[tuple[str, str]] = ()

    def __len__(self) -> int:
        return sum(shard.samples for shard in self.shards)

    def dump(self) -> str:
        """Return the content of ``index.json``."""
        return json.dumps({"format": FORMAT, "samples": len(self), **asdict(self)}, indent=1) + "\n"


def write_index(folder: Path, index: Index, rows: Rows) -> None:
    """Write the index of a folder of shards; ``index.json`` comes last, when all is complete."""
    write_file(folder / SAMPLES, encode_rows(rows))
    write_file(folder / INDEX, index.dump())


def encode_rows(rows: Rows) -> bytes:
    """Return the content of ``samples.npy``."""
    content = io.BytesIO()
    np.save(content, rows)
    return content.getvalue()


def parse_index(text: str | bytes, source: str) -> Index:
    """Parse the content of an ``index.json``.

    Raises
    ------
    DataError
        If it is damaged, or of another version; `source` names it.
    """
    try:
        tree = parse_json(text)
        version = tree["format"]
        if version == FORMAT:
            return TypeAdapter(Index).validate_json(text, strict=True)
    except (ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise DataError(
            f"{source}: is not an index of shards ({reason}); make the shards again with srkit "
            "data shard"
        ) from error
    raise DataError(
        f"{source}: has version {version}, but this srkit reads version {FORMAT}; make the shards "
        "again with srkit data shard, or install the srkit that made them"
    )


def read_rows(path: Path, index: Index) -> Rows:
    """Map the rows of all samples into memory.

    Raises
    ------
    DataError
        If the file is missing, or does not belong to the index.
    """
    remedy = "copy the folder again, or make the shards again with srkit data shard"
    try:
        rows: Rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error}); {remedy}") from error
    if rows.dtype not in (ROW, PAIRED_ROW) or rows.ndim != 1:
        raise DataError(f"{path}: is not the table of the samples of shards; {remedy}")
    if len(rows) != len(index):
        raise DataError(
            f"{path}: has {len(rows)} rows, but the index has {len(index)} samples; {remedy}"
        )
    return rows


def name_of(header: bytes) -> str:
    """Return the name of a tar member from its header, or headers if the name is long."""
    if len(header) == tarfile.BLOCKSIZE:
        return tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape").name
    with tarfile.open(fileobj=io.BytesIO(header), mode="r:") as archive:
        member = archive.next()
    if member is None:
        raise tarfile.ReadError("it is empty")
    return member.name


class ShardWriter:
    """Write the samples of one shard to a tar file; the same samples give the same bytes.

    Parameters
    ----------
    file
        The tar file, open for writing in binary mode.
    number
        Number of the shard, for the rows.
    """

    def __init__(self, file: BinaryIO, number: int) -> None:
        self._file, self._number = file, number
        self._digest = hashlib.sha256()
        self._size = 0
        self.rows: list[tuple[int, ...]] = []

    def add(
        self,
        name: str,
        content: bytes,
        label: int | None,
        sides: Sides,
        lr: tuple[str, bytes, Sides] | None = None,
    ) -> None:
        """Add a picture, with its LR and its label as members of their own.

        Parameters
        ----------
        name
            Name of the picture in the shard; its last part has one dot, that of the extension.
        content
            Content of the picture file.
        label
            Class index; None without a label.
        sides
            Height and width in pixels.
        lr
            Extension, content, and sides of its LR: for all pictures, or for none.
        """
        key = name[: name.index(".", name.rfind("/") + 1)]
        start = self._size
        place, crc = self._add_member(name, content)
        known = UNLABELLED if label is None else label
        row = (self._number, start, place, len(content), crc, known, *sides)
        if lr is not None:
            ending, small, lr_sides = lr
            lr_place, lr_crc = self._add_member(f"{key}.lr{ending}", small)
            row = (*row, lr_place, len(small), lr_crc, *lr_sides)
        if label is not None:
            self._add_member(f"{key}.cls", str(label).encode())
        self.rows.append(row)

    def _add_member(self, name: str, content: bytes) -> tuple[int, int]:
        """Write a member; return the place of its content and its CRC-32."""
        self._put(_header(name, len(content)))
        place = self._size
        self._put(content)
        self._put(bytes(-len(content) % tarfile.BLOCKSIZE))
        return place, zlib.crc32(content)

    def finish(self) -> Shard:
        """Write the end of the archive and describe it."""
        self._put(bytes(2 * tarfile.BLOCKSIZE))
        self._put(bytes(-self._size % tarfile.RECORDSIZE))
        name = shard_name(self._number)
        return Shard(name, len(self.rows), self._size, self._digest.hexdigest())

    def _put(self, content: bytes) -> None:
        self._file.write(content)
        self._digest.update(content)
        self._size += len(content)


def _header(name: str, size: int) -> bytes:
    """Return the header of a member, without time or owner."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def shard_name(number: int) -> str:
    """Return the file name of a shard."""
    return f"shard-{number:06d}.tar"
