"""Shards: tar files in the WebDataset format, and an index of what lies where in them.

A folder of shards holds ``shard-000000.tar`` and so on, which any reader of WebDataset takes:
the members of a sample follow one another and share a name up to its first dot, such as
``cats/tom.jpg`` and ``cats/tom.cls``. Beside them stand ``index.json``, which names the shards with
their sizes and checksums, and ``samples.npy``, a row for each sample, in order. With these a sample
is read by itself, wherever it lies.
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
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from srkit.errors import DataError
from srkit.system import write_file

#: The file that names the shards, and the one with a row for each sample.
INDEX, SAMPLES = "index.json", "samples.npy"
#: The version of the format that is written and read.
FORMAT = 1
#: Label of a sample that has none.
UNLABELLED = -1

#: Where a sample is: its shard, the first byte of its picture's tar header and of its content, the
#: bytes of that and their CRC-32; then its class and the picture's sides in pixels.
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

Rows = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Shard:
    """A tar file: its name, how many samples and bytes it has, and its SHA-256."""

    name: str
    samples: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Index:
    """What a folder of shards holds.

    Parameters
    ----------
    shards
        In order.
    classes
        Class names by label; None for unlabelled pictures.
    rows
        SHA-256 of ``samples.npy``.
    made
        How they were made.
    bad
        Names and problems of the pictures that could not be used.
    """

    shards: Sequence[Shard]
    classes: Sequence[str] | None
    rows: str
    made: Mapping[str, Any] = field(default_factory=dict)
    bad: Sequence[tuple[str, str]] = ()

    def __len__(self) -> int:
        return sum(shard.samples for shard in self.shards)

    def dump(self) -> str:
        """Write it as JSON."""
        return json.dumps({"format": FORMAT, "samples": len(self), **asdict(self)}, indent=1) + "\n"


def write_index(folder: Path, index: Index, rows: Rows) -> None:
    """Write the index of a folder of shards; ``index.json`` comes last, and says all is there."""
    write_file(folder / SAMPLES, encode_rows(rows))
    write_file(folder / INDEX, index.dump())


def encode_rows(rows: Rows) -> bytes:
    """Give the rows as they stand in ``samples.npy``."""
    content = io.BytesIO()
    np.save(content, rows)
    return content.getvalue()


def parse_index(text: str | bytes, where: str) -> Index:
    """Read an ``index.json``.

    Raises
    ------
    DataError
        If it is none, or of another version.
    """
    try:
        tree = json.loads(text)
        version = tree["format"]
        if version == FORMAT:
            return Index(
                [Shard(**shard) for shard in tree["shards"]],
                tree["classes"],
                tree["rows"],
                tree["made"],
                [(name, problem) for name, problem in tree["bad"]],
            )
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{where}: no index of shards ({type(error).__name__}: {error}); make it again with "
            "srkit data shard"
        ) from error
    raise DataError(
        f"{where}: an index of version {version}; this srkit reads {FORMAT}: make it again with "
        "srkit data shard, or install the srkit that made it"
    )


def read_rows(path: Path, index: Index) -> Rows:
    """Map the rows of all samples into memory.

    Raises
    ------
    DataError
        If they are missing, or not those of the index.
    """
    remedy = "copy the folder again, or make the shards again with srkit data shard"
    try:
        rows: Rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error}); {remedy}") from error
    if rows.dtype != ROW or rows.shape != (len(index),):
        raise DataError(
            f"{path}: {len(rows)} rows, but the index tells of {len(index)} samples; {remedy}"
        )
    return rows


def name_of(header: bytes) -> str:
    """Read the name of a tar member from all that stands before its content."""
    if len(header) == tarfile.BLOCKSIZE:
        return tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape").name
    with tarfile.open(fileobj=io.BytesIO(header), mode="r:") as archive:  # a long name
        member = archive.next()
    assert member is not None
    return member.name


class ShardWriter:
    """Writes the samples of one shard to a tar file; the same samples give the same bytes.

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

    def add(self, name: str, content: bytes, label: int | None, sides: tuple[int, int]) -> None:
        """Add a picture, and its label as a member of its own.

        Parameters
        ----------
        name
            Of the picture's member: a key without dots in its last part, and an ending.
        content
            The picture's file.
        label
            Class index.
        sides
            Height and width in pixels.
        """
        start = self._size
        self._put(_header(name, len(content)))
        place = self._size
        self._put(content)
        self._put(bytes(-len(content) % tarfile.BLOCKSIZE))
        if label is not None:
            key = name[: name.index(".", name.rfind("/") + 1)]
            text = str(label).encode()
            self._put(_header(f"{key}.cls", len(text)))
            self._put(text.ljust(tarfile.BLOCKSIZE, b"\0"))
        known = UNLABELLED if label is None else label
        crc = zlib.crc32(content)
        self.rows.append((self._number, start, place, len(content), crc, known, *sides))

    def finish(self) -> Shard:
        """End the archive and describe it."""
        self._put(bytes(2 * tarfile.BLOCKSIZE))
        self._put(bytes(-self._size % tarfile.RECORDSIZE))
        name = shard_name(self._number)
        return Shard(name, len(self.rows), self._size, self._digest.hexdigest())

    def _put(self, content: bytes) -> None:
        self._file.write(content)
        self._digest.update(content)
        self._size += len(content)


def _header(name: str, size: int) -> bytes:
    """Give what stands before a member: no time, owner or other accident."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def shard_name(number: int) -> str:
    """Name a shard by its number."""
    return f"shard-{number:06d}.tar"
