"""A folder for the Hugging Face hub: weights, a preview and a model card, from a run."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import yaml

from srkit.components.registry import Registry
from srkit.errors import DataError, OutputError
from srkit.models.costs import count_parameters
from srkit.models.export import facts_of, open_to_export, to_safetensors
from srkit.models.open import Model, published_models
from srkit.report._metric_info import MetricInfo
from srkit.report._tables import heading
from srkit.report.pages import render_page
from srkit.system.files import write_file
from srkit.weights.checkpoints import read_state
from srkit.weights.hub import PREFIX, WEIGHTS

#: The files of the folder beside the weights.
CARD, PREVIEW = "README.md", "preview.png"


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The files of a run other than its weights, as far as they exist.

    Parameters
    ----------
    state
        State of its checkpoint, without tensors.
    evaluation
        ``table.json`` of its evaluation.
    panels
        The figure of its examples.
    """

    state: Mapping[str, Any] | None = None
    evaluation: Mapping[str, Any] | None = None
    panels: Path | None = None

    @classmethod
    def of(cls, model: Model) -> RunFiles:
        """Find the files beside the checkpoint of a model.

        Raises
        ------
        DataError
            If the evaluation cannot be read.
        """
        path = model.provenance.path
        if path is None or model.recipe is None:
            return cls()
        state = read_state(path)
        if path.parent.name != "checkpoints":
            return cls(state)
        folder = path.parent.parent / "evaluation"
        folder = next((f for f in (folder / f"x{model.scale}", folder) if f.is_dir()), folder)
        table, panels = folder / "table.json", folder / "panels.png"
        return cls(
            state,
            _read_json(table) if table.is_file() else None,
            panels if panels.is_file() else None,
        )


def write_folder(
    reference: str,
    folder: Path,
    registry: Registry,
    *,
    repository: str | None = None,
    licence: str | None = None,
    scale: int | None = None,
) -> Model:
    """Write the folder that `srkit hub push` uploads: weights, model card and preview.

    Parameters
    ----------
    reference, registry, scale
        As for :func:`srkit.models.export.export`.
    folder
        A new or empty folder.
    repository
        ``OWNER/NAME`` on the hub, for the instructions on the card.
    licence
        SPDX identifier of the licence of the weights; None for that of published weights, or no
        statement.

    Returns
    -------
    Model
        The model that was written.

    Raises
    ------
    OutputError
        If the folder contains files, or cannot be written.
    SrkitError
        As for :func:`srkit.models.export.export`.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder}: already exists; choose another folder, or remove it")
    model = open_to_export(reference, registry, scale=scale)
    known = published_models(registry)
    if licence is None and reference in known:
        licence = known[reference][1].licence
    weights, run = to_safetensors(model, facts_of(model)), RunFiles.of(model)
    write_file(folder / WEIGHTS, weights)
    if run.panels is not None:
        shutil.copyfile(run.panels, folder / PREVIEW)
    write_file(folder / CARD, card(model, run, repository=repository, licence=licence))
    return model


def card(
    model: Model, run: RunFiles, *, repository: str | None = None, licence: str | None = None
) -> str:
    """Return a model card: Markdown after a YAML header, as the hub reads it.

    Parameters
    ----------
    model
        The model.
    run
        The files of its run.
    repository, licence
        As for :func:`write_folder`.
    """
    recipe = run.state["recipe"] if run.state is not None else {}
    name = repository.partition("/")[2] if repository else model.name
    return render_page(
        "card.md",
        package="srkit.models",
        name=name,
        front=_yaml(_front(model, run, name, licence)),
        summary=_summary(model, recipe),
        reference=f"{PREFIX}{repository}" if repository else WEIGHTS,
        preview=PREVIEW if run.panels is not None else None,
        network=list(_network(model).items()),
        training=list(_training(recipe, run.state).items()) if "training" in recipe else [],
        results=_results(run),
        limits=_limits(recipe),
        recipe=_yaml(_shown(recipe)) if "training" in recipe else None,
    )


def _front(model: Model, run: RunFiles, name: str, licence: str | None) -> dict[str, Any]:
    """Return the YAML header for the hub; ``model-index`` contains the results."""
    tags = ["super-resolution", "image-super-resolution", f"x{model.scale}"]
    if model.recipe is not None and model.recipe.generator is not None:
        tags.append(model.recipe.generator.type)
    if model.quantity.unit or model.quantity.pixel_scale or model.stretch is not None:
        tags.append("astronomy")
    front: dict[str, Any] = {
        **({"license": licence.lower()} if licence else {}),
        "library_name": "srkit",
        "pipeline_tag": "image-to-image",
        "tags": tags,
    }
    scores = _scores(run.evaluation)
    if scores:
        front["metrics"] = list(scores)
        front["model-index"] = [{"name": name, "results": [_entry(run, scores)]}]
    return front


def _scores(evaluation: Mapping[str, Any] | None) -> dict[str, float]:
    """Return the means of the model, which is the last of the table."""
    if evaluation is None:
        return {}
    means = evaluation["models"][-1]["mean"]
    return {name: mean for name, mean in means.items() if isinstance(mean, int | float)}


def _entry(run: RunFiles, scores: Mapping[str, float]) -> dict[str, Any]:
    assert run.evaluation is not None
    protocols = run.evaluation["metrics"]
    return {
        "task": {"type": "image-to-image", "name": "Super-resolution"},
        "dataset": {"type": _test_set(run) or "unknown", "name": str(run.evaluation["title"])},
        "metrics": [
            {"type": name, "name": f"{name} ({protocols[name]['protocol']})", "value": value}
            for name, value in scores.items()
        ],
    }


def _test_set(run: RunFiles) -> str | None:
    """Return the type of the data set of the evaluation: test, otherwise validation."""
    data = run.state["recipe"].get("data", {}) if run.state is not None else {}
    source = data.get("test") or data.get("validation")
    return None if source is None else str(source["dataset"]["type"])


def _summary(model: Model, recipe: Mapping[str, Any]) -> str:
    described = " ".join(str(recipe.get("description", "")).split())
    kind = type(model.generator).__name__
    begin = f"{described.rstrip('.')}. " if described else ""
    return (
        f"{begin}A super-resolution network ({kind}), trained with srkit, that enlarges images to "
        f"{model.scale} times as many pixels per side."
    )


def _network(model: Model) -> dict[str, str]:
    quantity, recipe = model.quantity, model.recipe
    low, high = quantity.data_range
    values = f"black {low:g}, white {high:g}{f', {quantity.unit}' if quantity.unit else ''}"
    if quantity.zero_point is not None:
        values += f", AB zero point {quantity.zero_point:g}"
    facts = {
        "Scale": f"x{model.scale}",
        "Channels": str(model.channels),
        "Parameters": f"{count_parameters(model.generator):,}",
        "Values": values,
    }
    if quantity.pixel_scale is not None:
        facts["Pixel scale of HR"] = f"{quantity.pixel_scale:g} arcsec"
    if recipe is not None:
        tree = recipe.dump()
        for key in ("generator", "stretch", "constraint"):
            if key in tree:
                facts[key.capitalize()] = _component(tree[key])
    if model.head is not None:
        facts["Uncertainty"] = "predicts the standard deviation of each value (`--uncertainty`)"
    return facts


def _training(recipe: Mapping[str, Any], state: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the facts of the training from the recipe."""
    given, facts = recipe["training"], {}
    data = recipe.get("data", {}).get("train")
    if data is not None:
        facts["Data"] = f"`{data['dataset']['type']}`"
    for key in ("degradation", "start", "discriminator"):
        if recipe.get(key):
            facts[key.capitalize()] = _component(_without_folders(recipe[key]))
    facts["Losses"] = "; ".join(
        _component({"type": name, **{k: v for k, v in spec.items() if k != "type"}})
        for name, spec in recipe.get("losses", {}).items()
    )
    steps = "" if state is None or "step" not in state else f"{state['step']:,} of "
    facts["Steps"] = f"{steps}{given['duration']}, batches of {given['batch_size']}"
    facts["Optimiser"] = _component(given["optimiser"])
    facts["Schedule"] = _component(given["schedule"])
    if given.get("ema"):
        facts["Averaged weights"] = f"decay {given['ema']:g} per step"
    if state is not None and "versions" in state:
        facts["Versions"] = ", ".join(
            f"{name} {state['versions'][name]}"
            for name in ("srkit", "torch")
            if name in state["versions"]
        )
    return facts


def _component(spec: Mapping[str, Any] | Sequence[Any]) -> str:
    """Return one or several components of a recipe as a line: ``bicubic (quantize: false)``."""
    if not isinstance(spec, Mapping):
        return ", then ".join(_component(each) for each in spec)
    options = {k: v for k, v in spec.items() if k != "type" and v is not None}
    text = ", ".join(f"{key}: {json.dumps(value)}" for key, value in options.items())
    text = text.replace("|", "\\|")
    if "type" not in spec:
        return text
    return f"`{spec['type']}`" + (f" ({text})" if text else "")


def _results(run: RunFiles) -> dict[str, Any] | None:
    """Return the table of an evaluation."""
    evaluation, test_set = run.evaluation, _test_set(run)
    if evaluation is None:
        return None
    metrics = evaluation["metrics"]
    headings = [heading(MetricInfo(name=name, **each)) for name, each in metrics.items()]
    rows = [
        [row["model"], *(_cell(row["mean"][m], row["standard_error"][m]) for m in metrics)]
        for row in evaluation["models"]
    ]
    count = evaluation["images"]
    return {
        "images": f"On {'1 image' if count == 1 else f'{count} images'}"
        + (f" of `{test_set}`" if test_set else ""),
        "columns": ["", *headings],
        "rows": rows,
        "protocols": [(name, each["protocol"]) for name, each in metrics.items()],
        "notes": evaluation["notes"],
    }


def _cell(mean: Any, error: Any) -> str:
    if not isinstance(mean, int | float) or not math.isfinite(mean):
        return "∞" if mean == "inf" else str(mean or "")
    return f"{mean:.4g}" + (f" ± {error:.2g}" if isinstance(error, int | float) else "")


def _limits(recipe: Mapping[str, Any]) -> str:
    degradation = recipe.get("degradation")
    images = (
        f"images degraded by {_component(_without_folders(degradation))}"
        if degradation
        else "images like those of its training"
    )
    return (
        f"The network was trained for {images}. SR of other images may lack detail, or show detail "
        "that does not exist; `srkit upscale --check` reports where the input does not support it."
    )


def _shown(recipe: Mapping[str, Any]) -> Any:
    """Return the keys of a recipe that describe this run."""
    return _without_folders({k: v for k, v in recipe.items() if k not in ("sample", "variants")})


def _without_folders(tree: Any) -> Any:
    """Reduce absolute paths to their last part, which does not depend on the machine."""
    if isinstance(tree, Mapping):
        return {key: _without_folders(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_without_folders(value) for value in tree]
    if isinstance(tree, str) and (PurePath(tree).is_absolute() or tree.startswith(("~", ".."))):
        return PurePath(tree).name
    return tree


def _yaml(tree: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(dict(tree), sort_keys=False, allow_unicode=True, width=100)
    return text.rstrip()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); evaluate the run again") from error
