"""TIFF pictures larger than memory: read by rows, written by windows."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, cast

from tifffile import TiffFile, TiffWriter

from srkit.errors import DataError
from srkit.images import StoredArray, outline_of
from srkit.interfaces import Image
from srkit_photos.formats.array_windows import ArraySink, ArraySource, stored_shape
from srkit_photos.formats.arrays import ORIENTATION, damaged
from srkit_photos.formats.tiff_exif import add_directories
from srkit_photos.formats.tiff_log import logged_notes
from srkit_photos.formats.tiff_pages import (
    CLASSIC,
    has_virtual_pages,
    image_of_rows,
    page_settings,
    pictures,
    stored,
    with_exif,
)
from srkit_photos.formats.tiff_rows import PageRows

#: Size of written strips in bytes.
STRIP = 2**18


def open_source(path: Path) -> ArraySource | None:
    """Open a file for reading by rows, including tiled and compressed files.

    Returns
    -------
    ArraySource or None
        None for a file with several pages, one that must be rotated, floats with opacity, and
        compressed parts that are too large.

    Raises
    ------
    DataError
        If it is damaged or does not contain a picture.
    """
    with logged_notes() as notes:
        source = _open_source(path)
    if source is not None:
        source.outline.metadata["notes"].extend(notes)
    return source


def _open_source(path: Path) -> ArraySource | None:
    try:
        file = TiffFile(path)
    except Exception as error:  # tifffile raises many kinds for a damaged file
        raise damaged(path, error) from error
    source = None
    try:
        source = _source(path, file)
    except DataError:
        raise
    except Exception as error:
        raise damaged(path, error) from error
    finally:
        if source is None:
            file.close()
    return source


def _source(path: Path, file: TiffFile) -> ArraySource | None:
    pages = pictures(path, file)
    page = pages[0]
    if len(pages) > 1 or has_virtual_pages(file) or page.axes not in ("YX", "YXS", "SYX"):
        return None  # read whole, which reports the problem
    rows = PageRows(path, page)
    upright = page.tags.valueof(ORIENTATION, 1) == 1
    if not upright or not rows.small_enough:
        return None

    def read(start: int, stop: int) -> Image:
        try:
            return image_of_rows(path, page, rows.read(start, stop))
        except (DataError, EOFError):
            raise
        except Exception as error:  # decoders raise many kinds
            raise damaged(path, error) from error

    first = read(0, 1)
    if "alpha" in first.metadata and first.metadata["bits"] == 32:
        return None
    outline = outline_of(with_exif(path, first), page.imagelength, page.imagewidth)
    return ArraySource(path, cast(BinaryIO, file.filehandle), read, outline)


class TiffSink(ArraySink):
    """A TIFF file written by windows, uncompressed, so that every pixel has a fixed position.

    Parameters
    ----------
    path
        The file.
    outline
        The image without its values.
    fresh
        Whether to begin the file instead of resuming it.
    """

    def __init__(self, path: Path, outline: Image, *, fresh: bool) -> None:
        probe = Image(
            outline.pixels.new_zeros(len(outline.pixels), 1, 1, device="cpu"),
            outline.data_range,
            {"bits": outline.metadata.get("bits")},
        )
        dtype = stored(path, probe).dtype.newbyteorder("<")
        samples = len(outline.pixels) + ("alpha" in outline.metadata)
        height, width = outline.pixels.shape[-2:]
        shape = (height, width) if samples == 1 else (height, width, samples)
        if fresh:
            row = width * samples * dtype.itemsize
            large = height * row > CLASSIC
            ome = False if "ome" in outline.metadata else None  # None: by the name of the file
            with TiffWriter(path, bigtiff=large, byteorder="<", ome=ome) as writer:
                writer.write(
                    None,
                    shape=shape,
                    dtype=dtype,
                    rowsperstrip=max(1, STRIP // row),
                    **page_settings(outline),
                )
            add_directories(path, outline)
        with TiffFile(path) as file:
            page = file.pages[0].aspage()
            if page.shape != shape or not page.is_memmappable:
                raise ValueError("another picture")
            offset = page.dataoffsets[0]
        array = StoredArray(
            path.open("r+b", buffering=0),
            offset,
            stored_shape(shape, None if samples == 1 else -1),
            dtype,
        )
        super().__init__(array, lambda part: stored(path, part))
