"""Problems name the file that sets the wrong key."""

from __future__ import annotations

from pathlib import Path

from command_line import Srkit

from srkit.errors import RecipeError
from srkit.recipe.files import locate_problems


def _write(folder: Path) -> None:
    (folder / "base.yaml").write_text("name: base\ntraining: {batch_size: 0}\nsample: {seed: -1}\n")
    (folder / "middle.yaml").write_text("extends: base.yaml\ntraining: {workerz: 1}\n")
    (folder / "mine.yaml").write_text("extends: middle.yaml\nname: mine\nscale: x\n")


def test_each_problem_names_the_file_that_sets_it(tmp_path: Path) -> None:
    _write(tmp_path)
    problems = ["scale: wrong", "training.workerz: unknown", "training.batch_size: 0", "seed: -1"]
    found = locate_problems(
        RecipeError(str(tmp_path / "mine.yaml"), [*problems, "losses: missing"])
    )
    assert found.problems == [
        "scale: wrong",
        f"training.workerz: unknown (set in {tmp_path / 'middle.yaml'})",
        f"training.batch_size: 0 (set in {tmp_path / 'base.yaml'})",
        f"seed: -1 (set in {tmp_path / 'base.yaml'})",
        "losses: missing",
    ]


def test_a_source_that_is_not_a_file() -> None:
    error = RecipeError("a notebook", ["scale: wrong"])
    assert locate_problems(error).problems == error.problems


def test_a_loop_ends(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    assert locate_problems(RecipeError(str(tmp_path / "a.yaml"), ["x: y"])).problems == ["x: y"]


def test_on_the_command_line(tmp_path: Path, srkit: Srkit) -> None:
    _write(tmp_path)
    done = srkit("recipe", "check", "mine.yaml")
    assert done.status == 1
    assert "(set in middle.yaml)" in done.err
    assert "(set in base.yaml)" in done.err
