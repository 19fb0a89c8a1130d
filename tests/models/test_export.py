"""`srkit export`: files that restore the same images without any other file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from command_line import Srkit
from export_setup import SEEING, SMALL, save_seeing, save_small
from network_setup import save_network
from PIL import Image as Pillow
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from spandrel import ModelLoader
from spandrel.architectures.Compact import Compact
from srkit_generators.rrdb import RRDB
from training_setup import last, make_pictures, make_tree, run, steps

from srkit import __version__
from srkit.assembly.build import assemble_restoring
from srkit.components.registry import Registry
from srkit.errors import OutputError, WeightsError
from srkit.interfaces.quantity import Quantity
from srkit.models.export import export
from srkit.models.open import fresh_model, open_model
from srkit.recipe.trees import merge
from srkit.upscaling.api import Upscaler
from srkit.weights.checkpoints import load, read_state, save
from srkit.weights.transfer import starting_weights, trained_teacher

LR = torch.rand(1, 3, 13, 10, generator=torch.Generator().manual_seed(1))


def refused(registry: Registry, *given: str | Path, **options: object) -> str:
    model, out = given
    with pytest.raises((OutputError, WeightsError)) as caught:
        export(model, Path(out), registry, **options)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize("name", SMALL)
def test_every_generator_is_restored_bit_for_bit(
    name: str, tmp_path: Path, registry: Registry
) -> None:
    path = save_small(name, tmp_path / "mine.safetensors", registry)
    made = export(path, tmp_path / "out" / "weights.safetensors", registry)
    before = open_model(path, registry).generator
    path.unlink()
    model = open_model(made, registry)
    assert (model.name, model.scale, model.channels) == ("weights", 2, 3)
    # Anyone's safetensors.torch.load_file gives what `load_state_dict` takes.
    found = load_file(made)
    assert found.keys() == model.generator.state_dict().keys()
    assert all(torch.equal(found[key], tensor) for key, tensor in before.state_dict().items())
    assert torch.equal(model.generator(LR), before(LR))


@pytest.mark.parametrize("name", SEEING)
def test_stretch_and_constraint_are_exported(name: str, tmp_path: Path, registry: Registry) -> None:
    path = save_seeing(name, tmp_path / "seen.safetensors")
    made = export(path, tmp_path / "alone.safetensors", registry)
    frame = LR[0, 0].numpy() * 2.5 - 0.5
    before, after = (
        Upscaler(each, precision="fp32", zero_point=22.5)(frame) for each in (path, made)
    )
    assert torch.equal(torch.from_numpy(before), torch.from_numpy(after))
    assert open_model(made, registry).quantity == open_model(path, registry).quantity


def test_a_run_is_exported_at_its_best_with_averaged_weights(
    tmp_path: Path, registry: Registry
) -> None:
    changes = {"uncertainty": {"features": 4}, "losses": {"l1": None, "gaussian_nll": {}}}
    tree = merge(make_tree(make_pictures(tmp_path / "pictures", count=4), changes), steps(2))
    run(merge(tree, {"training": {"ema": 0.5}}), tmp_path / "mine", registry)
    made = export(tmp_path / "mine", tmp_path / "alone.safetensors", registry)
    groups, found = last(tmp_path / "mine").groups, load(made).groups
    assert found.keys() == {"generator", "uncertainty"}
    for mine, theirs in (("generator", "ema"), ("uncertainty", "uncertainty")):
        assert found[mine].keys() == groups[theirs].keys()
        assert all(torch.equal(found[mine][key], groups[theirs][key]) for key in found[mine])
    model = open_model(made, registry)
    assert model.head is not None
    assert (model.provenance.recipe, model.provenance.srkit) == ("small", __version__)
    state = read_state(made)
    assert state is not None
    assert state["recipe"]["degradation"]["type"] == "bicubic"  # for `srkit upscale --check`
    assert "data" not in state["recipe"]  # paths of whoever exported
    # It is a start for training, as the run is.
    assert starting_weights(str(made), model.generator).keys() == groups["ema"].keys()  # type: ignore[arg-type]
    with pytest.raises(WeightsError) as caught:
        trained_teacher(made)
    assert str(caught.value) == (
        f"{made}: expected a run that trained one classifier; this one trained none"
    )


def test_the_metadata_of_a_safetensors_file(tmp_path: Path, registry: Registry) -> None:
    made = export("rrdb_small_x4", tmp_path / "rrdb.safetensors", registry)
    with safe_open(made, "pt") as file:
        metadata = file.metadata()
    facts = json.loads(metadata.pop("srkit"))
    assert metadata == {"format": "pt"}
    assert (facts["scale"], facts["channels"]) == (4, 3)
    assert facts["quantity"] == json.loads(json.dumps(Quantity().dump()))
    assert facts["recipe"]["generator"]["type"] == "rrdb"
    assert set(facts["recipe"]) == {"name", "seed", "scale", "channels", "generator"}
    assert facts["exported"] == {
        "name": "rrdb_small_x4",
        "sha256": "2040e41affeb56f5c49b8307de4d3478f06789ea36b85052c5bf7bef8c9e0b04",
        "srkit": __version__,
    }


def test_spandrel_opens_an_architecture_that_it_knows(tmp_path: Path, registry: Registry) -> None:
    small = {"blocks": 1, "features": 16, "growth": 32}
    weights = RRDB(scale=4, channels=3, **small).state_dict()
    path = tmp_path / "mine.safetensors"
    tree = {"name": "mine", "scale": 4, "generator": {"type": "rrdb", **small}}
    state = {"recipe": tree, "quantity": Quantity().dump(), "versions": {"srkit": __version__}}
    save(path, {"generator": weights}, state)
    known = ModelLoader().load_from_file(export(path, tmp_path / "out.safetensors", registry))
    assert (known.architecture.name, known.scale) == ("ESRGAN", 4)
    expected = open_model(path, registry).generator(LR)
    torch.testing.assert_close(known.model.eval()(LR), expected, atol=1e-6, rtol=1e-5)


def test_one_scale_of_several_is_exported(tmp_path: Path, registry: Registry) -> None:
    options = {"type": "mdsr", "blocks": 1, "features": 8}
    both = fresh_model("mdsr", registry, ["blocks=1", "features=8"], scale=2, channels=3)
    assert both.recipe is not None
    tree = both.recipe.dump() | {"scale": [2, 3], "generator": options}
    assembly = assemble_restoring(tree, registry, "both")
    assert isinstance(assembly.generator, torch.nn.Module)
    path = tmp_path / "both.safetensors"
    state = {"recipe": tree, "quantity": Quantity().dump(), "versions": {"srkit": __version__}}
    save(path, {"generator": assembly.generator.state_dict()}, state)
    out = tmp_path / "one.safetensors"
    assert refused(registry, path, out) == f"{path}: a model of the scales 2 and 3; say which"
    model = open_model(export(path, out, registry, scale=3), registry)
    assert model.recipe is not None
    assert (model.scale, model.recipe.scales) == (3, (3,))
    assert torch.equal(model.generator(LR), open_model(path, registry, scale=3).generator(LR))
    assert not any("x2" in key for key in model.generator.state_dict())


@pytest.mark.slow
def test_a_third_party_file(tmp_path: Path, registry: Registry) -> None:
    path = tmp_path / "compact.pth"
    torch.save({"params_ema": Compact(num_feat=8, num_conv=2, upscale=2).state_dict()}, path)
    before = open_model(path, registry)
    after = open_model(export(path, tmp_path / "compact.safetensors", registry), registry)
    assert torch.equal(after.generator(LR), before.generator(LR))
    for name in ("compact.onnx", "compact.pt2"):
        assert export(path, tmp_path / name, registry).stat().st_size > 1000


def test_a_trained_third_party_network_needs_its_weight_file(
    tmp_path: Path, registry: Registry
) -> None:
    weights = tmp_path / "compact.safetensors"
    save_file(Compact(num_feat=8, num_conv=2, upscale=2).state_dict(), weights)
    model = open_model(weights, registry)
    tree = {"name": "tuned", "scale": 2, "generator": {"type": "foreign", "weights": str(weights)}}
    state = {"recipe": tree, "quantity": Quantity().dump(), "versions": {"srkit": __version__}}
    save(tmp_path / "tuned.safetensors", {"generator": model.generator.state_dict()}, state)
    found = refused(registry, tmp_path / "tuned.safetensors", tmp_path / "out.safetensors")
    assert found == (
        f"tuned: its network is built from another weight file, {weights}, which this format "
        "cannot contain; export it as onnx or torch"
    )
    assert not (tmp_path / "out.safetensors").exists()


def test_the_command(srkit: Srkit, tmp_path: Path) -> None:
    net = save_network(tmp_path / "net.safetensors", channels=3)
    done = srkit("export", net, "-o", "given", "--format", "torch")
    size = (tmp_path / "given.pt2").stat().st_size / 1e6
    assert (done.status, done.out, done.err) == (0, f"given.pt2: {size:.3g} MB\n", "")
    assert srkit("export", net, "-o", "alone.safetensors").status == 0
    Pillow.new("RGB", (9, 7), (20, 90, 160)).save("in.png")
    for model in ("net", "alone"):
        done = srkit("upscale", "in.png", "-m", f"{model}.safetensors", "-o", f"{model}.png")
        assert done.status == 0
    assert Path("net.png").read_bytes() == Path("alone.png").read_bytes()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ["-o", "a.bin"],
            "a.bin: ends in '.bin'; expected .safetensors or .onnx or .pt2",
        ),
        (["-o", "a.onnx", "--format", "torch"], "a.onnx: ends in '.onnx'; expected .pt2"),
        (["-o", "a"], "a: ends in ''; expected .safetensors or .onnx or .pt2"),
        (
            ["-o", "net.safetensors"],
            "net.safetensors: already exists; choose another name, or remove it",
        ),
        (
            ["-o", "a.onnx", "--scale", "3"],
            "net.safetensors: a model of scale 2; expected scale 3",
        ),
    ],
)
def test_wrong_arguments_are_refused(
    srkit: Srkit, tmp_path: Path, given: list[str], message: str
) -> None:
    before = save_network(tmp_path / "net.safetensors").read_bytes()
    assert srkit("export", "net.safetensors", *given) == (1, "", f"error: {message}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]
    assert (tmp_path / "net.safetensors").read_bytes() == before


def test_an_interpolation_has_no_weights(registry: Registry, tmp_path: Path) -> None:
    assert refused(registry, "bicubic", tmp_path / "a.onnx", scale=2) == (
        "'bicubic' is an interpolation without weights to export"
    )
