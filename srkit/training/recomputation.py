"""Activations that are computed again in the backward pass, to save memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

#: A context in which a pass runs.
Context = AbstractContextManager[None]


def recompute_activations(stages: Iterable[nn.Module]) -> None:
    """Let the stages of a network keep only their input for the backward pass (Chen et al. 2016).

    The gradients are exactly the same: the second pass repeats the random numbers of the first,
    runs in its precision, and starts from the buffers that the first one found. Stages of a single
    layer are left alone, since their input is all that they keep.

    Parameters
    ----------
    stages
        The stages, which are changed.

    References
    ----------
    Chen et al. 2016, Training deep nets with sublinear memory cost
    """
    for stage in stages:
        if next(stage.children(), None) is not None:
            # A partial function is copied together with the module, a closure is not.
            stage.forward = partial(_run, stage, stage.forward)


def _run(stage: nn.Module, forward: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*inputs, **options)
    contexts = partial(_contexts, stage)
    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts, **options)


def _contexts(stage: nn.Module) -> tuple[Context, Context]:
    """Return the contexts of the first and of the second pass of a stage."""
    found = [
        (module, name, buffer.clone())
        for module in stage.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    return nullcontext(), _replaced(found)


@contextmanager
def _replaced(buffers: list[tuple[nn.Module, str, Tensor]]) -> Iterator[None]:
    """Let a pass use and change other buffers; the module's own are put back."""
    own = [getattr(module, name) for module, name, _ in buffers]
    try:
        for module, name, buffer in buffers:
            setattr(module, name, buffer)
        yield
    finally:
        for (module, name, _), buffer in zip(buffers, own, strict=True):
            setattr(module, name, buffer)
