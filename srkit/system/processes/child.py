"""Run srkit while holding a lock: ``python -m srkit.system.processes.child LOCK ARGUMENT...``."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from srkit.errors import OutputError
from srkit.system.locks import locked

if __name__ == "__main__":
    lock = Path(sys.argv.pop(1))
    with locked(lock, OutputError(f"{lock}: held by another process")):
        runpy.run_module("srkit", run_name="__main__", alter_sys=True)
