import platform
import subprocess
import sys

import pytest

STEPS = """
import resource, sys
import torch
from srkit.system.allocator import keep_freed_memory, return_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
if sys.argv[1] == "worker":
    keep_freed_memory()
    return_freed_memory()
torch.set_num_threads(1)
def step():
    for _ in range(20):
        torch.ones(16 * 2**20)  # 64 MiB: above the size that glibc learns to keep
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(policy: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", STEPS, policy], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc's allocator")
def test_freed_memory_is_not_mapped_afresh() -> None:
    kept, returned = page_faults("keep"), page_faults("return")
    assert returned >= 20 * 64 / 2  # at least one fault for each huge page of 2 MiB
    assert kept < returned / 10


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc's allocator")
def test_a_worker_returns_what_its_parent_would_keep() -> None:
    assert page_faults("worker") >= 20 * 64 / 2
