from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from srkit.errors import OutputError
from srkit.system import locks
from srkit.system.locks import locked

BUSY = OutputError("busy")

#: Holds a lock until its input ends.
HOLDER = """
import sys
from pathlib import Path
from srkit.errors import OutputError
from srkit.system.locks import locked

with locked(Path(sys.argv[1]), OutputError()):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_one_holds_a_lock_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    with locked(path, BUSY), pytest.raises(OutputError, match=r"^busy$"), locked(path, BUSY):
        pass
    assert list(path.parent.iterdir()) == []
    with locked(path, BUSY):
        pass


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(OutputError, match=r"^busy$"), locked(path, BUSY):
            pass
        holder.kill()
        holder.wait()
        assert path.exists()
        with locked(path, BUSY):
            pass
    assert not path.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_does_not_keep_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    wait, end = os.pipe()
    started, start = os.pipe()
    with locked(path, BUSY):
        child = os.fork()
        if child == 0:
            os.write(start, b".")
            os.close(end)
            os.read(wait, 1)  # like a worker that outlives its parent
            os._exit(0)
        os.read(started, 1)
        with pytest.raises(OutputError, match=r"^busy$"), locked(path, BUSY):
            pass
        (lock,) = locks._held
        # A killed process does not unlock, it only closes its files.
        assert lock._context.lock_file_fd is not None
        os.close(lock._context.lock_file_fd)
        lock._context.lock_file_fd = None
        with locked(path, BUSY):
            pass
    os.close(end)
    assert os.waitpid(child, 0)[1] == 0
    for descriptor in (wait, started, start):
        os.close(descriptor)


def test_a_lock_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "lock"
    message = rf"^{re.escape(str(path))}: cannot be written \("
    with pytest.raises(OutputError, match=message), locked(path, BUSY):
        pass


def test_a_lock_file_that_cannot_be_removed_while_it_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows removes no open file."""
    path = tmp_path / "lock"

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "in use", str(path))

    with monkeypatch.context() as patched, locked(path, BUSY):
        patched.setattr(Path, "unlink", refuse)
    with locked(path, BUSY):
        pass
    assert not path.exists()
