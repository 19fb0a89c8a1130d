"""Open a model by its name: a run, a checkpoint, a third-party weight file, an interpolation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor, nn

from srkit.assembly.assembly import Assembly
from srkit.assembly.build import assemble_published, assemble_restoring, assemble_trained
from srkit.assembly.published import importable_generators, published_models
from srkit.assembly.variance_head import VarianceHead
from srkit.components.options import build
from srkit.components.registry import OWN, Registry
from srkit.data.scales import smallest_above
from srkit.errors import WeightsError, nearest
from srkit.functional.resizing import Kernel, resize
from srkit.interfaces import Constraint, MultiScale, Stretch
from srkit.interfaces.quantity import Quantity
from srkit.recipe.recipe import Recipe
from srkit.recipe.trees import override
from srkit.system.digests import digest_of_file
from srkit.weights.checkpoints import read_state
from srkit.weights.files import fetch
from srkit.weights.hub import Reference, download, is_on_hub
from srkit.weights.runs import checkpoint_of, name_of_run

#: Interpolations that enlarge images, without `area`, which then is the same as `nearest`.
INTERPOLATIONS = tuple(kernel for kernel in get_args(Kernel) if kernel != "area")


@dataclass(frozen=True, slots=True)
class Provenance:
    """The origin of a model; None for what does not apply.

    Parameters
    ----------
    path
        Its file.
    sha256
        Checksum of the file, hexadecimal.
    recipe
        Name of the recipe of its training.
    srkit
        Version of srkit that trained it.
    """

    path: Path | None = None
    sha256: str | None = None
    recipe: str | None = None
    srkit: str | None = None

    def dump(self) -> dict[str, Any]:
        """Return the origin as plain data."""
        return asdict(self) | {"path": None if self.path is None else str(self.path)}


@dataclass(frozen=True, slots=True)
class Model:
    """A network that is ready to restore images, or an interpolation.

    Parameters
    ----------
    name
        Name in tables.
    generator
        From LR to SR, as :class:`srkit.interfaces.Generator`; in evaluation mode, on the CPU.
    scale
        Side of the SR image over the side of the LR image.
    channels
        Channels of the images; None for any number.
    stretch, constraint
        Those of the training, if any.
    quantity
        The pixel values of the images on which it was trained.
    provenance
        Its origin.
    recipe
        The recipe from which it was built; None for third-party weights and interpolations.
    head
        Predicts the variance of SR, if the network was trained with one.
    plugins
        Versions of the distributions of plugins that it was built from.
    notes
        Lines for the user, such as on a plugin whose version changed since the training.
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
    plugins: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


#: Defaults of models that were not trained by a run.
UNKNOWN, PHOTOGRAPHS = Provenance(), Quantity()


class Interpolation(nn.Module):
    """An interpolation with the interface of a generator.

    Parameters
    ----------
    kernel
        One of :data:`INTERPOLATIONS`.
    scale
        Side of the SR image over the side of the LR image.
    """

    channels_last = False

    def __init__(self, kernel: Kernel, scale: int) -> None:
        super().__init__()
        self.kernel, self.scale = kernel, scale

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        return resize(lr, factor=self.scale, kernel=self.kernel)

    def stages(self) -> dict[str, nn.Module]:
        """Return no stages, since there is nothing to train."""
        return {}


def open_model(
    reference: str | Path,
    registry: Registry,
    *,
    scale: int | None = None,
    at_least: float | None = None,
) -> Model:
    """Open a model by its name.

    Parameters
    ----------
    reference
        A run folder (its best checkpoint, otherwise its last), a checkpoint of srkit, a third-party
        weight file, ``hf:OWNER/NAME`` on the Hugging Face hub (see :mod:`srkit.weights.hub`), the
        name of published weights, or an interpolation: ``nearest``, ``bilinear``, ``bicubic`` or
        ``lanczos``. Averaged weights are used if the run has them.
    registry
        Where components come from.
    scale
        The required scale; None for the only scale of the model.
    at_least
        Use instead of `scale` if SR will be resized: chooses the smallest of several scales that is
        not below this, otherwise the largest.

    Raises
    ------
    WeightsError
        If there is no such model, its file is damaged, it has another scale, or it has several
        scales of which none is chosen.
    RecipeError
        If a component of the checkpoint's recipe cannot be built.
    PluginError
        If a package that it needs is missing.
    """
    text, path = str(reference), Path(reference)
    if text in INTERPOLATIONS:
        return _interpolation(text, at_least if scale is None else scale)
    with torch.random.fork_rng(devices=[]):  # random weights are drawn, then replaced
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
        raise WeightsError(f"'{kernel}' enlarges by any scale; give the scale")
    scale = math.ceil(wanted)
    return Model(kernel, Interpolation(kernel, scale).eval(), scale, None)


def fresh_model(
    name: str,
    registry: Registry,
    options: Sequence[str] = (),
    *,
    scale: int | None = None,
    channels: int | None = None,
) -> Model:
    """Build a generator with random weights.

    Parameters
    ----------
    name
        Name of the generator.
    registry
        Where it comes from.
    options
        ``key=value`` each.
    scale, channels
        As in a recipe; None for the defaults of a recipe.

    Raises
    ------
    RecipeError
        With every problem of the options, the scale and the channels.
    """
    label = name.replace("/", "-")
    given = {"name": label, "scale": scale, "channels": channels, "generator": {"type": name}}
    tree = {key: value for key, value in given.items() if value is not None}
    tree = override(tree, [f"generator.{option}" for option in options], name)
    with torch.random.fork_rng(devices=[]):
        return _assembled(label, assemble_restoring(tree, registry, name))


def native_scale(model: Model, wanted: float) -> int:
    """Return the scale of a model that :func:`open_model` chooses for at least `wanted`."""
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
            f"{path}: does not record the range and unit of its training images; retrain it with "
            "this version of srkit"
        )
    trained_with = state["versions"]["srkit"]
    provenance = Provenance(path, digest_of_file(path), assembly.recipe.name, trained_with)
    return _assembled(name, assembly, provenance, Quantity.parse(state["quantity"]))


def _assembled(
    name: str,
    assembly: Assembly,
    provenance: Provenance = UNKNOWN,
    quantity: Quantity = PHOTOGRAPHS,
) -> Model:
    """Return the built components of a recipe as a model."""
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
        assembly.uncertainty,
        {name: version for name, version in assembly.distributions.items() if name != OWN},
        tuple(assembly.remarks),
    )


def _foreign(path: Path, registry: Registry) -> Model:
    """Open a third-party weight file by the generator that recognises its network."""
    factories = (factory for _, factory in importable_generators(registry))
    readers = (each for each in factories if getattr(each, "reads_foreign_weights", False))
    factory = next(readers, None)
    if factory is None:
        raise WeightsError(f"{path}: not a checkpoint of srkit, and no generator reads other files")
    generator = build(factory, {"weights": path}, scale=None, channels=None)
    generator.eval().requires_grad_(False)
    provenance = Provenance(path, digest_of_file(path))
    return Model(path.stem, generator, generator.scale, generator.channels, provenance=provenance)


def _published(name: str, registry: Registry) -> Model:
    """Open the published weights of a generator, which are downloaded when first used."""
    known = published_models(registry)
    if name not in known:
        raise WeightsError(
            f"'{name}' is not a run folder, weight file, published name or interpolation; "
            f"{nearest(name, [*INTERPOLATIONS, *known])}"
        )
    path = fetch(name, known[name][1])
    assembly = assemble_published(name, registry)
    return _assembled(assembly.recipe.name, assembly, Provenance(path, digest_of_file(path)))
