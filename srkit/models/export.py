"""`srkit export`: a model in one file, for srkit itself or for programs without it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import safetensors.torch
from torch import Tensor

from srkit import __version__
from srkit.assembly.build import RESTORING, assemble_restoring
from srkit.components.registry import Registry
from srkit.errors import GraphError, OutputError, WeightsError
from srkit.models.graphs import to_onnx, to_torch
from srkit.models.open import FOREIGN, INTERPOLATIONS, Model, open_model
from srkit.system.files import write_file
from srkit.weights.checkpoints import read_state, warm_start
from srkit.weights.files import read_tensors

#: What a model is exported as.
Format = Literal["safetensors", "onnx", "torch"]
#: The ending of each format's files.
SUFFIXES: dict[Format, str] = {"safetensors": ".safetensors", "onnx": ".onnx", "torch": ".pt2"}


def export(
    reference: str | Path,
    out: Path,
    registry: Registry,
    *,
    file_format: Format | None = None,
    scale: int | None = None,
) -> Path:
    """Write a model into one file, whole or not at all.

    Parameters
    ----------
    reference
        As :func:`srkit.models.open.open_model` takes it; averaged weights are exported where it has
        them.
    out
        The file. Its ending tells the format; one without an ending gets that of `file_format`.
    registry
        Where components come from.
    file_format
        ``safetensors``: weights, and what srkit needs to restore with them. ``onnx`` and
        ``torch``: a graph of everything from LR to SR, tried before it is written.
    scale
        Which, of a model of several scales.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OutputError
        If the file is there already, the format is not clear, the model has no such graph, or the
        file cannot be written.
    WeightsError
        If there is no such model, or it has no weights.
    PluginError
        If a package is missing.
    """
    out, chosen = _target(out, file_format)
    model = open_to_export(reference, registry, scale=scale)
    make = {"safetensors": to_safetensors, "onnx": to_onnx, "torch": to_torch}[chosen]
    try:
        return write_file(out, make(model, facts_of(model)))
    except GraphError as error:
        raise OutputError(f"{error}; export it as safetensors, which srkit opens") from error


def open_to_export(reference: str | Path, registry: Registry, *, scale: int | None = None) -> Model:
    """Open a model that has weights, with those of one scale alone.

    Raises
    ------
    WeightsError
        If there is no such model, or it has no weights.
    """
    if str(reference) in INTERPOLATIONS:
        raise WeightsError(f"'{reference}' is an interpolation: it has no weights to export")
    return _of_one_scale(open_model(reference, registry, scale=scale), registry)


def facts_of(model: Model) -> dict[str, Any]:
    """Tell everything that an exported file says of its model: plain data, for JSON.

    Returns
    -------
    dict
        ``scale``, ``channels``; ``quantity``, what pixel values are; ``recipe``, its parts that
        restore and the degradation that was restored; ``versions``, that of srkit that it was
        trained with; ``exported``, the name and the checksum of what was exported, and the version
        of srkit that did it.
    """
    facts: dict[str, Any] = {
        "scale": model.scale,
        "channels": model.channels,
        "quantity": model.quantity.dump(),
        "versions": {"srkit": model.provenance.srkit or __version__},
        "exported": {
            "name": model.name,
            "sha256": model.provenance.sha256,
            "srkit": __version__,
        },
    }
    if model.recipe is not None:
        tree = model.recipe.dump()
        facts["recipe"] = {key: tree[key] for key in RESTORING if key in tree}
        path = model.provenance.path
        trained = read_state(path) if path is not None else None
        if trained is not None and "degradation" in trained["recipe"]:
            facts["recipe"]["degradation"] = trained["recipe"]["degradation"]
    return facts


def to_safetensors(model: Model, facts: Mapping[str, Any]) -> bytes:
    """Give a model as a safetensors file that :func:`srkit.models.open.open_model` opens by itself.

    The generator's tensors stand under their own keys, those of a head that predicts the variance
    under ``uncertainty/``, and `facts` as JSON under ``srkit`` in the metadata. A weight file of
    others keeps its keys and gets no metadata: it tells by its tensors what network it is for.

    Raises
    ------
    OutputError
        If the network can only be built beside another file.
    """
    if model.recipe is None:
        assert model.provenance.path is not None
        return _safetensors(read_tensors(model.provenance.path), {})
    assert model.recipe.generator is not None
    if model.recipe.generator.type == FOREIGN:
        raise OutputError(
            f"{model.name}: its network is built from another weight file, "
            f"{model.recipe.generator.options['weights']}, which this format cannot hold; export "
            "it as onnx or torch"
        )
    tensors = model.generator.state_dict()
    if model.head is not None:
        head = model.head.state_dict()
        tensors |= {f"uncertainty/{key}": tensor for key, tensor in head.items()}
    return _safetensors(tensors, {"srkit": json.dumps(facts)})


def _safetensors(tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> bytes:
    own = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in tensors.items()}
    return safetensors.torch.save(own, {"format": "pt", **metadata})


def _of_one_scale(model: Model, registry: Registry) -> Model:
    """Leave out what a network of several scales has for others than the model's."""
    if model.recipe is None or len(model.recipe.scales) == 1:
        return model
    tree = model.recipe.dump() | {"scale": model.scale}
    assembly = assemble_restoring(tree, registry, model.name)
    generator: Any = assembly.generator
    trained, own = model.generator.state_dict(), generator.state_dict()
    warm_start(generator, {key: trained[key] for key in own if key in trained}, model.name)
    generator.eval().requires_grad_(False)
    return replace(model, generator=generator, recipe=assembly.recipe)


def _target(out: Path, file_format: Format | None) -> tuple[Path, Format]:
    """Agree on the file and its format.

    Raises
    ------
    OutputError
        If its ending tells none or another one, or it is there already.
    """
    if not out.suffix and file_format is not None:
        out = out.with_name(out.name + SUFFIXES[file_format])
    told = next((each for each in get_args(Format) if SUFFIXES[each] == out.suffix), None)
    if told is None or file_format not in (None, told):
        wanted = [SUFFIXES[file_format]] if file_format else list(SUFFIXES.values())
        raise OutputError(f"{out}: ends in '{out.suffix}'; expected {' or '.join(wanted)}")
    if out.exists():
        raise OutputError(f"{out}: is there already; choose another name, or remove it")
    return out, told
