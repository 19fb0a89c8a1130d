"""Refuse components that this machine cannot hold, before memory runs out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from srkit.components.options import build
from srkit.system.resources import free_memory

#: Layers of a network, at most: several times as many as the largest published ones have.
LAYERS = 10_000


class TooLargeError(ValueError):
    """A component needs more memory than this machine has."""


@contextmanager
def bounded(options: Mapping[str, Any]) -> Iterator[None]:
    """Stop building a network whose weights exceed the free memory, or that has too many layers.

    Parameters
    ----------
    options
        The options of the component, the largest of which the message names.

    Raises
    ------
    TooLargeError
        If it does, or if memory cannot be allocated.
    """
    free, used, layers = free_memory(), 0, 0
    advice = f"; lower {_largest(options)}" if _numbers(options) else ""

    def count_weights(module: nn.Module, name: str, weights: Tensor | None) -> None:
        nonlocal used
        used += 0 if weights is None else weights.numel() * weights.element_size()
        if used > free:
            raise TooLargeError(
                f"its weights exceed the free memory of {free / 1e9:.3g} GB{advice}"
            )

    def count_layers(module: nn.Module, name: str, part: nn.Module | None) -> None:
        nonlocal layers
        layers += 1
        if layers > LAYERS:
            raise TooLargeError(f"has more than {LAYERS} layers{advice}")

    hooks = (
        register_module_parameter_registration_hook(count_weights),
        register_module_module_registration_hook(count_layers),
    )
    try:
        yield
    except (MemoryError, OverflowError) as error:
        raise TooLargeError(f"exceeds the memory of this machine{advice}") from error
    except RuntimeError as error:  # torch has no type of its own for these
        if not any(text in str(error) for text in ("allocate", "overflow", "Overflow")):
            raise
        raise TooLargeError(f"exceeds the memory of this machine{advice}") from error
    finally:
        for hook in hooks:
            hook.remove()


def try_without_memory(
    factory: Callable[..., Any], options: Mapping[str, Any], supplied: Mapping[str, Any]
) -> None:
    """Build a network with options from 1000 on without memory, within :func:`bounded`.

    Numbers may be nested in lists; smaller ones cannot exceed memory, and need no second network.
    """
    if not re.search(r"\d{4}|[eE]\+?\d", str(dict(options))):
        return
    try:
        with torch.device("meta"):
            build(factory, options, **supplied)
    except TooLargeError:
        raise
    except Exception:  # of a network that cannot be built this way; building it reports the others
        pass


def _numbers(options: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: abs(value)
        for name, value in options.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _largest(options: Mapping[str, Any]) -> str:
    numbers = _numbers(options)
    name = max(numbers, key=lambda each: numbers[each])
    return f"{name}, {options[name]:.6g}"
