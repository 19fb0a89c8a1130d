"""The PSF of `srkit eval --psf`."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from srkit_astro.instruments.psf import GaussianPsf, MoffatPsf
from srkit_astro.metrics.consistency import ReducedChiSquare

from srkit.assembly.assembly import Assembly
from srkit.assembly.build import assemble
from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.evaluation.given_psf import observe_by
from srkit.interfaces import Batch
from srkit.recipe.recipe import parse_recipe

MOFFAT = {"type": "moffat", "fwhm": 0.2, "beta": 2.5}
TREE: dict[str, Any] = {
    "name": "small",
    "scale": 2,
    "channels": 1,
    "generator": {"type": "edsr", "blocks": 1, "features": 4},
    "losses": {"l1": {"weight": 1}},
    "metrics": {"reduced_chi_square": {"psf": {"type": "gaussian", "fwhm": 0.5}}},
    "data": {"test": {"dataset": {"type": "lens_simulation", "length": 1, "size": 24}}},
}


def assembled(registry: Registry, **changes: Any) -> Assembly:
    recipe = parse_recipe(deepcopy(TREE) | changes, "test.yaml")
    return assemble(recipe, registry, "test.yaml", splits=("test",))


def chi_square(metric: Any, assembly: Assembly) -> float:
    sample = assembly.data["test"][0]
    assert sample.lr is not None and sample.variance is not None
    lr, variance = sample.lr[None], sample.variance[None]
    side = sample.pixel_scale
    batch = Batch(["a"], sample.hr[None], [0], lr, variance=variance, pixel_scale=side)
    return float(metric(sample.hr[None], batch))


@pytest.mark.parametrize(
    ("source", "text"), [(None, "0.7"), (MOFFAT, "4.1666667px"), (MOFFAT, "0.7arcsec")]
)
def test_the_psf_of_lr_is_replaced_and_that_of_hr_remains(
    registry: Registry, source: Any, text: str
) -> None:
    psf = TREE["metrics"]["reduced_chi_square"]["psf"]
    metrics = {"reduced_chi_square": {"psf": psf, "source": source, "border": 3}}
    assembly = assembled(registry, metrics=metrics)
    before = assembly.metrics["reduced_chi_square"]
    observe_by(assembly, text, registry)
    found = assembly.metrics["reduced_chi_square"]
    of_hr = None if source is None else MoffatPsf(**source)
    gaussian = GaussianPsf(type="gaussian", fwhm=0.7)
    expected = ReducedChiSquare(psf=gaussian, source=of_hr, border=3)
    value = chi_square(found, assembly)
    assert value == pytest.approx(chi_square(expected, assembly), rel=1e-5)
    assert abs(value / chi_square(before, assembly) - 1) > 0.01
    assert "observed with the gaussian PSF (fwhm 0.7" in str(getattr(found, "protocol", ""))


def test_what_cannot_be_observed(registry: Registry) -> None:
    stars = assembled(registry)
    message = r"^--psf stars: \S+ is not a file with stars; name a frame: --psf '{type: stars, file"
    with pytest.raises(DataError, match=message):
        observe_by(stars, "stars", registry)
    none = assembled(registry, metrics={"psnr": {}})
    message = "^--psf: no metric of the recipe observes SR as LR; add one, such as 'metrics.reduced"
    with pytest.raises(DataError, match=message):
        observe_by(none, "0.7", registry)
    averaged = assembled(registry, degradation={"type": "area"}, metrics={"reduced_chi_square": {}})
    with pytest.raises(DataError, match="has the PSF of LR, and is not observed with a PSF"):
        observe_by(averaged, "0.7", registry)


def test_one_psf_is_not_that_of_several_sets(registry: Registry) -> None:
    one = TREE["data"]["test"]
    assembly = assembled(registry, data={"test": {"near": one, "far": one}})
    with pytest.raises(DataError) as caught:
        observe_by(assembly, "0.7", registry)
    assert str(caught.value) == (
        "--psf: got one PSF for several test sets (test.near, test.far); set data.test to one of "
        "them"
    )
