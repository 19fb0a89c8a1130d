"""The model that is taken where none is named."""

from __future__ import annotations

from typing import Literal

from srkit.errors import WeightsError
from srkit.interfaces import Image
from srkit.models import published_models
from srkit.registry import Registry
from srkit.restored import is_measured

#: What is restored: levels of 8 or 16 bits, or numbers of any range.
Kind = Literal["pictures", "frames"]
#: SR pixels for each LR pixel along a side, where nothing is said.
SCALE = 2


def kind_of(image: Image) -> Kind:
    """Tell a picture from a frame."""
    return "frames" if is_measured(image) else "pictures"


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
        raise WeightsError(f"no plugin offers a model for {kind}; name one (-m)")
    enough = {name: scale for name, scale in scales.items() if scale >= wanted}
    return min(enough, key=enough.__getitem__) if enough else max(scales, key=scales.__getitem__)
