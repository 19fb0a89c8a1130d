from __future__ import annotations

import io
import sys
from typing import Literal

import pytest
from rich.console import Console

from srkit.system.progress import new_console, progress_bars


def drawn(console: Console, unit: Literal["items", "bytes"] = "items") -> str:
    with progress_bars(console, unit=unit) as bars:
        task = bars.add_task("reading [a].png", total=4000, completed=1000)
        bars.advance(task, 1000)
        bars.refresh()
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("unit", "count"), [("items", "2000/4000"), ("bytes", "2.0/4.0 kB")], ids=["items", "bytes"]
)
def test_bars_on_a_terminal(unit: Literal["items", "bytes"], count: str) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=120)
    text = drawn(console, unit)
    assert "reading [a].png" in text
    assert count in text


def test_nothing_is_printed_where_there_is_no_terminal() -> None:
    assert drawn(Console(file=io.StringIO(), force_terminal=False)) == ""


def test_a_command_in_a_cell_of_a_notebook_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as ipykernel does
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert new_console().is_terminal
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    console = new_console()
    assert not console.is_terminal
    assert drawn(console) == ""
