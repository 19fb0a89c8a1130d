"""A network that OpenVINO runs in place of torch: on the CPU, its layers joined."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import torch
from filelock import FileLock
from torch import Tensor, nn

from srkit import __version__
from srkit.errors import GraphError, OutputError
from srkit.models.graphs import Restoration, Run, to_onnx, try_graph
from srkit.system.digests import add_tensors
from srkit.system.extras import needs
from srkit.system.files import write_file
from srkit.system.folders import cache_folder

if TYPE_CHECKING:
    from srkit.models.open import Model

#: What OpenVINO calls fp32 and bf16.
HINTS = {False: "f32", True: "bf16"}


class OpenVINONetwork(nn.Module):
    """A model's network as OpenVINO runs it on the CPU; may serve several threads.

    The network becomes an ONNX graph, which is kept in the cache of srkit, under a name made of its
    architecture and its weights. Sums, concatenations and activations are computed within the
    convolutions before them. Every graph is tried against the network before it is used.

    Parameters
    ----------
    model
        Whose network it is; its stretch, constraint and variance stay outside.

    Raises
    ------
    OutputError
        If the network cannot become a graph, the graph answers otherwise, or the cache cannot be
        written to.
    PluginError
        If the packages of ``srkit[openvino]`` are missing.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        with needs("openvino", "openvino"):
            import openvino
        self._core = openvino.Core()
        self._lock = Lock()
        self._runs: dict[bool, Run] = {}
        bare = replace(model, stretch=None, constraint=None, head=None)
        try:
            self._runs[False] = self._kept_or_made(bare)
        except GraphError as error:
            raise OutputError(f"{error}; leave the engine out, and torch runs it") from error

    def forward(self, lr: Tensor) -> Tensor:
        """Restore ``(N, C, h, w)`` images: in bf16 under autocast, else in fp32."""
        rounded = torch.is_autocast_enabled("cpu")
        with self._lock:
            if rounded not in self._runs:
                self._runs[rounded] = self._compiled(rounded=rounded)
            sr = self._runs[rounded](lr)
        assert isinstance(sr, Tensor)
        return sr

    def _kept_or_made(self, model: Model) -> Run:
        """Give the network in fp32, from the cache if it is there and right."""
        path = cache_folder() / "openvino" / f"{_digest_of(model)}.onnx"
        restoration = Restoration(model)
        with _locked(path):
            if path.is_file():
                with suppress(GraphError):  # as of a generator whose code was changed since
                    return self._tried(model, restoration, path)
            write_file(path, to_onnx(model, {}))
        return self._tried(model, restoration, path)

    def _tried(self, model: Model, restoration: Restoration, path: Path) -> Run:
        run: list[Run] = []

        def load() -> Run:
            self._graph = self._core.read_model(path)
            run.append(self._compiled(rounded=False))
            return run[0]

        try_graph(model, restoration, load, "OpenVINO")
        return run[0]

    def _compiled(self, *, rounded: bool) -> Run:
        settings = {
            "INFERENCE_PRECISION_HINT": HINTS[rounded],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        network: Any = self._core.compile_model(self._graph, "CPU", settings)

        def run(lr: Tensor) -> Tensor:
            return torch.from_numpy(network([lr.float().contiguous().numpy()])[0])

        return run


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other processes from making the same file while this lasts.

    Raises
    ------
    OutputError
        If its folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock")).acquire()
    except OSError as error:
        raise OutputError(
            f"{path.parent}: cannot be written ({error.strerror}); name another folder for what "
            "srkit keeps: SRKIT_CACHE"
        ) from error
    with lock:
        yield


def _digest_of(model: Model) -> str:
    """Name a network by all that its answers depend on, but for the code of its modules."""
    told = (__version__, torch.__version__, model.scale, repr(model.generator))
    digest = hashlib.sha256("\n".join(map(str, told)).encode())
    add_tensors(digest, model.generator.state_dict())
    return digest.hexdigest()
