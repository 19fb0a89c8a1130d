"""Conversion between images and the values stored in picture files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from srkit.errors import DataError
from srkit.functional import Values
from srkit.images import lay_out
from srkit.interfaces import Image

#: The orientation tag of EXIF and TIFF.
ORIENTATION = 274
#: What decoders say of files that they do not support.
_UNSUPPORTED = re.compile("not supported|unsupported|decoder .* not available|formats do not match")


def to_values(
    path: Path,
    image: Image,
    *,
    bits: int | None = None,
    alpha: bool = True,
    channels: tuple[int, ...] | None = (1, 3),
) -> Values:
    """Convert an image to the layout of files: ``(H, W)`` or ``(H, W, C)``, opacity last.

    Parameters
    ----------
    path
        Path for error messages.
    image
        The image.
    bits
        8 or 16 rounds to integers and clips to the data range; None keeps float32.
    alpha
        Whether to include the opacity.
    channels
        Numbers of channels that the file can have, without opacity; None is any number.

    Raises
    ------
    DataError
        If the image has another number of channels, its opacity has another size, or a value to be
        stored as an integer is not finite.
    """
    planes = image.pixels
    if planes.ndim != 3 or (channels is not None and len(planes) not in channels):
        raise DataError(
            f"{path}: got an image of shape {tuple(planes.shape)}; a picture file holds 1 or 3 "
            "channels; write .tif, .npy or .fits"
        )
    opacity = image.metadata.get("alpha") if alpha else None
    if opacity is not None:
        if opacity.shape[-2:] != planes.shape[-2:]:
            raise DataError(
                f"{path}: the opacity is {tuple(opacity.shape[-2:])} and the image "
                f"{tuple(planes.shape[-2:])}; resize metadata['alpha'] or remove it"
            )
        # Integers map the data range to their levels; floats are stored as they are.
        low, high = (0.0, 1.0) if bits is None else image.data_range
        planes = torch.cat([planes, low + (high - low) * opacity.to(planes)])
    with naming(path):
        return lay_out(planes, Image(planes, image.data_range, {"bits": bits}))


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Prefix errors about an image with the name of its file."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def upright(values: Values, orientation: int) -> Values:
    """Rotate ``(H, W, ...)`` values by an EXIF orientation, 1 to 8; unknown ones do nothing."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values


def damaged(path: Path, error: Exception, kind: str = "") -> DataError:
    """Return the error of a decoder as a DataError; only a damaged file is called that.

    `kind` is the format according to the content of the file, if its name says another.
    """
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, OSError) and error.errno is not None:
        return DataError(f"{path}: cannot be read ({error.strerror or error})")
    if isinstance(error, MemoryError):
        return DataError(f"{path}: does not fit into memory ({reason})")
    # Pillow raises NotImplementedError for variants of a format that it does not decode.
    unsupported = isinstance(error, NotImplementedError) or _UNSUPPORTED.search(str(error))
    if unsupported:
        return DataError(
            f"{path}: is of a kind that cannot be decoded ({reason}); convert it to another, such "
            "as .png or uncompressed .tif"
        )
    content = f"is {kind} by its content, and " if kind else ""
    return DataError(
        f"{path}: {content}cannot be decoded ({reason}); it may be damaged or incomplete: copy it "
        "again, or remove it"
    )
