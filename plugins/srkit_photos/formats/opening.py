"""Open picture files with Pillow, by their content and within our own limit of size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import PIL.Image
import PIL.ImageFile

from srkit.images import check_pixels

#: What files are recognised as; others of Pillow's formats run other programs or hold no picture.
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "PPM")


@contextmanager
def open_picture(path: Path) -> Iterator[PIL.ImageFile.ImageFile]:
    """Open a file without decoding its pixels.

    ``PIL.Image.open`` warns of or refuses large pictures by a number that the whole process
    shares; here :mod:`srkit.images.limits` decides.

    Raises
    ------
    UnidentifiedImageError
        If it is none of `FORMATS`.
    DataError
        If it is larger than is allowed.
    """
    PIL.Image.init()
    with path.open("rb") as file:
        start = file.read(16)
        for name in FORMATS:
            factory, accepts = PIL.Image.OPEN.get(name, (None, None))
            if factory is None or (accepts is not None and accepts(start) is not True):
                continue
            file.seek(0)
            with factory(file, str(path)) as picture:
                check_pixels(path, picture.height, picture.width)
                yield picture
            return
        raise PIL.UnidentifiedImageError("no picture of a known format")
