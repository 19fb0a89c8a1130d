"""Upscalers for images of different kinds and sizes."""

from __future__ import annotations

from threading import Lock
from typing import Any, Literal, TypeAlias

import torch

from srkit.assembly.published import published_models
from srkit.components.registry import OWN, Registry
from srkit.errors import WeightsError
from srkit.images._levels import is_measured
from srkit.interfaces import Image, Style
from srkit.models.open import INTERPOLATIONS, Model, native_scale, open_model
from srkit.upscaling.size import Size
from srkit.upscaling.upscaler import ImageUpscaler

#: Kinds of images: photographs and the like, or frames of the sky.
Kind = Literal["pictures", "frames"]
#: The scale if neither a size nor a model is given.
SCALE = 2


class Upscalers:
    """Upscalers of a model or of the default models, opened on first use; thread-safe.

    Parameters
    ----------
    model
        The model, as :func:`srkit.models.open.open_model` takes it; None for the default models.
    registry
        The components.
    size
        Size of SR.
    style
        The style of the default models.
    settings
        Other arguments of :class:`srkit.upscaling.upscaler.ImageUpscaler`.

    Raises
    ------
    SrkitError
        As :func:`srkit.models.open.open_model` does.
    ValueError
        If a setting is invalid.
    """

    def __init__(
        self,
        model: str | Model | None,
        registry: Registry,
        size: Size,
        style: Style = "faithful",
        **settings: Any,
    ) -> None:
        self.size, self._style = size, style
        self._model, self._registry, self._settings = model, registry, settings
        self._lock = Lock()
        self._opened: dict[str | int, ImageUpscaler] = {}
        # Open one at once: what cannot be opened is an error before any image is read.
        if model is None:
            name = default_model("pictures", size.scale or SCALE, registry, style)
            self._default = self._open(name)
            self._own_scale = SCALE
        else:
            # Interpolations have no scale of their own; of several scales, images may need any.
            undecided = None if size == Size() and model not in INTERPOLATIONS else 2
            self._default = self._load(model, size.scale or undecided)
            self._own_scale = self._default.model.scale
            self._opened[self._own_scale] = self._default

    @property
    def label(self) -> str:
        """Label of the size in default output names."""
        return self.size.label(self._own_scale)

    @property
    def device(self) -> torch.device:
        """Where the networks run."""
        return self._default.network.device

    @property
    def notes(self) -> list[str]:
        """Lines for the user on how the networks that are open run, each once."""
        opened = (self._default, *self._opened.values())
        return list(dict.fromkeys(note for each in opened for note in each.network.notes))

    def for_image(self, lr: Image) -> ImageUpscaler:
        """Return the upscaler for an LR image; of its pixels only the shape is used.

        If there are several scales, the smallest that is large enough is used.
        """
        scale = self.size.scale_of(*lr.pixels.shape[-2:])
        if self._model is None:
            scale = scale or SCALE
            name = default_model(kind_of(lr), scale, self._registry, self._style)
            return self._open(name).at(scale)
        if scale is None:
            return self._default
        model = self._default.model
        own = model.scale if isinstance(self._model, Model) else native_scale(model, scale)
        return self._open(own).at(scale)

    def _open(self, key: str | int) -> ImageUpscaler:
        """Open a default model by name, or the model at a scale of its own, once."""
        with self._lock:
            if key not in self._opened:
                model, scale = (key, None) if isinstance(key, str) else (self._model, key)
                assert model is not None
                self._opened[key] = self._load(model, scale)
            return self._opened[key]

    def _load(self, model: str | Model, scale: float | None) -> ImageUpscaler:
        if not isinstance(model, Model):
            model = open_model(model, self._registry, at_least=scale)
        return ImageUpscaler(model, **self._settings)


#: One upscaler for all images, or several of which each image has its own.
AnyUpscaler: TypeAlias = ImageUpscaler | Upscalers


def kind_of(image: Image) -> Kind:
    """Return whether an image is a picture, of levels or three colours, or a frame of the sky."""
    pictured = not is_measured(image) or len(image.pixels) == 3
    return "pictures" if pictured and not image.metadata.get("frame") else "frames"


def default_model(kind: Kind, scale: float, registry: Registry, style: Style = "faithful") -> str:
    """Return the name of the published weights that are used by default.

    Parameters
    ----------
    kind
        Kind of the images.
    scale
        SR pixels per LR pixel along a side. Of the models, the one with the smallest scale that is
        not below this is chosen, or else the one with the largest.
    registry
        The components. Defaults of plugins count only where srkit has none for the kind and style.
    style
        What the model does to the images.

    Raises
    ------
    WeightsError
        If no plugin offers default weights for the kind and style.
    """
    offered = {
        name: (component.distribution, weights.settings["scale"])
        for name, (component, weights) in published_models(registry).items()
        if (weights.default_for, weights.style) == (kind, style)
    }
    own = {name: scale for name, (origin, scale) in offered.items() if origin == OWN}
    scales = own or {name: scale for name, (_, scale) in offered.items()}
    if not scales:
        what = f"{kind};"
        if style != "faithful":
            what = f"{kind} in the style {style}; choose the style faithful, or"
        raise WeightsError(
            f"there is no default model for {what} name one (-m): a run folder, a weight file, or "
            "an interpolation such as bicubic"
        )
    enough = {name: offer for name, offer in scales.items() if offer >= scale}
    return min(enough, key=enough.__getitem__) if enough else max(scales, key=scales.__getitem__)
