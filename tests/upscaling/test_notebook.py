"""Results as the output of a cell."""

from __future__ import annotations

import base64
import gc
import io
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

import srkit
from srkit.upscaling import notebook


@pytest.fixture
def shell() -> Iterator[Any]:
    """The shell of a notebook, whose kernel is not running."""
    from IPython.core.interactiveshell import InteractiveShell

    class Shell(InteractiveShell):
        kernel = object()

    shell = Shell.instance()
    yield shell
    Shell.clear_instance()


def pictures(shell: Any, output: Any) -> list[np.ndarray]:
    data, _ = shell.display_formatter.format(output)
    found = re.findall('base64,([^"]*)', data.get("text/html", ""))
    return [np.asarray(PIL.Image.open(io.BytesIO(base64.b64decode(each)))) for each in found]


def test_results_show_themselves_and_other_arrays_do_not(shell: Any) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    sr = srkit.upscale(photo, "nearest", scale=2)
    assert type(sr) is np.ndarray
    (shown,) = pictures(shell, sr)
    np.testing.assert_array_equal(shown, sr)
    assert pictures(shell, sr.copy()) == pictures(shell, photo) == []
    assert "16 × 12 pixels, 3 channels" in shell.display_formatter.format(sr)[0]["text/html"]


def test_stacks_and_lists_and_tensors(shell: Any) -> None:
    stack = srkit.upscale(torch.rand(7, 1, 4, 4), "nearest", scale=2)
    assert len(pictures(shell, stack)) == 6
    assert "6 of 7 images" in shell.display_formatter.format(stack)[0]["text/html"]
    first, second = srkit.upscale([np.eye(4), np.eye(3)], "nearest", scale=2)
    assert [each.shape for each in pictures(shell, second)] == [(6, 6)]
    assert len(pictures(shell, first)) == 1


def test_the_caption_of_a_frame_has_its_unit(shell: Any) -> None:
    from astropy.nddata import CCDData

    frame = CCDData(np.array([[1.0, 2.0], [3.0, 4.0]]), unit="MJy / sr")
    sr = srkit.upscale(frame, "nearest", scale=2)
    caption = shell.display_formatter.format(sr)[0]["text/html"]
    assert "4 × 4 pixels, 1 channel; 1 to 4 MJy / sr, in an asinh stretch" in caption


def test_other_displays_of_a_class_are_kept(shell: Any) -> None:
    class Shown(np.ndarray):
        def _repr_html_(self) -> str:
            return "<b>own</b>"

    srkit.upscale(np.eye(4), "nearest", scale=2)
    assert shell.display_formatter.format(np.eye(2).view(Shown))[0]["text/html"] == "<b>own</b>"


def test_nothing_is_kept(shell: Any) -> None:
    sr = srkit.upscale(np.eye(4), "nearest", scale=2)
    key = id(sr)
    assert key in notebook._results
    del sr
    gc.collect()
    assert key not in notebook._results


def test_outside_of_a_notebook_nothing_is_registered() -> None:
    sr = srkit.upscale(np.eye(4), "nearest", scale=2)
    assert id(sr) not in notebook._results
