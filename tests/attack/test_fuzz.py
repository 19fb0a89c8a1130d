"""Random damage to recipes, checkpoints and pictures: one line each, no hang, no wrong pixels."""

from __future__ import annotations

import copy
import io
import json
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import safetensors.torch
import tifffile
import yaml
from training_setup import make_pictures, make_tree

from srkit.assembly import bounds
from srkit.assembly.build import SPLITS, assemble, assemble_restoring, parse
from srkit.components.registry import Registry
from srkit.errors import SrkitError
from srkit.images.formats import Formats
from srkit.models.open import open_model
from srkit.recipe.files import load_tree

VALUES: list[Any] = [
    None, True, "", "x", "..", "1e9", [], {}, [[]], {"type": "x"}, 0, -1, 0.5, 7, 1e9, 10**40,
    -1e300, "é\0", ["a", 1], {"a": {"b": 1}}, [1] * 100, "needs.x", "always", "3 epochs", "9" * 99,
]  # fmt: skip
#: Seconds after which a case counts as a hang.
PATIENCE = 20


def places(tree: Any) -> list[tuple[Any, Any]]:
    """List every container and key of a tree."""
    if isinstance(tree, dict):
        own = [(tree, key) for key in tree]
        return own + [place for value in tree.values() for place in places(value)]
    if isinstance(tree, list):
        own = [(tree, index) for index in range(len(tree))]
        return own + [place for value in tree for place in places(value)]
    return []


def damaged(tree: Any, rng: random.Random) -> Any:
    """Replace, remove or add one or two values."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 2))):
        found = places(tree)
        if not found:
            break
        holder, key = rng.choice(found)
        action = rng.random()
        if action < 0.75:
            holder[key] = copy.deepcopy(rng.choice(VALUES))
        elif action < 0.9:
            del holder[key]
        elif isinstance(holder, dict):
            holder[rng.choice(("type", "x", "name", "scale"))] = copy.deepcopy(rng.choice(VALUES))
    return tree


def cut(text: bytes, rng: random.Random) -> bytes:
    """Change, remove or repeat some bytes."""
    place, length = rng.randrange(len(text)), rng.randrange(1, 20)
    inserted = rng.choice((b"", b"[" * 400, rng.randbytes(3), text[place : place + 40] * 3))
    return text[:place] + inserted + text[place + length :]


def faults_of(cases: list[Any], attempt: Callable[[Any], object]) -> list[str]:
    """Return what raised anything but an error for the user, or did not end."""
    found = []

    def stop(*_: object) -> None:
        raise TimeoutError("did not end")

    before = signal.signal(signal.SIGALRM, stop)
    try:
        for case in cases:
            signal.alarm(PATIENCE)
            try:
                attempt(case)
            except SrkitError as error:
                if not str(error).strip() or len(str(error)) > 5000:
                    found.append(f"{error!r} for {case!r:.300}")
            except Exception as error:
                found.append(f"{error!r:.300} for {case!r:.300}")
            finally:
                signal.alarm(0)
    finally:
        signal.signal(signal.SIGALRM, before)
    return found


@pytest.fixture
def small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "LAYERS", 300)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="hangs are found by an alarm")
@pytest.mark.usefixtures("small_networks")
@pytest.mark.filterwarnings("ignore")
def test_damaged_recipes(tmp_path: Path, registry: Registry) -> None:
    rng, path = random.Random(18), tmp_path / "recipe.yaml"
    whole = make_tree(
        make_pictures(tmp_path / "pictures", count=4),
        {"metrics": {"psnr": {}}, "uncertainty": {"features": 4}, "start": None},
        {"discriminator": {"type": "patch"}, "variants": {"seed": [1, 2]}, "evaluation": {}},
    )
    text = yaml.safe_dump(whole).encode()

    def attempt(case: Any) -> None:
        if isinstance(case, bytes):
            path.write_bytes(case)
            case = load_tree(path)
        recipe = parse(case, registry, "recipe.yaml", splits=SPLITS)
        assemble(recipe, registry, "recipe.yaml", splits=SPLITS)

    cases = [damaged(whole, rng) for _ in range(250)] + [cut(text, rng) for _ in range(100)]
    assert faults_of(cases, attempt) == []


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="hangs are found by an alarm")
@pytest.mark.usefixtures("small_networks")
@pytest.mark.filterwarnings("ignore")
def test_damaged_metadata(tmp_path: Path, registry: Registry) -> None:
    rng, path = random.Random(19), tmp_path / "x.safetensors"
    recipe = {
        "name": "x", "seed": 0, "scale": 2, "channels": 3,
        "generator": {"type": "srcnn"}, "degradation": {"type": "bicubic"}, "training": {},
    }  # fmt: skip
    generator: Any = assemble_restoring(recipe, registry, "x").generator
    weights = {f"generator/{key}": each for key, each in generator.state_dict().items()}
    quantity = {"unit": "", "zero_point": None, "pixel_scale": None, "data_range": [0.0, 1.0]}
    state = {"recipe": recipe, "versions": {"srkit": "0"}, "quantity": quantity, "step": 3}
    state |= {"best": [1.0, 2], "optimisers": {}, "scalers": [], "finished": True}
    text = json.dumps(state).encode()

    def attempt(case: Any) -> None:
        content = case if isinstance(case, bytes) else json.dumps(case).encode()
        metadata = {"srkit": content.decode("utf-8", "replace")}
        safetensors.torch.save_file(weights, path, metadata)
        open_model(path, registry)

    attempt(state)
    cases = [damaged(state, rng) for _ in range(250)] + [cut(text, rng) for _ in range(100)]
    assert faults_of(cases, attempt) == []


def encoded(values: Any, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    PIL.Image.fromarray(values).save(content, kind, **options)
    return content.getvalue()


def tiff(values: Any, **options: Any) -> bytes:
    content = io.BytesIO()
    tifffile.imwrite(content, values, **options)
    return content.getvalue()


def sound_pictures() -> dict[str, bytes]:
    """Return small pictures by the names of their files, most with EXIF, XMP or opacity."""
    y, x = np.mgrid[:18, :24]
    colours = np.stack([10 * x, 13 * y, 5 * (x + y)], -1).astype(np.uint8)
    exif = PIL.Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "rotated"
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>"
    deep, floats = colours.astype(np.uint16) * 257, colours[..., 0].astype(np.float32)
    palette = io.BytesIO()
    PIL.Image.fromarray(colours).quantize(16).save(palette, "PNG", transparency=3)
    return {
        "rgb.png": encoded(colours, "PNG", exif=exif, dpi=(72, 72)),
        "palette.png": palette.getvalue(),
        "deep.png": encoded(deep[..., 0], "PNG"),
        "rgb.jpg": encoded(colours, "JPEG", exif=exif, xmp=xmp),
        "progressive.jpg": encoded(colours, "JPEG", progressive=True),
        "lossless.webp": encoded(colours, "WEBP", lossless=True, exif=exif),
        "lossy.webp": encoded(colours, "WEBP"),
        "a.gif": encoded(colours[..., 0], "GIF"),
        "a.bmp": encoded(colours, "BMP"),
        "raw.tif": tiff(colours, photometric="rgb"),
        "packed.tif": tiff(deep, photometric="rgb", compression="zlib", predictor=True),
        "tiles.tif": tiff(floats, tile=(16, 16), metadata={"axes": "YX"}, imagej=False),
    }


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="hangs are found by an alarm")
@pytest.mark.filterwarnings("ignore")
def test_damaged_pictures(
    tmp_path: Path, formats: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    rng, sound = random.Random(20), sound_pictures()

    def pixels_of(name: str, content: bytes) -> list[Any]:
        """Read a file, and write what was read."""
        path = tmp_path / name
        path.write_bytes(content)
        source = formats.source(path)
        pages = source.read_pages()
        ending = ".png" if path.suffix in (".gif", ".bmp") else path.suffix
        formats.file(tmp_path / f"written{ending}").write_pages(pages)
        return [page.pixels for page in pages]

    whole = {name: pixels_of(name, content) for name, content in sound.items()}

    def attempt(case: tuple[str, str, bytes]) -> None:
        name, damage, content = case
        read = pixels_of(name, content)
        same = [each.shape for each in read] == [each.shape for each in whole[name]] and all(
            one.equal(other) for one, other in zip(read, whole[name], strict=True)
        )
        # Every part of a PNG has a checksum; other formats at least state their size.
        assert same or not (damage == "cut" or name.endswith(".png")), "read wrong pixels"

    cases = []
    for name, content in sound.items():
        for _ in range(12):
            cases.append((name, "cut", content[: rng.randrange(len(content))]))
            flipped = bytearray(content)
            for _ in range(rng.choice((1, 1, 3, 20))):
                flipped[rng.randrange(len(flipped))] = rng.randrange(256)
            cases.append((name, "flipped", bytes(flipped)))
            cases.append((name, "spliced", cut(content, rng)))
    assert faults_of(cases, attempt) == []
