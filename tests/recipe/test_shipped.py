from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Srkit

from srkit.errors import RecipeError
from srkit.recipe.recipe import load_recipe
from srkit.recipe.shipped import FOLDER, find_recipe, shipped_names

ROOT = Path(__file__).resolve().parents[2]


def test_the_recipes_of_a_checkout_are_beside_the_package() -> None:
    assert ROOT / "recipes" == FOLDER
    assert {"darionet", "lens_hst", "sky_x2"} < set(shipped_names())


@pytest.mark.parametrize("name", ["darionet", "darionet.yaml"])
def test_a_recipe_is_found_by_name_in_any_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_recipe(name) == FOLDER / "darionet.yaml"
    assert load_recipe(name).start == load_recipe(FOLDER / "darionet.yaml").start


def test_a_file_in_the_folder_wins(tmp_path: Path) -> None:
    assert find_recipe("darionet", tmp_path) == FOLDER / "darionet.yaml"
    (tmp_path / "darionet.yaml").write_text("name: mine\n")
    for name in ("darionet", "darionet.yaml"):
        assert find_recipe(name, tmp_path) == tmp_path / "darionet.yaml"
    (tmp_path / "darionet").write_text("name: mine, too\n")
    assert find_recipe("darionet", tmp_path) == tmp_path / "darionet"
    (tmp_path / "lens_hst").mkdir()  # a folder is not a recipe
    assert find_recipe("lens_hst", tmp_path) == FOLDER / "lens_hst.yaml"


def test_a_recipe_extends_and_needs_shipped_ones_by_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("{extends: lens_l2, name: mine, needs: {classifier: lens_classifier}}")
    recipe = load_recipe(path)
    assert recipe.generator == load_recipe("lens_l2").generator
    assert recipe.needs == {"classifier": str(FOLDER / "lens_classifier.yaml")}
    path.write_text("{extends: darionet.yaml}")
    (tmp_path / "darionet.yaml").write_text("{name: beside}")
    assert load_recipe(path).name == "beside"


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("darionett", "did you mean 'darionet'?"),
        ("recipes/darionet.yaml", "srkit has a recipe of this name: darionet"),
        ("nothing_alike.yaml", "srkit recipe list shows srkit's"),
    ],
)
def test_a_recipe_that_is_not_found(
    given: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError) as caught:
        load_recipe(given)
    assert str(caught.value) == f"{given}: 1 problem\n  no such file; {hint}"


def test_the_sample_block_is_used_up(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("{name: mine, sample: {seed: 3}}")
    read, applied = load_recipe(path), load_recipe(path, sample=True)
    assert (read.seed, read.sample) == (0, {"seed": 3})
    assert (applied.seed, applied.sample) == (3, {})


def test_the_list_shows_each_recipe_and_its_purpose(srkit: Srkit) -> None:
    done = srkit("recipe", "list")
    assert done.status == 0
    for name in shipped_names():
        assert f"\n{name} " in done.out
    assert "ESRGAN tuned by a classifier's scores (DarioNet)" in done.out
    assert "srkit train NAME --sample" in done.out
