"""Type aliases."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

Values = NDArray[Any]
