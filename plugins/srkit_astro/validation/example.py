"""An example of a window with injected sources, for the figure of the report."""

from __future__ import annotations

import numpy as np

from srkit_astro.validation.measure import Ruler, to_sr
from srkit_astro.validation.sources import Floats
from srkit_astro.validation.study import Study


def example_of(study: Study) -> tuple[dict[str, tuple[Floats, Floats, Floats]], int]:
    """Return the first window with sources as each method shows it, and its side in LR pixels.

    For each method: the image, the positions of the injected sources, and those of detections that
    match none of them and are not in the image without injection.
    """
    number, _ = next(study.rounds())
    sources, images = study.first_round()
    true = np.array([each.centre for each in sources])
    ruler = Ruler(study.fwhm, study.settings.threshold, study.point.aperture)
    views = {}
    for method in study.methods:
        image, view = images[method.name], study.view(number, method)
        false = ruler.false_places(image, view, sources)
        views[method.name] = image, to_sr(true, view.scale), to_sr(false, view.scale)
    return views, len(study.windows[number].pixels)
