"""Types of arrays."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

#: A NumPy array of any type.
Values = NDArray[Any]
