"""Durations of training, in optimiser steps or in epochs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import SchemaSerializer, core_schema


@dataclass(frozen=True, slots=True)
class Length:
    """A duration of training.

    Parameters
    ----------
    value, unit
        Number of optimiser steps, or of epochs.
    """

    value: float
    unit: Literal["steps", "epochs"]

    def in_steps(self, steps_per_epoch: float) -> int:
        """Return the number of optimiser steps, at least one."""
        steps = self.value if self.unit == "steps" else self.value * steps_per_epoch
        return max(1, round(steps))

    def __str__(self) -> str:
        # All digits and no exponent, so that it can be parsed again.
        return f"{Decimal(repr(self.value)):f}".removesuffix(".0") + f" {self.unit}"


# By this pydantic writes it as text even where no annotation says so: in options of components.
Length.__pydantic_serializer__ = SchemaSerializer(  # type: ignore[attr-defined]
    core_schema.any_schema(serialization=core_schema.to_string_ser_schema())
)


def parse_length(given: Any) -> Length:
    """Parse a duration.

    Raises
    ------
    ValueError
        If it is neither a number of steps nor text such as ``10 epochs``.
    """
    if isinstance(given, Length):
        return given
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(steps?|epochs?)?\s*", str(given))
    if match is None or float(match[1]) == 0 or isinstance(given, bool):
        raise ValueError(f"got {given!r}; expected a number of steps or, for instance, '10 epochs'")
    unit: Literal["steps", "epochs"] = "epochs" if (match[2] or "").startswith("e") else "steps"
    if unit == "steps" and not float(match[1]).is_integer():
        raise ValueError(f"got {given!r}; expected a whole number of steps")
    return Length(float(match[1]), unit)


#: The annotation of an option that is a duration.
Duration = Annotated[
    Length,
    BeforeValidator(parse_length),
    PlainSerializer(str),
    WithJsonSchema({"type": ["integer", "string"], "pattern": r"^\d+(\.\d+)? ?(steps?|epochs?)?$"}),
]
