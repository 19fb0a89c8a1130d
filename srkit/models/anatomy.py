"""What a network is made of, what it costs, how far it sees, and how its stages are joined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from torchinfo import summary

#: Side of the picture on which a receptive field is measured, and of the strips where it ends
#: outside, in LR pixels; most multiply-adds for a strip: seconds on a CPU.
FIELD_SIDE, FIELD_STRIP, FIELD_LENGTHS, FIELD_BUDGET = 64, 32, (128, 256, 512), 1e11

#: Ends of the flow through a network, beside its stages.
LR, SR = "LR", "SR"


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer or block, as it ran.

    Parameters
    ----------
    name
        Its path in the network.
    type
        Its class.
    depth
        1 for the network's own children.
    output
        Shape of what it gave.
    parameters
        Its parameters and those inside it.
    multiply_adds
        Of it and what is inside it.
    """

    name: str
    type: str
    depth: int
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int


@dataclass(frozen=True, slots=True)
class Field:
    """Which LR pixels the centre pixel of SR depends on.

    Parameters
    ----------
    height, width
        Of the box that holds every LR pixel with a gradient other than 0.
    bounded
        Whether the box ends inside the picture; otherwise the field is at least as large.
    core
        Side of the smallest square about its centre that holds 95 % of the absolute gradient
        within 64 x 64 pixels.
    """

    height: int
    width: int
    bounded: bool
    core: int


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the network, and what flows into it.

    Parameters
    ----------
    name, type
        Its name among the stages, and its class; :data:`SR` is the last.
    parameters
        Those in it.
    output
        Shape of what it gave, the first of several; empty where that is no tensor.
    sources
        The stages whose answers reach it without passing through another, :data:`LR` among them.
    """

    name: str
    type: str
    parameters: int
    output: tuple[int, ...]
    sources: tuple[str, ...]


def count_parameters(network: nn.Module) -> int:
    """Count the weights, each once."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_multiply_adds(network: nn.Module, lr: Tensor) -> dict[str, int]:
    """Count multiplications with addition in convolutions and matrix products, attention's too.

    Additions of biases, activations and interpolations are left out, as in the field's tables.

    Parameters
    ----------
    network
        In evaluation mode.
    lr
        What it runs on, ``(N, C, h, w)``.

    Returns
    -------
    dict
        By the path of each module that has any; the whole network's under the empty path.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # the counter would not see inside it
    counter = FlopCounterMode(display=False)
    try:
        # Nor does it see inside the fused kernels of attention, in some versions of torch.
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
    """List layers and blocks in the order in which they run.

    Parameters
    ----------
    network
        In evaluation mode.
    lr
        What it runs on, ``(N, C, h, w)``.
    depth
        How many levels of blocks within blocks.
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


def receptive_field(network: nn.Module, channels: int) -> Field:
    """Measure which LR pixels change the centre pixel of SR: those with a gradient.

    The network sees noise: a picture of 64 x 64 pixels, then strips that grow until the field ends
    inside them or they cost too much.

    Parameters
    ----------
    network
        In evaluation mode.
    channels
        Channels of its images.
    """
    weight = _gradient(network, channels, FIELD_SIDE, FIELD_SIDE)
    if not weight.any():
        return Field(0, 0, True, 0)
    lengths = _lengths(network, channels)
    height, width = (
        _inside(weight.sum(1 - axis)) or _length(network, channels, axis, lengths)
        for axis in (0, 1)
    )
    at_least = max([FIELD_SIDE, *lengths])
    bounded = height is not None and width is not None
    return Field(height or at_least, width or at_least, bounded, _core(weight))


def _length(network: nn.Module, channels: int, axis: int, lengths: Sequence[int]) -> int | None:
    """Length of the field on the first strip that it ends inside; None where it ends in none."""
    for length in lengths:
        sides = (length, FIELD_STRIP) if axis == 0 else (FIELD_STRIP, length)
        found = _inside(_gradient(network, channels, *sides).sum(1 - axis))
        if found is not None:
            return found
    return None


def _lengths(network: nn.Module, channels: int) -> list[int]:
    """Lengths of the strips that the budget allows."""
    small = torch.zeros(1, channels, FIELD_STRIP, FIELD_STRIP)
    cost = count_multiply_adds(network, small)[""] / FIELD_STRIP
    return [length for length in FIELD_LENGTHS if length * cost <= FIELD_BUDGET]


def _inside(profile: Tensor) -> int | None:
    """Length between the first and the last pixel that count; None if one lies at an end."""
    places = profile.nonzero().flatten().tolist()
    if places[0] == 0 or places[-1] == len(profile) - 1:
        return None
    return int(places[-1] - places[0] + 1)


def _gradient(network: nn.Module, channels: int, height: int, width: int) -> Tensor:
    """Absolute gradient of SR's centre pixel with respect to each LR pixel."""
    noise = torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(0))
    lr = noise.requires_grad_()
    sr = network(lr)
    centre = sr[..., sr.shape[-2] // 2, sr.shape[-1] // 2].sum()
    # Scaled up, so that what many layers of small weights leave at the rim is not rounded to 0.
    (gradient,) = torch.autograd.grad(centre * 2.0**80, lr)
    return gradient.abs().double().sum((0, 1))


def _core(weight: Tensor, share: float = 0.95) -> int:
    """Side of the smallest square about the centre that holds so much of the weight."""
    centre = weight.shape[-1] // 2
    reach = torch.arange(weight.shape[-1]).sub(centre).abs()
    distance = torch.maximum(reach[:, None], reach[None])
    within = torch.zeros(int(distance.max()) + 1, dtype=torch.float64)
    within.index_add_(0, distance.flatten(), weight.flatten())
    cumulative = within.cumsum(0) / within.sum()
    return 2 * int((cumulative < share).sum()) + 1


def flow(network: nn.Module, stages: Mapping[str, nn.Module], lr: Tensor) -> list[Stage]:
    """Follow the data from LR through the stages to SR.

    Which stage feeds which is read off the graph that autograd keeps for the backward pass: skip
    connections stand there like everything else.

    Parameters
    ----------
    network
        In evaluation mode.
    stages
        Its parts by name, from input to output.
    lr
        What it runs on, ``(N, C, h, w)``.

    Returns
    -------
    list of Stage
        Those that ran, in their order; the last is SR.
    """
    made: dict[Any, str] = {}
    entered: dict[str, list[Any]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    handles = []
    for name, part in stages.items():

        def enter(_: nn.Module, given: tuple[Any, ...], name: str = name) -> None:
            entered.setdefault(name, []).extend(_nodes(given))

        def leave(_: nn.Module, given: Any, answer: Any, name: str = name) -> None:
            made.update(dict.fromkeys(_nodes(answer), name))
            first = answer[0] if isinstance(answer, list | tuple) else answer
            shapes[name] = tuple(first.shape) if isinstance(first, Tensor) else ()

        handles += [part.register_forward_pre_hook(enter), part.register_forward_hook(leave)]
    try:
        # The product has a node of its own in the graph, which stands for LR.
        start = lr.detach().requires_grad_() * 1
        made[start.grad_fn] = LR
        sr = network(start)
    finally:
        for handle in handles:
            handle.remove()
    found = [
        Stage(
            name,
            type(stages[name]).__name__,
            count_parameters(stages[name]),
            shapes[name],
            _sources(nodes, made),
        )
        for name, nodes in entered.items()
    ]
    return [*found, Stage(SR, "", 0, tuple(sr.shape), _sources(list(_nodes(sr)), made))]


def weighted_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Name the outermost modules with weights of their own: convolutions, attentions, ..."""
    found: dict[str, nn.Module] = {}
    for name, module in network.named_modules():
        inside = any(name.startswith(f"{other}.") for other in found)
        if name and not inside and next(module.parameters(recurse=False), None) is not None:
            found[name] = module
    return found


def _nodes(values: Any) -> Iterator[Any]:
    """Iterate over the nodes of autograd's graph that tensors come from."""
    if isinstance(values, Tensor):
        if values.grad_fn is not None:
            yield values.grad_fn
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _nodes(value)


def _sources(nodes: list[Any], made: Mapping[Any, str]) -> tuple[str, ...]:
    """Walk back until the answers of stages."""
    found: dict[str, None] = {}
    seen: set[Any] = set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in made:
            found[made[node]] = None
        else:
            nodes.extend(before for before, _ in node.next_functions)
    return tuple(found)
