"""Parameters and multiply-adds of a network and its layers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torchinfo import summary


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer or block of a network, in the order of execution.

    Parameters
    ----------
    name
        Its path in the network.
    type
        Its class.
    depth
        1 for the children of the network.
    output
        Shape of its output.
    parameters, multiply_adds
        Its own and those of the layers inside it.
    """

    name: str
    type: str
    depth: int
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int


def count_parameters(network: nn.Module) -> int:
    """Count the weights, shared ones once."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_multiply_adds(network: nn.Module, lr: Tensor) -> dict[str, int]:
    """Count the multiply-adds of convolutions and matrix products, including attention.

    Biases, activations and interpolations are not counted, as in the tables of papers.

    Parameters
    ----------
    network
        A network in evaluation mode.
    lr
        Its input, ``(N, C, h, w)``.

    Returns
    -------
    dict
        Multiply-adds by the path of each module that has any; those of the network under the empty
        path.
    """
    from torch.utils.flop_counter import FlopCounterMode  # only here: it imports triton

    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # the counter cannot look inside it
    counter = FlopCounterMode(display=False)
    try:
        # Nor does it look inside the fused kernels of attention, in some versions of torch.
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
            network(lr)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    found = {"": counter.get_total_flops() // 2}
    for path, operations in counter.get_flop_counts().items():
        _, dot, inside = path.partition(".")
        if dot:
            found[inside] = sum(operations.values()) // 2
    return found


def list_layers(network: nn.Module, lr: Tensor, depth: int = 3) -> list[Layer]:
    """List layers and blocks in the order of execution.

    Parameters
    ----------
    network
        A network in evaluation mode.
    lr
        Its input, ``(N, C, h, w)``.
    depth
        Number of levels of nested blocks.
    """
    paths = {id(module): path for path, module in network.named_modules()}
    costs = count_multiply_adds(network, lr)
    ran = summary(network, input_data=lr, depth=depth, verbose=0, mode="eval", device=lr.device)
    return [
        Layer(
            paths[row.layer_id],
            row.class_name,
            row.depth,
            tuple(row.output_size),
            count_parameters(row.module),
            costs.get(paths[row.layer_id], 0),
        )
        for row in ran.summary_list
        if 0 < row.depth <= depth and row.executed
    ]
