"""Comparison of srkit's networks with spandrel's of the same options."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from srkit.interfaces import Generator


def count(network: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def disturb(network: nn.Module) -> None:
    """Add noise to the parameters, so that none is 0 or 1; colours stay as they are."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "_mean." not in name:
                parameter += 0.02 * torch.randn(parameter.shape, generator=generator)


def check_against(theirs: nn.Module, ours: Any, *, training: bool = False) -> None:
    """Check that a network loads the weights of spandrel's and restores images like it.

    Images of several sizes are restored, also of sides that are not a multiple of a window.
    """
    disturb(theirs)
    assert isinstance(ours, Generator)
    assert isinstance(ours, nn.Module)
    ours.load_state_dict(ours.adapt(theirs.state_dict()), strict=True)
    # The keys of a run's own checkpoint stay as they are.
    ours.load_state_dict(ours.adapt(ours.state_dict()), strict=True)
    for size in ((16, 16), (13, 21)):
        lr = torch.rand(2, ours.channels, *size, generator=torch.Generator().manual_seed(2))
        with torch.no_grad():
            expected = theirs.train(training)(lr.clone())  # RCAN's changes its input
            found = ours.train(training)(lr)
        assert found.shape == (2, ours.channels, *(ours.scale * side for side in size))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
