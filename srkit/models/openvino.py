"""Networks that OpenVINO runs instead of torch: on the CPU, with fused layers."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

from srkit import __version__
from srkit.errors import GraphError, OutputError
from srkit.models.graphs import Restoration, Run, check_graph, to_onnx
from srkit.models.open import Model
from srkit.system.cache import record_cached
from srkit.system.digests import add_tensors
from srkit.system.extras import needs
from srkit.system.files import write_file
from srkit.system.folders import cache_folder

#: What OpenVINO calls fp32 and bf16.
HINTS = {False: "f32", True: "bf16"}


class OpenVINONetwork(nn.Module):
    """The network of a model, run by OpenVINO on the CPU; safe for several threads.

    The network is converted to an ONNX graph, which is kept in the cache of srkit under a digest of
    its architecture and weights. Sums, concatenations and activations are computed within the
    convolutions before them. Every graph is compared with the network before it is used.

    Parameters
    ----------
    model
        The model; its stretch, constraint and variance are not included.

    Raises
    ------
    OutputError
        If the network cannot be converted, the output of the graph differs, or the cache cannot be
        written.
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
            self._runs[False] = self._cached_or_converted(bare)
        except GraphError as error:
            raise OutputError(f"{error}; run it by torch, without --engine") from error

    def forward(self, lr: Tensor) -> Tensor:
        """Restore ``(N, C, h, w)`` images: in bf16 under autocast, else in fp32.

        Raises
        ------
        OutputError
            If OpenVINO returns nothing, as it does in bf16 on processors that cannot compute it.
        """
        rounded = torch.is_autocast_enabled("cpu")
        with self._lock:
            if rounded not in self._runs:
                self._runs[rounded] = self._compiled(rounded=rounded)
            sr = self._runs[rounded](lr)
        assert isinstance(sr, Tensor)
        if not sr.numel():  # in bf16, where the processor has no AVX512
            raise OutputError("OpenVINO cannot compute bf16 on this processor; use fp32")
        return sr

    def _cached_or_converted(self, model: Model) -> Run:
        """Return the network in fp32, from the cache if its graph is there and correct."""
        path = cache_folder() / "openvino" / f"{_digest_of(model)}.onnx"
        restoration = Restoration(model)

        def load() -> Run:
            self._graph = self._core.read_model(path)
            return self._compiled(rounded=False)

        if path.is_file():
            with suppress(GraphError):  # as of a generator whose code has changed
                return check_graph(model, restoration, load, "OpenVINO")
        # Several processes may convert the same network; each writes the same file.
        content = to_onnx(model, {})
        try:
            write_file(path, content)
            record_cached(path)
        except OutputError as error:
            raise OutputError(f"{error} with SRKIT_CACHE") from error
        return check_graph(model, restoration, load, "OpenVINO")

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


def _digest_of(model: Model) -> str:
    """Return a digest of all that the output depends on, except the code of the modules."""
    architecture = (__version__, torch.__version__, model.scale, repr(model.generator))
    digest = hashlib.sha256("\n".join(map(str, architecture)).encode())
    add_tensors(digest, model.generator.state_dict())
    return digest.hexdigest()
