"""Start networks from trained weights: those of runs, of published files and of the hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from srkit.errors import WeightsError, nearest
from srkit.interfaces import Generator
from srkit.weights.checkpoints import Checkpoint, Tensors, changed_plugins, load, read_state
from srkit.weights.files import fetch, published_of, read_tensors, unwrapped
from srkit.weights.hub import local
from srkit.weights.runs import checkpoint_of

#: What a user can do if weights do not fit a generator.
REMEDY = "change the generator's options, or list the keys that may differ in start.reinitialise"
#: Rows of a table of keys, at most.
ROWS = 20


def starting_weights(given: str, generator: Generator) -> dict[str, Tensor]:
    """Read weights to start a generator from.

    Parameters
    ----------
    given
        A run folder (its best checkpoint, or else its last), a checkpoint, a weight file, a
        reference to the Hugging Face hub, or the name of published weights of the generator.
    generator
        Provides its published weights, and renames the keys of third-party files.

    Raises
    ------
    WeightsError
        If there are no such weights, or the file is damaged.
    """
    path = _file_of(given)
    if not path.is_file():
        published = published_of(generator)
        if given not in published:
            raise WeightsError(
                f"'{given}' is not a file, a run folder or the name of published weights; "
                f"{nearest(given, published)}"
            )
        path = fetch(given, published[given])
    if read_state(path) is None:
        return _adapted(path, generator)
    groups = load(path).groups
    if "generator" not in groups:
        raise WeightsError(f"{path}: a checkpoint without a generator")
    return groups.get("ema", groups["generator"])


def starting_checkpoint(given: str) -> Checkpoint:
    """Read the checkpoint of a run to start from.

    Parameters
    ----------
    given
        See :func:`starting_weights`.

    Raises
    ------
    WeightsError
        If it is not the checkpoint of a run that trained a generator.
    """
    path = _file_of(given)
    if not path.is_file() or read_state(path) is None:
        raise WeightsError(
            f"start.take: '{given}' is neither a run folder nor a checkpoint of a run; only these "
            "have more than a generator"
        )
    checkpoint = load(path)
    if "generator" not in checkpoint.groups:
        raise WeightsError(f"{path}: a checkpoint without a generator")
    return checkpoint


def _adapted(path: Path, generator: Any) -> dict[str, Tensor]:
    """Read a third-party file with the keys of a generator: the part of it that fits best."""
    own: Tensors = generator.state_dict()
    adapt = getattr(generator, "adapt", dict)
    found, errors = [], []
    for tensors in unwrapped(read_tensors(path)):
        try:
            found.append(adapt(tensors))
        except WeightsError as error:
            errors.append(error)
    if not found:
        raise WeightsError(f"{path}: {errors[0]}") from errors[0]
    return min(found, key=lambda tensors: len(differing(tensors, own)))


def starting_head(given: str) -> dict[str, Tensor] | None:
    """Read the weights of a run's variance head; None if it has none.

    Parameters
    ----------
    given
        See :func:`starting_weights`.
    """
    path = _file_of(given)
    if not path.is_file() or read_state(path) is None:
        return None
    return load(path).groups.get("uncertainty")


def trained_discriminator(given: str, discriminator: nn.Module) -> dict[str, Tensor]:
    """Read the weights of a discriminator.

    Parameters
    ----------
    given
        A run folder (its best checkpoint, or else its last), a checkpoint, a weight file, or a
        reference to the Hugging Face hub.
    discriminator
        The network, whose keys choose between the parts of a file.

    Raises
    ------
    WeightsError
        If there are no such weights, or the file is damaged.
    """
    path = _file_of(given)
    if not path.is_file():
        raise WeightsError(f"'{given}' is not a file or a run folder")
    if read_state(path) is None:
        return _adapted(path, discriminator)
    groups = load(path).groups
    if "discriminator" not in groups:
        raise WeightsError(f"{path}: a checkpoint without a discriminator")
    return groups["discriminator"]


def changed_since_training(given: str, used: Mapping[str, str]) -> list[str]:
    """Report the plugins of which another version trained the weights to start from.

    The parameters are those of :func:`starting_weights` and
    :func:`srkit.weights.checkpoints.changed_plugins`.
    """
    path = _file_of(given)
    state = read_state(path) if path.is_file() else None
    return [] if state is None else changed_plugins(given, state, used)


def _file_of(given: str) -> Path:
    """Return the weight file of a run folder, of a file, or of a reference to the hub."""
    path = Path(local(given))
    return checkpoint_of(path) if path.is_dir() else path


def trained_teacher(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read the teacher that a run trained.

    Parameters
    ----------
    path
        A run folder (its best checkpoint, or else its last) or a file.

    Returns
    -------
    tuple or None
        The weights by key, and the teacher's entry in the recipe of the run; None for a weight
        file of other origin.

    Raises
    ------
    WeightsError
        If the file is missing or damaged, or the run did not train exactly one teacher.
    """
    if path.is_dir():
        path = checkpoint_of(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such weight file or run folder")
    if read_state(path) is None:
        return None
    checkpoint = load(path)
    teachers = checkpoint.state["recipe"].get("teachers", {})
    names = [name for name in teachers if f"teachers.{name}" in checkpoint.groups]
    if len(names) != 1:
        raise WeightsError(
            f"{path}: expected a run that trained one classifier; this one trained "
            f"{' and '.join(names) or 'none'}"
        )
    return checkpoint.groups[f"teachers.{names[0]}"], teachers[names[0]]


def warm_start(
    network: nn.Module,
    tensors: Tensors,
    source: str,
    reinitialise: Sequence[str] = (),
    *,
    remedy: str = REMEDY,
) -> list[str]:
    """Load weights into a network.

    Parameters
    ----------
    network
        The network.
    tensors
        Weights by key.
    source
        Name of the weights in errors.
    reinitialise
        Patterns of the keys that keep their initial values, and may differ.
    remedy
        What the user can do if the keys differ.

    Returns
    -------
    list of str
        The keys that kept their initial values.

    Raises
    ------
    WeightsError
        If any other key is missing or unexpected, or its shape differs; with a table of these.
    """

    def is_kept(key: str) -> bool:
        return any(fnmatch(key, pattern) for pattern in reinitialise)

    own = network.state_dict()
    kept = {key: value for key, value in own.items() if is_kept(key)}
    given = {key: value for key, value in tensors.items() if not is_kept(key)}
    rows = differing(given, {key: value for key, value in own.items() if key not in kept})
    if rows:
        count = "1 key differs" if len(rows) == 1 else f"{len(rows)} keys differ"
        raise WeightsError(
            f"{source}: does not fit {type(network).__name__}, {count}; {remedy}\n  "
            + tabulate(rows, "in the file", "in the network")
        )
    network.load_state_dict({**kept, **given})
    return list(kept)


def differing(given: Tensors, wanted: Tensors) -> list[tuple[str, str, str]]:
    """Return the keys that only one side has or whose shapes differ, with both shapes."""
    return [
        (key, _shape(given.get(key)), _shape(wanted.get(key)))
        for key in [*wanted, *(key for key in given if key not in wanted)]
        if _shape(given.get(key)) != _shape(wanted.get(key))
    ]


def tabulate(rows: Sequence[tuple[str, str, str]], given: str, wanted: str) -> str:
    """Return a table of the keys that differ, with a heading for each side."""
    shown = [("key", given, wanted), *rows[:ROWS]]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in shown]
    if len(rows) > ROWS:
        lines.append(f"... and {len(rows) - ROWS} more")
    return "\n  ".join(lines)


def _shape(tensor: Tensor | None) -> str:
    return "-" if tensor is None else "x".join(str(side) for side in tensor.shape) or "scalar"
