"""The size of SR: by a scale, or by a size for which each image has a scale of its own."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from numbers import Real


@dataclass(frozen=True, slots=True)
class Size:
    """The size of SR, by at most one of these; by default the model's own scale is used.

    Parameters
    ----------
    scale
        SR pixels per LR pixel along a side.
    width, height
        Width or height of SR in pixels; the other side keeps the aspect ratio.
    megapixels
        Millions of pixels of SR.

    Raises
    ------
    ValueError
        If several are given, or one is not a positive number.
    """

    scale: float | None = None
    width: int | None = None
    height: int | None = None
    megapixels: float | None = None

    def __post_init__(self) -> None:
        given = self._given()
        if len(given) > 1:
            raise ValueError(f"got {' and '.join(given)}; give only one of them")
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, Real):
                raise ValueError(f"the {name} must be a number, got {value!r}")
            if not 0 < value < math.inf:
                raise ValueError(f"the {name} must be positive, got {value:g}")
            if name in ("width", "height") and value != int(value):
                raise ValueError(f"the {name} must be a whole number of pixels, got {value:g}")

    def _given(self) -> dict[str, float]:
        return {name: value for name, value in asdict(self).items() if value is not None}

    def scale_of(self, height: int, width: int) -> float | None:
        """Return the scale for an LR image of this size in pixels; None for the model's own."""
        if self.width is not None:
            return self.width / width
        if self.height is not None:
            return self.height / height
        if self.megapixels is not None:
            return math.sqrt(self.megapixels * 1e6 / (height * width))
        return self.scale

    def label(self, own: float) -> str:
        """Return a label for file names, such as ``x4``, ``w1920`` or ``2mp``.

        Parameters
        ----------
        own
            The model's own scale.
        """
        if self.width is not None:
            return f"w{self.width}"
        if self.height is not None:
            return f"h{self.height}"
        if self.megapixels is not None:
            return f"{self.megapixels:g}mp"
        return f"x{own if self.scale is None else self.scale:g}"
