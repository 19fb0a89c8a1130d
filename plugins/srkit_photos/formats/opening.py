"""Open picture files with Pillow, by their content and within our own limit of size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import PIL.Image
import PIL.ImageFile

from srkit.images import check_pixels

#: Recognised formats; other formats of Pillow run external programs or are not pictures.
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "PPM", "HEIF")


@contextmanager
def open_picture(path: Path) -> Iterator[PIL.ImageFile.ImageFile]:
    """Open a file without decoding its pixels.

    ``PIL.Image.open`` limits the size of pictures by a global of the process; here
    :mod:`srkit.images.limits` decides.

    Raises
    ------
    UnidentifiedImageError
        If its format is not in `FORMATS`.
    DataError
        If it is larger than allowed.
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
        raise PIL.UnidentifiedImageError("not a picture of a known format")
