"""Save and load the state of a run in one file.

A checkpoint is a safetensors file. Its tensors are named ``group/key``; its header holds everything
else as JSON. It is written atomically, so that there is always a complete checkpoint: the new one
or the previous one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
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


def pack_optimiser(optimiser: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split the state of an optimiser, without its settings, into tensors and other values."""
    tensors: dict[str, Tensor] = {}
    rest: dict[str, Any] = {}
    for index, values in optimiser.state_dict()["state"].items():
        for key, value in values.items():
            target: dict[str, Any] = tensors if isinstance(value, Tensor) else rest
            target[f"{index}.{key}"] = value
    return tensors, rest


def unpack_optimiser(optimiser: Optimizer, tensors: Tensors, rest: Mapping[str, Any]) -> None:
    """Restore the state of an optimiser from the results of :func:`pack_optimiser`.

    The tensors are copied: an optimiser keeps those that it is given, and while one is mapped from
    a checkpoint, Windows refuses to replace the file.
    """
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **rest}.items():
        index, _, key = name.partition(".")
        own = value.clone() if isinstance(value, Tensor) else value
        state.setdefault(int(index), {})[key] = own
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
