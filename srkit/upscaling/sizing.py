"""How large SR is to be: by a scale, or by a size whose scale each image decides."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from numbers import Real
from threading import Lock
from typing import Any, Protocol

from srkit.components.registry import Registry
from srkit.interfaces import Image
from srkit.models.open import INTERPOLATIONS, Model, native_scale, open_model
from srkit.upscaling.upscaler import ImageUpscaler


@dataclass(frozen=True, slots=True)
class Size:
    """One way to say how large SR is to be; without any, the model's own scale.

    Parameters
    ----------
    scale
        SR pixels for each LR pixel along a side.
    width, height
        Of SR in pixels; the other side follows.
    megapixels
        Of SR, in millions of pixels.

    Raises
    ------
    ValueError
        If two are given, or one is no positive number.
    """

    scale: float | None = None
    width: int | None = None
    height: int | None = None
    megapixels: float | None = None

    def __post_init__(self) -> None:
        given = self._given()
        if len(given) > 1:
            raise ValueError(f"got {' and '.join(given)}; only one of them can decide the size")
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
        """Give the scale for an LR image of this size in pixels; None for the model's own."""
        if self.width is not None:
            return self.width / width
        if self.height is not None:
            return self.height / height
        if self.megapixels is not None:
            return math.sqrt(self.megapixels * 1e6 / (height * width))
        return self.scale

    def label(self, own: float) -> str:
        """Give what tells the size in a file's name, such as ``x4``, ``w1920`` or ``2mp``.

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


class Sized(Protocol):
    """What knows an upscaler for an image; an :class:`ImageUpscaler` is one for all."""

    def for_image(self, lr: Image) -> ImageUpscaler:
        """Give the upscaler for an LR image; of its pixels only the shape matters."""
        ...


class Upscalers:
    """Upscalers of one model, opened when an image needs them; may serve several threads.

    Parameters
    ----------
    reference
        The model, as :func:`srkit.models.open.open_model` takes it.
    registry
        Where components come from.
    size
        How large SR is to be.
    settings
        Of each :class:`srkit.upscaling.upscaler.ImageUpscaler`.

    Raises
    ------
    SrkitError
        As :func:`srkit.models.open.open_model` does.
    ValueError
        If a setting is wrong.
    """

    def __init__(
        self, reference: str | Model, registry: Registry, size: Size, **settings: Any
    ) -> None:
        self.size = size
        self._reference, self._registry, self._settings = reference, registry, settings
        self._lock = Lock()
        # An interpolation has no scale of its own; of several scales, images may need any.
        undecided = None if size == Size() and reference not in INTERPOLATIONS else 2
        self._opened = self._open(size.scale or undecided)
        self._by_scale = {self._opened.model.scale: self._opened}

    @property
    def label(self) -> str:
        """What tells the size in a file's name."""
        return self.size.label(self._opened.model.scale)

    def _open(self, scale: float | None) -> ImageUpscaler:
        given = self._reference
        model = (
            given if isinstance(given, Model) else open_model(given, self._registry, at_least=scale)
        )
        return ImageUpscaler(model, **self._settings)

    def _own(self, wanted: float) -> int:
        """Choose among the scales of a model that can be opened again."""
        model = self._opened.model
        return model.scale if isinstance(self._reference, Model) else native_scale(model, wanted)

    def for_image(self, lr: Image) -> ImageUpscaler:
        """Give the upscaler for an LR image; of its pixels only the shape matters.

        Of a model of several scales, the smallest is taken that is large enough.
        """
        scale = self.size.scale_of(*lr.pixels.shape[-2:])
        if scale is None:
            return self._opened
        own = self._own(scale)
        with self._lock:
            if own not in self._by_scale:
                self._by_scale[own] = self._open(own)
            return self._by_scale[own].at(scale)
