"""From a recipe to built components; all problems are reported at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from srkit.assembly.assembly import Assembly
from srkit.assembly.bounds import TooLargeError, bounded, try_without_memory
from srkit.assembly.chain import Chain
from srkit.assembly.checks import (
    check_average,
    check_fit,
    check_observation,
    check_required,
    check_stretch,
    check_teachers,
    check_trained,
    check_uncertainty,
    cross_check,
)
from srkit.assembly.published import published_models
from srkit.assembly.restore import restore
from srkit.assembly.variance_head import VarianceHead
from srkit.components.crashes import blaming
from srkit.components.options import build, downloads, options_model, supplied_parameters, validate
from srkit.components.problems import explain
from srkit.components.registry import OWN, Component, Registry
from srkit.data.scales import list_scales, set_scale, smallest_above
from srkit.errors import ContractError, PluginError, RecipeError, SrkitError, WeightsError
from srkit.images.formats import Formats
from srkit.interfaces import Batch, TrainedNetwork
from srkit.interfaces._contract import require, require_component
from srkit.interfaces.view import View
from srkit.recipe.files import load_tree
from srkit.recipe.needs import references
from srkit.recipe.parts import Spec
from srkit.recipe.recipe import Recipe, parse_recipe
from srkit.weights import hub
from srkit.weights.checkpoints import changed_plugins, plugins_of, read_state
from srkit.weights.files import fetch, is_cached, published_of
from srkit.weights.runs import checkpoint_of, name_of_run
from srkit.weights.transfer import starting_head, starting_weights, warm_start

#: The parts of the data of a recipe.
SPLITS = ("train", "validation", "test")

#: Sections whose components are the same for all scales of a recipe.
SHARED = ("generator", "discriminator", "teachers")

#: Hint if the data of a recipe cannot be used whose `sample` block is not applied.
OFFER = "to try the recipe on a few data that need no download, add --sample"

#: Kinds whose networks are built from options alone, without a file of weights.
NETWORKS = ("generators", "discriminators")

#: Kinds of components that are built only to train.
OF_TRAINING = ("optimisers", "schedules", "trackers")

#: Keys of a recipe that decide how an image is restored.
RESTORING = (
    "name",
    "seed",
    "scale",
    "channels",
    "generator",
    "uncertainty",
    "stretch",
    "constraint",
)


def read(
    path: Path,
    registry: Registry,
    overrides: Sequence[str],
    *,
    sample: bool,
    splits: Sequence[str] | None = None,
) -> Recipe:
    """Read a recipe file; problems of components are reported together with all others.

    Parameters
    ----------
    path, overrides, sample
        As for :func:`srkit.recipe.recipe.load_recipe`.
    registry
        Source of the components.
    splits
        The data sets that will be built from the recipe; None if nothing will be built.

    Raises
    ------
    RecipeError
        With every wrong key and value. If there are any, the components without one are built,
        unless they have to be downloaded, so that their problems are reported, too.
    """
    tree = load_tree(path, overrides, sample=sample)
    return parse(tree, registry, str(path), splits=splits)


def parse(
    tree: Mapping[str, Any],
    registry: Registry,
    source: str,
    *,
    splits: Sequence[str] | None = None,
) -> Recipe:
    """Check a recipe that is already merged to one tree, as :func:`read` checks a file."""
    try:
        return parse_recipe(tree, source)
    except RecipeError as error:
        if error.rest is None:
            raise
        more, components = _check_options(error.rest, registry)
        # Every component depends on these two.
        misled = any(p.startswith(("scale:", "channels:")) for p in error.problems)
        if splits is not None and not misled:
            assembly, unbuilt = _build(error.rest, components, registry, splits)
            more += unbuilt + check_fit(assembly)
        raise RecipeError(error.source, [*error.problems, *more]) from None


def complete(
    recipe: Recipe, registry: Registry, source: str
) -> tuple[Recipe, dict[str, Component]]:
    """Check the options of every component, and write their defaults into the recipe.

    Returns
    -------
    recipe
        With all options of all components.
    components
        By their path in the recipe.

    Raises
    ------
    RecipeError
        With every unknown component and wrong option.
    """
    recipe = recipe.model_copy(deep=True)
    problems, components = _check_options(recipe, registry)
    problems = [*cross_check(recipe), *problems]
    if problems:
        raise RecipeError(source, problems)
    return recipe, components


def _check_options(recipe: Recipe, registry: Registry) -> tuple[list[str], dict[str, Component]]:
    """Find the components and check their options; defaults are written into the recipe."""
    problems: list[str] = []
    components: dict[str, Component] = {}
    for path, kind, spec in recipe.components():
        try:
            component = registry.get(kind, spec.type)
            options = validate(component.factory, spec.options)
        except PluginError as error:
            problems.append(f"{path}.type: {error}")
        except ValidationError as error:
            model = options_model(component.factory)
            problems += explain(error, path, model, beside=type(spec).model_fields)
        except (TypeError, NameError) as error:
            problems.append(
                f"{path}: '{spec.type}' of {component.distribution} has parameters that a recipe "
                f"cannot set: {error}"
            )
        else:
            components[path] = component
            spec.__pydantic_extra__ = options
    return problems, components


def assemble(
    recipe: Recipe,
    registry: Registry,
    source: str,
    *,
    splits: Sequence[str],
    download: bool = True,
) -> Assembly:
    """Build every component of a recipe, except those that wait for the runs that it needs.

    Parameters
    ----------
    recipe
        The recipe, which is not changed.
    registry
        Source of the components.
    source
        Names the recipe in errors.
    splits
        The data sets to build: of :data:`SPLITS`, or one of several such as ``test.set5``.
    download
        Whether to build components that have to be downloaded first, once all others are built
        and checked; otherwise they are listed.

    Raises
    ------
    RecipeError
        With everything that is unknown, wrong or cannot be built.
    """
    recipe = recipe.model_copy(deep=True)
    problems, components = _check_options(recipe, registry)
    assembly, unbuilt = _build(recipe, components, registry, splits)
    found = [*cross_check(recipe), *check_trained(recipe)]
    problems = [*found, *problems, *unbuilt, *_check_together(assembly)]
    if not problems and download and assembly.downloads:
        problems = [*_build_awaited(assembly, components, registry), *_check_together(assembly)]
    if problems:
        lacks_data = any(problem.startswith("data.") for problem in unbuilt)
        raise RecipeError(source, problems, hint=OFFER if lacks_data and recipe.sample else "")
    if not download:
        assembly.downloads |= _awaited_weights(assembly)
    return assembly


def _check_together(assembly: Assembly) -> list[str]:
    """Return why the components that are built do not fit together."""
    return [
        *check_teachers(assembly),
        *check_stretch(assembly.recipe),
        *check_uncertainty(assembly),
        *check_observation(assembly),
        *check_required(assembly),
        *check_average(assembly),
        *check_fit(assembly),
    ]


def assemble_restoring(tree: Mapping[str, Any], registry: Registry, source: str) -> Assembly:
    """Build the components that restore images, without those of training and evaluation.

    Parameters
    ----------
    tree
        The recipe of a run, as its checkpoints contain it; only :data:`RESTORING` is used.
    registry
        Source of the components.
    source
        Names the checkpoint in errors.

    Raises
    ------
    RecipeError
        With everything that is unknown, wrong or cannot be built.
    """
    return assemble_parts(tree, RESTORING, registry, source)


def assemble_parts(
    tree: Mapping[str, Any],
    keys: Sequence[str],
    registry: Registry,
    source: str,
    *,
    splits: Sequence[str] = (),
    download: bool = True,
) -> Assembly:
    """Build the components under some keys of a recipe.

    Parameters
    ----------
    tree
        The recipe.
    keys
        The keys to use; `name` is one of them.
    registry
        Source of the components.
    source
        Names the recipe in errors.
    splits
        The data sets to build.
    download
        Whether to build components that have to be downloaded first.

    Raises
    ------
    RecipeError
        With everything that is unknown, wrong or cannot be built.
    """
    recipe = parse_recipe({key: tree[key] for key in keys if key in tree}, source)
    problems, components = _check_options(recipe, registry)
    assembly, unbuilt = _build(recipe, components, registry, splits)
    problems += unbuilt
    if not problems and download:
        problems = _build_awaited(assembly, components, registry)
    if problems:
        raise RecipeError(source, problems)
    return assembly


def assemble_trained(checkpoint: Path, registry: Registry, scale: float | None = None) -> Assembly:
    """Build what restores images as a run trained it, with its weights, for one scale.

    Parameters
    ----------
    checkpoint
        A checkpoint of srkit.
    registry
        Source of the components.
    scale
        Of several scales the smallest that is not below this is chosen, or else the largest; None
        if there is only one.

    Raises
    ------
    WeightsError
        If the file is damaged or not a checkpoint of a generator, or has several scales of which
        none is chosen.
    RecipeError
        If a component of its recipe cannot be built.
    """
    state, source = read_state(checkpoint), str(checkpoint)
    if state is None:
        raise WeightsError(f"{source}: not a checkpoint of srkit")
    try:
        whole = assemble_restoring(state["recipe"], registry, source)
    except RecipeError as error:
        raise _with_missing(error, state, registry) from None
    generator: Any = whole.generator
    if generator is None:
        raise WeightsError(f"{source}: a checkpoint without a generator")
    scales = whole.recipe.scales
    if len(scales) > 1 and scale is None:
        raise WeightsError(f"{source}: a model of the {list_scales(scales)}; say which")
    assembly = whole.by_scale[smallest_above(scales, scale or 0)]
    assembly.remarks += changed_plugins(source, state, assembly.distributions)
    set_scale(generator, assembly.scale)
    warm_start(generator, starting_weights(source, generator), source)
    generator.eval().requires_grad_(False)
    head = starting_head(source)
    if head is None:  # as of an interpolation of two networks
        assembly.uncertainty = None
    elif assembly.uncertainty is not None:
        warm_start(assembly.uncertainty, head, source)
        assembly.uncertainty.eval().requires_grad_(False)
    return assembly


def _with_missing(error: RecipeError, state: Mapping[str, Any], registry: Registry) -> RecipeError:
    """Name the plugins that trained weights, if they are not installed."""
    trained, here = plugins_of(state), registry.distributions
    missing = [f"{name} {version}" for name, version in trained.items() if name not in here]
    if not missing or not any(".type: unknown " in problem for problem in error.problems):
        return error
    problem = f"it was trained with {' and '.join(missing)}, which is not installed; install it"
    return RecipeError(error.source, [*error.problems, problem])


def assemble_published(name: str, registry: Registry) -> Assembly:
    """Build a generator with published weights, and what belongs to them.

    Parameters
    ----------
    name
        Name of the weights, one of :func:`published_models`.
    registry
        Source of the components.

    Raises
    ------
    WeightsError
        If the weights cannot be downloaded.
    RecipeError
        If a component cannot be built.
    """
    component, weights = published_models(registry)[name]
    settings = dict(weights.settings)
    own = {key: settings.pop(key) for key in ("scale", "channels")}
    label = name.replace("/", "-")  # of the weights of a distribution
    tree = {"name": label, **own, "generator": {"type": component.name, **settings}}
    assembly = assemble_restoring({**tree, **weights.sections}, registry, name)
    generator: Any = assembly.generator
    tensors = starting_weights(str(fetch(name, weights)), generator)
    warm_start(generator, tensors, name)
    generator.eval().requires_grad_(False)
    return assembly


def open_network(path: Path, *, registry: Registry, scale: int) -> TrainedNetwork:
    """Open a trained network with which SR can be compared.

    Parameters
    ----------
    path
        A run folder (its best checkpoint, else its last), a checkpoint, or the name of published
        weights.
    registry, scale
        As for :func:`assemble_trained`; a network of another scale is refused.

    Raises
    ------
    SrkitError
        As for :func:`assemble_trained` and :func:`assemble_published`.
    """
    path = Path(hub.local(str(path)))
    with torch.random.fork_rng(devices=[]):  # fresh weights are drawn, then replaced
        if not path.exists() and str(path) in published_models(registry):
            assembly = assemble_published(str(path), registry)
        else:
            checkpoint = checkpoint_of(path) if path.is_dir() else path
            assembly = assemble_trained(checkpoint, registry, scale)
    if assembly.scale != scale:
        raise WeightsError(f"{path}: a model of scale {assembly.scale}; expected scale {scale}")
    return TrainedNetwork(name_of_run(path), partial(_restore, assembly))


def _restore(assembly: Assembly, batch: Batch) -> Tensor:
    """Restore a batch by a trained generator, from flux to flux."""
    generator: Any = assembly.generator
    view = View.of(batch, assembly.stretch)
    with torch.no_grad():
        sr = restore(generator.to(batch.hr.device), view, assembly.constraint)
        return view.to_flux(sr)


def _build(
    recipe: Recipe,
    components: Mapping[str, Component],
    registry: Registry,
    splits: Sequence[str],
) -> tuple[Assembly, list[str]]:
    """Build the components that have no problem so far, and return further problems.

    Those that have to be downloaded first are listed as such, see :func:`_build_awaited`.
    """
    by_scale = {scale: Assembly(recipe, scale) for scale in recipe.scales}
    first = by_scale[recipe.scales[0]]
    for assembly in by_scale.values():
        assembly.by_scale = by_scale
    problems: list[str] = []
    for path, _, spec in recipe.components():
        section, _, name = path.partition(".")
        if path not in components or any(references(spec.options)):
            continue
        if section == "data" and not any(f"{name}.".startswith(f"{split}.") for split in splits):
            continue
        if components[path].kind in OF_TRAINING and "train" not in splits:
            continue
        with _reported(path, problems):
            if awaited := downloads(components[path].factory, spec.options):
                first.downloads[path] = awaited
            else:
                _add(first, path, components[path], spec, registry)
    if recipe.uncertainty is not None:
        torch.manual_seed(recipe.seed)
        features = recipe.uncertainty.features
        try:
            with bounded({"features": features}):
                head = VarianceHead(channels=recipe.channels, features=features)
        except TooLargeError as error:
            problems.append(f"uncertainty: {error}")
        else:
            for assembly in by_scale.values():
                assembly.uncertainty = head
    return first, problems


def _build_awaited(
    assembly: Assembly, components: Mapping[str, Component], registry: Registry
) -> list[str]:
    """Download and build the components that :func:`_build` listed, and return their problems."""
    recipe, problems = assembly.recipe, list[str]()
    specs = {path: spec for path, _, spec in recipe.components()}
    for path in assembly.downloads:
        with _reported(path, problems):
            _add(assembly, path, components[path], specs[path], registry)
    assembly.downloads.clear()
    for part in assembly.by_scale.values():  # in the order of the recipe, as in one pass
        for section in ("teachers", "losses", "metrics"):
            found = getattr(part, section)
            names = (name for name in getattr(recipe, section) if name in found)
            setattr(part, section, {name: found[name] for name in names})
    return problems


@contextmanager
def _reported(path: str, problems: list[str]) -> Iterator[None]:
    """Append the reason if a component cannot be built."""
    try:
        yield
    except (ValueError, SrkitError) as error:
        problems.append(f"{path}: {error}")
    except OSError as error:  # such as a name that is too long
        problems.append(f"{path}: {str(error.filename)[:200]}: {error.strerror}")


def _add(first: Assembly, path: str, origin: Component, spec: Spec, registry: Registry) -> None:
    """Build a component for every scale, and place it."""
    recipe, by_scale, factory = first.recipe, first.by_scale, origin.factory
    own = not supplied_parameters(factory).isdisjoint({"scale", "open_network"})
    if own and path.partition(".")[0] in SHARED and len(by_scale) > 1:
        raise ValueError(
            f"'{spec.type}' is built for one scale, but the recipe has the "
            f"{list_scales(recipe.scales)}; choose one for several, such as mdsr, or one scale"
        )
    component: Any = None
    for scale, assembly in by_scale.items():
        if own or component is None:
            supplied: dict[str, Any] = {
                "channels": recipe.channels,
                "formats": Formats.of(registry),
                "scale": scale,
                "scales": recipe.scales,
                "least_side": _least_side(recipe, path),
                "open_network": partial(open_network, registry=registry, scale=scale),
            }
            component = _build_one(recipe, origin, spec, supplied)
        assembly.origins[path] = origin
        _place(assembly, path, origin.kind, component)


def _build_one(recipe: Recipe, origin: Component, spec: Spec, supplied: Mapping[str, Any]) -> Any:
    """Build a component, and check its members and that it leaves torch's default type."""
    dtype = torch.get_default_dtype()
    bounds = {"scale": supplied["scale"], "channels": recipe.channels, **spec.options}
    with blaming(origin), bounded(bounds):
        try:
            if origin.kind in NETWORKS:
                try_without_memory(origin.factory, spec.options, supplied)
            # A network's first weights depend on nothing else.
            torch.manual_seed(recipe.seed)
            component = build(origin.factory, spec.options, **supplied)
        except SystemExit as error:
            raise ContractError(f"exits when it is built ({error})") from error
        else:
            found = torch.get_default_dtype()
            require(found is dtype, f"changes the default type of torch from {dtype} to {found}")
        finally:
            torch.set_default_dtype(dtype)
        # An optimiser takes a step, for which torch imports its compiler; srkit's own are tested.
        if origin.kind != "optimisers" or origin.distribution != OWN:
            require_component(component, origin.kind)
        if origin.kind == "generators":
            wanted = {"scale": supplied["scale"], "channels": recipe.channels}
            for key, value in wanted.items():
                own = getattr(component, key)
                require(own == value, f"its {key} is {own}, but it is built for {key} {value}")
    return component


def _awaited_weights(assembly: Assembly) -> dict[str, list[str]]:
    """List the published weights that a run of the recipe will download."""
    recipe, generator = assembly.recipe, assembly.generator
    named = {f"evaluation.models.{name}": given for name, given in recipe.evaluation.models.items()}
    if recipe.start is not None:
        named["start.weights"] = recipe.start.weights
    published = published_of(generator)
    awaited = {
        path: [published[given].url]
        for path, given in named.items()
        if given in published and not is_cached(published[given])
    }
    on_hub = {path: given for path, given in named.items() if hub.is_on_hub(given)}
    return awaited | {path: [given] for path, given in on_hub.items() if not hub.is_cached(given)}


def _least_side(recipe: Recipe, path: str) -> int:
    """Return the side in HR pixels that images of a data set need for a crop at every scale."""
    source = recipe.data.train
    if source is None or not path.startswith("data.train."):
        return 0
    return max(source.hr_crop(scale) or 0 for scale in recipe.scales)


def _place(assembly: Assembly, path: str, kind: str, component: Any) -> None:
    section, _, name = path.partition(".")
    if kind == "optimisers":
        assembly.optimisers[path] = component
    elif kind == "schedules":
        assembly.schedule = component
    elif kind == "trackers":
        assembly.trackers[name.partition(".")[2]] = component
    elif kind == "games":
        assembly.game = component
    elif kind == "augmentations":
        assembly.augmentations[path] = component
    elif section == "data":
        place = name.removesuffix(".dataset")
        group = assembly.mixed_in if place.endswith(".mix") else assembly.data
        group[place.removesuffix(".mix")] = component
    elif section == "evaluation":
        spec: Any = assembly.recipe.evaluation.baselines[int(name.rpartition(".")[2])]
        assembly.baselines[spec.type] = component
    elif section == "degradation" and name:
        earlier = getattr(assembly.degradation, "steps", ())
        origins = [assembly.origins.get(f"degradation.{i}") for i in range(len(earlier) + 1)]
        assembly.degradation = Chain([*earlier, component], origins)
    elif name:
        getattr(assembly, section)[name] = component
    else:
        setattr(assembly, section, component)
