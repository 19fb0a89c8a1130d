from __future__ import annotations

import io
import json
import platform
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from command_line import Srkit

from srkit.system import machine
from srkit.system.cache import record_cached
from srkit.system.precision import fastest_precision


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("SRKIT_CACHE", str(folder))
    return folder


def test_the_report_is_plain_text_and_json(
    srkit: Srkit, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    required = ["numpy>=2", 'rich>=1; extra == "a"', 'no-such-thing; extra == "b"']
    monkeypatch.setattr(machine, "requires", lambda _: required)
    cache.mkdir()
    (cache / "a.pth").write_bytes(bytes(2_000_000))
    done = srkit("doctor")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == f"srkit: {version('srkit')}"
    assert f"python: {platform.python_version()}" in lines
    precision, reason = fastest_precision(torch.device("cpu"))
    assert f"  computes fast: {precision} ({reason})" in lines
    extras = lines.index("extras:")
    assert lines[extras + 1 : extras + 3] == [
        f"  a: rich {version('rich')}",
        "  b: not installed (no-such-thing): pip install 'srkit[b]'",
    ]
    versions = lines.index("versions:")
    assert lines[versions + 1] == f"  numpy: {version('numpy')}"
    assert any(line.startswith("third-party plugins:") for line in lines)
    assert lines[-1] == f"cache: {cache} (1 file, 2.0 MB)"
    found = json.loads(srkit("doctor", "--json").out)
    assert found["extras"]["a"] == f"rich {version('rich')}"
    assert found["versions"] == {"numpy": version("numpy")}


def test_accelerators_are_described(monkeypatch: pytest.MonkeyPatch) -> None:
    class Module:
        @staticmethod
        def get_device_name(device: torch.device) -> str:
            return f"H{device.index}00"

        @staticmethod
        def mem_get_info(device: torch.device) -> tuple[int, int]:
            return 3 * 10**9, 4 * 10**9

    monkeypatch.setattr(machine, "default_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(machine, "fastest_precision", lambda device: ("bf16", "it is new"))
    monkeypatch.setattr("torch.accelerator.device_count", lambda: 2)
    monkeypatch.setattr("torch.get_device_module", lambda device: Module)
    assert machine._devices()[1] == {
        "name": "cuda:1: H100",
        "memory": "3.0 GB available",
        "computes fast": "bf16 (it is new)",
    }


def test_the_cache_is_listed_and_cleared_by_consent(
    srkit: Srkit, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir()
    assert srkit("cache").out == f"{cache}: 0 files of srkit, 0.0 MB\n"
    (cache / "own.pth").write_bytes(bytes(1_500_000))
    record_cached(cache / "own.pth")
    (cache / "mine.txt").write_text("mine")
    assert srkit("cache").out.splitlines() == [
        "       0.0 MB  mine.txt  (not written by srkit; never removed)",
        "       1.5 MB  own.pth",
        f"{cache}: 1 file of srkit, 1.5 MB",
        "Remove them with: srkit cache --clear",
    ]
    for answer, message in (
        ("n\n", "nothing was removed"),
        ("", "cache --clear: cannot ask for confirmation without a terminal; rerun with --yes"),
    ):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        refused = srkit("cache", "--clear")
        assert (refused.status, refused.err.splitlines()[-1]) == (1, f"error: {message}")
    listed = json.loads(srkit("cache", "--json").out)
    assert {Path(each["path"]).name: each["own"] for each in listed["files"]} == {
        "mine.txt": False,
        "own.pth": True,
    }
    assert srkit("cache", "--clear", "--yes").out.splitlines()[-1] == "removed 1 file, 1.5 MB"
    assert [path.name for path in cache.iterdir()] == ["mine.txt"]


def test_without_a_command_the_next_steps_are_shown(srkit: Srkit) -> None:
    for arguments in ((), ("--help",)):
        done = srkit(*arguments)
        assert "srkit train darionet --sample" in done.out
        assert "srkit upscale photo.jpg --scale 4" in done.out


def test_commands_are_completed(srkit: Srkit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_SRKIT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "srkit va")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert srkit().out.split() == ["validate"]  # of a plugin
    monkeypatch.setenv("COMP_WORDS", "srkit recipe l")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert srkit().out.split() == ["list"]
