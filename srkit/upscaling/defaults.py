"""The model that is taken where none is named."""

from __future__ import annotations

from threading import Lock
from typing import Any, Literal

from srkit.components.registry import Registry
from srkit.errors import WeightsError
from srkit.images.levels import is_measured
from srkit.interfaces import Image
from srkit.models.open import Model, open_model, published_models
from srkit.upscaling.sizing import Size, Upscalers
from srkit.upscaling.upscaler import ImageUpscaler

#: What is restored: photographs and the like, or frames of the sky.
Kind = Literal["pictures", "frames"]
#: SR pixels for each LR pixel along a side, where nothing is said.
SCALE = 2


def kind_of(image: Image) -> Kind:
    """Return whether an image is a picture, of levels or three colours, or a frame of the sky."""
    pictured = not is_measured(image) or len(image.pixels) == 3
    return "pictures" if pictured and not image.metadata.get("frame") else "frames"


def default_model(kind: Kind, wanted: float, registry: Registry) -> str:
    """Name the published weights that restore where no model is named.

    Parameters
    ----------
    kind
        What is to be restored.
    wanted
        SR pixels for each LR pixel along a side: of the models, the smallest scale that is not
        below this is taken, or else the largest.
    registry
        Where models come from.

    Raises
    ------
    WeightsError
        If no plugin offers one.
    """
    scales = {
        name: weights.settings["scale"]
        for name, (_, weights) in published_models(registry).items()
        if weights.default_for == kind
    }
    if not scales:
        raise WeightsError(
            f"there is no default model for {kind}; name one (-m): a run folder, a weight file, "
            "or an interpolation such as bicubic"
        )
    enough = {name: scale for name, scale in scales.items() if scale >= wanted}
    return min(enough, key=enough.__getitem__) if enough else max(scales, key=scales.__getitem__)


class DefaultUpscalers:
    """Upscalers of the default models, opened when an image needs them; may serve several threads.

    Parameters
    ----------
    registry
        Where models come from.
    size
        How large SR is to be; by default twice as large.
    settings
        Of each :class:`srkit.upscaling.upscaler.ImageUpscaler`.

    Raises
    ------
    WeightsError
        If no plugin offers a model for pictures.
    ValueError
        If a setting is wrong.
    """

    def __init__(self, registry: Registry, size: Size, **settings: Any) -> None:
        self.size = size
        self._registry, self._settings = registry, settings
        self._lock = Lock()
        self._opened: dict[str, ImageUpscaler] = {}
        self._open("pictures", size.scale or SCALE)

    @property
    def label(self) -> str:
        """What tells the size in a file's name."""
        return self.size.label(SCALE)

    def for_image(self, lr: Image) -> ImageUpscaler:
        """Give the upscaler for an LR image; of its pixels only the shape matters."""
        wanted = self.size.scale_of(*lr.pixels.shape[-2:]) or SCALE
        return self._open(kind_of(lr), wanted).at(wanted)

    def _open(self, kind: Kind, wanted: float) -> ImageUpscaler:
        name = default_model(kind, wanted, self._registry)
        with self._lock:
            if name not in self._opened:
                model = open_model(name, self._registry)
                self._opened[name] = ImageUpscaler(model, **self._settings)
            return self._opened[name]


def upscalers_of(
    reference: str | Model | None, registry: Registry, size: Size, **settings: Any
) -> Upscalers | DefaultUpscalers:
    """Give the upscalers of a model, or of the default ones where it is None."""
    if reference is None:
        return DefaultUpscalers(registry, size, **settings)
    return Upscalers(reference, registry, size, **settings)
