"""Notes and addresses of the photo downloads; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from srkit_photos.datasets.benchmark_sets import OBTAINABLE
from srkit_photos.downloads import benchmark_set, div2k, flickr2k

from srkit.interfaces import Download
from srkit.testing import check_download


@pytest.mark.parametrize(("lr", "scale"), [*product(("bicubic", "unknown"), (2, 3, 4))])
def test_div2k_with_lr(lr: str, scale: int) -> None:
    wanted = div2k(lr=lr, scale=scale)  # type: ignore[arg-type]
    check_download(wanted)
    assert [archive.name for archive in wanted.archives] == [
        "DIV2K_train_HR.zip",
        "DIV2K_valid_HR.zip",
        f"DIV2K_train_LR_{lr}_X{scale}.zip",
        f"DIV2K_valid_LR_{lr}_X{scale}.zip",
    ]
    assert all(archive.checksum and archive.size for archive in wanted.archives)


def test_div2k_alone() -> None:
    wanted = div2k()
    check_download(wanted)
    assert sum(archive.size or 0 for archive in wanted.archives) == 3_979_597_606


@pytest.mark.parametrize(
    "make",
    [
        lambda: flickr2k(),
        lambda: flickr2k(source="authors"),
        *(lambda name=name: benchmark_set(name=name) for name in OBTAINABLE),
    ],
)
def test_others(make: Callable[[], Download]) -> None:
    check_download(make())
