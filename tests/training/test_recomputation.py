"""Recomputed activations need less memory and change nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from srkit_generators.rrdb import RRDB
from srkit_generators.srresnet import SRResNet
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.utils.parametrizations import spectral_norm
from training_setup import assert_same_end, make_pictures, make_tree, run, steps

from srkit.components.registry import Registry
from srkit.recipe.parts import TrainingSpec
from srkit.recipe.trees import merge
from srkit.training.recomputation import recompute_activations


class Stateful(nn.Module):
    """Blocks that draw random numbers and change their buffers when they run."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                spectral_norm(nn.Conv2d(3, 3, 3, padding=1)), nn.BatchNorm2d(3), nn.Dropout(0.5)
            )
            for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x

    def stages(self) -> dict[str, nn.Module]:
        return {f"blocks.{name}": block for name, block in self.blocks.named_children()}


def frozen_norm() -> nn.Module:
    network = SRResNet(scale=2, channels=3, blocks=2, features=8)
    network.body[0].eval().requires_grad_(False)
    return network


NETWORKS: dict[str, Callable[[], Any]] = {
    "rrdb": lambda: RRDB(scale=2, channels=3, blocks=2, features=8, growth=4),
    "srresnet": lambda: SRResNet(scale=2, channels=3, blocks=2, features=8),
    "first block frozen": frozen_norm,
    "stateful": Stateful,
}


def step(network: nn.Module, images: Tensor, precision: torch.dtype) -> Tensor:
    """Run both passes and return the output."""
    torch.manual_seed(3)
    with torch.autocast("cpu", precision, enabled=precision is not torch.float32):
        output: Tensor = network(images)
        loss = output.float().square().sum()
    torch.autograd.backward(loss)
    return output


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_and_buffers_are_the_same_to_the_bit(name: str, precision: torch.dtype) -> None:
    torch.manual_seed(0)
    plain = NETWORKS[name]()
    saving = copy.deepcopy(plain)
    recompute_activations(saving.stages().values())
    images = torch.rand(2, 3, 12, 12)
    for _ in range(2):  # the second step starts from the buffers of the first
        assert torch.equal(step(plain, images, precision), step(saving, images, precision))
    expected = dict(plain.named_parameters())
    for key, parameter in saving.named_parameters():
        if parameter.requires_grad:
            assert torch.equal(parameter.grad, expected[key].grad), key
        else:
            assert parameter.grad is None
    for key, tensor in plain.state_dict().items():
        assert torch.equal(saving.state_dict()[key], tensor), key


def test_stages_keep_their_inputs_only() -> None:
    network = RRDB(scale=4, channels=3, blocks=8, features=8, growth=4)

    def kept() -> int:
        """Return the number of values that the first pass keeps for the second."""
        storages: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with saved_tensors_hooks(pack, lambda tensor: tensor):
            network(torch.rand(1, 3, 16, 16))
        return sum(storages.values())

    before = kept()
    recompute_activations(network.stages().values())
    assert kept() < before / 3


def test_a_copy_runs_its_own_weights() -> None:
    network = RRDB(scale=2, channels=3, blocks=1, features=8, growth=4)
    recompute_activations(network.stages().values())
    other = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    images = torch.rand(1, 3, 8, 8)
    assert not network(images).any()
    assert other(images).any()


def test_a_run_ends_the_same_and_may_change_the_key_when_it_resumes(
    tmp_path: Path, registry: Registry
) -> None:
    changes = {"discriminator": {"type": "unet_sn", "features": 4, "weight": 0.1}}
    settings = steps(4, precision="bf16", accumulate=2, ema=0.9)
    tree = make_tree(make_pictures(tmp_path / "pictures"), changes, settings)
    tree["generator"] = {"type": "srresnet", "blocks": 2, "features": 8}
    saving = merge(tree, {"training": {"checkpoint_activations": True}})
    run(tree, tmp_path / "plain", registry)
    run(merge(saving, steps(2)), tmp_path / "saving", registry)
    run(saving, tmp_path / "saving", registry, resume=True)
    assert_same_end(tmp_path / "plain", tmp_path / "saving")
    run(merge(tree, steps(2)), tmp_path / "switched", registry)
    run(saving, tmp_path / "switched", registry, resume=True)
    assert_same_end(tmp_path / "plain", tmp_path / "switched")


def test_it_cannot_be_combined_with_compiling() -> None:
    with pytest.raises(ValidationError, match="'compile' and 'checkpoint_activations' cannot be"):
        TrainingSpec(compile=True, checkpoint_activations=True)
