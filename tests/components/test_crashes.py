"""An unexpected error is reported in a line that names the distribution it is from."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Srkit
from srkit_photos.degradations import downscaling as degradations

from srkit.components.crashes import describe

RECIPE = """\
name: broken
channels: 3
scale: 2
generator: {type: edsr, blocks: 1, features: 4}
degradation: {type: bicubic}
losses: {l1: {}}
data: {train: {dataset: {type: sample_photos, split: train}, crop: 16}}
training: {duration: 1, batch_size: 2, workers: 0}
"""


def _break(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(degradations, "resize", lambda *given, **options: 1 / 0)


def test_a_bug_in_a_plugin(tmp_path: Path, srkit: Srkit, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.yaml").write_text(RECIPE)
    _break(monkeypatch)
    done = srkit("train", "broken.yaml")
    assert done.status == 1
    assert (
        "degradation 'bicubic' failed: ZeroDivisionError at srkit_photos, downscaling.py:"
        in done.err
    )
    assert "division by zero. This is a bug in srkit; please report it, with " in done.err
    assert "Traceback" not in done.err


def test_the_traceback_on_request(
    tmp_path: Path, srkit: Srkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.yaml").write_text(RECIPE)
    _break(monkeypatch)
    monkeypatch.setenv("SRKIT_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        srkit("train", "broken.yaml")


def test_an_error_without_a_message() -> None:
    assert describe(KeyError()).startswith("KeyError: no reason given. This is a bug in srkit")
