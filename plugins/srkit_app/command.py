"""The command `srkit app`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from pydantic import Field

from srkit.errors import OutputError
from srkit.system import needs

#: The page is served to this machine only.
HOST = "127.0.0.1"


def app(*, port: Annotated[int | None, Field(ge=0, lt=2**16)] = None, browser: bool = True) -> None:
    """Open a page on which pictures and FITS files are dropped, enlarged, compared and downloaded.

    The page is served to this machine only, and sends nothing anywhere. Files that are dropped on
    it are removed when the command ends. Ctrl-C ends it.

    Parameters
    ----------
    port
        Port of the page; by default the first of 7860 to 7959 that is free.
    browser
        Open the page in the browser.
    """
    with served(port) as (address, page):
        print(f"{address}: open this page in a browser; Ctrl-C stops it", flush=True)
        if browser:
            import webbrowser

            webbrowser.open(address)
        page.block_thread()


@contextmanager
def served(port: int | None = None) -> Iterator[tuple[str, Any]]:
    """Serve the page, and remove what was dropped on it in the end.

    Yields
    ------
    address, page
        Its address, and the `gradio.Blocks`.

    Raises
    ------
    PluginError
        If gradio is not installed.
    OutputError
        If the port is used by another program.
    """
    # Before gradio is imported, which reads it.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    with TemporaryDirectory(prefix="srkit-app-", ignore_cleanup_errors=True) as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        with needs("gradio", "app"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of gradio, about itself
            from srkit_app.page import LAUNCH, build_page

            page = build_page(Path.cwd())
        try:
            _, address, _ = page.launch(server_name=HOST, server_port=port, **LAUNCH)
        except OSError as error:
            raise OutputError(f"port {port}: is used already; choose another --port") from error
        try:
            yield address.rstrip("/"), page
        finally:
            page.close(verbose=False)
