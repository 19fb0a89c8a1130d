"""The file of a recipe and the files that it extends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import reduce
from pathlib import Path
from typing import Any

from srkit.errors import RecipeError
from srkit.recipe.shipped import find_recipe, hint_of
from srkit.recipe.trees import merge, override
from srkit.recipe.yaml_loader import parse_yaml

#: Bytes of a recipe file, at most; shipped ones have below 10,000.
LARGEST = 1 << 20


def load_tree(
    path: str | Path, overrides: Sequence[str] = (), *, sample: bool = False
) -> dict[str, Any]:
    """Read a recipe file and what it extends as one tree, unchecked.

    Parameters and errors are those of :func:`srkit.recipe.recipe.load_recipe`.
    """
    trees = [tree for _, tree in _read_files(Path(path))]
    tree: dict[str, Any] = reduce(merge, reversed(trees))
    tree.pop("extends", None)
    if sample:
        if not isinstance(tree.get("sample"), Mapping):
            raise RecipeError(str(path), ["sample: missing; --sample needs this block"])
        tree = merge(tree, tree.pop("sample"))
    return override(tree, overrides, str(path))


def locate_problems(error: RecipeError) -> RecipeError:
    """Add to each problem the file that sets its key, if it is not the recipe's own file.

    Parameters
    ----------
    error
        Its source is the file of a recipe; otherwise its problems stay as they are.
    """
    files: list[tuple[Path, Mapping[str, Any]]] = []
    with suppress(RecipeError):
        for file in _read_files(Path(error.source)):
            files.append(file)  # noqa: PERF402 - keep those before one that cannot be read
    problems = [_with_file(problem, files) for problem in error.problems]
    return RecipeError(error.source, problems, error.rest, error.hint)


def _read_files(path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Iterate over ``(path, tree)`` of a recipe file and of the files that it extends."""
    paths: list[Path] = []
    path = find_recipe(path)
    while True:
        if path.resolve() in {each.resolve() for each in paths}:
            names = " -> ".join(map(str, [*paths, path]))
            raise RecipeError(str(paths[0]), [f"extends: the files form a loop: {names}"])
        paths.append(path)
        tree = _read_file(path, f" (extended by {paths[-2]})" if len(paths) > 1 else "")
        yield path, tree
        base = tree.get("extends")
        if base is None:
            return
        if not isinstance(base, str):
            raise RecipeError(str(path), [f"extends: got {base!r}; expected the path of a recipe"])
        path = find_recipe(base, path.parent)


def _read_file(path: Path, extended_by: str) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise RecipeError(str(path), [f"has more than {LARGEST} bytes; is this a recipe?"])
        tree = parse_yaml(content.decode())
    except FileNotFoundError:
        raise RecipeError(str(path), [f"no such file{extended_by}{hint_of(path)}"]) from None
    except OSError as error:
        if path.is_dir():
            raise RecipeError(
                str(path), ["is a folder; expected the YAML file of a recipe"]
            ) from None
        raise RecipeError(str(path), [f"cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise RecipeError(str(path), [f"not UTF-8 text: {error.reason}"]) from None
    except ValueError as error:
        raise RecipeError(str(path), [f"not valid YAML: {error}"]) from None
    if not isinstance(tree, dict):
        found = "nothing" if tree is None else f"a {type(tree).__name__}"
        raise RecipeError(str(path), [f"contains {found}; expected keys and values"])
    if isinstance(tree.get("needs"), dict):
        # Their paths are relative to the recipe that names them.
        tree["needs"] = {
            name: str(find_recipe(need, path.parent)) if isinstance(need, str) else need
            for name, need in tree["needs"].items()
        }
    return tree


def _with_file(problem: str, files: Sequence[tuple[Path, Mapping[str, Any]]]) -> str:
    keys = problem.partition(":")[0].split(".")
    for number, (path, tree) in enumerate(files):
        if _sets(tree, keys) or _sets(tree.get("sample"), keys):
            return problem if number == 0 else f"{problem} (set in {path})"
    return problem


def _sets(tree: Any, keys: Sequence[str]) -> bool:
    """Return whether a tree has a value at a path of keys."""
    for key in keys:
        if not isinstance(tree, Mapping) or key not in tree:
            return False
        tree = tree[key]
    return True
