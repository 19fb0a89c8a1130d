"""Digests of files and tensors."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

#: Bytes of the digest of an image.
DIGEST = 16


def digest_of_file(path: Path, algorithm: str = "sha256") -> str:
    """Return the hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def digest_of_states(paths: Iterable[Path]) -> str:
    """Return a hexadecimal digest of the names, sizes and modification times of files, in order.

    It shows that files were added, removed or replaced, without reading them.
    """
    digest = hashlib.blake2b(digest_size=DIGEST)
    for path in paths:
        try:
            state = path.stat()
            size, time = state.st_size, state.st_mtime_ns
        except OSError:
            size = time = -1
        digest.update(os.fsencode(path) + f"\0{size} {time}\n".encode())
    return digest.hexdigest()


def digest_of_image(image: Tensor) -> bytes:
    """Return a digest of ``(C, H, W)`` pixels, `DIGEST` bytes long."""
    shape = str(tuple(image.shape)).encode()
    return hashlib.sha256(shape + image.contiguous().numpy().tobytes()).digest()[:DIGEST]


def add_tensors(digest: Any, tensors: Mapping[str, Tensor]) -> None:
    """Update a digest of hashlib with tensors: their names, types, shapes and values."""
    import torch  # only here, since downloads need no torch

    for name, tensor in sorted(tensors.items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name}{values.dtype}{tuple(values.shape)}".encode())
        digest.update(values.view(-1).view(torch.uint8).numpy().tobytes())
