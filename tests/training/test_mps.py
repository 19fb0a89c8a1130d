"""Training and upscaling on a fake device of Apple; see `fake_mps`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from accelerate import PartialState
from fake_mps import fake_mps
from training_setup import differences, last, make_pictures, make_tree, run, steps, validated

from srkit.components.registry import Registry
from srkit.interfaces import Image
from srkit.models.open import open_model
from srkit.upscaling.upscaler import ImageUpscaler


def test_a_run_on_mps_equals_one_on_the_cpu(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = make_pictures(tmp_path / "pictures")
    tree = make_tree(pictures, steps(2, ema=0.9, clip=1.0), validated(pictures))
    picture = Image(torch.rand(3, 40, 24))
    run(tree, tmp_path / "cpu", registry)
    expected = ImageUpscaler(open_model(str(tmp_path / "cpu"), registry), device="cpu")(picture)
    PartialState._reset_state()
    monkeypatch.setenv("ACCELERATE_TORCH_DEVICE", "mps:0")  # as Accelerate finds on a Mac
    try:
        with fake_mps():
            run(tree, tmp_path / "mps", registry)
            upscaler = ImageUpscaler(open_model(str(tmp_path / "mps"), registry), tile=16)
            assert upscaler.network.device.type == "mps"
            found = upscaler(picture)
    finally:
        PartialState._reset_state()
    environment = json.loads((tmp_path / "mps" / "environment.json").read_text("utf-8"))
    assert environment["device"] == "mps:0"
    groups, of_cpu = last(tmp_path / "mps").groups, last(tmp_path / "cpu").groups
    assert max(differences(groups["generator"], of_cpu["generator"]).values()) < 1e-5
    torch.testing.assert_close(found.pixels, expected.pixels, rtol=0, atol=1e-4)
