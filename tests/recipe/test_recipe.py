from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from srkit import recipe
from srkit.components.durations import Length
from srkit.errors import RecipeError
from srkit.recipe.parts import TrainingSpec
from srkit.recipe.recipe import Recipe, load_recipe

BASE = """\
name: small
generator: {type: rrdb, blocks: 1}
losses: {l1: {}}
data:
  train:
    dataset: {type: sample_photos, split: train}
    augment: [flip, rotate]
training:
  schedule: {type: steps, milestones: [10, 20 epochs]}
"""
KEYS = (
    "best, channels, constraint, data, degradation, description, discriminator, evaluation, "
    "generator, losses, metrics, name, needs, repeat, sample, scale, search, seed, start, "
    "stretch, teachers, training, uncertainty, variants"
)

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes, name: str = "recipe.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def problems(path: Path, *overrides: str, sample: bool = False) -> list[str]:
    """Refuse a recipe; its whole error is the file's name, the count, and these lines."""
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, overrides, sample=sample)
    found = caught.value.problems
    count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
    assert str(caught.value) == "\n  ".join([f"{path}: {count}", *found])
    return found


def test_a_recipe_and_its_defaults(write: Write) -> None:
    recipe = load_recipe(write(BASE))
    assert (recipe.name, recipe.scale, recipe.channels, recipe.seed) == ("small", 4, 3, 0)
    assert recipe.generator is not None
    assert recipe.generator.options == {"blocks": 1}
    assert [(name, loss.type, loss.weight) for name, loss in recipe.losses.items()] == [
        ("l1", "l1", 1.0)
    ]
    assert recipe.training.duration == Length(1, "epochs")
    assert recipe.training.optimiser.type == "adam"
    assert [path for path, _, _ in recipe.components()] == [
        "generator",
        "data.train.dataset",
        "data.train.augment.0",
        "data.train.augment.1",
        "losses.l1",
        "training.optimiser",
        "training.schedule",
    ]


def test_a_dumped_recipe_is_the_same(write: Write) -> None:
    recipe = load_recipe(
        write(BASE), ["training.duration=1234567", "training.keep_every=0.5 epoch"]
    )
    dumped = yaml.safe_dump(recipe.dump())
    assert load_recipe(write(dumped, "again.yaml")) == recipe


def test_a_need_that_is_null_is_removed(write: Write) -> None:
    text = (
        BASE + "needs: {first: first.yaml, second: second.yaml}\nsample: {needs: {first: null}}\n"
    )
    recipe = load_recipe(write(text), sample=True)
    assert list(recipe.needs) == ["second"]


def test_an_option_that_is_null_is_dumped_since_its_default_may_differ(write: Write) -> None:
    recipe = load_recipe(write(BASE), ["generator.blocks=null"])
    assert recipe.dump()["generator"] == {"type": "rrdb", "blocks": None}
    assert "degradation" not in recipe.dump()


def test_the_whole_text_of_an_error(tmp_path: Path, write: Write) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(BASE + "trainin: {}\nscale: four\n"))
    assert str(caught.value) == (
        f"{tmp_path}/recipe.yaml: 2 problems\n"
        "  scale: got 'four'; expected a valid integer\n"
        "  trainin: unknown key 'trainin'; did you mean 'training'?"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("trainin: {}", "trainin: unknown key 'trainin'; did you mean 'training'?"),
        ("zzz: 1", f"zzz: unknown key 'zzz'; known: {KEYS}"),
        (
            "evaluation: {batchsize: 3}",
            "evaluation.batchsize: unknown key 'batchsize'; did you mean 'batch_size'?",
        ),
        ("scale: four", "scale: got 'four'; expected a valid integer"),
        ("scale: 2.5", "scale: got 2.5; expected a valid integer"),
        ("scale: yes", "scale: got True; expected a number"),
        ("scale: 0", "scale: got 0; expected a number greater than 0"),
        ("seed: -1", "seed: got -1; expected a number greater than or equal to 0"),
        ("description: off", "description: got False; expected a valid string"),
        ("evaluation: [1]", "evaluation: got [1]; expected keys and values"),
        ("evaluation: fast", "evaluation: got 'fast'; expected keys and values"),
        ("metrics: [psnr]", "metrics: got ['psnr']; expected keys and values"),
        ("metrics: {psnr: 3}", "metrics.psnr: got 3; expected keys and values"),
        ("degradation: bicubic", "degradation: got 'bicubic'; expected keys and values"),
        ("degradation: {factor: 0.3}", "degradation.type: missing; it has no default"),
        ("start: {freeze: [head]}", "start.weights: missing; it has no default"),
        ("start: {weights: x, freeze: head}", "start.freeze: got 'head'; expected a list"),
        ("sample: 3", "sample: got 3; expected keys and values"),
        (
            "discriminator: {type: unet_sn, loss: {r1: 10}}",
            "discriminator.loss.type: missing; it has no default",
        ),
        (
            "teachers: {judge: {type: timm, trainable: 7}}",
            "teachers.judge.trainable: got 7; expected true or false",
        ),
    ],
)
def test_a_wrong_key_or_value(write: Write, text: str, problem: str) -> None:
    assert problems(write(f"{BASE}{text}\n")) == [problem]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("clip: 0", "clip: got 0; expected a number greater than 0"),
        ("ema: 1", "ema: got 1; expected a number less than 1"),
        ("precision: fp64", "precision: got 'fp64'; expected 'auto', 'fp32', 'bf16' or 'fp16'"),
    ],
)
def test_a_wrong_training_setting(write: Write, text: str, problem: str) -> None:
    recipe = f"name: small\ntraining: {{{text}}}\n"
    assert problems(write(recipe)) == [f"training.{problem}"]


def test_a_recipe_needs_a_name_that_can_be_a_folder(write: Write) -> None:
    assert problems(write("scale: 4\n")) == ["name: missing; it has no default"]
    assert problems(write("name: a/b\n")) == [
        r"name: got 'a/b'; expected text that matches ^\w[\w.-]*$"
    ]
    for name in ("..", ".", ".hidden", "-x", "a\\b", "a:b"):
        (problem,) = problems(write(f"name: '{name}'\n"))
        assert problem.startswith(f"name: got {name!r}; expected text that matches "), name
    assert problems(write("name: aux.small\n")) == [
        "name: got 'aux.small'; expected a name that a folder can have on Windows, too"
    ]


def test_all_problems_are_reported_at_once(write: Write) -> None:
    recipe = """\
name: 7
generator: rrdb
losses: {l1: {weight: heavy}}
data: {train: {crop: -1, augment: [4]}}
training: {batchsize: 3, optimiser: {type: 3}, duration: soon}
"""
    assert problems(write(recipe)) == [
        "name: got 7; expected a valid string",
        "generator: got 'rrdb'; expected keys and values",
        "data.train.dataset: missing; it has no default",
        "data.train.crop: got -1; expected a number greater than 0",
        "data.train.augment.0: got 4; expected keys and values",
        "losses.l1.weight: got 'heavy'; expected a valid number",
        "training.duration: got 'soon'; expected a number of steps or, for instance, '10 epochs'",
        "training.optimiser.type: got 3; expected a valid string",
        "training.batchsize: unknown key 'batchsize'; did you mean 'batch_size'?",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "contains nothing; expected keys and values"),
        (b"# only a comment\n", "contains nothing; expected keys and values"),
        (b"- a\n- b\n", "contains a list; expected keys and values"),
        (b"rrdb\n", "contains a str; expected keys and values"),
        (b"\x89PNG\r\n\x1a\n", "not UTF-8 text: invalid start byte"),
        (b"a\x00b", "not valid YAML: character 2: special characters are not allowed"),
        (
            b"name: a\ntraining: {clip: 1}\nname: b\n",
            "not valid YAML: line 3, column 1: the key 'name' is repeated",
        ),
        (
            b"name: a\ntraining: {clip: 1, clip: 2}\n",
            "not valid YAML: line 2, column 21: the key 'clip' is repeated",
        ),
        (
            b"name: [a\nscale: 4\n",
            "not valid YAML: line 2, column 6: expected ',' or ']', but got ':'",
        ),
        (
            b"name: a\n\tscale: 4\n",
            r"not valid YAML: line 2, column 1: found character '\t' that cannot start any token",
        ),
        (b"name: a\n3: b\n", "not valid YAML: line 2, column 1: this key is not text; quote it"),
        (b"name: a\non: b\n", "not valid YAML: line 2, column 1: this key is not text; quote it"),
        (b"name: a\n[b]: c\n", "not valid YAML: line 2, column 1: this key is not text; quote it"),
        (b"#" * 2**20 + b"\n", "has more than 1048576 bytes; is this a recipe?"),
        (b"seed: 0b_\n", "not valid YAML: invalid literal for int() with base 2: ''"),
        (
            b"name: !!python/name:os.system\n",
            "not valid YAML: line 1, column 7: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/name:os.system'",
        ),
    ],
)
def test_a_file_that_is_not_a_recipe(write: Write, content: bytes, problem: str) -> None:
    assert problems(write(content)) == [problem]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    shown = "no such file; srkit recipe list shows srkit's"
    assert problems(tmp_path / "absent.yaml") == [shown]
    assert problems(tmp_path) == ["is a folder; expected the YAML file of a recipe"]


def test_scientific_notation_is_a_number(write: Write) -> None:
    recipe = load_recipe(
        write(
            "name: small\ngenerator: {type: rrdb, a: 1e-4, b: -2E3, c: 1.5e+2, d: 1e, e: v1e3}\n"
        ),
        ["seed=1e3"],
    )
    assert recipe.generator is not None
    assert recipe.generator.options == {"a": 1e-4, "b": -2000.0, "c": 150.0, "d": "1e", "e": "v1e3"}
    assert recipe.seed == 1000


def test_a_date_is_text(write: Write) -> None:
    recipe = load_recipe(write("name: 2024-12-31\n"), ["description=2024-12-31"])
    assert (recipe.name, recipe.description) == ("2024-12-31", "2024-12-31")
    assert load_recipe(write(yaml.safe_dump(recipe.dump()))) == recipe


def test_anchors(write: Write) -> None:
    text = "name: small\ntraining: {optimiser: &slow {lr: 1e-5}}\n"
    text += "discriminator: {type: unet_sn, optimiser: {<<: *slow, type: adamw}}\n"
    recipe = load_recipe(write(text))
    assert recipe.discriminator is not None
    assert recipe.discriminator.optimiser.lr == recipe.training.optimiser.lr == 1e-5


def test_a_recipe_extends_another(write: Write) -> None:
    write(BASE + "scale: 2\n", "base.yaml")
    write("extends: ../base.yaml\nname: middle\ntraining: {clip: 1.0}\n", "below/middle.yaml")
    recipe = load_recipe(write("extends: below/middle.yaml\nname: mine\nlosses: {mse: {}}\n"))
    assert (recipe.name, recipe.scale) == ("mine", 2)
    assert list(recipe.losses) == ["l1", "mse"]
    assert recipe.training.clip == 1.0
    assert recipe.training.schedule.type == "steps"


def test_a_recipe_removes_what_it_inherits(write: Write) -> None:
    write(BASE, "base.yaml")
    path = write("extends: base.yaml\nlosses: {l1: null, mse: {}}\ndata: {train: null}\n")
    recipe = load_recipe(path)
    assert list(recipe.losses) == ["mse"]
    assert recipe.data.train is None


def test_a_component_of_another_type_is_replaced(write: Write) -> None:
    write(BASE, "base.yaml")
    recipe = load_recipe(write("extends: base.yaml\ngenerator: {type: edsr, features: 8}\n"))
    assert recipe.generator is not None
    assert (recipe.generator.type, recipe.generator.options) == ("edsr", {"features": 8})


def test_the_extended_file_is_missing(tmp_path: Path, write: Write) -> None:
    path = write(BASE + "extends: absent.yaml\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert str(caught.value) == (
        f"{tmp_path}/absent.yaml: 1 problem\n  no such file (extended by {path}); "
        "srkit recipe list shows srkit's"
    )


@pytest.mark.parametrize("value", ["3", "[a.yaml, b.yaml]"])
def test_wrong_paths_to_extend(write: Write, value: str) -> None:
    assert problems(write(f"extends: {value}\n")) == [
        f"extends: got {yaml.safe_load(value)!r}; expected the path of a recipe"
    ]


def test_a_recipe_that_extends_itself(write: Write) -> None:
    path = write(BASE + "extends: recipe.yaml\n")
    assert problems(path) == [f"extends: the files form a loop: {path} -> {path}"]


def test_recipes_that_extend_each_other(tmp_path: Path, write: Write) -> None:
    path = write("extends: second.yaml\n")
    second = write("extends: third.yaml\n", "second.yaml")
    third = write("extends: ./recipe.yaml\n", "third.yaml")
    assert problems(path) == [
        f"extends: the files form a loop: {path} -> {second} -> {third} -> {path}"
    ]


def test_the_sample_block_changes_the_recipe(write: Write) -> None:
    path = write(BASE + "seed: 1\nsample: {seed: 2, scale: 2, generator: {type: edsr}}\n")
    plain, sample = load_recipe(path), load_recipe(path, ["scale=3"], sample=True)
    assert (plain.seed, plain.scale) == (1, 4)
    assert (sample.seed, sample.scale) == (2, 3)
    assert sample.generator is not None
    assert (sample.generator.type, sample.generator.options) == ("edsr", {})


@pytest.mark.parametrize("block", ["", "sample:\n", "sample: [1]\n"])
def test_a_recipe_without_a_sample_block(write: Write, block: str) -> None:
    expected = ["sample: missing; --sample needs this block"]
    assert problems(write(BASE + block), sample=True) == expected


def test_a_wrong_key_in_the_sample_block(write: Write) -> None:
    path = write(BASE + "sample: {trainin: {}}\n")
    assert problems(path, sample=True) == [
        "trainin: unknown key 'trainin'; did you mean 'training'?"
    ]


@pytest.mark.parametrize(
    ("override", "look", "value"),
    [
        ("scale=2", lambda r: r.scale, 2),
        ("training.optimiser.lr=1e-5", lambda r: r.training.optimiser.lr, 1e-5),
        ("training.optimiser={lr: 0.1}", lambda r: r.training.optimiser.lr, 0.1),
        ("data.train.crop=64", lambda r: r.data.train.crop, 64),
        ("data.train.augment=[]", lambda r: r.data.train.augment, []),
        (
            "data.train.augment.1=flip",
            lambda r: [a.type for a in r.data.train.augment],
            ["flip"] * 2,
        ),
        (
            "training.schedule.milestones.0=3 epochs",
            lambda r: r.training.schedule.milestones,
            ["3 epochs", "20 epochs"],
        ),
        ("losses.mse.weight=2", lambda r: sorted(r.losses), ["l1", "mse"]),
        ("losses={l1: null, mse: {}}", lambda r: sorted(r.losses), ["mse"]),
        ("losses.l1=null", lambda r: sorted(r.losses), []),
        ("data.train=null", lambda r: r.data.train, None),
        ("generator.blocks=2", lambda r: r.generator.options, {"blocks": 2}),
        ("generator.type=rrdb", lambda r: r.generator.options, {"blocks": 1}),
        ("generator.type=edsr", lambda r: r.generator.options, {}),
        ("generator={type: edsr, a: 1}", lambda r: r.generator.options, {"a": 1}),
        ("description='a=b'", lambda r: r.description, "a=b"),
    ],
)
def test_an_override(
    write: Write, override: str, look: Callable[[Recipe], Any], value: object
) -> None:
    assert look(load_recipe(write(BASE), [override])) == value


def test_overrides_are_applied_in_order(write: Write) -> None:
    recipe = load_recipe(write(BASE), ["generator.type=edsr", "generator.features=8", "scale=2"])
    assert recipe.generator is not None
    assert recipe.generator.options == {"features": 8}
    assert recipe.scale == 2


def test_null_restores_the_default(write: Write) -> None:
    path = write(BASE)
    plain = load_recipe(path)
    assert plain.losses
    changed = load_recipe(path, ["losses=null", "training.batch_size=null", "training=null"])
    assert changed.losses == {}
    default = TrainingSpec.model_fields["batch_size"].default
    assert load_recipe(path, ["training.batch_size=null"]).training.batch_size == default


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("scale", "scale: expected key=value, such as training.batch_size=8"),
        ("=3", "=3: expected key=value, such as training.batch_size=8"),
        ("a..b=3", "a..b=3: expected key=value, such as training.batch_size=8"),
        (
            "scale=[1",
            "scale=[1: '[1' is not YAML (line 1, column 3: expected ',' or ']', but got "
            "'<stream end>'); quote it",
        ),
        (
            "description=a: b: c",
            "description=a: b: c: 'a: b: c' is not YAML (line 1, column 5: mapping values are not "
            "allowed here); quote it",
        ),
        (
            "seed=0b_",
            "seed=0b_: '0b_' is not YAML (invalid literal for int() with base 2: ''); quote it",
        ),
        ("name.x=1", "name.x=1: 'x' cannot be set in the value 'small'"),
        (
            "data.train.augment.2=flip",
            "data.train.augment.2=flip: '2' is not an index of a list of 2",
        ),
        (
            "data.train.augment.-1=flip",
            "data.train.augment.-1=flip: '-1' is not an index of a list of 2",
        ),
        (
            "data.train.augment.²=flip",
            "data.train.augment.²=flip: '²' is not an index of a list of 2",
        ),
        (
            "data.train.augment.0={size: 1}",
            "data.train.augment.0.type: missing; it has no default",
        ),
        ("scale=four", "scale: got 'four'; expected a valid integer"),
        (
            "training.batchsize=8",
            "training.batchsize: unknown key 'batchsize'; did you mean 'batch_size'?",
        ),
        ("name=", "name: got None; expected a valid string"),
    ],
)
def test_a_wrong_override(write: Write, override: str, problem: str) -> None:
    assert problems(write(BASE), override) == [problem]


def test_all_wrong_overrides_are_reported(write: Write) -> None:
    assert problems(write(BASE), "scale", "seed=1", "name.x=1") == [
        "scale: expected key=value, such as training.batch_size=8",
        "name.x=1: 'x' cannot be set in the value 'small'",
    ]


def test_the_room_does_not_import_torch() -> None:
    modules = [path.stem for path in Path(recipe.__file__).parent.glob("[!_]*.py")]
    imports = "; ".join(f"import srkit.recipe.{name}" for name in modules)
    code = f"import sys; {imports}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
