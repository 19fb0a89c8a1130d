"""Spandrel's architectures, built from options and trained."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from srkit_generators.architectures import list_architectures
from srkit_generators.foreign import Foreign
from training_setup import make_pictures, make_tree, run, steps

from srkit.assembly.build import assemble
from srkit.components.listing import as_json, show
from srkit.components.registry import Registry
from srkit.errors import RecipeError
from srkit.models.export import export
from srkit.models.open import open_model
from srkit.recipe.recipe import parse_recipe
from srkit.testing import check_generator

pytestmark = pytest.mark.filterwarnings("ignore:torch.meshgrid")

#: Small networks, with the distance between their windows or cells.
TINY: dict[str, tuple[dict[str, Any], int]] = {
    "DAT": ({"embed_dim": 32, "depth": [1], "num_heads": [2], "split_size": [2, 4]}, 4),
    "MoSR": ({"dim": 8, "n_block": 1}, 1),
    "SAFMN": ({"dim": 8, "n_blocks": 1}, 8),
    "SwinIR": ({"embed_dim": 12, "depths": [1], "num_heads": [2], "img_size": 16}, 8),
}


def test_every_architecture_is_listed_with_its_options(registry: Registry) -> None:
    names = list_architectures()
    assert len(names) > 40
    assert {"ATD", "HAT", "KBNet_s", "PLKSR", "RealPLKSR", "UpCunet2x"} <= names.keys()
    out = io.StringIO()
    show(registry, "generators", "foreign", Console(file=out, width=400))
    printed = re.sub(" +", " ", out.getvalue())
    assert "name further options and their defaults" in printed
    # The scale and the channels are those of the recipe.
    assert "\nSPAN feature_channels=48, bias=True, norm=True, img_range=255.0, " in printed
    described = as_json(registry, "generators", "foreign")
    assert isinstance(described, dict)
    assert described["variants"]["AuraSR"].startswith("dim, image_size, input_image_size, ")
    assert "variants" not in as_json(registry, "generators", "edsr")


def test_own_options_are_listed_without_spandrel(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_architectures.cache_clear()
    monkeypatch.setitem(sys.modules, "spandrel", None)
    described = as_json(registry, "generators", "foreign")
    assert isinstance(described, dict)
    assert [each["name"] for each in described["options"]] == [
        "weights", "architecture", "each_channel",
    ]  # fmt: skip
    (reason,) = described["variants"].values()
    assert "srkit[foreign]" in reason


@pytest.mark.parametrize("name", TINY)
def test_contract(name: str) -> None:
    options, grid = TINY[name]
    torch.manual_seed(0)
    network = Foreign(scale=2, channels=3, architecture=name, **options)
    assert network.grid == grid
    check_generator(network, scale=2)


@pytest.mark.parametrize(("name", "channels"), [("DRUNet", 1), ("DnCNN", 2), ("MixDehazeNet", 3)])
def test_channels_of_inputs_and_outputs(name: str, channels: int) -> None:
    """DRUNet takes a map of the noise, and MixDehazeNet returns four factors of the image."""
    sizes: dict[str, Any] = {
        "DRUNet": {"nc": [4, 4, 4, 4], "nb": 2},
        "DnCNN": {"nc": 4, "nb": 3},
        "MixDehazeNet": {"embed_dims": [8, 16, 32, 16, 8]},
    }
    network = Foreign(scale=1, channels=channels, architecture=name, **sizes[name])
    assert network(torch.rand(2, channels, 9, 8)).shape == (2, channels, 9, 8)


@pytest.mark.parametrize("name", ["MoSR", "SwinIR"])
def test_a_run_trains_and_opens_without_a_file(
    name: str, tmp_path: Path, registry: Registry
) -> None:
    tree = make_tree(make_pictures(tmp_path / "pictures", count=4), steps(2))
    tree["generator"] = {"type": "foreign", "architecture": name, **TINY[name][0]}
    run(tree, tmp_path / "run", registry)
    model = open_model(tmp_path / "run", registry)
    assert isinstance(model.generator, Foreign)
    assert (model.scale, model.channels) == (2, 3)
    alone = open_model(export(tmp_path / "run", tmp_path / "alone.safetensors", registry), registry)
    lr = torch.rand(1, 3, 9, 7)
    with torch.no_grad():
        assert torch.equal(alone.generator(lr), model.generator(lr))


def refused(registry: Registry, **generator: Any) -> str:
    """Return what `srkit recipe check` says about a generator."""
    spec = {"type": "foreign", **generator}
    recipe = parse_recipe({"name": "x", "scale": 2, "generator": spec}, "x")
    with pytest.raises(RecipeError) as caught:
        assemble(recipe, registry, "x", splits=())
    (problem,) = (each for each in caught.value.problems if each.startswith("generator"))
    return str(problem)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"architecture": "SPAM"}, "unknown architecture 'SPAM'; did you mean 'SPAN'?"),
        (
            {"architecture": "DAT", "embed_dims": 12},
            "unknown option 'embed_dims' of DAT; did you mean 'embed_dim'?",
        ),
        (
            {"architecture": "DAT", "embed_dim": "many"},
            "embed_dim of DAT: got 'many'; expected a value such as 180",
        ),
        (
            {"architecture": "SPAN", "norm": 1},
            "norm of SPAN: got 1; expected a value such as True",
        ),
        ({"architecture": "AuraSR"}, "AuraSR requires the option 'dim'"),
        (
            {"architecture": "UpCunet3x"},
            "UpCunet3x of scale 3; expected scale 2",
        ),
        (
            {"architecture": "SwinIR", "window_size": 7},
            "SwinIR cannot be built from these options (shape ",
        ),
        ({"weight": "x.pth"}, "unknown key 'weight'; did you mean 'weights'?"),
        ({}, "expected weights, a file, or the name of an architecture"),
        (
            {"architecture": "SPAN", "weights": "x.pth"},
            "got both weights and an architecture; expected one of them",
        ),
    ],
)
def test_mistakes_are_reported_once(
    given: dict[str, Any], message: str, registry: Registry
) -> None:
    problem = refused(registry, **given)
    assert problem.startswith(f"generator: {message}")
