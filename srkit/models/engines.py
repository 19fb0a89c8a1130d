"""The engine that runs a network fastest on this machine: torch or OpenVINO."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import nn

from srkit import __version__
from srkit.errors import SrkitError
from srkit.models.open import Model
from srkit.system.cache import record_cached
from srkit.system.files import write_file
from srkit.system.folders import cache_folder
from srkit.system.precision import DTYPES, Precision

#: What runs the network.
Engine = Literal["torch", "openvino"]
#: Side of the LR image on which the engines are compared, and number of repetitions.
SIDE, ROUNDS = 64, 3
#: Lead from which on OpenVINO is used: a shorter one may be due to chance.
LEAD = 1.05


def fastest_engine(model: Model, network: nn.Module, precision: Precision) -> tuple[Engine, str]:
    """Return the engine that runs the network of a model fastest on the CPU, and why.

    The engines are compared on a small image. The result is kept in the cache of srkit for the
    architecture of the network, its precision, the processor and the versions of the engines.

    Parameters
    ----------
    model
        The model.
    network
        Its network, as torch runs it.
    precision
        In which the engines are compared.
    """
    if any(find_spec(name) is None for name in ("openvino", "onnx", "onnxscript")):
        return "torch", "OpenVINO is not installed: pip install 'srkit[openvino]'"
    path = cache_folder() / "engines" / f"{_digest_of(model, precision)}.json"
    try:
        seconds = _kept(path)
        if seconds is None:
            seconds = _measure(model, network, precision)
            write_file(path, json.dumps(seconds))
            record_cached(path)
    except SrkitError as error:
        return "torch", f"OpenVINO cannot run this network: {error}"
    ratio = seconds["torch"] / seconds["openvino"]
    chosen: Engine = "openvino" if ratio >= LEAD else "torch"
    return chosen, f"OpenVINO runs this network {ratio:.2f} times as fast as torch"


def _kept(path: Path) -> dict[str, float] | None:
    """Read the result of an earlier measurement; None if there is none."""
    # A damaged file is written again.
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        seconds = json.loads(path.read_text("utf-8"))
        return {name: float(seconds[name]) for name in get_args(Engine)}
    return None


def _measure(model: Model, network: nn.Module, precision: Precision) -> dict[str, float]:
    """Return the least seconds that each engine takes; they run in turns."""
    from srkit.models.openvino import OpenVINONetwork

    networks = {"torch": network, "openvino": OpenVINONetwork(model)}
    lr = torch.rand(1, model.channels or 1, SIDE, SIDE)
    seconds = dict.fromkeys(networks, float("inf"))
    with torch.no_grad(), torch.autocast("cpu", DTYPES[precision], enabled=precision != "fp32"):
        for each in networks.values():
            each(lr)  # prepares the network
        for _ in range(ROUNDS):
            for name, each in networks.items():
                start = time.perf_counter()
                each(lr)
                seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds


def _digest_of(model: Model, precision: Precision) -> str:
    """Return a digest of all that the result depends on."""
    versions = (__version__, torch.__version__, version("openvino"))
    network = (model.scale, repr(model.generator), precision)
    return hashlib.sha256(
        "\n".join(map(str, (*versions, *network, _processor()))).encode()
    ).hexdigest()


def _processor() -> str:
    """Return the name of the processor, and the instructions that torch uses of it."""
    name = platform.processor()
    information = Path("/proc/cpuinfo")
    if information.is_file():  # Linux, where platform.processor() is often empty
        lines = information.read_text("utf-8").splitlines()
        name = next((line for line in lines if line.startswith("model name")), name)
    return f"{name} {torch.backends.cpu.get_cpu_capability()}"
