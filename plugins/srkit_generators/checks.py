"""What every generator checks, in the same words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from srkit.errors import WeightsError


def check_scale(name: str, scale: int, known: Sequence[int]) -> None:
    """Refuse a scale that the network lacks.

    Raises
    ------
    ValueError
        If `scale` is none of `known`.
    """
    if scale not in known:
        listed = f"{', '.join(map(str, known[:-1]))} and {known[-1]}"
        raise ValueError(f"{name} has the scales {listed}; got {scale}")


def check_keys(name: str, found: Iterable[str], own: Iterable[str]) -> None:
    """Refuse a checkpoint of which no key belongs to the network; the core reports lesser gaps.

    Raises
    ------
    WeightsError
        If the two have no key in common; it lists the first of each.
    """
    found, own = list(found), list(own)
    if not set(found) & set(own):
        raise WeightsError(
            f"these are no weights of {name}: their first keys are {', '.join(found[:3])}; "
            f"expected keys such as {', '.join(own[:3])}"
        )
