"""Read single samples from shards."""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path
from typing import Any

from srkit.errors import DataError
from srkit_photos.shards.format import PAIRED_ROW, name_of, read_rows
from srkit_photos.shards.storage import REMEDY, ShardFiles


class ShardReader:
    """Read single samples from shards.

    Parameters
    ----------
    files
        The shards.

    Attributes
    ----------
    rows
        The table of all samples.
    paired
        Whether every sample has LR.
    """

    def __init__(self, files: ShardFiles) -> None:
        self.files = files
        self.rows = read_rows(files.rows_path, files.index)
        self.paired = self.rows.dtype == PAIRED_ROW

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files}  # each process maps the rows into memory itself

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["files"])  # type: ignore[misc]

    def name(self, index: int) -> str:
        """Read the name of a picture."""
        shard, start, place, *_ = self.rows[index].item()
        path, header = self._bytes(index, shard, start, place, 0)
        return self._name(path, index, header)

    def read(self, index: int) -> tuple[Path, str, bytes]:
        """Read a picture: path of the shard, name in the shard, and content of the file.

        Raises
        ------
        DataError
            If the shard is missing or damaged.
        """
        shard, start, place, size, crc, *_ = self.rows[index].item()
        path, found = self._bytes(index, shard, start, place, size)
        content = found[place - start :]
        if zlib.crc32(content) != crc:
            raise DataError(f"{path}: the checksum of sample {index} is wrong; {REMEDY}")
        return path, self._name(path, index, found[: place - start]), content

    def read_lr(self, index: int) -> bytes:
        """Read the content of the LR file of a picture, which follows that of HR.

        Raises
        ------
        DataError
            If the shard is missing or damaged.
        """
        row = self.rows[index]
        shard, place, size = (int(row[name]) for name in ("shard", "lr_content", "lr_bytes"))
        path, content = self._bytes(index, shard, place, place, size)
        if zlib.crc32(content) != row["lr_crc32"]:
            raise DataError(f"{path}: the checksum of LR of sample {index} is wrong; {REMEDY}")
        return content

    def _bytes(
        self, index: int, shard: int, start: int, place: int, size: int
    ) -> tuple[Path, bytes]:
        """Read the header of a sample, and the first bytes of its content."""
        shards, stop = self.files.index.shards, place + size
        if shard >= len(shards) or not start <= place <= stop <= shards[shard].bytes:
            raise DataError(f"{self.files.rows_path}: row {index} is damaged; {REMEDY}")
        path = self.files.path(shards[shard])
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(start)
                found = file.read(stop - start)
        except FileNotFoundError:
            raise DataError(f"{path}: no such shard; {REMEDY}") from None
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error
        if len(found) < stop - start:
            raise DataError(f"{path}: ends before sample {index}; {REMEDY}")
        return path, found

    def _name(self, path: Path, index: int, header: bytes) -> str:
        try:
            return name_of(header)
        except (tarfile.TarError, ValueError) as error:
            raise DataError(
                f"{path}: the header of sample {index} is damaged ({error}); {REMEDY}"
            ) from error
