"""The page as a program sees it; in a process of its own, since Gradio leaves sockets open."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from srkit.components.commands import make_command
from srkit.components.registry import Registry
from srkit.testing import check_command

CODE = """
import json, os, socket, sys
from urllib.request import urlopen
from gradio_client import Client, handle_file
from srkit.errors import OutputError
from srkit_app.command import served

found = {}
with socket.create_server(("127.0.0.1", 0)) as used:
    port = used.getsockname()[1]
    try:
        with served(port):
            pass
    except OutputError as error:
        found["busy"] = str(error).replace(str(port), "PORT")
with served() as (address, _):
    port = int(address.rpartition(":")[2])
    found |= {"address": address, "page": urlopen(address, timeout=30).read().decode()}
    try:
        socket.create_connection(("127.0.0.2", port), timeout=5)
    except OSError:
        found["elsewhere"] = "refused"
    client = Client(address, verbose=False)
    given = [handle_file(name) for name in sys.argv[1:]]
    found["results"] = client.predict(given, "bicubic", 3, 0, api_name="/enlarge")
    found["nothing"] = client.predict([], "bicubic", 3, 0, api_name="/enlarge")[-1]
    folder = os.environ["GRADIO_TEMP_DIR"]
found["left"] = os.path.exists(folder)
print(json.dumps(found))
"""


def test_the_command_has_its_options() -> None:
    component = Registry.discover().get("commands", "app")
    check_command(component)
    assert {option.name for option in make_command(component).params} == {"port", "browser"}


@pytest.mark.slow
def test_files_are_enlarged_on_a_page_that_only_this_machine_sees(tmp_path: Path) -> None:
    PIL.Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(tmp_path / "a_b.png")
    (tmp_path / "bad.png").write_bytes(b"xxx")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE, "a_b.png", "bad.png"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["address"].startswith("http://127.0.0.1:")
    assert found["elsewhere"] == "refused"
    assert found["busy"] == "port PORT: is used already; choose another --port"
    assert "fonts.googleapis.com" not in found["page"]
    assert '"analytics_enabled":false' in found["page"].replace(": ", ":")
    _, pair, files, messages = found["results"]
    assert len(pair) == 2
    assert [Path(path).name for path in files["value"]] == ["a_b_x3.png"]
    assert messages.startswith("- bad.png: begins with the bytes")
    assert found["nothing"] == "- Drop a file first."
    assert found["left"] is False
