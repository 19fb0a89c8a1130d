"""`srkit export`: a model in one file, for srkit or for other programs."""

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
from srkit.models.open import INTERPOLATIONS, Model, open_model
from srkit.system.files import write_file
from srkit.weights.checkpoints import plugins_of, read_state
from srkit.weights.files import read_tensors
from srkit.weights.transfer import warm_start

#: Formats of exported models.
Format = Literal["safetensors", "onnx", "torch"]
#: File extension of each format.
SUFFIXES: dict[Format, str] = {"safetensors": ".safetensors", "onnx": ".onnx", "torch": ".pt2"}


def export(
    reference: str | Path,
    out: Path,
    registry: Registry,
    *,
    file_format: Format | None = None,
    scale: int | None = None,
) -> Path:
    """Write a model to one file, whole or not at all.

    Parameters
    ----------
    reference
        The model, as for :func:`srkit.models.open.open_model`; averaged weights are exported if it
        has them.
    out
        The file. Its extension selects the format; without one, that of `file_format` is added.
    registry
        Where components come from.
    file_format
        ``safetensors``: weights, and what srkit needs to restore images with them. ``onnx`` and
        ``torch``: a graph of everything from LR to SR, tested before it is written.
    scale
        The scale to export, for a model of several scales.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OutputError
        If the file exists, the format is not clear, the model cannot be converted to a graph, or
        the file cannot be written.
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
        raise OutputError(f"{error}; export it as safetensors for use with srkit") from error


def open_to_export(reference: str | Path, registry: Registry, *, scale: int | None = None) -> Model:
    """Open a model with weights, reduced to one scale.

    Raises
    ------
    WeightsError
        If there is no such model, or it has no weights.
    """
    if str(reference) in INTERPOLATIONS:
        raise WeightsError(f"'{reference}' is an interpolation without weights to export")
    return _of_one_scale(open_model(reference, registry, scale=scale), registry)


def facts_of(model: Model) -> dict[str, Any]:
    """Return everything that an exported file states about its model: plain data, for JSON.

    Returns
    -------
    dict
        ``scale``, ``channels``; ``quantity``, the pixel values; ``recipe``, the parts that restore
        images, and the degradation of the training; ``versions``, those of srkit and of plugins
        that trained the model; ``exported``, its name and checksum, and the version of srkit that
        exported it.
    """
    facts: dict[str, Any] = {
        "scale": model.scale,
        "channels": model.channels,
        "quantity": model.quantity.dump(),
        "versions": {"srkit": model.provenance.srkit or __version__, **model.plugins},
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
        if trained is not None:
            facts["versions"] |= plugins_of(trained)
        if trained is not None and "degradation" in trained["recipe"]:
            facts["recipe"]["degradation"] = trained["recipe"]["degradation"]
    return facts


def to_safetensors(model: Model, facts: Mapping[str, Any]) -> bytes:
    """Return a model as a safetensors file that :func:`srkit.models.open.open_model` opens.

    The tensors of the generator have their own keys, those of a head that predicts the variance
    begin with ``uncertainty/``, and `facts` are stored as JSON under ``srkit`` in the metadata. A
    third-party weight file keeps its keys and gets no metadata, since its network is recognised by
    the tensors.

    Raises
    ------
    OutputError
        If the network can only be built with another weight file.
    """
    if model.recipe is None:
        assert model.provenance.path is not None
        return _safetensors(read_tensors(model.provenance.path), {})
    assert model.recipe.generator is not None
    weights = model.recipe.generator.options.get("weights")
    if weights is not None and getattr(model.generator, "reads_foreign_weights", False):
        raise OutputError(
            f"{model.name}: its network is built from another weight file, {weights}, which this "
            "format cannot contain; export it as onnx or torch"
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
    """Remove the parts of a network of several scales that are for other scales."""
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
    """Determine the file and its format.

    Raises
    ------
    OutputError
        If its extension is unknown or that of another format, or the file exists.
    """
    if not out.suffix and file_format is not None:
        out = out.with_name(out.name + SUFFIXES[file_format])
    found = next((each for each in get_args(Format) if SUFFIXES[each] == out.suffix), None)
    if found is None or file_format not in (None, found):
        expected = [SUFFIXES[file_format]] if file_format else list(SUFFIXES.values())
        raise OutputError(f"{out}: ends in '{out.suffix}'; expected {' or '.join(expected)}")
    if out.exists():
        raise OutputError(f"{out}: already exists; choose another name, or remove it")
    return out, found
