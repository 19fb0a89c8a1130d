"""How the numbers of a validation are measured, in words."""

from __future__ import annotations

from srkit_astro.validation.results import Results
from srkit_astro.validation.statistics import count_interval


def definitions(results: Results) -> dict[str, str]:
    """Return how each number was measured."""
    rare = count_interval(0)[1]
    return {
        "threshold": (
            "Each image is smoothed by a Gaussian whose FWHM is half that of the PSF of LR, the "
            "same on the sky, and a background of meshes of 16 FWHM is subtracted. A source is a "
            f"peak above {results.settings.threshold:g} times the scatter of the smoothed image "
            "(1.4826 times the median absolute deviation, without sources), which contains the "
            "correlation of the noise; found by SEP with its deblending. The scatter is that of "
            "each image itself: a network that removes noise also lowers its threshold."
        ),
        "S/N": (
            "Flux of the source over the error of its flux in LR, measured with its own profile as "
            "weight, in the noise of the frame with its correlation. The photon noise of the "
            "source itself, if the gain is known, adds to that."
        ),
        "places": (
            "Random, away from sources that LR shows and from bad pixels. The image without "
            "injection is restored, too: where it already has a source, the injected one does not "
            "count for the completeness."
        ),
        "completeness": (
            "Fraction of the sources with a detection within half a FWHM of the PSF, at least one "
            "LR pixel; of an arc, from its ridge. Intervals: Wilson, 68 %."
        ),
        "flux": (
            "Sum in a circle around the true position that contains 98 % of the flux in LR, if the "
            "stamp is large enough, minus the same sum without injection and the light that was "
            "injected there: noise, sky and neighbours cancel as far as the restoration is linear, "
            "and what remains is its bias. Also (frame_flux) as an observer measures it, with the "
            "median of a ring as sky and the photon noise of the source. Both "
            "are corrected by the fraction of LR in the circle, so that LR has no bias. SR that "
            "is sharper than LR has more flux within: at most "
            + ", ".join(f"{100 * gain:.1f} % for {kind}" for kind, gain in _gains(results).items())
            + " (medians). All sources count, found or not."
        ),
        "centroid and ellipticity": (
            "Adaptive moments (Hirata and Seljak 2003) of the sources that are found. The "
            "ellipticity is (a² - b²) / (a² + b²), compared with that before the PSF, which rounds "
            "every source: LR and interpolation have a negative bias, and that of a restoration is "
            "0 if it removes the PSF."
        ),
        "pairs": (
            "Both components have detections of their own within half their separation, at most "
            "half a FWHM; at separation 0, two detections within a FWHM of one source."
        ),
        "false sources": (
            "In the frame: detections with injected sources that match none of them and are not in "
            "the image without injection. In pure noise: every detection. Intervals: Poisson, 68 "
            f"%; without any, the limit is {rare:.2f} sources."
        ),
    }


def _gains(results: Results) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for source in results.sources():
        if source["kind"] != "pair":
            found.setdefault(source["kind"], []).append(source["gain"])
    return {kind: sorted(gains)[len(gains) // 2] for kind, gains in sorted(found.items())}
