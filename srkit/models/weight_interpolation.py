"""Interpolation between the weights of two networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from srkit import __version__
from srkit.assembly.build import RESTORING
from srkit.components.registry import Registry
from srkit.errors import WeightsError
from srkit.models.open import INTERPOLATIONS, Model, Provenance, open_model
from srkit.system.digests import digest_of_file
from srkit.system.files import write_file
from srkit.weights.checkpoints import read_state, save
from srkit.weights.files import read_tensors
from srkit.weights.hub import local
from srkit.weights.transfer import differing, starting_weights, tabulate


def interpolate_weights(
    first: str, second: str, weight: float, out: Path, registry: Registry
) -> dict[str, Tensor]:
    """Interpolate between two networks of the same architecture, and write the result to a file.

    Every parameter is ``(1 - weight) * first + weight * second``, which makes ESRGAN less noisy
    (Wang et al. 2018, section 3.4). Both networks must have a common start, such as the second
    fine-tuned from the first; otherwise the result is useless. Integers are those of the first.

    Parameters
    ----------
    first, second
        Models, as for :func:`srkit.models.open.open_model`.
    weight
        Weight of the second, from 0 to 1.
    out
        A safetensors file, which ``open_model`` opens: a checkpoint if one of the two is.
    registry
        Where components come from.

    Returns
    -------
    dict of Tensor
        The interpolated parameters.

    Raises
    ------
    WeightsError
        If the architectures differ, with a table of the keys that differ, or the networks were
        trained for different images.
    ValueError
        If the weight is outside [0, 1].
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"the weight must be in [0, 1]; got {weight:g}")
    if out.suffix != ".safetensors":
        raise WeightsError(f"{out}: ends in '{out.suffix}'; expected .safetensors")
    first, second = local(first), local(second)
    models = {name: _open(name, registry) for name in (first, second)}
    base = _base(models)
    one, two = _weights(first, base), _weights(second, base)
    rows = differing(one, two)
    if rows:
        raise WeightsError(
            f"{first} and {second} have different architectures\n  "
            + tabulate(rows, "in the first", "in the second")
        )
    blend = {
        key: tensor.lerp(two[key].to(tensor), weight) if tensor.is_floating_point() else tensor
        for key, tensor in one.items()
    }
    if base is None:
        data = {key: tensor.contiguous() for key, tensor in blend.items()}
        write_file(out, safetensors.torch.save(data))
    else:
        save(out, {"generator": blend}, _state(base, models, weight))
    return blend


def _open(name: str, registry: Registry) -> Model | None:
    """Open a model; None for a third-party weight file, whose architecture need not be known.

    Raises
    ------
    WeightsError
        If it is an interpolation of pixels, which has no weights.
    """
    path = Path(name)
    if path.is_file() and read_state(path) is None:
        return None
    if name in INTERPOLATIONS:
        raise WeightsError(f"'{name}' has no weights to interpolate")
    return open_model(name, registry, at_least=1)


def _base(models: Mapping[str, Model | None]) -> Model | None:
    """Return the model of whose network the result is; None if both are third-party files.

    Raises
    ------
    WeightsError
        If the two process images in different ways.
    """
    opened = [(name, model) for name, model in models.items() if model is not None]
    if not opened:
        return None
    (name, base), *others = opened
    for other, model in others:
        mine, yours = _restoring(base), _restoring(model)
        for key in mine:
            if mine[key] != yours[key]:
                raise WeightsError(
                    f"{name} and {other} have different images or options: {key} is {mine[key]} "
                    f"and {yours[key]}"
                )
    return base


def _restoring(model: Model) -> dict[str, Any]:
    """Return what must be equal for two models."""
    assert model.recipe is not None
    tree = model.recipe.dump()
    parts = {key: tree.get(key) for key in RESTORING if key not in ("name", "seed")}
    return {**parts, "quantity": model.quantity.dump()}


def _weights(name: str, base: Model | None) -> Mapping[str, Tensor]:
    """Read parameters by the keys of the base, or by those of the file."""
    if base is None:
        return read_tensors(Path(name))
    generator: Any = base.generator
    return starting_weights(name, generator)


def _state(base: Model, models: Mapping[str, Model | None], weight: float) -> dict[str, Any]:
    """Return the state of the checkpoint: the recipe of the base, and the origin of both."""
    assert base.recipe is not None
    return {
        "recipe": base.recipe.dump(),
        "quantity": base.quantity.dump(),
        "versions": {"srkit": __version__},
        "blend": {"weight": weight, "of": [_origin(*item) for item in models.items()]},
    }


def _origin(name: str, model: Model | None) -> dict[str, Any]:
    path = Path(name)
    return (model.provenance if model else Provenance(path, digest_of_file(path))).dump()
