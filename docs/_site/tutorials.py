"""Tutorials: each .py file of docs/tutorials is executed and becomes a page and a notebook."""

from __future__ import annotations

import base64
import os
import re
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jupytext
import nbformat
from mkdocs.exceptions import PluginError
from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File
from nbclient import NotebookClient

log = get_plugin_logger("tutorials")
FOLDER = Path(__file__).resolve().parents[1] / "tutorials"
#: Most seconds of a cell, so that a hanging one stops the build.
LIMIT = 300
#: What a command in a cell prints when it fails, which raises nothing in the notebook.
FAILED = re.compile(r"^(?:error: |Traceback |Usage: )", re.MULTILINE)
#: Folders before the package in the paths of warnings.
HOME = re.compile(r"(?:^|(?<=>))/[^\s<>]+/(?=srkit/)", re.MULTILINE)
EMPTY = re.compile(r"<pre[^>]*>\s*</pre>")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def on_files(files: Any, config: Any) -> Any:
    """Execute the tutorials, two at a time, and add their pages, pictures and notebooks."""
    sources = sorted(FOLDER.glob("*.py"))
    with ThreadPoolExecutor(2) as pool:
        for source, notebook in zip(sources, pool.map(executed, sources), strict=True):
            name = f"tutorials/{source.stem}"
            parts = [f"[Download this notebook]({source.stem}.ipynb)\n"]
            for number, cell in enumerate(notebook.cells):
                text, pictures = page_of(cell, f"{source.stem}-{number}")
                parts.insert(0, text) if number == 0 else parts.append(text)
                for picture, content in pictures.items():
                    files.append(File.generated(config, f"tutorials/{picture}", content=content))
            files.append(File.generated(config, f"{name}.md", content="\n".join(parts)))
            written = nbformat.writes(notebook)
            files.append(File.generated(config, f"{name}.ipynb", content=written))
    return files


def executed(source: Path) -> Any:
    """Execute a tutorial in a folder of its own."""
    notebook = jupytext.read(source)
    start = time.perf_counter()
    with TemporaryDirectory(prefix=f"srkit-{source.stem}-") as folder:
        client = NotebookClient(
            notebook,
            timeout=LIMIT,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
        )
        client.execute(env=environment(Path(folder)))
    for cell in notebook.cells:
        if FAILED.search(printed(cell)) and "error" not in cell.metadata.get("tags", []):
            raise PluginError(f"{source}: a command failed:\n{cell.source}\n{printed(cell)}")
    log.info("%s.py: executed in %.0f s", source.stem, time.perf_counter() - start)
    return notebook


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a kernel: this Python's commands, and a place for plugins."""
    installed = folder / ".installed"
    installed.mkdir()
    own = os.environ.get("PYTHONPATH")
    return os.environ | {
        "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(installed), *([own] if own else [])]),
        "SRKIT_CACHE": str(folder / "cache"),
        "COLUMNS": "100",
        "OMP_NUM_THREADS": "1",  # two tutorials run at a time
        # `pip install` in a tutorial changes nothing outside of its folder, and downloads nothing.
        "PIP_TARGET": str(installed),
        "PIP_NO_BUILD_ISOLATION": "0",  # which pip reads as "without isolation"
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PIP_QUIET": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def printed(cell: Any) -> str:
    """Return what a cell printed, without colours."""
    streams = [each for each in cell.get("outputs", ()) if each.output_type == "stream"]
    text = COLOUR.sub("", "".join(each.text for each in streams)).replace("\r\n", "\n")
    return HOME.sub("", text)


def page_of(cell: Any, name: str) -> tuple[str, dict[str, bytes]]:
    """Return a cell with its outputs as Markdown, and the pictures among them."""
    if cell.cell_type != "code":
        return f"{cell.source}\n", {}
    parts, pictures = [f"```python\n{cell.source}\n```\n"], {}
    if text := printed(cell).strip("\n"):
        parts.append(f"```text\n{text}\n```\n")
    for number, output in enumerate(cell.outputs):
        data = output.get("data", {})
        if "application/vnd.jupyter.widget-view+json" in data or EMPTY.fullmatch(
            data.get("text/html", "").strip()
        ):
            continue  # a progress bar, which has ended
        if "text/html" in data:
            parts.append(f'<div class="output">\n{HOME.sub("", data["text/html"])}\n</div>\n')
        elif "image/png" in data:
            picture = f"{name}-{number}.png"
            pictures[picture] = base64.b64decode(data["image/png"])
            parts.append(f"![Output of the cell above]({picture})\n")
        elif "text/plain" in data:
            parts.append(f"```text\n{data['text/plain']}\n```\n")
    return "\n".join(parts), pictures
