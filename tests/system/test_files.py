from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from disk_setup import small_disk

from srkit.errors import OutputError
from srkit.system import files
from srkit.system.files import atomic, is_file_name, write_file


@pytest.mark.parametrize("content", [b"\x00\xff\n", "flux é\n", "", b""])
def test_writes_bytes_and_text(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "new" / "folder" / "a.bin"
    assert write_file(path, content) == path
    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode("utf-8"))
    assert list(path.parent.iterdir()) == [path]


def test_replaces_an_existing_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_file(path, "long before")
    write_file(path, "now")
    assert path.read_text() == "now"


def test_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_file(path, "before")
    message = (
        f"{path}: cannot be written (File too large); free some space or choose another folder"
    )
    with pytest.raises(OutputError, match=f"^{re.escape(message)}$"), small_disk(4096):
        write_file(path, "x" * 3 * 4096)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_turns_out_full_at_fsync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "a.txt"
    write_file(path, "before")
    monkeypatch.setattr(os, "fsync", full)
    message = (
        f"{path}: cannot be written (No space left on device); free some space or "
        "choose another folder"
    )
    with pytest.raises(OutputError, match=f"^{re.escape(message)}$"):
        write_file(path, "now")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    path = tmp_path / "out" / "a.txt"
    with pytest.raises(OutputError, match=rf"^{re.escape(str(path))}: cannot be written \(.+\); "):
        write_file(path, "now")
    assert (tmp_path / "out").read_text() == "a file"


def test_a_path_that_is_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.mkdir()
    with pytest.raises(OutputError, match=r"cannot be written \(.*Is a directory"):
        write_file(path, "now")
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import os, signal, sys
from pathlib import Path
from srkit.system.files import is_file_name, write_file

os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
write_file(Path(sys.argv[1]), "now")
"""


def test_a_process_that_is_killed_while_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    write_file(path, "before")
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr(files, "_cleared", set[Path]())
    write_file(tmp_path / "b.txt", "another")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.txt", "b.txt"]


def test_only_files_of_dead_processes_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with atomic(tmp_path / "a.txt") as own:
        own.touch()
    _, here = own.name.split(".")[1].split("-")
    dead = max(psutil.pids()) + 100_000
    names = {
        f".{os.getppid()}-{here}.partial.a.txt": True,
        f".{dead}-{here}.partial.a.txt": False,
        f".{dead}-ffffffff.partial.a.txt": True,  # of another machine
        f".{dead}-ffffffff.partial.b.txt": False,
        f".{dead}.partial.a.txt": True,  # named otherwise
    }
    for name in names:
        path = tmp_path / name
        path.touch()
        if "b.txt" in name:
            yesterday = time.time() - 25 * 3600
            os.utime(path, (yesterday, yesterday))
    monkeypatch.setattr(files, "_cleared", set[Path]())
    write_file(tmp_path / "c.txt", "")
    assert {name: (tmp_path / name).exists() for name in names} == names


@pytest.mark.parametrize(
    ("name", "usable"),
    [
        ("NGC 1234.fits", True),
        ("console.png", True),
        ("com10.png", True),
        (".hidden", True),
        ("nul", False),
        ("AUX.png", False),
        ("com1.tar.gz", False),
        ("a:b.png", False),
        ("what?.png", False),
        ("a/b", False),
        ("a\nb", False),
        ("trailing.", False),
        ("trailing ", False),
        ("", False),
    ],
)
def test_names_that_files_can_have_on_every_system(name: str, usable: bool) -> None:
    assert is_file_name(name) is usable
