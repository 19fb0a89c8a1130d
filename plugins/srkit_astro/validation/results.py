"""The tables of a validation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias, get_args

import numpy as np

from srkit_astro.validation.measure import Record, columns_of
from srkit_astro.validation.noise import COLOURS, THRESHOLDS
from srkit_astro.validation.plan import SEPARATIONS, SINGLE
from srkit_astro.validation.sources import Kind
from srkit_astro.validation.statistics import Bias, Fraction, count_interval, crossing
from srkit_astro.validation.study import Settings

Row: TypeAlias = dict[str, Any]

#: Width of the bins of false sources in magnitudes.
BIN = 0.5
#: Signal-to-noise ratio from which sources count in the summary of biases.
BRIGHT = 10.0
#: Errors that are summarised: key, and the kinds that have it.
ERRORS = {
    "flux": SINGLE,
    "frame_flux": SINGLE,
    "dx": ("point", "galaxy"),
    "dy": ("point", "galaxy"),
    "m": ("galaxy",),
    "cross": ("galaxy",),
}


@dataclass(frozen=True)
class Results:
    """The steps of a validation, and their tables.

    Parameters
    ----------
    title
        Name of the model and of the data.
    steps
        The steps as recorded.
    methods
        Names of the methods, LR first and the model last.
    settings
        What was measured.
    zero_point
        AB magnitude of one unit, or None for instrumental magnitudes.
    pixel_scale
        Side of an LR pixel in arcsec; None if unknown.
    facts
        Facts on the data, the model and the PSF, by name.
    notes
        Notes for the reader.
    """

    title: str
    steps: Sequence[Mapping[str, Any]]
    methods: Sequence[str]
    settings: Settings
    zero_point: float | None
    pixel_scale: float | None
    facts: Mapping[str, str]
    notes: Sequence[str]

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.methods[-1]

    @property
    def area_unit(self) -> str:
        """Unit of areas."""
        return "Mpixel of LR" if self.pixel_scale is None else "arcmin²"

    def area(self, pixels: float) -> float:
        """Convert an area in LR pixels to `area_unit`."""
        return pixels / 1e6 if self.pixel_scale is None else pixels * (self.pixel_scale / 60) ** 2

    def sources(self, **wanted: Any) -> list[Record]:
        """Return the injected sources, such as those with ``kind="point"``."""
        found = self._kinds[wanted.pop("kind")] if "kind" in wanted else self._sources
        return [each for each in found if all(each[key] == value for key, value in wanted.items())]

    @cached_property
    def _sources(self) -> list[Record]:
        return [each for step in self.steps for each in step.get("sources", ())]

    @cached_property
    def _kinds(self) -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {kind: [] for kind in get_args(Kind)}
        for each in self._sources:
            found[each["kind"]].append(each)
        return found

    def completeness(self) -> list[Row]:
        """Return the fraction of each kind that is found at each S/N, for each method."""
        return [
            self._fraction(method, kind, "snr", snr)
            for kind in SINGLE
            for method in self.methods
            for snr in self.settings.snrs
        ]

    def pairs(self) -> list[Row]:
        """Return the fraction of pairs that are found as two, at each separation."""
        return [
            self._fraction(method, "pair", "separation", distance)
            for method in self.methods
            for distance in SEPARATIONS
        ]

    def _fraction(self, method: str, kind: str, key: str, value: float) -> Row:
        found = [
            each["methods"][method]["found"] for each in self.sources(kind=kind, **{key: value})
        ]
        fraction = Fraction(found.count(True), len(found) - found.count(None))
        low, high = fraction.interval
        return {
            "method": method,
            "kind": kind,
            key: value,
            "found": fraction.successes,
            "sources": fraction.trials,
            "fraction": fraction.value,
            "low": low,
            "high": high,
        }

    def biases(self) -> list[Row]:
        """Return bias and scatter of flux, centroid and ellipticity, at each S/N."""
        return [
            self.bias(method, kind, key, snr)
            for key, kinds in ERRORS.items()
            for kind in kinds
            for method in self.methods
            for snr in (*self.settings.snrs, None)
        ]

    def bias(self, method: str, kind: str, key: str, snr: float | None) -> Row:
        """Return a row of :meth:`biases`; without `snr`, of all sources from `BRIGHT`."""
        sources = [
            each["methods"][method]
            for each in self.sources(kind=kind)
            if (each["snr"] >= BRIGHT if snr is None else each["snr"] == snr)
        ]
        found = Bias.of(columns_of(sources, key))
        return {
            "method": method,
            "kind": kind,
            "error": key,
            "snr": f">= {BRIGHT:g}" if snr is None else snr,
            "mean": found.mean,
            "standard_error": found.error,
            "median": found.median,
            "scatter": found.scatter,
            "sources": found.count,
        }

    def false_sources(self) -> list[Row]:
        """Return the false sources per area in bins of magnitude.

        Those beside injected sources, and those in pure noise at each threshold.
        """
        rows: list[Row] = []
        for origin, threshold, fluxes, pixels in self._false_fluxes():
            magnitudes = {name: self.magnitudes(values) for name, values in fluxes.items()}
            edges = _edges(np.concatenate([*magnitudes.values()]))
            for name, values in magnitudes.items():
                counts, _ = np.histogram(values, edges)
                rows += [
                    self._false_row(name, origin, threshold, (bright, faint), int(count), pixels)
                    for bright, faint, count in zip(edges, edges[1:], counts, strict=False)
                ]
        return rows

    def _false_row(
        self,
        method: str,
        origin: str,
        threshold: float,
        ends: tuple[float, float],
        count: int,
        pixels: float,
    ) -> Row:
        area = self.area(pixels)
        low, high = count_interval(count)
        return {
            "method": method,
            "origin": origin,
            "threshold": threshold,
            "bright": ends[0],
            "faint": ends[1],
            "count": count,
            "per_area": count / area,
            "low": low / area,
            "high": high / area,
        }

    def _false_fluxes(self) -> Iterator[tuple[str, float, dict[str, list[float]], float]]:
        """Yield origin, threshold, the fluxes of each method, and the area in LR pixels."""
        rounds = [step for step in self.steps if "false" in step]
        beside = {
            name: [f for step in rounds for f in step["false"][name]] for name in self.methods
        }
        yield "injection", self.settings.threshold, beside, sum(s["area"] for s in rounds)
        for colour in COLOURS:
            steps = [step for step in self.steps if step.get("colour") == colour]
            area = sum(step["area"] for step in steps)
            for threshold in THRESHOLDS:
                found = {name: _of(steps, name, threshold) for name in self.methods}
                yield (
                    colour,
                    threshold,
                    {
                        name: [f for each in rows for f in each["fluxes"]]
                        for name, rows in found.items()
                    },
                    area,
                )

    def magnitudes(self, fluxes: Sequence[float]) -> Any:
        """Return the magnitudes of positive fluxes."""
        positive = np.array([flux for flux in fluxes if flux > 0], np.float64)
        return (self.zero_point or 0.0) - 2.5 * np.log10(positive)

    def noise(self) -> list[Row]:
        """Return detections in pure noise, and the size and correlation of the noise."""
        rows: list[Row] = []
        for colour in COLOURS:
            steps = [step for step in self.steps if step.get("colour") == colour]
            area = self.area(sum(step["area"] for step in steps))
            lr = np.mean([each["rms"] for each in _of(steps, self.methods[0], THRESHOLDS[0])])
            for method in self.methods:
                for threshold in THRESHOLDS:
                    found = _of(steps, method, threshold)
                    count = sum(len(each["fluxes"]) for each in found)
                    low, high = count_interval(count)
                    means = {k: float(np.mean([each[k] for each in found])) for k in _MEANS}
                    rows.append(
                        {
                            "method": method,
                            "noise": colour,
                            "threshold": threshold,
                            "count": count,
                            "low": low,
                            "high": high,
                            "per_area": count / area,
                            "by_pixel": sum(each["by_pixel"] for each in found),
                            "area": area,
                            "rms": means["rms"],
                            "rms_over_lr": means["rms"] / lr if lr else math.nan,
                            "correlation": means["correlation"],
                            "block": means["block"],
                        }
                    )
        return rows

    def half_complete(self, method: str, kind: str) -> float:
        """Return the S/N at which half of the sources are found; NaN if it is not reached."""
        rows = [r for r in self.completeness() if (r["method"], r["kind"]) == (method, kind)]
        return crossing([row["snr"] for row in rows], [row["fraction"] for row in rows])


_MEANS = ("rms", "correlation", "block")


def _of(steps: Sequence[Mapping[str, Any]], method: str, threshold: float) -> list[Record]:
    return [
        each
        for step in steps
        for each in step["noise"]
        if (each["method"], each["threshold"]) == (method, threshold)
    ]


def _edges(magnitudes: Any) -> list[float]:
    """Return the edges of bins that contain all magnitudes."""
    if not len(magnitudes):
        return []
    low, high = math.floor(magnitudes.min() / BIN), math.floor(magnitudes.max() / BIN) + 1
    return [BIN * each for each in range(low, high + 1)]
