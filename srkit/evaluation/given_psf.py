"""A PSF that the user states, in place of that of the recipe's metrics."""

from __future__ import annotations

from pathlib import Path

from srkit.assembly.assembly import Assembly
from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.interfaces import Image, ObservedFormat, Observing, ObservingMetric


def observe_by(assembly: Assembly, psf: str, registry: Registry) -> None:
    """Replace the PSF of LR in the metrics that observe SR; that of HR remains.

    Parameters
    ----------
    assembly
        The components of a recipe, whose first test image states the size of LR pixels.
    psf
        The PSF of LR, as for `srkit upscale --check`.
    registry
        The available components.

    Raises
    ------
    DataError
        If no metric observes SR, the PSF cannot be used, or there are several test sets.
    """
    found = {
        name: metric
        for name, metric in assembly.metrics.items()
        if isinstance(metric, ObservingMetric)
    }
    if not found:
        raise DataError(
            "--psf: no metric of the recipe observes SR as LR; add one, such as "
            "'metrics.reduced_chi_square={}'"
        )
    reader = next(each for each in Formats.of(registry) if isinstance(each, ObservedFormat))
    if "test" not in assembly.data:
        raise DataError(
            f"--psf: got one PSF for several test sets ({', '.join(assembly.data)}); set data.test "
            "to one of them"
        )
    sample = next(iter(assembly.data.values()))[0]
    side = sample.pixel_scale
    known = {} if side is None else {"pixel_scale": side * assembly.scale}
    lr = Image(sample.hr if sample.lr is None else sample.lr, metadata=known)
    for name, metric in found.items():
        parts = (metric, assembly.constraint)
        stated = (each.observation for each in parts if isinstance(each, Observing))
        own = next(filter(None, stated), assembly.degradation)
        given = reader.observation(lr, Path(sample.name), psf, own)
        assembly.metrics[name] = metric.observed_by(given)
