from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from command_line import Done, Srkit

from srkit import __version__
from srkit.assembly.build import complete
from srkit.components.registry import KINDS, Registry
from srkit.errors import TrainingError
from srkit.recipe.recipe import load_recipe
from srkit.recipe.schema import recipe_schema
from srkit.training.loop import Stopped

RECIPES = sorted((Path(__file__).resolve().parents[2] / "recipes").glob("*.yaml"))
BROKEN = """\
name: broken
generator: {type: rrdb, block: 1}
losses: {l2: {}}
best: psnr
"""
SMALL = """\
name: small
generator: {type: rrdb, blocks: 1, features: 4, growth: 2}
degradation: {type: bicubic}
losses: {l1: {}}
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def test_help_names_every_command(srkit: Srkit) -> None:
    done = srkit("--help")
    assert (done.status, done.err) == (0, "")
    for command in ("train", "finetune", "eval", "plugins", "recipe", "models", "plugin"):
        assert f" {command} " in done.out
    assert "assembled from plugins" in done.out


def test_help_shows_the_names_of_extras(srkit: Srkit) -> None:
    shown = srkit("upscale", "--help").out
    assert "(srkit[openvino])" in shown
    assert "(srkit[ray])" in shown


def test_the_version(srkit: Srkit) -> None:
    assert srkit("--version") == Done(0, f"{__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["traim"], "No such command 'traim'"),
        (["train"], "Missing argument 'RECIPE'"),
        (["train", "r.yaml", "--fast"], "No such option: --fast"),
        (["train", "r.yaml", "--processes", "0"], "Invalid value for '--processes'"),
    ],
)
def test_wrong_commands_and_options(srkit: Srkit, arguments: list[str], message: str) -> None:
    done = srkit(*arguments)
    assert (done.status, done.out) == (2, "")
    assert message in done.err


def test_plugins_lists_kinds_and_names(srkit: Srkit) -> None:
    done = srkit("plugins")
    assert (done.status, done.err) == (0, "")
    lines = [line.split()[0] for line in done.out.splitlines() if line.strip()]
    assert set(KINDS) <= set(lines)
    assert {"rrdb", "bicubic", "sample_photos", "logit_mse", "psnr"} <= set(lines)


def test_plugins_of_a_kind(srkit: Srkit, registry: Registry) -> None:
    done = srkit("plugins", "losses")
    assert done.status == 0
    names = [line.split()[0] for line in done.out.splitlines()[1:] if not line.startswith(" ")]
    assert names == registry.names("losses")


def test_a_plugin_with_its_options(srkit: Srkit) -> None:
    done = srkit("plugins", "generators", "rrdb")
    assert done.status == 0
    assert done.out.startswith(f"generator 'rrdb' of srkit {__version__}\n")
    row = next(line.split() for line in done.out.splitlines() if line.startswith("features"))
    assert row == ["features", "int", ">", "0", "64", "Channels", "of", "the", "trunk."]


def test_plugins_as_json(srkit: Srkit, registry: Registry) -> None:
    everything = json.loads(srkit("plugins", "--json").out)
    assert everything["failures"] == []
    assert {(row["kind"], row["name"]) for row in everything["components"]} == {
        (kind, name) for kind in KINDS for name in registry.names(kind)
    }
    losses = json.loads(srkit("plugins", "losses", "--json").out)
    assert [row["name"] for row in losses] == registry.names("losses")
    rrdb = json.loads(srkit("plugins", "generators", "rrdb", "--json").out)
    names = [option["name"] for option in rrdb["options"]]
    assert names == ["blocks", "features", "growth", "activation"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["loses"], "unknown kind of component 'loses'; did you mean 'losses'?"),
        (
            ["generators", "rdbb"],
            "unknown generator 'rdbb'; did you mean 'rrdb'?",
        ),
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_unknown_kinds_and_components(
    srkit: Srkit, arguments: list[str], message: str, form: list[str]
) -> None:
    assert srkit("plugins", *arguments, *form) == Done(1, "", f"error: {message}\n")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
@pytest.mark.parametrize("options", [[], ["--sample"]], ids=["full", "sample"])
def test_recipe_show_prints_the_same_recipe(
    srkit: Srkit, path: Path, options: list[str], tmp_path: Path, registry: Registry
) -> None:
    done = srkit("recipe", "show", path, "seed=7", *options)
    assert (done.status, done.err) == (0, "")
    given = load_recipe(path, ["seed=7"], sample=bool(options))
    (tmp_path / "shown.yaml").write_text(done.out)
    shown = load_recipe(tmp_path / "shown.yaml")
    assert shown.seed == 7
    assert shown.dump() == complete(given, registry, "")[0].dump()


def test_recipe_show_states_every_default(srkit: Srkit, small: Path) -> None:
    shown = yaml.safe_load(srkit("recipe", "show", small, "training.clip=1e-1").out)
    assert list(shown["degradation"].items()) == [
        ("type", "bicubic"),
        ("factor", None),
        ("quantize", False),
        ("antialias", True),
    ]
    assert shown["losses"] == {"l1": {"type": "l1", "channel": "rgb", "weight": 1.0}}
    assert shown["training"]["duration"] == "1 epochs"
    assert shown["training"]["clip"] == 0.1


@pytest.mark.parametrize("name", ["compression", "darionet", "lens_hst_gan", "tiny_imagenet"])
def test_recipe_check_builds_the_sample_of_a_recipe(srkit: Srkit, name: str) -> None:
    """tests/test_shipped_recipes.py trains the samples of all recipes."""
    path = RECIPES[0].with_name(f"{name}.yaml")
    done = srkit("recipe", "check", path, "--sample")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"{path}: valid; images: train ")


def test_recipe_check_without_data(srkit: Srkit, small: Path) -> None:
    assert srkit("recipe", "check", small) == Done(0, f"{small}: valid; images: none\n", "")


def test_recipe_check_downloads_nothing_and_lists_downloads(
    srkit: Srkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("check downloads")

    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    monkeypatch.setattr("timm.create_model", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("SRKIT_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "wants.yaml"
    path.write_text(
        "name: wants\ngenerator: {type: rrdb}\nstart: {weights: realesrgan_x4plus}\n"
        "teachers:\n  first: {type: torchvision, model: resnet18}\n"
        "  second: {type: timm, model: resnet18.a1_in1k}\n"
        "  third: {type: torchvision, model: alexnet, weights: random}\n"
        "losses: {l1: {}, vgg_perceptual: {}, logit_mse: {teacher: first}}\n"
    )
    site, hub = "https://download.pytorch.org/models", tmp_path / "hub" / "checkpoints"
    real = "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.1.0/RealESRGAN_x4plus.pth"
    lines = [
        f"{path}: valid; images: none",
        f"teachers.first: a run will download {site}/resnet18-f37072fd.pth",
        "teachers.second: a run will download https://huggingface.co/timm/resnet18.a1_in1k",
        f"losses.vgg_perceptual: a run will download {site}/vgg19-dcbb9e9d.pth",
        f"start.weights: a run will download {real}",
    ]
    assert srkit("recipe", "check", path) == Done(0, "\n".join(lines) + "\n", "")
    for file in (tmp_path / "cache" / "RealESRGAN_x4plus.pth", hub / "vgg19-dcbb9e9d.pth"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    done = srkit("recipe", "check", path, "losses.vgg_perceptual=null")
    assert done == Done(0, "\n".join(lines[:3]) + "\n", "")
    done = srkit("recipe", "check", path, "scal=4", "teachers.first.model=resnet99")
    assert done.status == 1
    assert "\n  scal: unknown key 'scal'; did you mean 'scale'?\n" in done.err
    assert "\n  teachers.first: torchvision has no classifier 'resnet99'; did you mean" in done.err


def test_recipe_check_reports_every_problem(srkit: Srkit, tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(BROKEN)
    expected = (
        f"error: {path}: 3 problems\n"
        "  best: unknown metric 'psnr'; none is known\n"
        "  generator.block: unknown key 'block'; did you mean 'blocks'?\n"
        "  losses.l2.type: unknown loss 'l2'; known: "
    )
    done = srkit("recipe", "check", path)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith(expected)
    assert len(done.err.splitlines()) == 4


def test_wrong_keys_and_wrong_options_are_reported_together(srkit: Srkit, tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(BROKEN + "trainin: {}\ntraining: {clip: big}\n")
    done = srkit("train", path)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith(
        f"error: {path}: 4 problems\n"
        "  training.clip: got 'big'; expected a valid number\n"
        "  trainin: unknown key 'trainin'; did you mean 'training'?\n"
        "  generator.block: unknown key 'block'; did you mean 'blocks'?\n"
        "  losses.l2.type: unknown loss 'l2'; known: "
    )


def test_components_that_cannot_be_built_are_reported_too(srkit: Srkit, tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(
        """
        name: broken
        scale: 5
        generator: {type: rrdb, blocks: 1, features: 8}
        degradation: {type: bicubic, factr: 0.5}
        losses: {l1: {}}
        data:
          train: {dataset: {type: image_folder, root: nowhere}}
          test: {dataset: {type: image_folder, root: elsewhere}}
        training: {clip: big}
        """
    )
    done = srkit("train", path)
    assert (done.status, done.out) == (1, "")
    problems = done.err.splitlines()
    assert problems[0] == f"error: {path}: 5 problems"
    assert problems[1].strip() == "training.clip: got 'big'; expected a valid number"
    assert problems[2].strip().startswith("degradation.factr: unknown key 'factr'")
    assert problems[3].strip() == "generator: rrdb supports the scales 1, 2, 3 and 4; got 5"
    assert problems[4].strip().startswith("data.train.dataset: nowhere: no such folder")
    assert problems[5].strip().startswith("data.test.dataset: elsewhere: no such folder")


def test_a_wrong_scale_is_not_replaced_by_the_default(srkit: Srkit, tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(
        """
        name: broken
        scale: two
        generator: {type: rrdb, blocks: 1, features: 8}
        losses: {l1: {}}
        data: {train: {dataset: {type: sample_photos, split: train}, crop: 30}}
        """
    )
    expected = f"error: {path}: 1 problem\n  scale: got 'two'; expected a valid integer\n"
    assert srkit("recipe", "check", path).err == expected


def test_recipe_schema(srkit: Srkit, registry: Registry) -> None:
    assert json.loads(srkit("recipe", "schema").out) == recipe_schema(registry)


@pytest.mark.parametrize(
    "command", [["train"], ["finetune"], ["eval"], ["recipe", "show"], ["recipe", "check"]]
)
def test_a_missing_recipe(srkit: Srkit, command: list[str]) -> None:
    assert srkit(*command, "absent.yaml") == Done(
        1,
        "",
        "error: absent.yaml: 1 problem\n  no such file; srkit recipe list shows srkit's\n",
    )
    assert srkit(*command, "absent.yaml", "--sample").status == 1


def test_a_wrong_override(srkit: Srkit, small: Path) -> None:
    assert srkit("train", small, "training.batchsize=3") == Done(
        1,
        "",
        f"error: {small}: 1 problem\n"
        "  training.batchsize: unknown key 'batchsize'; did you mean 'batch_size'?\n",
    )


def test_finetune_needs_a_start(srkit: Srkit, small: Path) -> None:
    assert srkit("finetune", small) == Done(
        1, "", f"error: {small}: start: missing; finetune needs weights to start from\n"
    )


def test_eval_needs_a_run(srkit: Srkit, small: Path) -> None:
    data = "data.test.dataset={type: sample_photos, split: test}"
    message = "no checkpoint to evaluate; train the recipe first, or set --run"
    assert srkit("eval", small, data) == Done(1, "", f"error: runs/small: {message}\n")
    assert srkit("eval", small, data, "--run", "mine") == Done(1, "", f"error: mine: {message}\n")
    Path("mine").mkdir()
    small.rename("mine/recipe.yaml")
    assert srkit("eval", "mine", data) == Done(1, "", f"error: mine: {message}\n")


@pytest.mark.parametrize(
    "command",
    [
        "upscale nowhere.png -m realesrgan_x4plus",
        "compare nowhere.png -m realesrgan_x4plus",
        "rank realesrgan_x4plus --on nowhere.png",
    ],
)
def test_a_missing_image_is_reported_before_weights_are_downloaded(
    srkit: Srkit, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("downloads")

    monkeypatch.setattr("srkit.weights.files.download", refuse)
    monkeypatch.setenv("SRKIT_CACHE", str(tmp_path / "cache"))
    done = srkit(*command.split())
    assert (done.status, done.err[:28]) == (1, "error: nowhere.png: no such ")


def failing(error: BaseException) -> Callable[..., None]:
    def train(*_: object, **__: object) -> None:
        raise error

    return train


STOPPED = "stopped at step 12, state saved; continue with --resume\n"


@pytest.mark.parametrize(
    ("error", "done"),
    [
        (TrainingError("l1 is nan at step 3"), Done(1, "", "error: l1 is nan at step 3\n")),
        (
            OSError(28, "No space left on device", "runs/log"),
            Done(1, "", "error: runs/log: No space left on device\n"),
        ),
        (OSError(28, "No space left"), Done(1, "", "error: the system: No space left\n")),
        (
            Stopped(12, 15),
            Done(143, "", STOPPED),
        ),
        (
            Stopped(12, 2),
            Done(130, "", STOPPED),
        ),
    ],
)
def test_a_run_that_ends_early(
    srkit: Srkit, small: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, done: Done
) -> None:
    monkeypatch.setattr("srkit.training.loop.train", failing(error))
    assert srkit("train", small) == done


def test_an_unexpected_error_is_a_message(
    small: Path, srkit: Srkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("srkit.training.loop.train", failing(ZeroDivisionError()))
    done = srkit("train", small)
    assert done.status == 1
    assert done.err.startswith("error: ZeroDivisionError at srkit, train.py:")
    assert "Traceback" not in done.err


def test_plugin_new_prints_the_folder_and_what_to_do(srkit: Srkit, tmp_path: Path) -> None:
    message = "clouds: try it with: pip install -e 'clouds[test]' && pytest clouds\n"
    assert srkit("plugin", "new", "clouds") == Done(0, message, "")
    assert (tmp_path / "clouds" / "pyproject.toml").is_file()
    message = "error: clouds: already exists; choose another name or folder\n"
    assert srkit("plugin", "new", "clouds") == Done(1, "", message)


def test_the_installed_command_and_the_module_do_the_same(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("srkit")
    for command in ([str(script)], [sys.executable, "-m", "srkit"]):
        done = subprocess.run(
            [*command, "plugin", "new", "class"], cwd=tmp_path, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            "error: the plugin name 'class' is taken or already installed; try 'srkit-class'\n"
        )


def test_more_processes_run_the_same_command(
    srkit: Srkit, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[int, list[str]]] = []

    def launch(processes: int, arguments: list[str]) -> int:
        ran.append((processes, arguments))
        return 3

    monkeypatch.setattr("srkit.system.processes.children.launch", launch)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    small.write_text(small.read_text() + "sample: {name: small}\n")
    options = ("--processes", "2", "--sample", "--resume", "--out", "runs/small")
    assert srkit("train", small, "seed=1", *options).status == 3
    options = ["--out", "runs/small", "--processes", "2", "--sample", "--resume"]
    expected = ["train", str(small), *options, "--", "seed=1"]
    assert ran == [(2, expected)]
