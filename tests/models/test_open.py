"""Opening runs, checkpoints, third-party files, published weights and interpolations."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
import torch
from spandrel.architectures.ESRGAN import ESRGAN
from srkit_generators.foreign import Foreign
from srkit_generators.rrdb import RRDB
from training_setup import Tree, last, make_pictures, make_tree, run, steps, validated

from srkit import __version__
from srkit.components.registry import Registry
from srkit.errors import RecipeError, WeightsError
from srkit.functional.resizing import resize
from srkit.models.open import Interpolation, Provenance, open_model
from srkit.recipe.trees import merge
from srkit.weights.checkpoints import load, save

LR = torch.rand(1, 3, 9, 11, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data") / "pictures", count=8)


@pytest.fixture(scope="module")
def tree(pictures: Path) -> Tree:
    """A recipe with everything that restoring needs, and more."""
    changes = {
        "stretch": {"type": "asinh", "peak": 2.0},
        "constraint": {"type": "flux"},
        "metrics": {"psnr": {}},
    }
    return merge(make_tree(pictures, validated(pictures), changes), steps(3, ema=0.5))


@pytest.fixture(scope="module")
def folder(tree: Tree, tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "variant"
    run(tree, folder, registry)
    return folder


def refused(reference: str | Path, registry: Registry, scale: int | None = None) -> str:
    with pytest.raises(WeightsError) as caught:
        open_model(reference, registry, scale=scale)
    return str(caught.value)


def test_a_run_is_opened_at_its_best_with_averaged_weights(
    folder: Path, registry: Registry
) -> None:
    before = torch.random.get_rng_state()
    model = open_model(folder, registry)
    assert torch.equal(torch.random.get_rng_state(), before)
    path = folder / "checkpoints" / "best.safetensors"
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (model.name, model.scale, model.channels) == ("variant", 2, 3)
    assert model.provenance == Provenance(path, checksum, "small", __version__)
    assert not model.generator.training
    assert not any(parameter.requires_grad for parameter in model.generator.parameters())
    found, averaged = model.generator.state_dict(), load(path).groups["ema"]
    assert found.keys() == averaged.keys()
    assert all(torch.equal(found[key], averaged[key]) for key in found)
    assert model.stretch is not None
    assert model.stretch(torch.tensor(2.0), model.stretch.fit(LR)).item() == pytest.approx(1)
    assert type(model.constraint).__name__ == "Flux"
    assert model.generator(LR).shape == (1, 3, 18, 22)


def test_the_head_is_opened_with_its_network(
    pictures: Path, tmp_path: Path, registry: Registry
) -> None:
    changes = {"uncertainty": {"features": 4}, "losses": {"l1": None, "gaussian_nll": {}}}
    run(merge(make_tree(pictures, changes), steps(2, ema=0.5)), tmp_path / "unsure", registry)
    head = open_model(tmp_path / "unsure", registry).head
    assert head is not None
    assert not head.training
    assert not any(parameter.requires_grad for parameter in head.parameters())
    checkpoint = last(tmp_path / "unsure")
    trained = checkpoint.groups.pop("uncertainty")
    assert all(torch.equal(trained[key], value) for key, value in head.state_dict().items())
    save(tmp_path / "beheaded.safetensors", checkpoint.groups, checkpoint.state)
    assert open_model(tmp_path / "beheaded.safetensors", registry).head is None


def test_a_checkpoint_is_named_after_its_run(folder: Path, registry: Registry) -> None:
    path = folder / "checkpoints" / "last.safetensors"
    model = open_model(str(path), registry, scale=2)
    assert model.name == "variant/last"
    first = next(iter(model.generator.state_dict().items()))
    assert torch.equal(first[1], last(folder).groups["ema"][first[0]])


def test_data_and_losses_of_the_recipe_are_not_needed(
    folder: Path, tmp_path: Path, registry: Registry
) -> None:
    checkpoint = load(folder / "checkpoints" / "best.safetensors")
    checkpoint.state["recipe"]["data"]["train"]["dataset"]["root"] = "/nowhere"
    checkpoint.state["recipe"]["losses"] = {"of_a_lost_plugin": {"type": "of_a_lost_plugin"}}
    checkpoint.state["recipe"]["key_of_a_later_version"] = 1
    save(tmp_path / "moved.safetensors", checkpoint.groups, checkpoint.state)
    assert open_model(tmp_path / "moved.safetensors", registry).name == "moved"


def test_an_unknown_generator_is_reported(folder: Path, tmp_path: Path, registry: Registry) -> None:
    checkpoint = load(folder / "checkpoints" / "best.safetensors")
    checkpoint.state["recipe"]["generator"]["type"] = "rrdc"
    save(tmp_path / "lost.safetensors", checkpoint.groups, checkpoint.state)
    with pytest.raises(RecipeError) as caught:
        open_model(tmp_path / "lost.safetensors", registry)
    assert str(caught.value) == (
        f"{tmp_path / 'lost.safetensors'}: 1 problem\n"
        "  generator.type: unknown generator 'rrdc'; did you mean 'rrdb'?"
    )


def test_a_run_that_trained_a_classifier_is_refused(
    folder: Path, tmp_path: Path, registry: Registry
) -> None:
    checkpoint = load(folder / "checkpoints" / "best.safetensors")
    del checkpoint.state["recipe"]["generator"]
    path = tmp_path / "classifier.safetensors"
    save(path, checkpoint.groups, checkpoint.state)
    assert refused(path, registry) == f"{path}: a checkpoint without a generator"


@pytest.mark.parametrize("kernel", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_an_interpolation(kernel: str, registry: Registry) -> None:
    model = open_model(kernel, registry, scale=3)
    assert (model.name, model.scale, model.channels) == (kernel, 3, None)
    assert model.provenance == Provenance()
    assert isinstance(model.generator, Interpolation)
    assert model.generator.stages() == {}
    for channels in (1, 4):
        images = LR[:, :1].expand(-1, channels, -1, -1)
        expected = resize(images, (27, 33), kernel=kernel)  # type: ignore[arg-type]
        assert torch.equal(model.generator(images), expected)


def test_published_weights(registry: Registry) -> None:
    model = open_model("rrdb_small_x4", registry)
    assert (model.name, model.scale, model.channels) == ("rrdb_small_x4", 4, 3)
    assert model.provenance.sha256 == (
        "2040e41affeb56f5c49b8307de4d3478f06789ea36b85052c5bf7bef8c9e0b04"
    )
    assert model.stretch is model.constraint is None
    assert model.generator(LR).shape == (1, 3, 36, 44)


def test_foreign_weights(tmp_path: Path, registry: Registry) -> None:
    network = RRDB(scale=4, channels=3, blocks=1, features=8)
    path = tmp_path / "mine.pth"
    torch.save({"params": network.state_dict()}, path)
    model = open_model(path, registry)
    assert (model.name, model.scale, model.channels) == ("mine", 4, 3)
    assert model.provenance == Provenance(path, hashlib.sha256(path.read_bytes()).hexdigest())
    torch.testing.assert_close(model.generator(LR), network.eval()(LR), atol=1e-5, rtol=0)


@pytest.mark.parametrize("prefix", ["module.", "net_g.", "model.generator._orig_mod."])
@pytest.mark.parametrize("kind", ["RRDB", "ESRGAN"])
def test_foreign_weights_of_training_scripts(
    tmp_path: Path, registry: Registry, prefix: str, kind: str
) -> None:
    network = RRDB(scale=4, channels=3, blocks=1, features=8).eval()
    tensors = network.state_dict()
    if kind == "ESRGAN":  # whose own keys begin with "model."
        tensors = ESRGAN(in_nc=3, out_nc=3, num_filters=8, num_blocks=1, scale=4).state_dict()
        assert all(key.startswith("model.") for key in tensors)
    path = tmp_path / "mine.pth"
    wrapped = {f"{prefix}{key}": tensor for key, tensor in tensors.items()}
    rest = {} if prefix == "module." else {"net_d.conv.weight": torch.ones(3)}
    torch.save({"state_dict": {**wrapped, **rest}, "epoch": 3}, path)
    model = open_model(path, registry)
    assert (model.scale, model.channels) == (4, 3)
    if kind == "RRDB":
        torch.testing.assert_close(model.generator(LR), network(LR), atol=1e-5, rtol=0)


def test_weights_that_are_not_finite(folder: Path, tmp_path: Path, registry: Registry) -> None:
    found = load(folder / "checkpoints" / "last.safetensors")
    path = tmp_path / "a.safetensors"
    name = next(iter(found.groups["ema"]))
    broken = {**found.groups["ema"], name: found.groups["ema"][name] * torch.nan}
    save(path, {**found.groups, "ema": broken}, found.state)
    assert refused(path, registry).startswith(
        f"{path}: 'ema/{name}' contains values that are NaN or infinite"
    )


def test_references_that_are_not_models(folder: Path, tmp_path: Path, registry: Registry) -> None:
    assert refused("bicubik", registry, 2) == (
        "'bicubik' is not a run folder, weight file, published name or interpolation; did you mean "
        "'bicubic'?"
    )
    assert refused("bicubic", registry) == "'bicubic' enlarges by any scale; give the scale"
    assert refused(folder, registry, 4) == f"{folder}: a model of scale 2; expected scale 4"
    message = refused(tmp_path, registry)
    assert re.match(f"{re.escape(str(tmp_path))}: no checkpoint in this folder; ", message)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\x00" * 20)
    assert refused(broken, registry).startswith(f"{broken}: incomplete or not a safetensors file")
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG")
    assert refused(picture, registry) == (
        f"{picture}: not a PyTorch checkpoint, since it begins with the bytes 89 50; copy or "
        "download it again"
    )


def test_third_party_files_need_a_generator_that_reads_them(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.pth"
    torch.save({"params": RRDB(scale=4, channels=3, blocks=1, features=8).state_dict()}, path)
    monkeypatch.setattr(Foreign, "reads_foreign_weights", False)
    assert refused(path, registry) == (
        f"{path}: not a checkpoint of srkit, and no generator reads other files"
    )
