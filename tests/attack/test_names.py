"""Names in files and on servers that would lead out of their folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from srkit.dataprep.make import locate
from srkit.errors import DataError
from srkit.system import inside

OUTSIDE = [
    "../a",
    "a/../../b",
    "a/..",
    "..",
    "/etc/passwd",
    "//host/share",
    "..\\a",
    "C:a",
    "C:\\a",
    "a:stream",
    "a\0.png",
    "",
    ".",
    None,
    7,
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_that_lead_out_of_a_folder(tmp_path: Path, name: object) -> None:
    with pytest.raises(ValueError, match="is not the name of a file inside its folder"):
        inside(tmp_path, name)


def test_names_inside_a_folder(tmp_path: Path) -> None:
    for name in ("a.png", "b/c.tar", "..a", "a..b/ü", ".hidden", "x/./y"):
        assert inside(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize("name", ["../evil", "/evil", "a\\..\\..\\evil", "C:evil"])
def test_pairs_of_a_data_set_are_written_in_their_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="is not the name of a file inside its folder"):
        locate(tmp_path, "hr", name, "npy")
