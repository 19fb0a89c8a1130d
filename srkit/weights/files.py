"""Read weight files safely, and fetch published ones with a checksum."""

from __future__ import annotations

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

from srkit.errors import DownloadError, WeightsError
from srkit.interfaces import Published
from srkit.system.downloads import download, verify
from srkit.system.folders import cache_folder

#: Endings of exported networks, which are no weight files.
GRAPHS = (".onnx", ".pt2")
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
    if path.suffix in GRAPHS:
        raise WeightsError(
            f"{path}: a graph, whose weights have no names; take the run or the .safetensors file "
            "that it was exported from"
        )
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
    try:
        return download(published.url, _cached(published), checksum=f"sha256:{published.sha256}")
    except DownloadError as error:
        raise WeightsError(f"weights '{name}': {error}; or name a local file instead") from error


def is_here(published: Published) -> bool:
    """Tell whether published weights need no download."""
    return published.url.startswith("package:") or _cached(published).is_file()


def _cached(published: Published) -> Path:
    return cache_folder() / published.url.rpartition("/")[2]


def _shipped(published: Published) -> Path:
    """Find weights that an installed package brought along."""
    package, _, inside = published.url.removeprefix("package:").partition("/")
    path = Path(str(files(package))) / inside
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; install the package of '{package}' again")
    remedy = f"install the package of '{package}' again"
    try:
        verify(path, f"sha256:{published.sha256}", str(path), remedy)
    except DownloadError as error:
        raise WeightsError(str(error)) from error
    return path
