"""A list of degradations: in order, each with seeds of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import yaml
from srkit_astro.instruments.degradations import PsfNoise
from srkit_photos.degradations.downscaling import Bicubic
from torch import Tensor

from srkit.assembly.build import assemble, complete
from srkit.assembly.chain import Chain, join, step_seeds
from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.errors import RecipeError
from srkit.interfaces import Degradation
from srkit.recipe.recipe import Recipe, load_recipe, parse_recipe
from srkit.recipe.schema import recipe_schema
from srkit.testing import check_degradation

STEPS = [{"type": "motion_blur", "length": [0, 5]}, {"type": "bicubic"}, {"type": "jpeg"}]


class Drawn:
    """Adds a number drawn from each seed."""

    factor = 1.0

    def __call__(self, hr: Tensor, seeds: Sequence[int]) -> Tensor:
        numbers = [torch.rand(1, generator=torch.Generator().manual_seed(s)) for s in seeds]
        return hr + torch.stack(numbers)[:, :, None, None]


def recipe(degradation: object) -> Recipe:
    return parse_recipe(
        {
            "name": "chain",
            "scale": 2,
            "degradation": degradation,
            "generator": {"type": "srcnn"},
            "losses": {"l1": {}},
        },
        "chain.yaml",
    )


def test_steps_are_applied_in_order(registry: Registry) -> None:
    hr = torch.rand(2, 3, 20, 26, generator=torch.Generator().manual_seed(0))
    chain = assemble(recipe(STEPS), registry, "chain.yaml", splits=()).degradation
    assert chain is not None
    assert chain.factor == 0.5
    expected = hr
    for number, step in enumerate(STEPS):
        options = {key: value for key, value in step.items() if key != "type"}
        factory = registry.get("degradations", str(step["type"])).factory
        built = build(factory, options, scale=2, channels=3)
        expected = built(expected, step_seeds([3, 4], number))
    assert torch.equal(chain(hr, [3, 4]), expected)
    check_degradation(chain)


def test_steps_have_different_seeds() -> None:
    hr = torch.zeros(2, 1, 2, 2)
    one, two, three = (Chain([Drawn()] * count)(hr, [5, 2**63 - 1]) for count in (1, 2, 3))
    assert torch.equal(one, Drawn()(hr, [5, 2**63 - 1]))
    assert len({round(float(x), 5) for x in (one[0, 0, 0, 0], *(two - one)[:, 0, 0, 0])}) == 3
    assert not torch.allclose(two - one, three - two)
    assert all(0 <= seed < 2**63 for seed in step_seeds(range(100), 1))


@pytest.mark.parametrize("factors", [(0.7, 0.7), (0.3, 0.9, 0.5), (1 / 3, 0.5)])
def test_sizes_follow_from_the_product_of_the_factors(factors: Sequence[float]) -> None:
    chain = Chain([Bicubic(scale=1, factor=factor) for factor in factors])
    for side in range(20, 60):
        lr = chain(torch.rand(1, 1, side, side + 1), [0])
        sides = tuple(math.ceil(math.prod(factors) * s - 1e-6) for s in (side, side + 1))
        assert lr.shape[-2:] == sides


def test_variance_and_pixel_scale() -> None:
    options = {"psf": {"type": "gaussian", "fwhm": 0.4}, "pixel_scale": 0.2}
    noise = {"exposure": 100, "gain": 2, "read_noise": 3}
    telescope: Degradation = build(PsfNoise, {**options, "noise": noise}, scale=2)
    chain = Chain([Bicubic(scale=2), telescope])
    assert chain.pixel_scale == 0.1  # HR's pixels are half as wide as those that the PSF sees
    lr = chain(torch.rand(1, 1, 16, 16), [7])
    expected = telescope.variance(lr, step_seeds([7], 1))  # type: ignore[attr-defined]
    found = chain.variance(lr, [7])
    assert found is not None
    assert torch.equal(found, expected)
    assert Chain([telescope, telescope]).variance(lr, [7]) is None
    assert Chain([telescope, Bicubic(scale=2)]).variance(lr, [7]) is None


def test_a_single_step_is_not_chained() -> None:
    only = Drawn()
    assert join([only]) is only


def test_a_list_is_read_completed_and_changed(tmp_path: Path, registry: Registry) -> None:
    path = tmp_path / "chain.yaml"
    path.write_text(yaml.safe_dump(recipe(STEPS).dump()))
    loaded = load_recipe(path, ["degradation.2.quality=[40, 50]"])
    whole, components = complete(loaded, registry, "chain.yaml")
    assert [key for key in components if key.startswith("degradation")] == [
        "degradation.0",
        "degradation.1",
        "degradation.2",
    ]
    dumped = whole.dump()["degradation"]
    assert dumped[0] == {"type": "motion_blur", "length": [0.0, 5.0], "angle": [0.0, 180.0]}
    assert dumped[2] == {"type": "jpeg", "quality": [40, 50]}
    assert parse_recipe(whole.dump(), "again").dump() == whole.dump()


def test_problems_of_a_step_are_reported_with_its_index(registry: Registry) -> None:
    steps = [{"type": "motion"}, {"type": "jpeg", "qualty": 3}]
    with pytest.raises(RecipeError) as raised:
        complete(recipe(steps), registry, "chain.yaml")
    assert raised.value.problems == [
        "degradation.0.type: unknown degradation 'motion'; did you mean 'motion_blur'?",
        "degradation.1.qualty: unknown key 'qualty'; did you mean 'quality'?",
    ]


@pytest.mark.parametrize(
    ("degradation", "problem"),
    [
        ([], "degradation: got []; expected at least 1 items"),
        ([{"quality": 3}], "degradation.0.type: missing; it has no default"),
        ({"quality": 3}, "degradation.type: missing; it has no default"),
        ("jpeg", "degradation: got 'jpeg'; expected keys and values"),
    ],
)
def test_values_that_are_not_a_list_of_components(degradation: object, problem: str) -> None:
    with pytest.raises(RecipeError) as raised:
        recipe(degradation)
    assert raised.value.problems == [problem]


def test_the_schema_knows_lists(registry: Registry) -> None:
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(recipe_schema(registry))
    for steps, good in ((STEPS, True), ([], False), ([{"type": "jpeg", "qualty": 3}], False)):
        assert validator.is_valid({"name": "chain", "degradation": steps}) == good
