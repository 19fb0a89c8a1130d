"""The recipes that are part of srkit, which are found by name."""

from __future__ import annotations

from pathlib import Path

from srkit.errors import nearest

_PACKAGE = Path(__file__).resolve().parents[1]
#: Their folder: in the package where it is installed, beside the package in a checkout.
FOLDER = _PACKAGE / "recipes" if (_PACKAGE / "recipes").is_dir() else _PACKAGE.parent / "recipes"


def shipped_names() -> list[str]:
    """Return the names of the recipes that are part of srkit."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def find_recipe(given: str | Path, folder: Path = Path()) -> Path:
    """Return the file of a recipe.

    Parameters
    ----------
    given
        A path, or a name with or without ``.yaml``. A file in the folder wins over a recipe of the
        same name that is part of srkit.
    folder
        The folder to which it is relative.

    Returns
    -------
    Path
        The path in the folder if there is no such recipe.
    """
    path = folder / given
    if path.is_file():
        return path
    if Path(given).name == str(given):
        name = str(given).removesuffix(".yaml")
        for found in (folder / f"{name}.yaml", FOLDER / f"{name}.yaml"):
            if found.is_file():
                return found
    return path


def hint_of(path: Path) -> str:
    """Return which recipe of srkit may be meant by a path without a file."""
    name = path.name.removesuffix(".yaml")
    if name in shipped_names():
        return f"; srkit has a recipe of this name: {name}"
    close = nearest(name, shipped_names())
    return f"; {close}" if close.startswith("did you mean") else "; srkit recipe list shows srkit's"
