from __future__ import annotations

import hashlib
import importlib
import os
import pickle
import random
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch.serialization import get_safe_globals

from srkit.errors import WeightsError
from srkit.interfaces import Published
from srkit.system.folders import cache_folder
from srkit.weights.files import NESTED_KEYS, fetch, read_tensors, unwrapped

TENSORS = {"conv.weight": torch.arange(12.0).view(3, 4), "conv.bias": torch.ones(3)}


def assert_same(found: dict[str, torch.Tensor]) -> None:
    assert found.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        torch.testing.assert_close(found[name], tensor)


def test_reads_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file(TENSORS, path)
    assert_same(read_tensors(path))


@pytest.mark.parametrize("key", [None, *NESTED_KEYS])
def test_reads_pth_files_of_any_nesting(tmp_path: Path, key: str | None) -> None:
    path = tmp_path / "net.pth"
    torch.save(TENSORS if key is None else {"step": 3, key: TENSORS}, path)
    assert_same(read_tensors(path))


def test_prefers_the_averaged_weights(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"params": {"other": torch.zeros(1)}, "params_ema": TENSORS}, path)
    assert_same(read_tensors(path))


@pytest.mark.parametrize("name", ["net.pth", "net.ckpt", "net.safetensors", "net"])
def test_the_content_decides_how_a_file_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    save_file(TENSORS, path)
    assert_same(read_tensors(path))
    torch.save(TENSORS, path)
    assert_same(read_tensors(path))
    torch.save(TENSORS, path, _use_new_zipfile_serialization=False)
    assert_same(read_tensors(path))


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "module.module."])
def test_wrappers_of_torch_are_removed(tmp_path: Path, prefix: str) -> None:
    path = tmp_path / "net.pth"
    torch.save({f"{prefix}{key}": tensor for key, tensor in TENSORS.items()}, path)
    assert_same(read_tensors(path))
    compiled = {key.replace(".", "._orig_mod."): tensor for key, tensor in TENSORS.items()}
    torch.save(compiled, path)  # a layer was compiled
    assert_same(read_tensors(path))


def test_a_layer_named_module_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"module.weight": torch.ones(2), "head.weight": torch.ones(2)}, path)
    assert list(read_tensors(path)) == ["module.weight", "head.weight"]


def test_parts_that_may_be_the_generator() -> None:
    tensors = {f"net_g.module.{key}": tensor for key, tensor in TENSORS.items()}
    whole, part = unwrapped({**tensors, "loss.vgg.weight": torch.ones(1)})
    assert list(whole) == [*tensors, "loss.vgg.weight"]
    assert_same(part)
    nested = unwrapped({f"model.generator.{key}": tensor for key, tensor in TENSORS.items()})
    assert_same(nested[-1])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("save", [save_file, torch.save])
def test_weights_that_are_not_finite(tmp_path: Path, value: float, save: Any) -> None:
    path = tmp_path / "net.pth"
    save({**TENSORS, "conv.bias": torch.tensor([1.0, value])}, path)
    fails(
        path,
        "'conv.bias' contains values that are NaN or infinite, as after a training that diverged; "
        "use another checkpoint",
    )
    save({**TENSORS, "attention.mask": torch.tensor([0.0, -float("inf")])}, path)
    assert "attention.mask" in read_tensors(path)


def fails(path: Path, message: str) -> None:
    with pytest.raises(WeightsError, match=f"^{re.escape(str(path))}: {message}$"):
        read_tensors(path)


def test_missing_file(tmp_path: Path) -> None:
    fails(tmp_path / "no.pth", "no such weight file")


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def test_truncated_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file(TENSORS, path)
    cut(path)
    fails(path, r"incomplete or not a safetensors file \(.+\); copy or download it again")


def test_truncated_pth(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(TENSORS, path)
    cut(path)
    fails(path, r"incomplete or not a PyTorch checkpoint \(\w+\); copy or download it again")


class Harmful:
    """Creates a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


REFUSED = re.escape(
    "refused, since reading the objects in it could run code; if you trust it, convert it with "
    "torch.save(torch.load('net.pth', weights_only=False)['state_dict'], 'weights.pth'), or "
    ".state_dict() for a whole network"
)


@pytest.mark.parametrize(
    "write",
    [
        torch.save,
        partial(torch.save, pickle_protocol=4),
        lambda x, path: path.write_bytes(pickle.dumps(x, 2)),
        lambda x, path: path.write_bytes(pickle.dumps(x, 4)),
    ],
)
def test_pickle_that_runs_code(tmp_path: Path, write: Any) -> None:
    path, trace = tmp_path / "net.pth", tmp_path / "trace"
    write({"params": TENSORS, "extra": Harmful(trace)}, path)
    fails(path, REFUSED)
    assert not trace.exists()


class Called:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def test_objects_beside_the_tensors_are_neither_imported_nor_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the checkpoints of Lightning: callbacks, settings, paths; and a hostile one."""
    trace = tmp_path / "trace"
    (tmp_path / "hostile_callbacks.py").write_text(
        "import os\n"
        "class Stopping:\n"
        "    def __new__(cls):\n"
        f"        os.makedirs({str(trace)!r}, exist_ok=True)\n"
        "        return super().__new__(cls)\n"
        "    def __setstate__(self, state):\n"
        "        self.__new__(type(self))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    stopping = importlib.import_module("hostile_callbacks").Stopping()
    stopping.patience, stopping.best = 3, torch.ones(2)
    trace.rmdir()
    make = f"__import__('os').mkdir({str(trace)!r})"
    content = {
        "state_dict": TENSORS,
        "callbacks": {"Stopping": stopping},
        "hyper_parameters": {"root": tmp_path, "options": SimpleNamespace(a=1), "type": Called},
        "harm": [
            Called(eval, make),
            Called(exec, make),
            Called(subprocess.call, ["mkdir", str(trace)]),
            Called(getattr, Called(importlib.import_module, "os"), "mkdir"),
        ],
    }
    path = tmp_path / "epoch=3.ckpt"
    torch.save(content, path)
    monkeypatch.delitem(sys.modules, "hostile_callbacks")
    before = set(get_safe_globals())
    assert_same(read_tensors(path))
    assert "hostile_callbacks" not in sys.modules
    assert not trace.exists()
    assert set(get_safe_globals()) == before


def test_a_pickled_network(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(torch.nn.Linear(2, 2), path)
    fails(path, REFUSED)


@pytest.mark.parametrize(
    ("content", "begins"),
    [
        (b"", "''"),
        (b"<html>not found</html>", "'<h'"),
        (random.Random(0).randbytes(500), "cd 07"),
    ],
)
def test_pth_that_torch_did_not_write(tmp_path: Path, content: bytes, begins: str) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    fails(
        path,
        f"not a PyTorch checkpoint, since it begins with the bytes {begins}; copy or download it "
        "again",
    )


def test_pth_without_tensors(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"step": 3, "epoch": 1}, path)
    fails(path, "contains no tensors; its first keys are: step, epoch")


def test_pth_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save([1, 2], path)
    fails(path, "contains a list; expected named tensors")


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SRKIT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "srkit"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "srkit"
    monkeypatch.setenv("SRKIT_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and counts the requests."""

    requests = 0

    def do_GET(self) -> None:
        type(self).requests += 1
        super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Published]:
    """Weights on a server on this machine, and an empty cache."""
    monkeypatch.setenv("SRKIT_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "server"
    folder.mkdir()
    save_file(TENSORS, folder / "net.safetensors")
    checksum = hashlib.sha256((folder / "net.safetensors").read_bytes()).hexdigest()
    Quiet.requests = 0
    handler = partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/net.safetensors"
        yield Published(url, checksum, "Apache-2.0")
        server.shutdown()
        thread.join()


def test_fetches_once(served: Published) -> None:
    path = fetch("net", served)
    assert path == cache_folder() / "net.safetensors"
    assert_same(read_tensors(path))
    assert fetch("net", served) == path
    assert Quiet.requests == 1
    assert list(cache_folder().glob("[!.]*")) == [path]


def test_wrong_checksum_leaves_nothing(served: Published) -> None:
    wrong = Published(served.url, "0" * 64, served.licence)
    message = (
        f"weights 'net': {wrong.url}, just downloaded: its sha256 is {served.sha256}, expected "
        f"{'0' * 64}; try again, or download it elsewhere and save it as "
        f"{cache_folder() / 'net.safetensors'}; or name a local file instead"
    )
    with pytest.raises(WeightsError, match=f"^{re.escape(message)}$"):
        fetch("net", wrong)
    assert not list(cache_folder().glob("[!.]*"))


def test_damaged_cache_is_not_used(served: Published) -> None:
    path = fetch("net", served)
    cut(path)
    with pytest.raises(
        WeightsError, match=rf"^weights 'net': {re.escape(str(path))}: its sha256 is \w+, expected "
    ):
        fetch("net", served)


def test_missing_on_the_server(served: Published) -> None:
    gone = Published(served.url.replace("net.", "gone."), served.sha256, served.licence)
    with pytest.raises(WeightsError, match=r"could not be downloaded \(HTTP Error 404: "):
        fetch("gone", gone)


def test_offline_says_which_file_to_put_where(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SRKIT_CACHE", str(tmp_path))

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    published = Published("http://weights.example/folder/net.pth", "0" * 64, "Apache-2.0")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    message = (
        "weights 'net': http://weights.example/folder/net.pth could not be downloaded (<urlopen "
        "error [Errno -3] Temporary failure in name resolution>); try again, which resumes the "
        f"download, or download it elsewhere and save it as {tmp_path / 'net.pth'}; or name a "
        "local file instead"
    )
    with pytest.raises(WeightsError, match=f"^{re.escape(message)}$"):
        fetch("net", published)
    assert not list(tmp_path.glob("[!.]*"))


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An installed package that brings weights along."""
    folder = tmp_path / "some_networks"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, folder.name, raising=False)
    return folder


def test_shipped_weights_need_no_cache(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRKIT_CACHE", "/nowhere")
    file = package / "net.safetensors"
    save_file(TENSORS, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    published = Published("package:some_networks/net.safetensors", digest, "Apache-2.0")
    assert fetch("net", published) == file
    assert_same(read_tensors(file))
    cut(file)
    with pytest.raises(WeightsError, match=r"install the package of 'some_networks' again$"):
        fetch("net", published)


def test_shipped_weights_that_are_gone(package: Path) -> None:
    published = Published("package:some_networks/net.safetensors", "0" * 64, "Apache-2.0")
    message = (
        f"{package / 'net.safetensors'}: no such file; install the package of 'some_networks' again"
    )
    with pytest.raises(WeightsError, match=f"^{re.escape(message)}$"):
        fetch("net", published)


@pytest.mark.parametrize("ending", [".onnx", ".pt2"])
def test_an_exported_graph_is_no_weight_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"net{ending}"
    path.write_bytes(b"\x08\n")
    with pytest.raises(WeightsError) as caught:
        read_tensors(path)
    assert str(caught.value) == (
        f"{path}: an exported graph, in which weights have no names; use the run or the "
        ".safetensors file that it was exported from"
    )
