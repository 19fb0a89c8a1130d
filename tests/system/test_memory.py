"""Memory is measured in another process, since this one may reuse memory that was freed."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import pytest

MB = 2**20
#: The peaks; then the page faults of a step by default, if freed memory is returned, and if it is
#: kept. (Memory that was kept may lie below other memory, and then cannot be returned any more.)
SCRIPT = """
import json, resource
import torch
from srkit.system.memory import PeakMemory, keep_freed_memory, return_freed_memory

MB, cpu = 2**20, torch.device("cpu")
before = torch.ones(100 * MB // 4)
with PeakMemory(cpu) as nothing:
    pass
with PeakMemory(cpu) as within:
    for _ in range(3):
        taken = torch.ones(100 * MB // 4)
        del taken
since = PeakMemory(cpu)
weights = torch.ones(60 * MB // 4)
with since:
    pass
assert float(before.sum() + weights.sum()) > 0

torch.set_num_threads(1)

def faults():
    for _ in range(5):
        torch.ones(16 * 2**20)  # 64 MiB: above the size that glibc learns to keep
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def faults_of_a_step():
    first = faults()
    return faults() - first

found = [faults_of_a_step()]
for policy in return_freed_memory, keep_freed_memory:
    policy()
    found.append(faults_of_a_step())
print(json.dumps([[nothing.peak, within.peak, since.peak], found]))
"""


@pytest.fixture(scope="module")
def found() -> list[list[int]]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    peaks_and_faults: list[list[int]] = json.loads(done.stdout)
    return peaks_and_faults


@pytest.mark.slow
def test_peak_memory(found: list[list[int]]) -> None:
    nothing, within, since = found[0]
    assert nothing < 20 * MB, "memory that was in use before does not count"
    assert 80 * MB < within < 160 * MB, "memory that was allocated and freed within counts"
    assert 45 * MB < since < 120 * MB, "memory counts from when the object was created"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc's allocator")
def test_freed_memory_is_kept_or_returned(found: list[list[int]]) -> None:
    default, returned, kept = found[1]
    least = 5 * 64 / 2  # at least one fault for each huge page of 2 MiB
    assert default >= least
    assert kept < default / 2  # one round of five may find no freed block that is large enough
    assert returned >= least
