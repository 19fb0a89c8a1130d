"""Tags of GeoTIFF and GDAL of enlarged pictures: places on the ground stay the same.

Raster coordinates count pixels from the corner of the first one, or from its centre if
``GTRasterTypeGeoKey`` is ``PixelIsPoint`` (OGC GeoTIFF 1.1, 7.1.2 and 7.4).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from tifffile import DATATYPE, TiffPage

#: The tags: pixel scale, tie points, transformation, keys, and what keys refer to; those of GDAL.
SCALE, TIES, MATRIX, KEYS, NUMBERS, TEXTS = 33550, 33922, 34264, 34735, 34736, 34737
METADATA, NODATA = 42112, 42113
#: The type of each tag that is kept, and which numbers of values it can have.
KEPT: dict[int, tuple[DATATYPE, Callable[[int], bool]]] = {
    SCALE: (DATATYPE.DOUBLE, lambda count: count == 3),
    TIES: (DATATYPE.DOUBLE, lambda count: count > 0 and count % 6 == 0),
    MATRIX: (DATATYPE.DOUBLE, lambda count: count == 16),
    KEYS: (DATATYPE.SHORT, lambda count: count >= 4 and count % 4 == 0),
    NUMBERS: (DATATYPE.DOUBLE, lambda count: count > 0),
    TEXTS: (DATATYPE.ASCII, lambda count: True),
    METADATA: (DATATYPE.ASCII, lambda count: True),
}
#: The key of what raster coordinates refer to, and its value for centres of pixels.
_RASTER, _POINT = 1025, 2
#: Statistics of the values of LR in the XML of GDAL.
_STATISTICS = re.compile(r"""\s*<Item\s+name=["']STATISTICS_[^>]*?(?:/>|>[^<]*</Item>)""")


def read_tags(page: TiffPage, orientation: int) -> tuple[dict[int, Any], list[str]]:
    """Return the values of a page's tags that are kept, and what is not.

    Tags that are damaged are not, nor are those of a picture that is turned upright.
    """
    found = {tag: page.tags.valueof(tag) for tag in KEPT if tag in page.tags}
    if orientation == 1 and all(_is_valid(tag, value) for tag, value in found.items()):
        return found, []
    kept = {tag: value for tag, value in found.items() if tag == METADATA and _is_valid(tag, value)}
    gone = ["GeoTIFF tags"] if found.keys() - {METADATA} else []
    return kept, gone + (["GDAL metadata"] if METADATA in found and not kept else [])


def _is_valid(tag: int, value: Any) -> bool:
    kind, fits = KEPT[tag]
    if kind == DATATYPE.ASCII:
        return isinstance(value, str)
    values = value if isinstance(value, tuple) else (value,)
    numbers = int if kind == DATATYPE.SHORT else int | float
    return fits(len(values)) and all(isinstance(v, numbers) and math.isfinite(v) for v in values)


def enlarged(tags: Mapping[int, Any], scale: float) -> dict[int, Any]:
    """Return the tags of a picture that is enlarged by a scale."""
    found = dict(tags)
    # A centre at c from the first one is at c + 1/2 from the corner, as in SR.
    shift = (scale - 1) / 2 if _counts_centres(tags) else 0.0
    if SCALE in found:
        x, y, z = found[SCALE]
        found[SCALE] = (x / scale, y / scale, z)
    if TIES in found:
        found[TIES] = tuple(
            number
            for column, row, *rest in _groups(found[TIES], 6)
            for number in (scale * column + shift, scale * row + shift, *rest)
        )
    if MATRIX in found:
        matrix = np.array(found[MATRIX], np.float64).reshape(4, 4)
        matrix[:, :2] /= scale
        matrix[:, 3] -= shift * matrix[:, :2].sum(1)
        found[MATRIX] = tuple(matrix.ravel().tolist())
    if METADATA in found:
        found[METADATA] = _STATISTICS.sub("", found[METADATA])
    return found


def _groups(values: Sequence[Any], count: int) -> list[Sequence[Any]]:
    return [values[start : start + count] for start in range(0, len(values), count)]


def _counts_centres(tags: Mapping[int, Any]) -> bool:
    keys = tags.get(KEYS, ())[4:]
    return any(tuple(key) == (_RASTER, 0, 1, _POINT) for key in _groups(keys, 4))


def tags_to_write(tags: Mapping[int, Any]) -> list[tuple[Any, ...]]:
    """Return tags for tifffile."""
    written: list[tuple[Any, ...]] = []
    for tag, value in tags.items():
        kind = DATATYPE.ASCII if tag == NODATA else KEPT[tag][0]
        if kind == DATATYPE.ASCII:
            written.append((tag, kind, 0, value.encode(), True))
        else:
            values = value if isinstance(value, tuple) else (value,)
            written.append((tag, kind, len(values), values, True))
    return written
