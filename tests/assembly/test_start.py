"""The weights that training starts from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from srkit_adversaries.patch import PatchGAN
from srkit_adversaries.unet import UNetSN
from training_setup import last, make_pictures, make_tree, run, steps

from srkit.assembly.build import assemble
from srkit.assembly.start import load_discriminator, load_starting_head, load_starting_weights
from srkit.assembly.variance_head import VarianceHead
from srkit.components.options import build
from srkit.components.registry import Registry
from srkit.errors import RecipeError, WeightsError
from srkit.interfaces import Generator
from srkit.recipe.recipe import Recipe, parse_recipe

SMALL = {"type": "rrdb", "blocks": 1, "features": 4, "growth": 2}


@pytest.fixture
def generator(registry: Registry) -> Generator:
    options = {"blocks": 1, "features": 4, "growth": 2}
    made: Generator = build(
        registry.get("generators", "rrdb").factory, options, scale=4, channels=3
    )
    return made


def starting(path: Path, **start: list[str]) -> Recipe:
    tree = {"name": "start", "generator": SMALL, "start": {"weights": str(path), **start}}
    return parse_recipe(tree, "test")


def test_weights_of_a_file_except_reinitialised_ones(generator: Generator, tmp_path: Path) -> None:
    before = {key: value.clone() for key, value in generator.state_dict().items()}
    path = tmp_path / "given.safetensors"
    save_file({key: value + 1 for key, value in before.items()}, path)
    load_starting_weights(generator, starting(path, reinitialise=["conv_last.*"]))
    for key, value in generator.state_dict().items():
        expected = before[key] if key.startswith("conv_last.") else before[key] + 1
        torch.testing.assert_close(value, expected)


def test_a_pattern_that_matches_nothing_is_refused(generator: Generator, tmp_path: Path) -> None:
    path = tmp_path / "given.safetensors"
    save_file(dict(generator.state_dict()), path)
    message = (
        r"^start\.reinitialise: 'tail\.\*' matches no weight of the generator; their names begin "
        r"with body, conv_body, conv_first, conv_hr, conv_last, conv_up1, conv_up2$"
    )
    with pytest.raises(WeightsError, match=message):
        load_starting_weights(generator, starting(path, reinitialise=["tail.*"]))


def test_a_variance_head_starts_untrained_or_from_another_run(
    tmp_path: Path, registry: Registry
) -> None:
    pictures = make_pictures(tmp_path / "pictures", count=4)
    run(make_tree(pictures, steps(1)), tmp_path / "plain", registry)
    unsure = make_tree(
        pictures,
        steps(1, ema=0.5),
        {"uncertainty": {"features": 4}, "losses": {"l1": None, "gaussian_nll": {}}},
    )
    for given, line in (
        ("plain", "has no head that predicts the variance; it starts untrained"),
        ("unsure", "starts from the head of"),
    ):
        folder = tmp_path / ("unsure" if given == "plain" else "again")
        start = tmp_path / given
        run({**unsure, "start": {"weights": str(start)}}, folder, registry)
        said = (folder / "log.txt").read_text()
        expected = {
            "plain": f"uncertainty: {start} {line}",
            "unsure": f"uncertainty: {line} {start}",
        }
        assert expected[given] in said
    groups = last(tmp_path / "unsure").groups
    assert {"uncertainty", "optimiser.uncertainty"} <= groups.keys()
    # A run without a head starts from one that has a head.
    plain = make_tree(pictures, steps(1), {"start": {"weights": str(tmp_path / "unsure")}})
    run(plain, tmp_path / "plain again", registry)
    assert "uncertainty" not in last(tmp_path / "plain again").groups

    head = VarianceHead(channels=3, features=4)
    load_starting_head(head, str(tmp_path / "unsure"))
    for key, value in head.state_dict().items():
        assert torch.equal(value, groups["uncertainty"][key])
    with pytest.raises(WeightsError) as caught:
        load_starting_head(VarianceHead(channels=3, features=6), str(tmp_path / "unsure"))
    assert str(caught.value) == (
        f"{tmp_path / 'unsure'}: its head that predicts the variance has 4 features, not 6; set "
        "uncertainty.features=4"
    )


def test_a_discriminator_starts_from_a_released_file(tmp_path: Path) -> None:
    """Files of BasicSR hold the weights under `params`; UNetSN has their names."""
    given = UNetSN(channels=3, features=4)
    path = tmp_path / "netD.pth"
    torch.save({"params": given.state_dict()}, path)
    network = UNetSN(channels=3, features=4)
    load_discriminator(network, str(path))
    for key, value in network.state_dict().items():
        assert torch.equal(value, given.state_dict()[key])
    load_discriminator(network, None)


def test_a_run_starts_from_the_discriminator_of_another(tmp_path: Path, registry: Registry) -> None:
    pictures = make_pictures(tmp_path / "pictures", count=4)
    critic = {"type": "unet_sn", "features": 4, "optimiser": {"lr": 1e-12}}
    first = tmp_path / "first"
    run(make_tree(pictures, steps(1), {"seed": 1, "discriminator": critic}), first, registry)
    tree = make_tree(pictures, steps(2), {"discriminator": {**critic, "weights": str(first)}})
    run(tree, tmp_path / "second", registry)
    before, after = (last(tmp_path / name).groups["discriminator"] for name in ("first", "second"))
    torch.testing.assert_close(after["conv9.weight"], before["conv9.weight"])
    # A resumed run has its own discriminator.
    torch.save(UNetSN(channels=3, features=4).state_dict(), first / "checkpoints/best.safetensors")
    run(tree, tmp_path / "second", registry, resume=True)
    assert torch.equal(
        last(tmp_path / "second").groups["discriminator"]["conv9.weight"], after["conv9.weight"]
    )


def test_weights_of_another_discriminator_are_refused(tmp_path: Path, registry: Registry) -> None:
    path = tmp_path / "critic.safetensors"
    save_file(PatchGAN(channels=1, features=2).state_dict(), path)
    with pytest.raises(WeightsError) as caught:
        load_discriminator(PatchGAN(channels=3, features=2), str(path))
    assert str(caught.value) == (
        f"{path}: does not fit PatchGAN, 1 key differs; change the discriminator's options, or the "
        "weights\n"
        "  key              in the file  in the network\n"
        "  layers.0.weight  2x1x4x4      2x3x4x4"
    )
    pictures = make_pictures(tmp_path / "pictures", count=4)
    run(make_tree(pictures, steps(1)), tmp_path / "plain", registry)
    with pytest.raises(WeightsError) as caught:
        load_discriminator(PatchGAN(channels=3), str(tmp_path / "plain"))
    checkpoint = tmp_path / "plain/checkpoints/last.safetensors"
    assert str(caught.value) == f"{checkpoint}: a checkpoint without a discriminator"


def test_missing_weights_of_a_discriminator_are_found_first(
    tmp_path: Path, registry: Registry
) -> None:
    critic = {"type": "patchgan", "features": 4, "weights": "nowhere.pth"}
    tree = make_tree(tmp_path, {"discriminator": critic})
    with pytest.raises(RecipeError) as caught:
        assemble(parse_recipe(tree, "test"), registry, "test", splits=())
    assert caught.value.problems == [
        "discriminator.weights: 'nowhere.pth' is not a file or a run folder"
    ]
