"""Read weight files safely, and download published ones."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from srkit.errors import DownloadError, WeightsError
from srkit.interfaces import Published
from srkit.system.downloads import download, verify
from srkit.system.folders import cache_folder

#: Extensions of exported networks, which are not weight files.
GRAPHS = (".onnx", ".pt2")
#: Keys under which training scripts store the tensors in a ``.pth`` file, the best first.
NESTED_KEYS = (
    "params_ema",
    "params-ema",
    "params",
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "generator",
    "net_g",
    "netG",
    "network",
    "weights",
)
#: The first bytes of a file of ``torch.save``: an archive, or a pickle before torch 1.6.
TORCH_STARTS = (b"PK", b"\x80")
#: What torch.compile adds to keys, wherever a module was compiled, and what data parallelism puts
#: before all of them.
COMPILED, PARALLEL = "_orig_mod.", "module."
#: The names under which training scripts, such as those of Lightning, keep the generator.
GENERATORS = ("net_g_ema.", "net_g.", "netG.", "generator.", "model.", "network.", "net.")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read named tensors from a safetensors file or a PyTorch checkpoint, whatever its name.

    Pickles are read with ``weights_only``, so that they cannot run code; objects of other classes
    are left out. What wrappers of torch add to the keys is removed.

    Raises
    ------
    WeightsError
        If the file is missing, damaged or unsafe, or contains something other than named tensors of
        finite numbers.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weight file")
    if is_safetensors(path):
        try:
            tensors = load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise WeightsError(
                f"{path}: incomplete or not a safetensors file ({error}); copy or download it again"
            ) from error
    else:
        tensors = _tensors_in(_load_torch(path), path)
    _check_finite(tensors, path)
    return without_wrappers(tensors)


def is_safetensors(path: Path) -> bool:
    """Return whether a file is in the format safetensors, by its content.

    If this decides nothing, as for a damaged file, its name does.
    """
    with path.open("rb") as file:
        start = file.read(9)
    # The size of the header in 8 bytes, then the header, in JSON.
    size = int.from_bytes(start[:8], "little")
    if start[8:] == b"{" and 8 + size <= path.stat().st_size:
        return True
    return path.suffix == ".safetensors" and not start.startswith(TORCH_STARTS)


def _check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Check that no weight is NaN or infinite; masks may be infinite."""
    for key, tensor in tensors.items():
        if not tensor.is_floating_point():
            continue
        if tensor.isnan().any() or ("mask" not in key and tensor.isinf().any()):
            raise WeightsError(
                f"{path}: '{key}' contains values that are NaN or infinite, as after a training "
                "that diverged; use another checkpoint"
            )


def without_wrappers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove from the keys what torch.compile and data parallelism add."""
    plain = {key.replace(COMPILED, ""): tensor for key, tensor in tensors.items()}
    while plain and all(key.startswith(PARALLEL) for key in plain):
        plain = {key.removeprefix(PARALLEL): tensor for key, tensor in plain.items()}
    return plain


def unwrapped(tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """Return tensors as they are, then those of each part whose name a generator often has.

    Only a network decides which are its own: ``model.`` also begins the keys of ESRGAN itself.
    """
    found = [without_wrappers(tensors)]
    for prefix in GENERATORS:
        inner = {key[len(prefix) :]: t for key, t in found[0].items() if key.startswith(prefix)}
        found += unwrapped(inner) if inner else []
    return found


def _load_torch(path: Path) -> Any:
    """Load a file of ``torch.save`` without running any code in it."""
    if path.suffix in GRAPHS:
        raise WeightsError(
            f"{path}: an exported graph, in which weights have no names; use the run or the "
            ".safetensors file that it was exported from"
        )
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            # torch warns of an unknown pickle protocol before it reads or refuses the file.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            start = file.read(2)
            if start.startswith(TORCH_STARTS):
                content = _load_pickle(file)  # by its path, torch would go by its name
                if not isinstance(content, _Unknown):
                    return content
                raise UnpicklingError("a pickled network")
    except UnpicklingError as error:
        raise WeightsError(
            f"{path}: refused, since reading the objects in it could run code; if you trust it, "
            f"convert it with torch.save(torch.load({path.name!r}, weights_only=False)"
            "['state_dict'], 'weights.pth'), or .state_dict() for a whole network"
        ) from error
    except Exception as error:  # torch raises many types for a damaged file
        raise WeightsError(
            f"{path}: incomplete or not a PyTorch checkpoint ({type(error).__name__}); copy or "
            "download it again"
        ) from error
    raise WeightsError(
        f"{path}: not a PyTorch checkpoint, since it begins with the bytes {start!r}; copy "
        "or download it again"
    )


class _Unknown:
    """An object of an unknown class in a checkpoint, of which nothing is kept and nothing runs."""

    def __new__(cls, *arguments: Any, **named: Any) -> _Unknown:
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def _load_pickle(file: BinaryIO) -> Any:
    """Load what ``torch.save`` wrote with ``weights_only``, and without other objects.

    Checkpoints of Lightning contain objects of many classes, such as callbacks and settings, beside
    their tensors. torch's restricted unpickler then reads the file with one inert class under all
    of these names. It imports and calls nothing but its own fixed list and that class, and still
    refuses modules such as ``os``.

    Raises
    ------
    UnpicklingError
        If the file cannot be read so.
    """
    file.seek(0)
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        file.seek(0)
        try:
            names = get_unsafe_globals_in_checkpoint(file)  # from the instructions, runs none
        except ValueError:
            raise error from None
        file.seek(0)
        with safe_globals([(_Unknown, name) for name in names]):
            return torch.load(file, map_location="cpu", weights_only=True)


def _tensors_in(content: Any, path: Path) -> dict[str, Tensor]:
    for key in NESTED_KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path}: contains a {type(content).__name__}; expected named tensors")
    tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    if not tensors:
        keys = ", ".join(str(key) for key in list(content)[:5])
        raise WeightsError(f"{path}: contains no tensors; its first keys are: {keys}")
    return tensors


def fetch(name: str, published: Published) -> Path:
    """Return the file of published weights, after downloading it to the cache if needed.

    Raises
    ------
    WeightsError
        If the download fails or the checksum differs; the message says where to save the file.
    """
    if published.url.startswith("package:"):
        return _shipped(published)
    try:
        return download(published.url, _cached(published), checksum=f"sha256:{published.sha256}")
    except DownloadError as error:
        raise WeightsError(f"weights '{name}': {error}; or name a local file instead") from error


def published_of(generator: object) -> Mapping[str, Published]:
    """Return the published weights of a generator, or of its factory, by name; it may have none."""
    published: Mapping[str, Published] = getattr(generator, "published", {})
    return published


def is_cached(published: Published) -> bool:
    """Return whether published weights need no download."""
    return published.url.startswith("package:") or _cached(published).is_file()


def _cached(published: Published) -> Path:
    return cache_folder() / published.url.rpartition("/")[2]


def _shipped(published: Published) -> Path:
    """Return the path of weights that are part of an installed package."""
    package, _, inside = published.url.removeprefix("package:").partition("/")
    path = Path(str(files(package))) / inside
    remedy = f"install the package of '{package}' again"
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; {remedy}")
    try:
        verify(path, f"sha256:{published.sha256}", str(path), remedy)
    except DownloadError as error:
        raise WeightsError(str(error)) from error
    return path
