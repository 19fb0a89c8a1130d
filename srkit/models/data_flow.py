"""The data flow between the stages of a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from srkit.models.costs import count_parameters

#: Names of the input and the output in the data flow, beside those of the stages.
LR, SR = "LR", "SR"


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a network with its inputs.

    Parameters
    ----------
    name, type
        Its name and class; :data:`SR` is the last.
    parameters
        Number of its parameters.
    output
        Shape of its output, or of the first of several; empty if that is not a tensor.
    sources
        The stages whose outputs it uses directly; :data:`LR` may be among them.
    """

    name: str
    type: str
    parameters: int
    output: tuple[int, ...]
    sources: tuple[str, ...]


def trace_stages(network: nn.Module, stages: Mapping[str, nn.Module], lr: Tensor) -> list[Stage]:
    """Trace the data flow from LR through the stages to SR.

    The sources of a stage are found in the graph that autograd records for the backward pass, which
    includes skip connections.

    Parameters
    ----------
    network
        A network in evaluation mode.
    stages
        Its parts by name, from input to output.
    lr
        Its input, ``(N, C, h, w)``.

    Returns
    -------
    list of Stage
        The stages that were executed, in this order; the last is SR.
    """
    outputs: dict[Any, str] = {}
    entered: dict[str, list[Any]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    handles = []
    for name, part in stages.items():

        def enter(_: nn.Module, given: tuple[Any, ...], name: str = name) -> None:
            entered.setdefault(name, []).extend(_nodes(given))

        def leave(_: nn.Module, given: Any, answer: Any, name: str = name) -> None:
            outputs.update(dict.fromkeys(_nodes(answer), name))
            first = answer[0] if isinstance(answer, list | tuple) else answer
            shapes[name] = tuple(first.shape) if isinstance(first, Tensor) else ()

        handles += [part.register_forward_pre_hook(enter), part.register_forward_hook(leave)]
    try:
        # The product has a node of its own in the graph, which represents LR.
        start = lr.detach().requires_grad_() * 1
        outputs[start.grad_fn] = LR
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
            _sources(nodes, outputs),
        )
        for name, nodes in entered.items()
    ]
    return [*found, Stage(SR, "", 0, tuple(sr.shape), _sources(list(_nodes(sr)), outputs))]


def weighted_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Return the outermost modules with weights of their own, such as convolutions, by path."""
    found: dict[str, nn.Module] = {}
    for name, module in network.named_modules():
        inside = any(name.startswith(f"{other}.") for other in found)
        if name and not inside and next(module.parameters(recurse=False), None) is not None:
            found[name] = module
    return found


def _nodes(values: Any) -> Iterator[Any]:
    """Iterate over the nodes of autograd's graph that created tensors."""
    if isinstance(values, Tensor):
        if values.grad_fn is not None:
            yield values.grad_fn
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _nodes(value)


def _sources(nodes: list[Any], outputs: Mapping[Any, str]) -> tuple[str, ...]:
    """Follow the graph back to the outputs of stages."""
    found: dict[str, None] = {}
    seen: set[Any] = set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in outputs:
            found[outputs[node]] = None
        else:
            nodes.extend(before for before, _ in node.next_functions)
    return tuple(found)
