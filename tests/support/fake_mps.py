"""A fake device of the type MPS: tensors that say they are on it and are computed on the CPU.

As on the device, there is neither float64 nor Poisson noise, and tensors of the CPU cannot be used
together with its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

MPS = torch.device("mps", 0)
CPU = torch.device("cpu")
#: Operations that take tensors of both devices.
MIXING = ("aten::copy_", "aten::_to_copy", "aten::index", "aten::index_put", "aten::index_put_")
#: Types that the device lacks.
DOUBLE = (torch.float64, torch.complex128)
#: Operations that the device lacks, and that torch's fallback cannot run with a generator.
LACKING = ("aten::poisson",)


class OnMps(Tensor):
    """A tensor of the fake device."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> OnMps:
        made: OnMps = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=CPU,
        )
        made.held = held
        return made

    def __init__(self, held: Tensor) -> None:
        pass

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return MPS

    def tolist(self) -> Any:
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _run(function, args, kwargs or {})


class _Transfers(TorchFunctionMode):
    """Adds the index of the device, which a torch without MPS cannot, and copies from and to it."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        def complete(each: Any) -> Any:
            is_device = isinstance(each, str | torch.device) and str(each) == "mps"
            return MPS if is_device else each

        args = [complete(each) for each in args]
        kwargs = {key: complete(each) for key, each in (kwargs or {}).items()}
        if function in (torch.tensor, torch.as_tensor) and kwargs.get("device") == MPS:
            made: Tensor = function(*args, **{**kwargs, "device": CPU})
            return _moved(made, MPS)
        if function is Tensor.cpu:
            return _moved(args[0], CPU)
        if function is Tensor.to and (isinstance(args[0], OnMps) or any(map(_is_there, args[1:]))):
            return _moved(*args, **kwargs)
        return function(*args, **kwargs)


def _is_there(each: Any) -> bool:
    return isinstance(each, OnMps) or (isinstance(each, torch.device) and each == MPS)


def _moved(tensor: Tensor, *args: Any, memory_format: Any = None, **kwargs: Any) -> Tensor:
    """Do as ``tensor.to(*args)``, for which torch would look at the device that it has itself."""
    device, dtype = kwargs.get("device"), kwargs.get("dtype")
    for each in args:
        if isinstance(each, Tensor):
            device, dtype = each.device, each.dtype
        elif isinstance(each, torch.dtype):
            dtype = each
        elif isinstance(each, str | torch.device):
            device = torch.device(each)
    device, dtype = device or tensor.device, dtype or tensor.dtype
    if (device, dtype, memory_format) == (tensor.device, tensor.dtype, None):
        return tensor
    moved: Tensor = torch.ops.aten._to_copy(
        tensor, device=device, dtype=dtype, memory_format=memory_format
    )
    return moved


class _Mode(TorchDispatchMode):
    """Creates tensors on the fake device where it is named."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _run(function, args, kwargs or {})


def _run(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    given = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, Tensor)]
    own = [each for each in given if isinstance(each, OnMps)]
    name = function._schema.name
    assert not (own and name in LACKING), f"{name} is not implemented for MPS"
    target = kwargs.get("device")
    there = bool(own) if target is None else torch.device(target).type == "mps"
    if own and len(own) < len(given) and name not in MIXING:
        others = [each for each in given if not isinstance(each, OnMps) and each.ndim]
        assert not others, f"{name}: tensors of MPS and of the CPU"
    if target is not None:
        kwargs = {**kwargs, "device": CPU}
    args, kwargs = tree_map_only(OnMps, lambda each: each.held, (args, kwargs))
    result = function(*args, **kwargs)
    if not there or (name == "aten::copy_" and not isinstance(given[0], OnMps)):
        return result
    known = {id(each.held): each for each in own}

    def wrap(each: Tensor) -> Tensor:
        if each.dtype in DOUBLE:
            raise TypeError(f"{name}: the MPS framework doesn't support float64")
        own = known.get(id(each))
        return OnMps(each) if own is None else own

    return tree_map_only(Tensor, wrap, result)


class _Generator(torch.Generator):
    """A random generator that may be on the fake device."""

    def __new__(cls, device: Any = "cpu") -> _Generator:  # type: ignore[misc]
        return super().__new__(cls, "cpu")


class _Stream:
    """The stream of the fake device, of which optimisers ask whether it records a graph."""

    def is_capturing(self) -> bool:
        return False


@contextmanager
def fake_mps() -> Iterator[torch.device]:
    """Let torch have a device of the type MPS."""
    module = torch.mps
    with (
        _Transfers(),
        _Mode(),
        patch.object(torch, "Generator", _Generator),
        patch.object(torch.accelerator, "is_available", lambda: True),
        patch.object(torch.accelerator, "current_accelerator", lambda **_: MPS),
        patch.object(torch.accelerator, "device_count", lambda: 1),
        patch.object(torch.accelerator, "synchronize", lambda device=None: None),
        patch.object(torch.accelerator, "current_stream", lambda device=None: _Stream()),
        patch.object(module, "empty_cache", lambda: None),
        patch.object(module, "current_allocated_memory", lambda: 0),
    ):
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        try:
            yield MPS
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(False)
