"""Interpolate between the weights of two networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
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
from srkit.weights.checkpoints import differing, read_state, save, starting_weights, tabulate
from srkit.weights.files import read_tensors
from srkit.weights.hub import local


def interpolate(
    first: str, second: str, weight: float, out: Path, registry: Registry
) -> dict[str, Tensor]:
    """Blend the weights of two networks of one architecture, and write what comes out.

    Every weight is ``(1 - weight) * first + weight * second``: network interpolation, by which
    ESRGAN is made less noisy (Wang et al. 2018, section 3.4). Both have to go back to a common
    start, as the second fine-tuned from the first; others blend to nothing of use. Integers are
    the first's.

    Parameters
    ----------
    first, second
        As :func:`srkit.models.open.open_model` takes them.
    weight
        Of the second, from 0 to 1.
    out
        A safetensors file, a checkpoint where one of the two is, that ``open_model`` opens.
    registry
        Where components come from.

    Returns
    -------
    dict of Tensor
        The weights.

    Raises
    ------
    WeightsError
        If the two are of different architectures, with a table of the keys that differ, or are
        made for different images.
    ValueError
        If the weight is outside [0, 1].
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"the weight has to lie in [0, 1]; got {weight:g}")
    if out.suffix != ".safetensors":
        raise WeightsError(f"{out}: ends in '{out.suffix}'; expected .safetensors")
    first, second = local(first), local(second)
    models = {name: _open(name, registry) for name in (first, second)}
    base = _base(models)
    one, two = _weights(first, base), _weights(second, base)
    rows = differing(one, two)
    if rows:
        raise WeightsError(
            f"{first} and {second} are of different architectures\n  "
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
    """Open a model; None for a weight file of others, which need not stand by itself.

    Raises
    ------
    WeightsError
        If it is an interpolation of pixels, which has no weights.
    """
    path = Path(name)
    if path.is_file() and read_state(path) is None:
        return None
    if name in INTERPOLATIONS:
        raise WeightsError(f"'{name}' has no weights to blend")
    return open_model(name, registry, at_least=1)


def _base(models: Mapping[str, Model | None]) -> Model | None:
    """Choose whose network the blend is for; None where both are files of others.

    Raises
    ------
    WeightsError
        If the two see images in different ways.
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
                    f"{name} and {other} are made for different images or by different options: "
                    f"{key} is {mine[key]} and {yours[key]}"
                )
    return base


def _restoring(model: Model) -> dict[str, Any]:
    """What of two models has to be equal for their weights to be blended."""
    assert model.recipe is not None
    tree = model.recipe.dump()
    parts = {key: tree.get(key) for key in RESTORING if key not in ("name", "seed")}
    return {**parts, "quantity": model.quantity.dump()}


def _weights(name: str, base: Model | None) -> Mapping[str, Tensor]:
    """Read weights by the keys of the base, or by those of the file."""
    if base is None:
        return read_tensors(Path(name))
    generator: Any = base.generator
    return starting_weights(name, generator)


def _state(base: Model, models: Mapping[str, Model | None], weight: float) -> dict[str, Any]:
    """What stands beside the tensors: the base's recipe, and what the blend is of."""
    assert base.recipe is not None
    return {
        "recipe": base.recipe.dump(),
        "quantity": base.quantity.dump(),
        "versions": {"srkit": __version__},
        "blend": {"weight": weight, "of": [_origin(*item) for item in models.items()]},
    }


def _origin(name: str, model: Model | None) -> dict[str, Any]:
    path = Path(name)
    origin = model.provenance if model else Provenance(path, digest_of_file(path))
    return {**asdict(origin), "path": str(origin.path)}
