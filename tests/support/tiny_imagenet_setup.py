"""A tree in the layout of the Tiny ImageNet archive, with a few classes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import PIL.Image

#: Not sorted, as in the archive; the two cranes share their first name.
WNIDS = ("n02012849", "n01443537", "n03126707", "n02124075")
WORDS = {
    "n00001740": "entity",
    "n02012849": "crane",
    "n01443537": "goldfish, Carassius auratus",
    "n03126707": "crane",
    "n02124075": "Egyptian cat",
}


def jpeg(seed: int, mode: str = "RGB") -> bytes:
    """Draw a smooth picture of 64 x 64 pixels."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    picture = PIL.Image.fromarray(coarse).resize((64, 64)).convert(mode)
    content = io.BytesIO()
    picture.save(content, "JPEG")
    return content.getvalue()


def tiny_files(train: int = 3, val: int = 4) -> dict[str, bytes]:
    """Return the files of the tree; the first training picture of each class is grey."""
    files = {
        "wnids.txt": "\n".join(WNIDS).encode(),
        "words.txt": "".join(f"{wnid}\t{words}\n" for wnid, words in WORDS.items()).encode(),
    }
    annotations = []
    for number, wnid in enumerate(WNIDS):
        boxes = "".join(f"{wnid}_{k}.JPEG\t0\t10\t63\t58\n" for k in range(train))
        files[f"train/{wnid}/{wnid}_boxes.txt"] = boxes.encode()
        for k in range(train):
            picture = jpeg(10 * number + k, "RGB" if k else "L")
            files[f"train/{wnid}/images/{wnid}_{k}.JPEG"] = picture
    for k in range(val * len(WNIDS)):
        name = f"val_{k}.JPEG"
        files[f"val/images/{name}"] = jpeg(100 + k)
        annotations.append(f"{name}\t{WNIDS[k % len(WNIDS)]}\t0\t32\t44\t62\n")
    files["val/val_annotations.txt"] = "".join(annotations).encode()
    files["test/images/test_0.JPEG"] = jpeg(200)
    return files


def write_tiny(root: Path) -> Path:
    """Write the tree."""
    for name, content in tiny_files().items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def tiny_archive() -> bytes:
    """Return the tree as an archive with one top-level folder."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, file in tiny_files().items():
            archive.writestr(f"tiny-imagenet-200/{name}", file)
    return content.getvalue()
