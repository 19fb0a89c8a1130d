"""Functions that restore a batch: interpolation, networks, and networks with an uncertainty."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from srkit.assembly.assembly import Assembly
from srkit.assembly.device import autocast
from srkit.assembly.restore import restore
from srkit.assembly.uncertainty import Estimate, estimate
from srkit.assembly.variance_head import VarianceHead
from srkit.data.scales import set_scale
from srkit.errors import DataError
from srkit.functional.resizing import Kernel, to_hr_grid
from srkit.interfaces import Batch, Constraint
from srkit.interfaces.view import View

#: Restores the LR of a batch on the grid of HR, in flux, optionally with standard deviations.
Restorer = Callable[[Batch], Tensor | Estimate]


def baseline(name: str) -> Restorer:
    """Return a restorer without a network: ``original``, or an interpolation by name."""
    if name == "original":
        return lambda batch: batch.hr
    kernel: Kernel = name  # type: ignore[assignment]

    def interpolate(batch: Batch) -> Tensor:
        assert batch.lr is not None
        return to_hr_grid(batch.lr, batch, kernel)

    return interpolate


def baselines(assembly: Assembly) -> dict[str, Restorer]:
    """Return the baselines of a recipe by name, in its order."""
    names = [b if isinstance(b, str) else b.type for b in assembly.recipe.evaluation.baselines]
    return {name: refined(assembly).get(name) or baseline(name) for name in names}


def refined(assembly: Assembly) -> dict[str, Restorer]:
    """Return the baselines that are constraints: each changes the bicubic interpolation."""
    bicubic = baseline("bicubic")

    def refine(name: str, constraint: Constraint, batch: Batch) -> Tensor:
        try:
            return constraint(image_of(bicubic(batch)), batch)
        except ValueError as error:
            where = f"evaluation.baselines: {name} on {batch.names[0]}"
            raise DataError(f"{where}: {error}") from error

    return {name: partial(refine, name, each) for name, each in assembly.baselines.items()}


def network(generator: Callable[[Tensor], Tensor], assembly: Assembly) -> Restorer:
    """Return a restorer that runs a generator in the precision of the recipe."""

    def run(batch: Batch) -> Tensor:
        set_scale(generator, assembly.scale)
        view = View.of(batch, assembly.stretch)
        with autocast(assembly, batch.hr.device), assembly.blamed("constraint"):
            sr = restore(assembly.checked(generator), view, assembly.constraint)
        return view.to_flux(sr)

    return run


def estimator(
    generator: Callable[[Tensor], Tensor], assembly: Assembly, head: VarianceHead | None = None
) -> Restorer:
    """Return a restorer that estimates standard deviations, by a head or the self-ensemble."""

    def run(batch: Batch) -> Estimate:
        set_scale(generator, assembly.scale)
        view = View.of(batch, assembly.stretch)
        with autocast(assembly, batch.hr.device), assembly.blamed("constraint"):
            return estimate(assembly.checked(generator), view, assembly.constraint, head)

    return run


def image_of(restored: Tensor | Estimate) -> Tensor:
    """Return the image that a restorer returned, without standard deviations."""
    return restored.sr if isinstance(restored, Estimate) else restored
