"""Save and load a run's state in one file; start from other weights.

A checkpoint is a safetensors file. Its tensors are named ``group/key``, its header holds a JSON
text with everything that is no tensor. It is written under a temporary name, forced to disk and
renamed, so that whatever happens a whole checkpoint stands there: the new one or the one before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from srkit.errors import WeightsError, nearest
from srkit.interfaces import Generator
from srkit.system.files import write_file
from srkit.weights.files import fetch, read_tensors
from srkit.weights.hub import local

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint file holds.

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
    """Write a checkpoint, replacing `path` only when it is whole on disk.

    Raises
    ------
    OutputError
        If it cannot be written; what stood at `path` before still does.
    """
    tensors = {
        f"{group}/{key}": tensor.detach().cpu().contiguous().clone()
        for group, named in groups.items()
        for key, tensor in named.items()
    }
    write_file(path, safetensors.torch.save(tensors, {"srkit": json.dumps(state)}))


def load(path: Path) -> Checkpoint:
    """Read a checkpoint that :func:`save` wrote, or a file that `srkit export` did.

    Raises
    ------
    WeightsError
        If it is missing, truncated, or no checkpoint of srkit.
    """
    state = read_state(path)
    if state is None:
        raise WeightsError(f"{path}: holds weights, but is no srkit checkpoint to resume from")
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in read_tensors(path).items():
        group, slash, key = name.partition("/")
        if not slash:  # an exported file has the generator's tensors under their own keys
            group, key = "generator", name
        groups.setdefault(group, {})[key] = tensor
    return Checkpoint(groups, state)


def read_state(path: Path) -> dict[str, Any] | None:
    """Read what a checkpoint holds beside tensors; None for weights of another origin."""
    if not path.is_file():
        raise WeightsError(f"{path}: no such checkpoint")
    if path.suffix != ".safetensors":
        return None
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get("srkit")
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path}: not a whole safetensors file ({error}); use another checkpoint"
        ) from error
    return None if text is None else dict(json.loads(text))


def pack_optimiser(optimiser: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split an optimiser's state into tensors and the rest; the recipe has its settings."""
    tensors: dict[str, Tensor] = {}
    rest: dict[str, Any] = {}
    for index, values in optimiser.state_dict()["state"].items():
        for key, value in values.items():
            target: dict[str, Any] = tensors if isinstance(value, Tensor) else rest
            target[f"{index}.{key}"] = value
    return tensors, rest


def unpack_optimiser(optimiser: Optimizer, tensors: Tensors, rest: Mapping[str, Any]) -> None:
    """Undo :func:`pack_optimiser`."""
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **rest}.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def checkpoint_of(run: Path) -> Path:
    """Choose the checkpoint of a run folder: its best, else its last.

    Raises
    ------
    WeightsError
        If there is neither.
    """
    found = [run / "checkpoints" / f"{name}.safetensors" for name in ("best", "last")]
    for path in found:
        if path.is_file():
            return path
    raise WeightsError(f"{run}: no run folder; expected {found[0]} or {found[1].name}")


def starting_weights(given: str, generator: Generator) -> dict[str, Tensor]:
    """Read weights to start from.

    Parameters
    ----------
    given
        A run folder (its best checkpoint, else its last), a checkpoint, a weight file, a place on
        the Hugging Face hub, or one of the generator's published names.
    generator
        Knows its published weights and how to rename their keys.
    """
    path = Path(local(given))
    if path.is_dir():
        path = checkpoint_of(path)
    elif not path.is_file():
        if given not in generator.published:
            raise WeightsError(
                f"'{given}' is no file, run folder or published name; "
                f"{nearest(given, generator.published)}"
            )
        path = fetch(given, generator.published[given])
    if read_state(path) is None:
        tensors = read_tensors(path)
        try:
            return generator.adapt(tensors)
        except WeightsError as error:
            raise WeightsError(f"{path}: {error}") from error
    groups = load(path).groups
    if "generator" not in groups:
        raise WeightsError(f"{path}: a checkpoint without a generator")
    return groups.get("ema", groups["generator"])


def starting_head(given: str) -> dict[str, Tensor] | None:
    """Read the head that predicts the variance beside a run's generator; None without.

    Parameters
    ----------
    given
        As :func:`starting_weights` takes it.
    """
    path = Path(local(given))
    if path.is_dir():
        path = checkpoint_of(path)
    if not path.is_file() or read_state(path) is None:
        return None  # of another origin
    return load(path).groups.get("uncertainty")


@dataclass(frozen=True, slots=True)
class TrainedTeacher:
    """A classifier as a run trained it.

    Parameters
    ----------
    tensors
        Its weights by key.
    options
        Its entry in the run's recipe.
    """

    tensors: dict[str, Tensor]
    options: dict[str, Any]


def trained_teacher(path: Path) -> TrainedTeacher | None:
    """Read the classifier that a run trained.

    Parameters
    ----------
    path
        A run folder (its best checkpoint, else its last) or a file.

    Returns
    -------
    TrainedTeacher or None
        None for a weight file of another origin.

    Raises
    ------
    WeightsError
        If the file is missing or damaged, or the run trained no classifier, or several.
    """
    if path.is_dir():
        path = checkpoint_of(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such weight file or run folder")
    if read_state(path) is None:
        return None
    checkpoint = load(path)
    names = [name for name in checkpoint.state["recipe"].get("teachers", {})
             if f"teachers.{name}" in checkpoint.groups]  # fmt: skip
    if len(names) != 1:
        raise WeightsError(
            f"{path}: expected a run that trained one classifier; this one trained "
            f"{' and '.join(names) or 'none'}"
        )
    options = checkpoint.state["recipe"]["teachers"][names[0]]
    return TrainedTeacher(checkpoint.groups[f"teachers.{names[0]}"], options)


def warm_start(
    network: nn.Module, tensors: Tensors, source: str, reinitialise: Sequence[str] = ()
) -> list[str]:
    """Load weights; only keys that match a pattern of `reinitialise` may differ.

    Returns
    -------
    list of str
        The keys that kept their fresh values.

    Raises
    ------
    WeightsError
        With a table of every missing, unexpected and mis-shaped key.
    """
    own = network.state_dict()
    fresh = [key for key in own if any(fnmatch(key, pattern) for pattern in reinitialise)]
    wanted = {key: value for key, value in own.items() if key not in fresh}
    given = {
        key: value
        for key, value in tensors.items()
        if not any(fnmatch(key, pattern) for pattern in reinitialise)
    }
    rows = differing(given, wanted)
    if rows:
        count = "1 key differs" if len(rows) == 1 else f"{len(rows)} keys differ"
        raise WeightsError(
            f"{source}: made for another network than {type(network).__name__}; {count}. Change "
            "the generator's options, or name what may differ in start.reinitialise\n  "
            + tabulate(rows, "in the file", "in the network")
        )
    network.load_state_dict({**{key: own[key] for key in fresh}, **given})
    return fresh


def differing(given: Tensors, wanted: Tensors) -> list[tuple[str, str, str]]:
    """Give the keys that only one has or whose shapes differ: key and both shapes."""
    return [
        (key, _shape(given.get(key)), _shape(wanted.get(key)))
        for key in [*wanted, *(key for key in given if key not in wanted)]
        if _shape(given.get(key)) != _shape(wanted.get(key))
    ]


def tabulate(rows: Sequence[tuple[str, str, str]], given: str, wanted: str) -> str:
    """Write a table of keys that differ, under a name for each side."""
    shown = [("key", given, wanted), *rows[:20]]
    widths = [max(len(row[i]) for row in shown) for i in range(3)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
             for row in shown]  # fmt: skip
    if len(rows) > 20:
        lines.append(f"... and {len(rows) - 20} more")
    return "\n  ".join(lines)


def _shape(tensor: Tensor | None) -> str:
    return "-" if tensor is None else "x".join(str(side) for side in tensor.shape) or "scalar"
