"""Arrays in files, compared with numpy.memmap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from srkit.images.stored_rows import StoredArray, chunks


@pytest.mark.parametrize("shape", [(1, 9, 7, 1), (3, 9, 7, 1), (1, 9, 7, 4)])
@pytest.mark.parametrize("dtype", [">f4", "<u2", "u1", ">i8"])
def test_windows_are_written_in_place(
    tmp_path: Path, shape: tuple[int, int, int, int], dtype: str
) -> None:
    values = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    path = tmp_path / "a"
    with path.open("w+b", buffering=0) as file:
        array = StoredArray(file, 17, shape, np.dtype(dtype))
        for top, bottom in ((0, 4), (4, 9)):
            for left, right in ((0, 2), (2, 7)):
                array.write(top, left, values[:, top:bottom, left:right])
        assert array.end == path.stat().st_size
        np.testing.assert_array_equal(array.read(3, 8), values[:, 3:8])
        before = array.digest(2, 5)
        array.write(4, 6, values[:, 4:5, 6:7] + 1)
        assert array.digest(2, 5) != before
        assert array.digest(5, 9) == array.digest(5, 9)
    stored = np.memmap(path, dtype, "r", 17, shape)
    values[:, 4, 6] += 1
    np.testing.assert_array_equal(stored, values)


def test_a_file_that_ends_early(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(50))
    with path.open("rb", buffering=0) as file:
        array = StoredArray(file, 0, (1, 10, 10, 1), np.dtype("u1"))
        assert array.read(0, 5).shape == (1, 5, 10, 1)
        for use in (lambda: array.read(0, 6), lambda: array.digest(4, 6)):
            with pytest.raises(EOFError, match="the file ends before its pixels"):
                use()
        assert b"".join(chunks(file, 40, 50)) == bytes(10)
