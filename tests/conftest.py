"""What every test shares."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

# With several test processes (pytest -n), more threads than cores slow convolutions down tenfold.
# The processes inherit what the first one sets here, so that it must not depend on which one it is.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Force matplotlib to draw without a display, and rich to print plainly.
os.environ.setdefault("MPLBACKEND", "agg")

import pytest
from command_line import Done, Srkit

from srkit.cli import main
from srkit.components.registry import Registry
from srkit.images.formats import Formats

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


def pytest_collection_finish() -> None:
    """Exempt the libraries and the collected tests from garbage collection, which they slow."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the user's cache as it is."""
    os.environ["SRKIT_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def registry() -> Registry:
    """The components that are installed."""
    return Registry.discover()


@pytest.fixture(scope="session")
def formats(registry: Registry) -> Formats:
    """Every registered image format."""
    return Formats.of(registry)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("needs the real data in ../shared, which is not here")
    return SHARED


@pytest.fixture
def undrawn_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build the figures of reports, but do not draw them, which takes longer than small runs."""
    monkeypatch.setattr("srkit.report.writer.png", lambda figure, dpi: b"")


@pytest.fixture
def srkit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Srkit:
    """Run the command line in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def srkit(*arguments: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["srkit", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        code = caught.value.code
        return Done(code if isinstance(code, int) else 0, *capsys.readouterr())

    return srkit
