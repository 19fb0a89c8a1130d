"""One way to name a model: a run, a checkpoint, weights of others, an interpolation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor, nn

from srkit.assembly.assembly import Assembly
from srkit.assembly.build import assemble_restoring, assemble_trained
from srkit.assembly.variance_head import VarianceHead
from srkit.components.options import build
from srkit.components.registry import Component, Registry
from srkit.data.scales import smallest_above
from srkit.errors import PluginError, WeightsError, nearest
from srkit.functional.resizing import Kernel, resize
from srkit.interfaces import Constraint, MultiScale, Published, Stretch
from srkit.interfaces.quantity import Quantity
from srkit.recipe.recipe import Recipe
from srkit.recipe.trees import override
from srkit.system.digests import digest_of_file
from srkit.weights.checkpoints import (
    checkpoint_of,
    read_state,
    starting_weights,
    warm_start,
)
from srkit.weights.files import fetch
from srkit.weights.hub import Reference, download, is_on_hub
from srkit.weights.runs import name_of_run

#: Interpolations that enlarge; `area` only repeats pixels then, as `nearest` does.
INTERPOLATIONS = tuple(kernel for kernel in get_args(Kernel) if kernel != "area")

#: The generator that reads weight files of other origins.
FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a model comes from; None where that does not apply.

    Parameters
    ----------
    path
        Its file.
    sha256
        Checksum of the file, hexadecimal.
    recipe
        Name of the recipe that it was trained by.
    srkit
        Version of srkit that it was trained with.
    """

    path: Path | None = None
    sha256: str | None = None
    recipe: str | None = None
    srkit: str | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A network that is ready to restore images, or an interpolation.

    Parameters
    ----------
    name
        What tables call it.
    generator
        From LR to SR, as :class:`srkit.interfaces.Generator`; in evaluation mode, on the CPU.
    scale
        Side of the SR image over the side of the LR image.
    channels
        Channels of the images; None where any number will do.
    stretch, constraint
        What the network was trained behind, and what its answers keep of LR; None without.
    quantity
        What the pixel values are of the images that it was trained on.
    provenance
        Where it comes from.
    recipe
        What it can be built from again; None for foreign weights and interpolations.
    head
        Predicts the variance of SR, where the network was trained with one.
    """

    name: str
    generator: nn.Module
    scale: int
    channels: int | None
    stretch: Stretch | None = None
    constraint: Constraint | None = None
    quantity: Quantity = field(default_factory=Quantity)
    provenance: Provenance = Provenance()
    recipe: Recipe | None = None
    head: VarianceHead | None = None


class Interpolation(nn.Module):
    """An interpolation in a generator's place.

    Parameters
    ----------
    kernel
        One of :data:`INTERPOLATIONS`.
    scale
        Side of the SR image over the side of the LR image.
    """

    channels_last = False
    channels = None
    published: ClassVar[Mapping[str, Published]] = {}

    def __init__(self, kernel: Kernel, scale: int) -> None:
        super().__init__()
        self.kernel, self.scale = kernel, scale

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        return resize(lr, factor=self.scale, kernel=self.kernel)

    def stages(self) -> dict[str, nn.Module]:
        """Name no part: there is nothing to train."""
        return {}

    def adapt(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Take no weights."""
        return dict(tensors)


def open_model(
    reference: str | Path,
    registry: Registry,
    *,
    scale: int | None = None,
    at_least: float | None = None,
) -> Model:
    """Find a model by any of its names, and load it.

    Parameters
    ----------
    reference
        A run folder (its best checkpoint, else its last), a checkpoint of srkit, a weight file
        of another origin, ``hf:OWNER/NAME`` on the Hugging Face hub (see :mod:`srkit.weights.hub`),
        the name of published weights, or an interpolation: ``nearest``, ``bilinear``,
        ``bicubic`` or ``lanczos``. Averaged weights are taken where the run has them.
    registry
        Where components come from.
    scale
        The scale that is wanted; None takes the model's own, if it has but one.
    at_least
        Instead, for whoever resizes SR: of several scales the smallest that is not below this, or
        else the largest.

    Raises
    ------
    WeightsError
        If there is no such model, its file is damaged, it has another scale, or several of which
        none is chosen.
    RecipeError
        If a component of the checkpoint's recipe cannot be built here.
    PluginError
        If a package that it needs is missing.
    """
    text, path = str(reference), Path(reference)
    if text in INTERPOLATIONS:
        return _interpolation(text, at_least if scale is None else scale)
    with torch.random.fork_rng(devices=[]):  # fresh weights are drawn, then replaced
        model = _open(text, path, registry, at_least if scale is None else scale)
    if scale is not None and scale != model.scale:
        raise WeightsError(f"{text}: a model of scale {model.scale}; expected scale {scale}")
    return model


def _open(text: str, path: Path, registry: Registry, scale: float | None) -> Model:
    if is_on_hub(text):
        cached = download(text)
        model = _open(str(cached), cached, registry, scale)
        return replace(model, name=Reference.parse(text).name)
    if path.is_dir():
        return _trained(name_of_run(path), checkpoint_of(path), registry, scale)
    if path.is_file():
        if read_state(path) is None:
            return _foreign(path, registry)
        return _trained(name_of_run(path), path, registry, scale)
    return _published(text, registry)


def _interpolation(kernel: Any, wanted: float | None) -> Model:
    if wanted is None:
        raise WeightsError(f"'{kernel}' enlarges by any scale; say by which")
    scale = math.ceil(wanted)
    return Model(kernel, Interpolation(kernel, scale).eval(), scale, None)


def find_model(
    reference: str,
    registry: Registry,
    options: Sequence[str] = (),
    *,
    scale: int | None = None,
    channels: int | None = None,
) -> Model:
    """Build a registered generator afresh, or else :func:`open_model`.

    Parameters
    ----------
    reference, registry, scale
        As :func:`open_model` takes them, or the name of a generator.
    options, channels
        As :func:`fresh_model` takes them: only for a generator.

    Raises
    ------
    SrkitError
        As those two do; also if options are given for something else than a generator.
    """
    if reference in registry.names("generators"):
        return fresh_model(reference, registry, options, scale=scale, channels=channels)
    if options or channels:
        raise PluginError(
            f"'{reference}' is no generator; options and channels are for those alone"
        )
    return open_model(reference, registry, scale=scale)


def fresh_model(
    name: str,
    registry: Registry,
    options: Sequence[str] = (),
    *,
    scale: int | None = None,
    channels: int | None = None,
) -> Model:
    """Build a registered generator with fresh weights.

    Parameters
    ----------
    name
        The generator's.
    registry
        Where it comes from.
    options
        ``key=value`` each.
    scale, channels
        As a recipe has them; its defaults where they are None.

    Raises
    ------
    RecipeError
        With everything that is wrong with the options, the scale and the channels.
    """
    given = {"scale": scale, "channels": channels}
    tree: Mapping[str, Any] = {k: v for k, v in given.items() if v is not None}
    tree = {"name": name, **tree, "generator": {"type": name}}
    tree = override(tree, [f"generator.{option}" for option in options], name)
    with torch.random.fork_rng(devices=[]):
        return _assembled(name, assemble_restoring(tree, registry, name), Provenance(), Quantity())


def native_scale(model: Model, wanted: float) -> int:
    """Tell which of a model's own scales :func:`open_model` takes where `wanted` is wanted."""
    if isinstance(model.generator, Interpolation):
        return math.ceil(wanted)
    if isinstance(model.generator, MultiScale):
        return smallest_above(model.generator.scales, wanted)
    return model.scale


def _trained(name: str, path: Path, registry: Registry, wanted: float | None) -> Model:
    """Open a checkpoint of srkit, which contains its recipe."""
    assembly = assemble_trained(path, registry, wanted)
    state = read_state(path)
    assert state is not None
    if state.get("quantity") is None:
        raise WeightsError(
            f"{path}: does not say what its training images' values were; train it with this "
            "version of srkit"
        )
    trained_with = state["versions"]["srkit"]
    provenance = Provenance(path, digest_of_file(path), assembly.recipe.name, trained_with)
    model = _assembled(name, assembly, provenance, Quantity.parse(state["quantity"]))
    return replace(model, head=assembly.uncertainty)


def _assembled(name: str, assembly: Assembly, provenance: Provenance, quantity: Quantity) -> Model:
    """Make a model of what was built from a recipe."""
    generator: Any = assembly.generator
    return Model(
        name,
        generator.eval().requires_grad_(False),
        generator.scale,
        generator.channels,
        assembly.stretch,
        assembly.constraint,
        quantity,
        provenance,
        assembly.recipe,
    )


def _foreign(path: Path, registry: Registry) -> Model:
    """Open a weight file that does not say of itself what network it is for."""
    factory = registry.get("generators", FOREIGN).factory
    generator = build(factory, {"weights": path}, scale=None, channels=None)
    generator.eval().requires_grad_(False)
    provenance = Provenance(path, digest_of_file(path))
    return Model(path.stem, generator, generator.scale, generator.channels, provenance=provenance)


def _published(name: str, registry: Registry) -> Model:
    """Open weights that a generator publishes under a name, downloading them the first time."""
    known = published_models(registry)
    if name not in known:
        raise WeightsError(
            f"'{name}' is no run folder, weight file, published name or interpolation; "
            f"{nearest(name, [*INTERPOLATIONS, *known])}"
        )
    component, weights = known[name]
    settings = dict(weights.settings)
    own = {key: settings.pop(key) for key in ("scale", "channels")}
    generator = {"type": component.name, **settings}
    tree = {"name": name, **own, "generator": generator, **weights.sections}
    assembly = assemble_restoring(tree, registry, name)
    assert assembly.generator is not None
    path = fetch(name, weights)
    model = _assembled(name, assembly, Provenance(path, digest_of_file(path)), Quantity())
    warm_start(model.generator, starting_weights(name, assembly.generator), name)
    return model


def published_models(registry: Registry) -> dict[str, tuple[Component, Published]]:
    """Name the weights that generators publish, with the generator of each."""
    found: dict[str, tuple[Component, Published]] = {}
    for component in registry.components("generators"):
        try:
            weights: Mapping[str, Published] = getattr(component.factory, "published", {})
        except PluginError:
            continue  # its own use tells what is wrong with it
        found |= {name: (component, one) for name, one in weights.items()}
    return found
