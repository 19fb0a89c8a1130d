"""A folder for the Hugging Face hub: weights, a preview and a model card, from a run."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import yaml

from srkit.assembly.published import published_models
from srkit.components.registry import Registry
from srkit.errors import DataError, OutputError
from srkit.models.costs import count_parameters
from srkit.models.export import facts_of, open_to_export, to_safetensors
from srkit.models.open import Model
from srkit.recipe.trees import has_sets
from srkit.report._metric_info import MetricInfo
from srkit.report._summaries import Summary, read_validation
from srkit.report._tables import heading
from srkit.report.pages import render_page
from srkit.system.files import write_file
from srkit.weights.checkpoints import read_state
from srkit.weights.hub import PREFIX, WEIGHTS

#: The files of the folder beside the weights, and those of an evaluation on which they are based.
CARD, PREVIEW = "README.md", "preview.png"
TABLE, PANELS = "table.json", "panels.png"


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
    weights, run = to_safetensors(model, facts_of(model)), _run_of(model)
    evaluated = None if run is None else _evaluation_of(run, model.scale)
    validation = None if run is None else read_validation(run)
    text = card(model, evaluated, validation, repository=repository, licence=licence)
    write_file(folder / WEIGHTS, weights)
    if evaluated is not None and (evaluated / PANELS).is_file():
        shutil.copyfile(evaluated / PANELS, folder / PREVIEW)
    write_file(folder / CARD, text)
    return model


def _run_of(model: Model) -> Path | None:
    """Return the run folder of a model, if it is the checkpoint of one."""
    path = model.provenance.path
    if path is None or model.recipe is None or path.parent.name != "checkpoints":
        return None
    return path.parent.parent


def _evaluation_of(run: Path, scale: int) -> Path | None:
    """Return the folder of the evaluation of a run, if there is one."""
    folder = run / "evaluation"
    return next((each for each in (folder / f"x{scale}", folder) if each.is_dir()), None)


def card(
    model: Model,
    evaluated: Path | None = None,
    validation: Summary | None = None,
    *,
    repository: str | None = None,
    licence: str | None = None,
) -> str:
    """Return a model card: Markdown after a YAML header, as the hub reads it.

    Parameters
    ----------
    model
        The model.
    evaluated
        Folder of its evaluation, if any.
    validation
        Summary of its validation, if any.
    repository, licence
        As for :func:`write_folder`.

    Raises
    ------
    DataError
        If the evaluation cannot be read.
    """
    path = model.provenance.path
    state = (read_state(path) if path is not None and model.recipe is not None else None) or {}
    recipe = state.get("recipe", {})
    evaluation = None if evaluated is None else _read_table(evaluated / TABLE)
    test_set = _test_set(recipe)
    name = repository.partition("/")[2] if repository else model.name
    return render_page(
        "card.md",
        package="srkit.models",
        name=name,
        front=_yaml(_front(model, licence) | _model_index(name, evaluation, test_set)),
        summary=_summary(model, recipe),
        reference=f"{PREFIX}{repository}" if repository else WEIGHTS,
        preview=PREVIEW if evaluated is not None and (evaluated / PANELS).is_file() else None,
        network=list(_network(model).items()),
        training=list(_training(state).items()) if "training" in recipe else [],
        results=None if evaluation is None else _results(evaluation, test_set),
        validation=validation,
        limits=_limits(recipe),
        recipe=_yaml(_shown(recipe)) if "training" in recipe else None,
    )


def _front(model: Model, licence: str | None) -> dict[str, Any]:
    """Return the YAML header for the hub, without the results."""
    tags = ["super-resolution", "image-super-resolution", f"x{model.scale}"]
    if model.recipe is not None and model.recipe.generator is not None:
        tags.append(model.recipe.generator.type)
    if model.quantity.unit or model.quantity.pixel_scale or model.stretch is not None:
        tags.append("astronomy")
    return {
        **({"license": licence.lower()} if licence else {}),
        "library_name": "srkit",
        "pipeline_tag": "image-to-image",
        "tags": tags,
    }


def _model_index(
    name: str, evaluation: Mapping[str, Any] | None, test_set: str | None
) -> dict[str, Any]:
    """Return the results in the header: the finite means of the last model of the table."""
    means = {} if evaluation is None else evaluation["models"][-1]["mean"]
    scores = {key: mean for key, mean in means.items() if isinstance(mean, int | float)}
    if evaluation is None or not scores:
        return {}
    protocols = {key: metric["protocol"] for key, metric in evaluation["metrics"].items()}
    # Of several test sets, the name of the set follows that of the metric.
    endings = {each: f"/{each}" for each in evaluation.get("sets", ())}
    results: list[dict[str, Any]] = [
        {
            "task": {"type": "image-to-image", "name": "Super-resolution"},
            "dataset": {"type": test_set or "unknown", "name": dataset},
            "metrics": [
                {
                    "type": key.removesuffix(ending),
                    "name": f"{key.removesuffix(ending)} ({protocols[key]})",
                    "value": value,
                }
                for key, value in scores.items()
                if key.endswith(ending)
            ],
        }
        for dataset, ending in (endings or {str(evaluation["title"]): ""}).items()
    ]
    metrics = {metric["type"]: None for result in results for metric in result["metrics"]}
    return {"metrics": list(metrics), "model-index": [{"name": name, "results": results}]}


def _test_set(recipe: Mapping[str, Any]) -> str | None:
    """Return the type of the data set of the evaluation: test, otherwise validation."""
    data = recipe.get("data", {})
    source = data.get("test") or data.get("validation")
    if source is None:
        return None
    sources: list[Any] = list(source.values()) if has_sets(source) else [source]
    return ", ".join(dict.fromkeys(str(each["dataset"]["type"]) for each in sources))


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


def _training(state: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts of the training from the recipe."""
    recipe = state["recipe"]
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
    steps = f"{state['step']:,} of " if "step" in state else ""
    facts["Steps"] = f"{steps}{given['duration']}, batches of {given['batch_size']}"
    facts["Optimiser"] = _component(given["optimiser"])
    facts["Schedule"] = _component(given["schedule"])
    if given.get("ema"):
        facts["Averaged weights"] = f"decay {given['ema']:g} per step"
    if "versions" in state:
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


def _results(evaluation: Mapping[str, Any], test_set: str | None) -> dict[str, Any]:
    """Return the table of an evaluation."""
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


def _read_table(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); evaluate the run again") from error
