"""`srkit data get`, from a server on this machine."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import Srkit
from web_server import Web, serving

from srkit import hookimpl
from srkit.components.registry import Registry
from srkit.interfaces import Archive, Download
from srkit.system import downloads
from srkit.testing import check_download


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"birds/{name}.png", content)
    return buffer.getvalue()


CONTENT = {"/hr.zip": zipped(a=b"wren", b=b"robin"), "/lr.zip": zipped(c=b"tit")}


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """Serve two archives, and install a plugin that offers them and no other plugin."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(downloads, "PAUSES", (0,))
    with serving(Web(dict(CONTENT))) as web:

        def birds(*, lr: bool = False, scale: int = 2) -> Download:
            """Pictures of birds.

            Parameters
            ----------
            lr
                Download LR, too.
            scale
                Scale of LR.
            """
            if scale > 4:
                raise ValueError(f"scale: got {scale}; there are 2, 3 and 4")
            digest = hashlib.sha256(CONTENT["/hr.zip"]).hexdigest()
            size = len(CONTENT["/hr.zip"])
            archives = [Archive(f"{web.address}/hr.zip", size, f"sha256:{digest}", strip=1)]
            if lr:
                archives.append(Archive(f"{web.address}/lr.zip"))
            return Download(
                title="Birds",
                homepage="https://birds.example",
                licence="CC-BY-4.0",
                folder="birds",
                archives=archives,
                notes=["They sing."],
            )

        @hookimpl
        def srkit_downloads() -> dict[str, object]:
            return {"birds": birds}

        registry = Registry()
        registry.register(
            SimpleNamespace(srkit_downloads=srkit_downloads), "birds", distribution="birds"
        )
        monkeypatch.setattr(Registry, "discover", lambda: registry)
        yield web


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*.png") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_asks_then_downloads_verifies_and_unpacks(
    web: Web, srkit: Srkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "y\n")
    done = srkit("data", "get", "birds")
    assert done.status == 0, done.err
    size = len(CONTENT["/hr.zip"]) / 1e9
    assert done.out.splitlines()[:7] == [
        "Birds",
        "  homepage   https://birds.example",
        "  licence    CC-BY-4.0",
        f"  from       {web.address}/hr.zip",
        f"  size       {size:.2f} GB",
        "  checksums  published",
        "  to         data/birds",
    ]
    assert "  note       They sing.\n" in done.out
    assert done.out.endswith("hr.zip: 2 files in data/birds\n")
    folder = tmp_path / "data/birds"
    assert files(folder) == {"a.png": b"wren", "b.png": b"robin"}
    assert sorted(path.name for path in folder.iterdir()) == ["a.png", "b.png", "hr.zip.files.json"]


def test_is_idempotent_and_replaces_damaged_files(web: Web, srkit: Srkit, tmp_path: Path) -> None:
    assert srkit("data", "get", "birds", "--yes", "--out", "d").status == 0
    done = srkit("data", "get", "birds", "--out", "d")
    assert (done.status, done.out) == (0, "d/birds: already complete\n")
    (tmp_path / "d/birds/b.png").write_bytes(b"")
    assert srkit("data", "get", "birds", "--yes", "--out", "d").status == 0
    assert files(tmp_path / "d/birds")["b.png"] == b"robin"
    assert web.asked == [None, None]


def test_files_of_the_user_are_replaced_only_with_overwrite(
    web: Web, srkit: Srkit, tmp_path: Path
) -> None:
    folder = tmp_path / "data/birds"
    folder.mkdir(parents=True)
    (folder / "b.png").write_bytes(b"mine")
    done = srkit("data", "get", "birds", "--yes")
    assert (done.status, done.err) == (
        1,
        "error: data/birds/b.png: would be replaced, but srkit did not write it; choose another "
        "--out, or add --overwrite\n",
    )
    assert files(folder) == {"b.png": b"mine"}
    assert srkit("data", "get", "birds", "--yes", "--overwrite").status == 0
    assert files(folder) == {"a.png": b"wren", "b.png": b"robin"}
    assert web.asked == [None]  # the archive was kept


def test_options_add_an_archive_whose_checksum_is_recorded(
    web: Web, srkit: Srkit, tmp_path: Path
) -> None:
    assert srkit("data", "get", "birds", "--yes").status == 0
    done = srkit("data", "get", "birds", "lr=true", "--yes", "--keep")
    assert done.status == 0, done.err
    assert "  checksums  not published for lr.zip; recorded at the first download\n" in done.out
    assert "  size       unknown\n" in done.out
    assert "hr.zip" not in done.out
    folder = tmp_path / "data/birds"
    assert files(folder) == {"a.png": b"wren", "b.png": b"robin", "birds/c.png": b"tit"}
    digest = hashlib.sha256(CONTENT["/lr.zip"]).hexdigest()
    assert (folder / "lr.zip.sha256").read_text() == f"{digest}  lr.zip\n"
    assert (folder / "lr.zip").read_bytes() == CONTENT["/lr.zip"]


def test_resumes_a_partial_download(web: Web, srkit: Srkit, tmp_path: Path) -> None:
    web.stops = [100, 0, 0]
    done = srkit("data", "get", "birds", "--yes")
    assert done.status == 1
    assert done.err.startswith(f"error: {web.address}/hr.zip could not be downloaded (the connect")
    assert srkit("data", "get", "birds", "--yes").status == 0
    assert web.asked[-1] == "bytes=100-"
    assert files(tmp_path / "data/birds") == {"a.png": b"wren", "b.png": b"robin"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n\n", "error: nothing was downloaded\n"),
        (
            "",
            "error: data get birds: cannot ask for confirmation without a terminal; rerun with "
            "--yes\n",
        ),
    ],
)
def test_downloads_nothing_without_consent(
    web: Web,
    srkit: Srkit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    message: str,
) -> None:
    answer(monkeypatch, text)
    done = srkit("data", "get", "birds")
    assert (done.status, done.err[-len(message) :]) == (1, message)
    assert web.asked == []
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cats"], "error: unknown download 'cats'; known: birds\n"),
        (
            ["birds", "lr=7", "size=3"],
            "error: srkit data get birds: 2 problems\n"
            "  lr: got 7; expected true or false\n"
            "  size: unknown key 'size'; known: lr, scale\n",
        ),
        (
            ["birds", "scale=5"],
            "error: srkit data get birds: 1 problem\n  scale: got 5; there are 2, 3 and 4\n",
        ),
    ],
)
def test_wrong_names_and_options(
    web: Web, srkit: Srkit, arguments: list[str], message: str
) -> None:
    done = srkit("data", "get", *arguments)
    assert (done.status, done.err) == (1, message)


def test_lists_the_downloads(web: Web, srkit: Srkit) -> None:
    done = srkit("data", "get")
    assert "birds  Pictures of birds.  lr, scale  birds" in done.out


def test_a_full_disk(web: Web, srkit: Srkit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=67_000_000))
    done = srkit("data", "get", "birds", "--yes")
    message = (
        "error: data/birds: needs about 0.0 GB, but 0.1 GB are free; free some space or choose "
        "another --out\n"
    )
    assert (done.status, done.err) == (1, message)


def test_a_damaged_record(web: Web, srkit: Srkit, tmp_path: Path) -> None:
    path = tmp_path / "data/birds/hr.zip.files.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"url": f"{web.address}/hr.zip"}))
    done = srkit("data", "get", "birds", "--yes")
    message = (
        "error: data/birds/hr.zip.files.json: cannot be read ('files'); delete it to download the "
        "archive again\n"
    )
    assert (done.status, done.err) == (1, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"licence": ""}, "a download must state its licence"),
        ({"folder": "../up"}, "the folder must be inside the folder of all data: '../up'"),
        ({"archives": []}, r"archives must have different names, got \[\]"),
        (
            {"archives": [Archive("ftp://a/b.zip")]},
            "'ftp://a/b.zip' is not an http address of a file",
        ),
        (
            {"archives": [Archive("http://a/b.zip", checksum="sha256:ABC")]},
            "b.zip: expected a checksum such as sha256:9d0b..., in lower case, got 'sha256:ABC'",
        ),
    ],
)
def test_the_contract(change: dict[str, object], message: str) -> None:
    good = Download("Birds", "https://b.example", "CC0-1.0", "b", [Archive("http://a/b.zip")])
    check_download(good)
    fields = {name: getattr(good, name) for name in ("title", "homepage", "licence", "folder")}
    with pytest.raises(AssertionError, match=f"^{message}$"):
        check_download(Download(**{**fields, "archives": good.archives, **change}))  # type: ignore[arg-type]
