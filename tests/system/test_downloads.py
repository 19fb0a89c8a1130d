"""Downloads from a server on this machine."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from web_server import Web, serving

from srkit.errors import DownloadError
from srkit.system import downloads
from srkit.system.digests import digest_of_file
from srkit.system.downloads import download

CONTENT = random.Random(0).randbytes(300_000)
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "PAUSES", (0, 0, 0))
    monkeypatch.setattr(downloads, "BLOCK", 1000)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def web() -> Iterator[Web]:
    with serving(Web({"/net.bin": CONTENT})) as web:
        yield web


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "data" / "net.bin"


def url(web: Web) -> str:
    return f"{web.address}/net.bin"


def fails(web: Web, target: Path, message: str, checksum: str | None = SHA256) -> None:
    with pytest.raises(DownloadError) as caught:
        download(url(web), target, checksum=checksum)
    assert str(caught.value) == message


def names(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.glob("[!.]*"))


@pytest.mark.parametrize("checksum", [SHA256, MD5])
def test_downloads_once(web: Web, target: Path, checksum: str) -> None:
    for _ in range(2):
        assert download(url(web), target, checksum=checksum) == target
        assert target.read_bytes() == CONTENT
    assert web.asked == [None]
    assert [path.name for path in target.parent.iterdir()] == ["net.bin"]


def test_a_broken_connection_is_resumed(web: Web, target: Path) -> None:
    web.stops = [100_000, 50_000]
    download(url(web), target, checksum=SHA256)
    assert web.asked == [None, "bytes=100000-", "bytes=150000-"]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["no ranges", "no tag"])
def test_a_server_without_ranges_sends_the_file_again(web: Web, target: Path, fault: str) -> None:
    web.stops = [100_000]
    if fault == "no ranges":
        web.ranges = False
    else:
        web.tag = None
    download(url(web), target, checksum=SHA256)
    assert target.read_bytes() == CONTENT
    assert len(web.asked) == 2


def test_repeated_truncation_is_an_error_and_the_next_call_resumes(web: Web, target: Path) -> None:
    web.stops = [200_000, 0, 0, 0]
    message = (
        f"{url(web)} could not be downloaded (the connection ended after 200000 of 300000 bytes); "
        "try again, which resumes the download, or download it elsewhere and save it as "
        f"{target}"
    )
    fails(web, target, message)
    assert names(target) == ["net.bin.partial", "net.bin.partial.json"]
    download(url(web), target, checksum=SHA256)
    assert web.asked[-1] == "bytes=200000-"
    assert target.read_bytes() == CONTENT
    assert names(target) == ["net.bin"]


def test_the_download_of_a_killed_process_is_resumed(web: Web, target: Path) -> None:
    web.stops, web.held = [150_000], threading.Event()
    code = (
        "import sys; from pathlib import Path; from srkit.system import downloads\n"
        "downloads.BLOCK = 1000\n"
        "downloads.download(sys.argv[1], Path(sys.argv[2]))"
    )
    partial = target.with_name("net.bin.partial")
    process = subprocess.Popen([sys.executable, "-c", code, url(web), str(target)])
    try:
        while not (partial.is_file() and partial.stat().st_size):
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
        web.held.set()
    arrived = partial.stat().st_size
    assert 0 < arrived <= 150_000
    download(url(web), target, checksum=SHA256)
    assert web.asked == [None, f"bytes={arrived}-"]
    assert target.read_bytes() == CONTENT


def test_another_version_of_the_file_is_not_appended(web: Web, target: Path) -> None:
    web.stops = [100_000, 0, 0, 0]
    with pytest.raises(DownloadError, match="ended after 100000 of 300000 bytes"):
        download(url(web), target)
    web.files["/net.bin"], web.tag = CONTENT[::-1], '"two"'
    download(url(web), target)
    assert target.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("more", [b"", b"more"])
def test_a_partial_file_that_is_complete_or_too_long(web: Web, target: Path, more: bytes) -> None:
    target.parent.mkdir()
    target.with_name("net.bin.partial").write_bytes(CONTENT + more)
    notes = json.dumps({"url": url(web), "version": web.tag})
    target.with_name("net.bin.partial.json").write_text(notes)
    download(url(web), target, checksum=SHA256)
    assert target.read_bytes() == CONTENT
    assert web.asked == [f"bytes={300_000 + len(more)}-", *([None] if more else [])]


def test_wrong_checksum(web: Web, target: Path) -> None:
    message = (
        f"{url(web)}, just downloaded: its sha256 is {SHA256[7:]}, expected {'0' * 64}; try again, "
        f"or download it elsewhere and save it as {target}"
    )
    fails(web, target, message, "sha256:" + "0" * 64)
    assert names(target) == []


def test_an_existing_file_is_verified(web: Web, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"something else")
    message = (
        f"{target}: its sha256 is {digest_of_file(target)}, expected {SHA256[7:]}; delete it and "
        f"download {url(web)} again"
    )
    fails(web, target, message)
    assert web.asked == []


def test_an_unknown_checksum_is_recorded_and_compared_with(web: Web, target: Path) -> None:
    download(url(web), target)
    recorded = target.with_name("net.bin.sha256")
    assert recorded.read_text() == f"{SHA256[7:]}  net.bin\n"
    download(url(web), target)
    target.unlink()
    web.files["/net.bin"] = b"forged"
    message = (
        f"{url(web)}, just downloaded: its sha256 is {hashlib.sha256(b'forged').hexdigest()}, "
        f"expected {SHA256[7:]}; this was that of the first download; to accept the new one, "
        f"delete {recorded}"
    )
    fails(web, target, message, None)
    assert names(target) == ["net.bin.sha256"]


def test_a_full_disk(web: Web, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(free=downloads.RESERVE + 299_999)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    message = (
        f"{target}: 0.00 GB of {url(web)} remain to be downloaded, 0.07 GB are free; free some "
        "space or choose another disk"
    )
    fails(web, target, message)
    usage.free += 1
    download(url(web), target, checksum=SHA256)


def test_no_such_file_on_the_server(web: Web, target: Path) -> None:
    del web.files["/net.bin"]
    message = (
        f"{url(web)} could not be downloaded (HTTP Error 404: Not Found); try again, which "
        f"resumes the download, or download it elsewhere and save it as {target}"
    )
    fails(web, target, message)
    assert len(web.asked) == 1


def test_offline(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    message = (
        "http://data.example/net.bin could not be downloaded (<urlopen error [Errno -3] Temporary "
        "failure in name resolution>); try again, which resumes the download, or download it "
        f"elsewhere and save it as {target}"
    )
    with pytest.raises(DownloadError, match=f"^{re.escape(message)}$"):
        download("http://data.example/net.bin", target)
    assert names(target) == []


def test_other_schemes_are_refused(target: Path) -> None:
    message = "file:///etc/passwd: expected an address that begins with http:// or https://"
    with pytest.raises(DownloadError, match=f"^{message}$"):
        download("file:///etc/passwd", target)


def test_processes_that_need_the_same_file_download_it_once(web: Web, target: Path) -> None:
    threads = [threading.Thread(target=download, args=(url(web), target)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == CONTENT
    assert web.asked == [None]


def test_imports_no_torch() -> None:
    code = "import sys, srkit.system.downloads; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
