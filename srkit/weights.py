"""Read weight files safely, and fetch published ones with a checksum."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
import warnings
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from srkit.errors import WeightsError
from srkit.interfaces import Published

#: Where training scripts keep the tensors inside a ``.pth`` file, best first.
NESTED_KEYS = (
    "params_ema",
    "params-ema",
    "params",
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "generator",
)

#: How a file of ``torch.save`` begins: as an archive, or as a pickle before torch 1.6.
TORCH_STARTS = (b"PK", b"\x80")


def sha256_of(path: Path) -> str:
    """Checksum of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """Folder of fetched weights: ``$SRKIT_CACHE``, else ``srkit`` in the user's cache folder."""
    given = os.environ.get("SRKIT_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "srkit"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read named tensors from a safetensors file or a PyTorch checkpoint.

    A pickle is read with ``weights_only``: it cannot run code.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, unsafe, or holds something other than named tensors.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weight file")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise WeightsError(
                f"{path}: not a whole safetensors file ({error}); copy or download it again"
            ) from error
    return _tensors_in(_load_torch(path), path)


def _load_torch(path: Path) -> Any:
    """Load what ``torch.save`` wrote, without running any code in it."""
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            # Of a pickle protocol that it does not know, torch warns; then it reads or refuses it.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            start = file.read(2)
            if start.startswith(TORCH_STARTS):
                return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise WeightsError(
            f"{path}: refused, since it holds more than tensors and reading it could run code; "
            "convert it to safetensors where you trust it"
        ) from error
    except Exception as error:  # torch raises many kinds for a damaged file
        raise WeightsError(
            f"{path}: not a whole PyTorch checkpoint ({type(error).__name__}); copy or download "
            "it again"
        ) from error
    raise WeightsError(
        f"{path}: no PyTorch checkpoint, it begins with {start!r}; copy or download it again"
    )


def _tensors_in(content: Any, path: Path) -> dict[str, Tensor]:
    for key in NESTED_KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path}: holds a {type(content).__name__}; expected named tensors")
    tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    if not tensors:
        keys = ", ".join(str(key) for key in list(content)[:5])
        raise WeightsError(f"{path}: holds no tensors; its first keys are: {keys}")
    return tensors


def fetch(name: str, published: Published) -> Path:
    """Give the file of published weights, downloading it to the cache the first time.

    Raises
    ------
    WeightsError
        If there is no network, or the checksum differs; it says which file to put where.
    """
    if published.url.startswith("package:"):
        return _shipped(published)
    target = cache_folder() / published.url.rpartition("/")[2]
    if target.is_file():
        _verify(target, published, str(target), f"delete it and fetch {published.url} again")
        return target
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(published.url, timeout=60) as source, partial.open("wb") as f:
            while block := source.read(1 << 20):
                f.write(block)
        _verify(
            partial,
            published,
            f"{published.url}, just downloaded",
            f"try again, or fetch it elsewhere and put it at {target}",
        )
        partial.replace(target)
    except (urllib.error.URLError, OSError) as error:
        raise WeightsError(
            f"weights '{name}' could not be downloaded ({error}); fetch {published.url} elsewhere "
            f"and put it at {target}, or name a local file instead"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def _shipped(published: Published) -> Path:
    """Find weights that an installed package brought along."""
    package, _, inside = published.url.removeprefix("package:").partition("/")
    path = Path(str(files(package))) / inside
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; install the package of '{package}' again")
    _verify(path, published, str(path), f"install the package of '{package}' again")
    return path


def _verify(path: Path, published: Published, name: str, remedy: str) -> None:
    found = sha256_of(path)
    if found != published.sha256:
        raise WeightsError(f"{name}: its sha256 is {found}, expected {published.sha256}; {remedy}")
