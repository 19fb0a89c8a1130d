"""A web server on this machine that fails on demand."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol, TypeVar


@dataclass
class Web:
    """The files of the server, how it fails, and its requests.

    Parameters
    ----------
    files
        Content by path, such as ``/a.zip``.
    ranges
        Whether the server supports requests for a part of a file.
    tag
        The ETag; None for none.
    stops
        Numbers of bytes after which the first connections are closed, one for each.
    held
        An event that connections wait for before they are closed.
    address, asked
        The address of the server, and the ``Range`` of each request so far.
    """

    files: dict[str, bytes]
    ranges: bool = True
    tag: str | None = '"one"'
    stops: list[int] = field(default_factory=list)
    held: threading.Event | None = None
    address: str = ""
    asked: list[str | None] = field(default_factory=list)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range")
                web.asked.append(wanted)
                content = web.files.get(self.path)
                if content is None:
                    return self.send_error(404)
                start = 0
                if wanted and web.ranges and self.headers.get("If-Range") == web.tag:
                    found = re.fullmatch(r"bytes=(\d+)-", wanted)
                    assert found is not None
                    start = int(found[1])
                    if start >= len(content):
                        self.send_response(416)
                        self.send_header("Content-Range", f"bytes */{len(content)}")
                        self.send_header("Content-Length", "0")
                        return self.end_headers()
                    self.send_response(206)
                    last = len(content) - 1
                    self.send_header("Content-Range", f"bytes {start}-{last}/{len(content)}")
                else:
                    self.send_response(200)
                self.send_header("Content-Length", str(len(content) - start))
                if web.tag is not None:
                    self.send_header("ETag", web.tag)
                self.end_headers()
                part = content[start:]
                if web.stops:
                    part = part[: web.stops.pop(0)]
                self.wfile.write(part)
                if web.held is not None:
                    web.held.wait(60)
                return None

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


class Served(Protocol):
    """What :func:`serving` serves."""

    address: str

    def handler(self) -> type[BaseHTTPRequestHandler]: ...


Content = TypeVar("Content", bound=Served)


@contextmanager
def serving(content: Content) -> Iterator[Content]:
    """Serve until the end of the block, at ``content.address``."""
    with ThreadingHTTPServer(("127.0.0.1", 0), content.handler()) as server:
        content.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield content
        finally:
            server.shutdown()
            thread.join()
