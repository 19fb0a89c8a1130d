"""Some of a classifier's classes, chosen by index, by wnid or by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from srkit.errors import nearest

#: What the option `classes` of a component takes for some of all classes.
Choice = list[int | str] | Path


def choose_classes(given: Choice, known: int | Sequence[Sequence[str]]) -> list[int]:
    """Find the indices of chosen classes.

    Parameters
    ----------
    given
        Indices, wnids such as ``n01440764`` or names such as ``tench``, in any letter case; or a
        file that lists them, one a line.
    known
        What each class is called, by its index; or how many classes there are, if they have no
        names.

    Returns
    -------
    list of int
        In rising order, whatever the order of `given`: who chooses the same classes numbers them
        alike.

    Raises
    ------
    ValueError
        If there are less than two, one is unknown, means several or stands twice, or there is no
        such file.
    """
    entries = _read(given) if isinstance(given, Path) else list(given)
    count = known if isinstance(known, int) else len(known)
    called: dict[str, list[int]] = {}
    for index, names in enumerate([] if isinstance(known, int) else known):
        for name in dict.fromkeys(name.lower() for name in names):
            called.setdefault(name, []).append(index)
    chosen: dict[int, int | str] = {}
    for entry in entries:
        index = _index(entry, count) if isinstance(entry, int) else _find(entry, called, count)
        if index in chosen:
            raise ValueError(f"classes: {entry!r} is the class {index}, as is {chosen[index]!r}")
        chosen[index] = entry
    if len(chosen) < 2:
        raise ValueError(f"classes: got {len(chosen)}; a choice is of at least two")
    return sorted(chosen)


def _read(path: Path) -> list[int | str]:
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"classes: {path}: cannot be read ({error})") from None
    stripped = [line.strip() for line in lines if line.strip()]
    return [int(line) if line.isascii() and line.isdigit() else line for line in stripped]


def _index(entry: int, count: int) -> int:
    if not 0 <= entry < count:
        raise ValueError(f"classes: {entry} is no class; expected 0 to {count - 1}")
    return entry


def _find(entry: str, called: dict[str, list[int]], count: int) -> int:
    if not called:
        raise ValueError(
            f"classes: '{entry}' is unknown, since these {count} classes have no names; give "
            "indices from 0"
        )
    found = called.get(entry.lower(), [])
    if not found:
        # Thousands of names are no help.
        hint = nearest(entry.lower(), called)
        hint = hint if hint.startswith("did") else "give a wnid, a name or an index"
        raise ValueError(f"classes: '{entry}' is none of the {count} classes; {hint}")
    if len(found) > 1:
        indices = " and ".join(map(str, found))
        raise ValueError(f"classes: '{entry}' means the classes {indices}; give one by its index")
    return found[0]
