"""A recipe's file as one tree: with what it extends, its sample block, and overrides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from srkit.errors import RecipeError
from srkit.recipe.trees import merge, override
from srkit.recipe.yaml_loader import parse_yaml


def load_tree(
    path: str | Path, overrides: Sequence[str] = (), *, sample: bool = False
) -> dict[str, Any]:
    """Read a recipe file as one tree, unchecked.

    Parameters and errors are those of :func:`srkit.recipe.recipe.load_recipe`.
    """
    path = Path(path)
    tree = _read(path, ())
    if sample:
        if not isinstance(tree.get("sample"), Mapping):
            raise RecipeError(str(path), ["sample: missing; --sample needs this block"])
        tree = merge(tree, tree["sample"])
    return override(tree, overrides, str(path))


def _read(path: Path, seen: Iterable[Path]) -> dict[str, Any]:
    """Read a file and what it extends."""
    chain = [*seen, path]
    if path.resolve() in {p.resolve() for p in seen}:
        names = " -> ".join(str(p) for p in chain)
        raise RecipeError(str(chain[0]), [f"extends: goes round in a loop: {names}"])
    try:
        tree = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        asker = f" (extended by {chain[-2]})" if len(chain) > 1 else ""
        raise RecipeError(str(path), [f"no such file{asker}"]) from None
    except OSError as error:
        raise RecipeError(str(path), [f"cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise RecipeError(str(path), [f"not text in UTF-8: {error.reason}"]) from None
    except ValueError as error:
        raise RecipeError(str(path), [f"not valid YAML: {error}"]) from None
    if not isinstance(tree, dict):
        found = "nothing" if tree is None else f"a {type(tree).__name__}"
        raise RecipeError(str(path), [f"holds {found}; expected keys and values"])
    if isinstance(tree.get("needs"), dict):
        # Their paths are relative to the recipe that names them.
        tree["needs"] = {
            name: str(path.parent / need) if isinstance(need, str) else need
            for name, need in tree["needs"].items()
        }
    base = tree.pop("extends", None)
    if base is None:
        return tree
    if not isinstance(base, str):
        raise RecipeError(str(path), [f"extends: got {base!r}; expected the path of a recipe"])
    return dict(merge(_read(path.parent / base, chain), tree))
