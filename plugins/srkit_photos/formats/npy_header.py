"""The header of NumPy's file format."""

from __future__ import annotations

from typing import IO, Any

import numpy as np


def read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read shape, Fortran order and dtype of an array; the file position is then at its values."""
    version = np.lib.format.read_magic(file)
    later = np.lib.format.read_array_header_2_0
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else later
    return read(file)
