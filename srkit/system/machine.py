"""What a bug report needs to know of this machine: versions, devices, extras."""

from __future__ import annotations

import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import psutil
import torch

from srkit.system.devices import default_device, memory_of
from srkit.system.precision import fastest_precision

#: Extras that are for people who work on srkit.
FOR_DEVELOPERS = ("test", "docs")
#: The name of a distribution that a requirement begins with, and the extra that it is for.
_REQUIREMENT = re.compile(r"""([\w.-]+).*?(?:extra == ['"]([\w-]+)['"])?$""")


def describe_machine() -> dict[str, Any]:
    """Return versions, devices and extras as data for JSON."""
    return {
        "srkit": version("srkit"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "devices": _devices(),
        "extras": _extras(),
        "versions": {name: _version(name) for name in _required()[""]},
    }


def _processor() -> dict[str, Any]:
    precision, reason = fastest_precision(torch.device("cpu"))
    memory = psutil.virtual_memory()
    return {
        "name": _processor_name(),
        "cores": psutil.cpu_count(logical=False),
        "threads of torch": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "memory": f"{memory.total / 1e9:.1f} GB, {memory.available / 1e9:.1f} GB available",
        "computes fast": f"{precision} ({reason})",
    }


def _processor_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _devices() -> list[dict[str, str]]:
    """Describe the accelerators that torch finds."""
    kind = default_device().type
    if kind == "cpu":
        return []
    found = []
    for number in range(torch.accelerator.device_count()):
        device = torch.device(kind, number)
        precision, reason = fastest_precision(device)
        name = getattr(torch.get_device_module(device), "get_device_name", str)
        found.append(
            {
                "name": f"{device}: {name(device)}",
                "memory": f"{memory_of(device) / 1e9:.1f} GB available",
                "computes fast": f"{precision} ({reason})",
            }
        )
    return found


def _required() -> dict[str, list[str]]:
    """Return the distributions that srkit requires, and those of each extra; "" is srkit's own."""
    found: dict[str, list[str]] = {"": []}
    for requirement in requires("srkit") or ():
        match = _REQUIREMENT.match(requirement)
        assert match is not None
        name, extra = match[1], match[2] or ""
        if name != "srkit" and extra not in FOR_DEVELOPERS:
            found.setdefault(extra, []).append(name)
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _extras() -> dict[str, str]:
    """Return what is installed of each extra, or how to install it."""
    found = {}
    for extra, names in sorted(_required().items()):
        versions = {name: _version(name) for name in names}
        missing = [name for name, installed in versions.items() if installed is None]
        if missing:
            found[extra] = f"not installed ({', '.join(missing)}): pip install 'srkit[{extra}]'"
        else:
            found[extra] = ", ".join(f"{name} {installed}" for name, installed in versions.items())
    found.pop("")
    return found
