"""Save and load the state of a run in one file.

A checkpoint is a safetensors file. Its tensors are named ``group/key``; its header holds everything
else as JSON. It is written atomically, so that there is always a complete checkpoint: the new one
or the previous one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from pydantic import BaseModel, Field, FiniteFloat, NonNegativeInt, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.optim import Optimizer

from srkit.errors import WeightsError
from srkit.system.files import write_file
from srkit.system.untrusted import parse_json
from srkit.weights.files import is_safetensors, read_tensors

Tensors = Mapping[str, Tensor]

#: The libraries whose versions a checkpoint records; other names are distributions of plugins.
LIBRARIES = ("srkit", "torch", "torchvision", "timm", "accelerate", "numpy", "safetensors")


#: Key in packed values by which a tensor is replaced.
TENSOR = "tensor"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The contents of a checkpoint.

    Parameters
    ----------
    groups
        Tensors by group (``generator``, ``ema``, ``optimiser.generator``, ...) and key.
    state
        Step, best value, recipe, versions.
    """

    groups: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


def save(path: Path, groups: Mapping[str, Tensors], state: Mapping[str, Any]) -> None:
    """Write a checkpoint atomically.

    Raises
    ------
    OutputError
        If it cannot be written; an existing checkpoint is left unchanged.
    """
    tensors = {
        f"{group}/{key}": tensor.detach().cpu().contiguous().clone()
        for group, named in groups.items()
        for key, tensor in named.items()
    }
    write_file(path, safetensors.torch.save(tensors, {"srkit": json.dumps(state)}))


def load(path: Path) -> Checkpoint:
    """Read a checkpoint that :func:`save` wrote, or a file that `srkit export` wrote.

    Raises
    ------
    WeightsError
        If it is missing, damaged, or not a checkpoint of srkit.
    """
    state = read_state(path)
    if state is None:
        raise WeightsError(f"{path}: contains weights, but is not a checkpoint of srkit")
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in read_tensors(path).items():
        group, slash, key = name.partition("/")
        if not slash:  # an exported file has the generator's tensors under their own keys
            group, key = "generator", name
        groups.setdefault(group, {})[key] = tensor
    return Checkpoint(groups, state)


def read_state(path: Path) -> dict[str, Any] | None:
    """Read the state in a checkpoint; None for weights of other origin.

    Raises
    ------
    WeightsError
        If the file is missing or damaged.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such checkpoint")
    if not is_safetensors(path):
        return None
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get("srkit")
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path}: incomplete or not a safetensors file ({error}); use another checkpoint"
        ) from error
    return None if text is None else _parse_state(path, text)


def plugins_of(state: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions of the distributions of plugins with which weights were trained."""
    known = {"python", *LIBRARIES}
    return {name: version for name, version in state["versions"].items() if name not in known}


def changed_plugins(source: str, state: Mapping[str, Any], used: Mapping[str, str]) -> list[str]:
    """Report the plugins of which another version is used than the one that trained weights.

    Parameters
    ----------
    source
        Names the weights.
    state
        The state in their checkpoint.
    used
        Versions of the distributions that are used now.
    """
    return [
        f"{source}: trained with {name} {version}, but {name} {used[name]} is installed; its "
        "components may have changed"
        for name, version in plugins_of(state).items()
        if used.get(name, version) != version
    ]


class _Recipe(BaseModel, extra="allow"):
    name: str
    degradation: dict[str, Any] | list[dict[str, Any]] | None = None
    teachers: dict[str, dict[str, Any]] = Field(default_factory=dict)


class _LRStatistics(BaseModel, extra="forbid", strict=True):
    images: NonNegativeInt
    level: list[FiniteFloat] = Field(min_length=2, max_length=2)
    noise: list[FiniteFloat] = Field(min_length=2, max_length=2)
    values: list[FiniteFloat] = Field(min_length=2, max_length=2)


class _Quantity(BaseModel, extra="forbid", strict=True):
    unit: str = ""
    zero_point: float | None = None
    pixel_scale: float | None = None
    data_range: list[float] = Field(min_length=2, max_length=2)
    lr: _LRStatistics | None = None


class _Versions(BaseModel, extra="allow"):
    srkit: str


class _State(BaseModel, extra="allow", strict=True):
    """What the state of a checkpoint has to be; runs alone have the keys that have defaults."""

    recipe: _Recipe
    versions: _Versions
    quantity: _Quantity | None = None
    step: NonNegativeInt = 0
    finished: bool = False
    best: list[float | None] | None = Field(None, min_length=2, max_length=2)
    optimisers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    scalers: list[dict[str, Any]] = Field(default_factory=list)
    data: dict[str, str] = Field(default_factory=dict)


def _parse_state(path: Path, text: str) -> dict[str, Any]:
    """Parse the state of a checkpoint, which may be damaged or come from anyone."""
    remedy = "use another checkpoint"
    try:
        state: dict[str, Any] = parse_json(text)
        _State.model_validate(state)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(["srkit", *map(str, first["loc"])])
        raise WeightsError(
            f"{path}: its metadata are damaged ({key}: {first['msg']}); {remedy}"
        ) from None
    except ValueError as error:
        raise WeightsError(f"{path}: its metadata are damaged (srkit: {error}); {remedy}") from None
    return state


def settings_of(optimiser: Optimizer) -> list[dict[str, Any]]:
    """Copy the values of an optimiser's groups; of a new one, they are its settings."""
    groups = optimiser.state_dict()["param_groups"]
    return [deepcopy({k: v for k, v in group.items() if k != "params"}) for group in groups]


def pack_optimiser(
    optimiser: Optimizer, settings: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split the state of an optimiser, without its settings, into tensors and the rest.

    In the rest, the names of the tensors replace them.

    Parameters
    ----------
    optimiser
        The optimiser.
    settings
        The values of its groups when it was new; what has changed since is state.
    """
    tensors: dict[str, Tensor] = {}
    rest: dict[str, Any] = {}
    for index, values in optimiser.state_dict()["state"].items():
        rest[str(index)] = _pack(str(index), values, tensors)
    rest["groups"] = [
        {
            key: _pack(f"groups.{number}.{key}", value, tensors)
            for key, value in group.items()
            if isinstance(value, Tensor) or key not in built or value != built[key]
        }
        for number, (group, built) in enumerate(zip(settings_of(optimiser), settings, strict=True))
    ]
    return tensors, rest


def _pack(name: str, value: Any, tensors: dict[str, Tensor]) -> Any:
    """Replace the tensors in a value by their names, under which they are added to `tensors`.

    Their strides are kept, too, since the rounding of sums and products depends on them.
    """
    if isinstance(value, Tensor):
        tensors[name] = value
        return {TENSOR: name, "stride": torch.empty_like(value, device="meta").stride()}
    if isinstance(value, Mapping):
        return {key: _pack(f"{name}.{key}", each, tensors) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_pack(f"{name}.{number}", each, tensors) for number, each in enumerate(value)]
    return value


def _unpack(value: Any, tensors: Tensors) -> Any:
    """Insert copies of the tensors that :func:`_pack` took out.

    An optimiser keeps the tensors that it is given, and while one is mapped from a checkpoint,
    Windows refuses to replace the file.
    """
    if isinstance(value, Mapping):
        if value.keys() == {TENSOR, "stride"}:
            tensor = tensors[value[TENSOR]]
            return tensor.new_empty_strided(tensor.shape, value["stride"]).copy_(tensor)
        return {key: _unpack(each, tensors) for key, each in value.items()}
    return [_unpack(each, tensors) for each in value] if isinstance(value, list) else value


def unpack_optimiser(optimiser: Optimizer, tensors: Tensors, rest: Mapping[str, Any]) -> None:
    """Restore the state of a new optimiser from the results of :func:`pack_optimiser`."""
    state = {int(k): _unpack(values, tensors) for k, values in rest.items() if k != "groups"}
    groups = optimiser.state_dict()["param_groups"]
    for group, changed in zip(groups, rest["groups"], strict=True):
        group |= {key: _unpack(value, tensors) for key, value in changed.items() if key != "params"}
    optimiser.load_state_dict({"state": state, "param_groups": groups})
