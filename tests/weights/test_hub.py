"""Models from and to a fake Hugging Face hub on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from command_line import Srkit
from hub_server import TOKEN, Hub
from huggingface_hub import constants
from network_setup import save_network
from spandrel.architectures.Compact import Compact
from srkit_generators.edsr import EDSR
from training_setup import make_pictures, make_tree, run, steps
from web_server import serving

from srkit.components.registry import Registry
from srkit.errors import OutputError, WeightsError
from srkit.models.card import write_folder
from srkit.models.open import open_model
from srkit.models.weight_interpolation import interpolate_weights
from srkit.weights.checkpoints import load
from srkit.weights.hub import Reference, download, is_cached, upload
from srkit.weights.transfer import starting_weights

# A warning of huggingface_hub itself.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")

LR = torch.rand(1, 3, 13, 10, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub, an empty cache, and the token."""
    with serving(Hub()) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        template = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub


@pytest.fixture
def folder(tmp_path: Path, registry: Registry) -> Path:
    """The files of a small network that are uploaded."""
    net = save_network(tmp_path / "net.safetensors", channels=3)
    write_folder(str(net), tmp_path / "folder", registry, repository="me/net")
    return tmp_path / "folder"


def refused(reference: str) -> str:
    with pytest.raises(WeightsError) as caught:
        download(reference)
    return str(caught.value)


def not_uploaded(folder: Path, repository: str) -> str:
    with pytest.raises(OutputError) as caught:
        upload(folder, repository)
    return str(caught.value)


def test_a_pushed_model_can_be_opened(
    hub: Hub, srkit: Srkit, tmp_path: Path, registry: Registry
) -> None:
    net = save_network(tmp_path / "net.safetensors", channels=3)
    done = srkit("hub", "push", net, "me/edsr_mini", "--private", "--licence", "MIT")
    expected = f"{hub.address}/me/edsr_mini: srkit upscale INPUT -m hf:me/edsr_mini\n"
    assert (done.status, done.out) == (0, expected)
    repository = hub.repositories["me/edsr_mini"]
    assert repository.private
    files = repository.commits[repository.branches["main"]]
    assert sorted(files) == ["README.md", "model.safetensors"]
    assert b"srkit upscale INPUT -m hf:me/edsr_mini" in files["README.md"]
    assert files["README.md"].startswith(b"---\nlicense: mit\nlibrary_name: srkit\n")
    model = open_model("hf:me/edsr_mini", registry)
    assert model.name == "edsr_mini"
    assert torch.equal(model.generator(LR), open_model(net, registry).generator(LR))
    # Training can start from it, and it can be interpolated with other models.
    assert isinstance(model.generator, EDSR)
    found, own = starting_weights("hf:me/edsr_mini", model.generator), load(net).groups["generator"]
    assert all(torch.equal(found[key], own[key]) for key in own)
    interpolate_weights("hf:me/edsr_mini", str(net), 0.5, tmp_path / "blend.safetensors", registry)


def test_a_folder_of_srkit_models_card_is_pushed_unchanged(
    hub: Hub, srkit: Srkit, folder: Path, tmp_path: Path
) -> None:
    card = folder / "README.md"
    card.write_text(card.read_text() + "\nAnd a word of mine.\n")
    assert srkit("hub", "push", folder, "me/net").status == 0
    assert (
        hub.repositories["me/net"].commits[hub.repositories["me/net"].branches["main"]]["README.md"]
        == card.read_bytes()
    )
    assert srkit("hub", "push", folder, "me/net", "--licence", "mit") == (
        1,
        "",
        f"error: {folder}: already written; edit its README.md, or push the model itself\n",
    )


def test_repeated_pushes(hub: Hub, folder: Path, registry: Registry) -> None:
    upload(folder, "me/net")
    (folder / "README.md").write_text((folder / "README.md").read_text() + "More.\n")
    upload(folder, "me/net")
    repository = hub.repositories["me/net"]
    newest = repository.branches["main"]
    older = next(c for c, files in repository.commits.items() if files and c != newest)
    assert Path(download(f"hf:me/net/README.md@{older}")).read_text().endswith("\n")
    assert download("hf:me/net/README.md").read_text().endswith("More.\n")
    assert download("hf:me/net@main").name == "model.safetensors"


def test_third_party_files_are_read_without_running_code(
    hub: Hub, tmp_path: Path, registry: Registry
) -> None:
    weights = Compact(num_feat=8, num_conv=2, upscale=2).state_dict()
    torch.save({"params": weights}, tmp_path / "4x.pth")
    torch.save({"params": Compact(num_feat=8)}, tmp_path / "evil.pth")
    files = {name: (tmp_path / name).read_bytes() for name in ("4x.pth", "evil.pth")}
    hub.make("someone/nets", files)
    model = open_model("hf:someone/nets/4x.pth", registry)
    assert (model.name, model.scale) == ("4x", 2)
    with pytest.raises(WeightsError, match="contains no tensors; its first keys are: params"):
        open_model("hf:someone/nets/evil.pth", registry)


def test_names(hub: Hub) -> None:
    assert Reference.parse("hf:a/b-1.c@v2") == Reference("a/b-1.c", "model.safetensors", "v2")
    assert Reference.parse("hf:a/b/x/y.pth") == Reference("a/b", "x/y.pth")
    assert Reference.parse("hf:a/b/x/y.pth").name == "y"
    for wrong in ("hf:", "hf:a", "hf:a/b@", "hf:a b/c"):
        assert refused(wrong) == (
            f"'{wrong}' is not a model on the hub; expected hf:OWNER/NAME or hf:OWNER/NAME/FILE, "
            "optionally followed by @REVISION"
        )
    assert hub.asked == []


def test_missing_files_and_repositories(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.make("me/net", {"other.bin": b"-"})
    assert refused("hf:me/net") == (
        "hf:me/net: the repository has no file model.safetensors; name another one, as in "
        "hf:me/net/FILE"
    )
    assert refused("hf:me/net@v9") == "hf:me/net@v9: the repository has no revision 'v9'"
    absent = (
        "hf:me/nat: the repository does not exist or is private; check the name, or log in with "
        "`hf auth login`, or set HF_TOKEN"
    )
    assert refused("hf:me/nat") == absent
    monkeypatch.delenv("HF_TOKEN")
    assert refused("hf:me/nat") == absent


def test_offline(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upload(folder, "me/net")
    assert not is_cached("hf:me/net")
    path = download("hf:me/net")
    assert is_cached("hf:me/net")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert download("hf:me/net") == path
    assert refused("hf:me/other") == ("hf:me/other: not in the cache, and HF_HUB_OFFLINE is set")
    assert not_uploaded(folder, "me/net") == "me/net: not uploaded (HF_HUB_OFFLINE is set)"


def test_missing_write_access(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not_uploaded(folder, "you/net") == (
        "you/net: the token has no write access there (403); use another token or owner"
    )
    assert not_uploaded(folder, "net") == "'net' is not a repository; expected OWNER/NAME"
    monkeypatch.delenv("HF_TOKEN")
    assert not_uploaded(folder, "me/net") == (
        "me/net: not authenticated (401); log in with `hf auth login`, or set HF_TOKEN; the "
        "token must have write access"
    )
    assert hub.repositories == {}


def test_a_card_that_the_hub_refuses(hub: Hub, folder: Path) -> None:
    (folder / "README.md").write_text("---\ntitle: mine\n---\n")
    text = not_uploaded(folder, "me/net")
    assert text.startswith("me/net: not uploaded (")
    assert "\n" not in text


def test_a_recipe_starts_from_the_hub(
    hub: Hub, folder: Path, tmp_path: Path, registry: Registry
) -> None:
    upload(folder, "me/net")
    generator = {"type": "edsr", "blocks": 1, "features": 4}
    tree = make_tree(make_pictures(tmp_path / "pictures", count=4), steps(1))
    tree = {**tree, "generator": generator, "start": {"weights": "hf:me/net"}}
    run(tree, tmp_path / "tuned", registry)
    assert hub.asked.count("GET /me/net/resolve/main/model.safetensors") == 1


def test_settings_in_the_environment_apply(hub: Hub, folder: Path, tmp_path: Path) -> None:
    upload(folder, "me/net")
    home = tmp_path / "home"
    code = "from srkit.weights.hub import download; print(download('hf:me/net'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_ENDPOINT": hub.address, "HF_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.strip())
    assert path.is_relative_to(home / "hub" / "models--me--net" / "snapshots")
    assert path.read_bytes() == (folder / "model.safetensors").read_bytes()
