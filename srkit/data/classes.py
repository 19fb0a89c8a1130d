"""Selection of a classifier's classes by index, WordNet ID or name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from srkit.errors import nearest

#: Type of a component's option `classes`, which selects some of all classes.
Choice = list[int | str] | Path


def choose_classes(given: Choice, known: int | Sequence[Sequence[str]]) -> list[int]:
    """Return the indices of the selected classes.

    Parameters
    ----------
    given
        Indices, WordNet IDs such as ``n01440764`` or names such as ``tench`` (letter case does not
        matter); or a file that lists them, one per line.
    known
        Names of each class, by index; or the number of classes, if they have no names.

    Returns
    -------
    list of int
        In ascending order, whatever the order of `given`, so that equal selections number the
        classes alike.

    Raises
    ------
    ValueError
        If fewer than two classes are selected, one is unknown, ambiguous or given twice, or the
        file cannot be read.
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
            raise ValueError(
                f"classes: {chosen[index]!r} and {entry!r} are the same class {index}; remove one"
            )
        chosen[index] = entry
    if len(chosen) < 2:
        raise ValueError(f"classes: got {len(chosen)}; expected at least two")
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
        raise ValueError(f"classes: unknown class {entry}; expected 0 to {count - 1}")
    return entry


def _find(entry: str, called: dict[str, list[int]], count: int) -> int:
    if not called:
        raise ValueError(
            f"classes: unknown class '{entry}'; these {count} classes have no names: give indices "
            "from 0"
        )
    found = called.get(entry.lower(), [])
    if not found:
        hint = nearest(entry.lower(), called)
        # A list of thousands of names does not help.
        hint = hint if hint.startswith("did") else "give a WordNet ID, a name or an index"
        raise ValueError(f"classes: unknown class '{entry}' of {count}; {hint}")
    if len(found) > 1:
        indices = " and ".join(map(str, found))
        raise ValueError(f"classes: '{entry}' is ambiguous: classes {indices}; give an index")
    return found[0]
