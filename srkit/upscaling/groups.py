"""Process items in groups."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_groups(
    process: Callable[[list[Item]], Iterable[Result]],
    items: Sequence[Item],
    key: Callable[[Item], Hashable],
) -> list[Result]:
    """Process items with equal keys together, and return the results in the order of the items."""
    groups: dict[Hashable, list[int]] = {}
    for index, item in enumerate(items):
        groups.setdefault(key(item), []).append(index)
    results: dict[int, Result] = {}
    for indices in groups.values():
        found = process([items[index] for index in indices])
        results.update(zip(indices, found, strict=True))
    return [results[index] for index in range(len(items))]
