"""The command `srkit data shard`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import Field, NonNegativeInt, PositiveInt
from rich.filesize import decimal

from srkit.components import Registry
from srkit.errors import DataError
from srkit.images import Formats
from srkit.system import new_console, resumable
from srkit_photos.shards.collection import collect
from srkit_photos.shards.write import Settings, write_shards

#: Unusable pictures that are printed by name.
SHOWN = 20


def shard(
    *,
    source: Annotated[Path, typer.Argument(metavar="FOLDER|LIST")],
    out: Annotated[Path, typer.Option("--out", "-o")],
    lr: Path | None = None,
    lr_suffix: str = "",
    short_side: Annotated[int | None, Field(ge=1)] = None,
    quality: Annotated[int, Field(ge=1, le=100)] = 95,
    per_shard: PositiveInt = 10_000,
    seed: NonNegativeInt = 0,
    workers: NonNegativeInt = 2,
) -> None:
    """Write pictures to tar shards (WebDataset); exits with 1 if any cannot be used.

    Parameters
    ----------
    source
        Folder of pictures by class, or CSV file with the columns path and class_index.
    out
        Folder for the shards; finished ones are kept.
    lr
        Folder of the LR pictures, which have the names of the others.
    lr_suffix
        What follows these names, such as x2 in 0001x2.png.
    short_side
        Shrink larger pictures to this short side; they become JPEG.
    quality
        Quality of these JPEG files, from 1 to 100.
    per_shard
        Pictures in a shard.
    seed
        Determines the order of the pictures.
    workers
        Worker processes; 0 uses the main process only.

    Raises
    ------
    DataError
        If a picture cannot be used; the shards of all others are complete.
    """
    formats = Formats.of(Registry.discover())
    if lr is not None and short_side is not None:
        raise DataError("--short-side would shrink HR but not LR; remove it, or --lr")
    collection = collect(source, formats, lr, lr_suffix)
    for note in collection.notes:
        print(note)
    settings = Settings(short_side, quality, per_shard, seed)
    with resumable(out):
        index = write_shards(collection, formats, out, settings, new_console(), workers=workers)
    size = decimal(sum(each.bytes for each in index.shards))
    shards = f"{len(index.shards)} shard{'s' if len(index.shards) > 1 else ''}"
    print(f"{out}: {len(index)} pictures in {shards} of {size}")
    for _, problem in index.bad[:SHOWN]:
        print(f"left out: {problem}")
    if len(index.bad) > SHOWN:
        print(f"left out: {len(index.bad) - SHOWN} more; see {out / 'index.json'}")
    if index.bad:
        raise DataError(
            f"{out}: {len(index.bad)} of {len(collection.pictures)} pictures could not be used"
        )
