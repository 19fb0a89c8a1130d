"""The threads of the command line, which leave the cores to other processes while they wait."""

from __future__ import annotations

import os

import pytest

from srkit.cli import main


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"GOMP_SPINCOUNT": "10000"}),
        ({"GOMP_SPINCOUNT": "5"}, {"GOMP_SPINCOUNT": "5"}),
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
    ],
)
def test_waiting_threads_spin_briefly_unless_the_user_sets_it(
    given: dict[str, str], expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    monkeypatch.setattr("os.environ", {k: v for k, v in os.environ.items() if k not in names})
    os.environ.update(given)
    monkeypatch.setattr("sys.argv", ["srkit", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert {name: os.environ[name] for name in names if name in os.environ} == expected
