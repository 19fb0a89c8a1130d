"""Measure sources in LR and in its restorations: found or not, flux, position, ellipticity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy.spatial.distance import cdist

from srkit_astro.extra import needs
from srkit_astro.moments import Moments, adaptive_moments
from srkit_astro.validation.detection import Smoothed, distances, measure_background
from srkit_astro.validation.frames import Window
from srkit_astro.validation.methods import Method
from srkit_astro.validation.plan import Bools, Injected
from srkit_astro.validation.sources import Floats

with needs("sep"):
    import sep

#: Largest distance of a match in FWHM of the PSF of LR, and in LR pixels; the larger one counts.
MATCH, LEAST_MATCH = 0.5, 1.0

#: Margin of that distance within which further detections belong to a source, in LR pixels.
EDGE = 0.5

#: What is known of a source or of a detection, as plain data.
Record: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A restoration of a window, without injection.

    Parameters
    ----------
    pixels
        ``(H, W)`` in flux per area of its own pixels, so that sums are fluxes.
    scale
        Its pixels per LR pixel along a side.
    background
        The smoothed image, and its noise.
    bad
        Pixels without a value, or None.
    found
        Positions of the sources above the threshold, ``(K, 2)`` in LR pixels.
    """

    pixels: Floats
    scale: float
    background: Smoothed
    bad: Bools | None
    found: Floats


def to_lr(places: Floats, scale: float) -> Floats:
    """Convert positions to LR pixels; the centre of the first pixel is 0 in both."""
    return (places + 0.5) / scale - 0.5


def to_sr(places: Floats, scale: float) -> Floats:
    """Convert positions in LR pixels; the centre of the first pixel is 0 in both."""
    return (places + 0.5) * scale - 0.5


def fluxes(method: Method, window: Window, pixels: Floats) -> tuple[Floats, float]:
    """Restore pixels; return flux per pixel of the result, and its scale."""
    restored = method(window, pixels)
    scale = restored.shape[0] / pixels.shape[0]
    return np.ascontiguousarray(restored / scale**2), scale


def look_at(method: Method, window: Window, fwhm: float, threshold: float) -> View:
    """Restore a window without injection, and detect its sources."""
    pixels, scale = fluxes(method, window, window.pixels)
    bad = _enlarged(window.bad, pixels.shape)
    background = measure_background(pixels, scale * fwhm, bad)
    found = to_lr(background.detect(threshold, bad), scale)
    return View(pixels, scale, background, bad, found)


def _enlarged(bad: Bools, shape: tuple[int, ...]) -> Bools | None:
    if not bad.any():
        return None
    rows, columns = (
        np.minimum(np.arange(side) * lr // side, lr - 1)
        for side, lr in zip(shape, bad.shape, strict=True)
    )
    return np.ascontiguousarray(bad[rows][:, columns])


class Ruler:
    """Measures injected sources.

    Parameters
    ----------
    fwhm
        FWHM of the PSF in LR pixels.
    threshold
        Detection threshold in units of the noise of the smoothed image.
    aperture
        Radius in LR pixels in which the flux of false sources is measured.
    """

    def __init__(self, fwhm: float, threshold: float, aperture: float) -> None:
        self.fwhm, self.threshold, self.aperture = fwhm, threshold, aperture
        self.radius = max(MATCH * fwhm, LEAST_MATCH)

    def measure(
        self, injected: Floats, view: View, sources: Sequence[Injected]
    ) -> tuple[list[Record], list[float]]:
        """Measure a restoration with injected sources.

        Parameters
        ----------
        injected
            The restoration, in flux per pixel.
        view
            That of the same window without the sources.
        sources
            The sources.

        Returns
        -------
        records, false
            What was measured of each source, and the flux of each of :meth:`false_places`.
        """
        found = self._detect(injected, view)
        records = []
        for each in sources:
            source, spine = each.placed.source, each.spine(self.fwhm)
            apart = distances(found, spine)
            record: Record = self._fluxes(injected, view, each)
            if (distances(view.found, spine) <= self.radius).any():
                record["found"] = None  # a source was found here before one was injected
            elif source.kind == "pair":
                record["found"] = self._resolved(found, spine, source.separation)
            else:
                record["found"] = bool((apart <= self.radius).any())
                if record["found"] and source.kind != "arc":
                    record |= self._shape(injected, view, found[apart.argmin()], each)
            records.append(record)
        false = self._unclaimed(found, view, sources)
        return records, [flux_at(injected, view, at, self.aperture, self.fwhm) for at in false]

    def false_places(self, injected: Floats, view: View, sources: Sequence[Injected]) -> Floats:
        """Return the detections that match no source and are not in the image without them.

        They are positions in LR pixels, ``(K, 2)``; the parameters are those of :meth:`measure`.
        """
        return self._unclaimed(self._detect(injected, view), view, sources)

    def _detect(self, injected: Floats, view: View) -> Floats:
        """Return the positions of sources in LR pixels, with the noise of the view."""
        smoothed = view.background.with_pixels(injected, view.scale * self.fwhm)
        return to_lr(smoothed.detect(self.threshold, view.bad), view.scale)

    def _unclaimed(self, found: Floats, view: View, sources: Sequence[Injected]) -> Floats:
        claimed = np.zeros(len(found), bool)
        if len(view.found):
            claimed |= distances(found, view.found) <= self.radius
        for each in sources:
            source = each.placed.source
            size = max(source.radius, source.separation / 2)  # two seen as one
            extent = max(self.radius, self.fwhm * size) + EDGE
            claimed |= distances(found, each.spine(self.fwhm)) <= extent
        return found[~claimed]

    def _fluxes(self, image: Floats, view: View, source: Injected) -> Record:
        """Return the relative errors of the flux, corrected by the fraction in the aperture.

        ``flux`` is the difference to the image without injection, less the light that was injected:
        noise, sky and neighbours cancel as far as the restoration is linear. ``frame_flux`` is what
        an observer measures, with a local sky and the photon noise of the source.
        """
        stamp, centre = source.stamp, source.centre
        mean, light = (
            _sum(each, stamp.centre, stamp.aperture)
            for each in (source.flux * stamp.pixels, source.light)
        )
        place, radius = to_sr(centre, view.scale), view.scale * stamp.aperture
        observed = flux_at(image, view, centre, stamp.aperture, self.fwhm)
        added = _sum(image, place, radius) - _sum(view.pixels, place, radius)
        return {"flux": (added - light) / mean, "frame_flux": observed / mean - 1}

    def _shape(self, image: Floats, view: View, found: Floats, injected: Injected) -> Record:
        """Return the centroid shift in LR pixels and, of a galaxy, the ellipticity."""
        place, reach = to_sr(found, view.scale), math.ceil(3 * view.scale * self.fwhm)
        moments = moments_near(image, view, place, reach, view.scale * self.fwhm / 2)
        if moments is None:
            return {}
        dx, dy = (to_lr(moments.centre, view.scale) - injected.centre).tolist()
        record: Record = {"dx": dx, "dy": dy}
        source = injected.placed.source
        if source.kind == "galaxy":
            # Along the true ellipticity, and across it, relative to its modulus.
            relative = moments.ellipticity / source.distortion
            record |= {"m": relative.real - 1, "cross": relative.imag}
        return record

    def _resolved(self, found: Floats, spine: Floats, separation: float) -> bool:
        """Return whether both components are found, or a single source is found as two."""
        if not separation:
            return int((distances(found, spine) <= self.fwhm).sum()) > 1
        radius = min(self.radius, separation * self.fwhm / 2)
        if not len(found):
            return False
        first, second = (cdist(found, spine) <= radius).T
        return bool(first.any() and second.any() and (first | second).sum() > 1)


def flux_at(image: Floats, view: View, place: Floats, aperture: float, fwhm: float) -> float:
    """Return the flux around a position in LR pixels, with the local sky subtracted."""
    centre, radius = to_sr(place, view.scale), view.scale * aperture
    sky = _local_sky(view.pixels, centre, radius, radius + view.scale * fwhm)
    return _sum(image, centre, radius) - sky * math.pi * radius**2


def moments_near(
    image: Floats, view: View, place: Floats, reach: int, size: float
) -> Moments | None:
    """Measure adaptive moments on a cutout, with the sky of the image without injection."""
    x, y = place.round().astype(int)
    left, bottom = max(x - reach, 0), max(y - reach, 0)
    sky = _local_sky(view.pixels, place, reach / 2, reach)
    cut = image[bottom : y + reach + 1, left : x + reach + 1] - sky
    moments = adaptive_moments(cut, float(place[0]) - left, float(place[1]) - bottom, size)
    if moments is None:
        return None
    return Moments(moments.centre + np.array([left, bottom]), moments.covariance)


def _local_sky(image: Floats, place: Floats, inner: float, outer: float) -> float:
    """Return the median in a ring, of an image without injected sources."""
    x, y = place.round().astype(int)
    reach = math.ceil(outer)
    left, bottom = max(x - reach, 0), max(y - reach, 0)
    cut = image[bottom : y + reach + 1, left : x + reach + 1]
    rows, columns = np.indices(cut.shape)
    radius = np.hypot(rows + bottom - place[1], columns + left - place[0])
    return float(np.median(cut[(radius > inner) & (radius <= outer)]))


def _sum(image: Floats, place: Floats, radius: float) -> float:
    """Return the sum in a circle, with the exact overlap of pixels."""
    data = np.ascontiguousarray(image)
    return float(sep.sum_circle(data, [place[0]], [place[1]], radius, subpix=0)[0][0])


def columns_of(records: Iterable[Mapping[str, Any]], key: str) -> Floats:
    """Return the numbers under a key, of the records that have it."""
    values = [record[key] for record in records if record.get(key) is not None]
    return np.array(values, np.float64)
