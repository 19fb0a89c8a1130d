"""A validation: all steps in order, each recorded when it is finished."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from rich.console import Console

from srkit import __version__
from srkit.errors import DataError
from srkit.functional import Noise, measure_noise
from srkit.system import progress_bars
from srkit_astro.validation.detection import measure_background
from srkit_astro.validation.frames import Window
from srkit_astro.validation.journal import Journal
from srkit_astro.validation.measure import Record, Ruler, View, fluxes, look_at
from srkit_astro.validation.methods import Method
from srkit_astro.validation.noise import COLOURS, draw_noise, measure_pure_noise
from srkit_astro.validation.plan import (
    Bools,
    Injected,
    Placed,
    draw_sources,
    inject,
    place_sources,
    with_photon_noise,
)
from srkit_astro.validation.sources import Floats, Renderer, Source

#: Receives what is being done.
Show: TypeAlias = Callable[[str], None]

#: Threshold, in units of the noise, above which LR is occupied by a source.
OCCUPIED = 3.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a validation measures.

    Parameters
    ----------
    snrs
        Signal-to-noise ratios of the injected sources, ascending.
    sources
        Sources of each kind at each ratio, and pairs at each separation.
    noise_frames
        Frames of pure noise of each colour.
    threshold
        Detection threshold in units of the noise.
    seed
        Seed of everything drawn.
    """

    snrs: tuple[float, ...]
    sources: int
    noise_frames: int
    threshold: float
    seed: int


class Study:
    """Injects sources into windows of LR and measures them in every restoration.

    Parameters
    ----------
    windows
        The windows.
    methods
        LR and its restorations.
    renderer
        Renders sources with the PSF of LR.
    settings
        What is measured.
    """

    def __init__(
        self,
        windows: Sequence[Window],
        methods: Sequence[Method],
        renderer: Renderer,
        settings: Settings,
    ) -> None:
        self.windows, self.methods, self.settings = windows, methods, settings
        self.renderer, self.fwhm = renderer, renderer.fwhm
        self.point = renderer.render(Source("point", 1.0))
        self._views: dict[tuple[int, str], View] = {}
        self._first: tuple[list[Injected], dict[str, Floats]] | None = None

    @cached_property
    def noises(self) -> list[Noise]:
        """The noise of each window of LR.

        Raises
        ------
        DataError
            If a window has none.
        """
        found = [measure_noise(np.where(w.bad, np.nan, w.pixels)) for w in self.windows]
        for window, noise in zip(self.windows, found, strict=True):
            if not noise.rms > 0:
                raise DataError(
                    f"{window.name}: its background has no noise, so that no signal-to-noise ratio "
                    "is defined; expected an observed frame"
                )
        return found

    def identity(self, inputs: Any) -> str:
        """Return a digest of what affects the results: settings, pixels, PSF, and `inputs`."""
        tree = [__version__, inputs, *(getattr(self.settings, n) for n in Settings.__slots__)]
        digest = hashlib.sha256(json.dumps(tree).encode())
        for array in (self.renderer.kernel, *(window.pixels for window in self.windows)):
            digest.update(np.ascontiguousarray(array).tobytes())
        for window in self.windows:
            gain = window.gain and window.gain.electrons
            known = window.zero_point, window.pixel_scale, gain
            digest.update(" ".join(map(str, known)).encode())
        digest.update(json.dumps([method.name for method in self.methods]).encode())
        return digest.hexdigest()

    def run(self, journal: Journal, console: Console) -> None:
        """Run the steps that the journal does not contain."""
        done = len(journal.steps)
        rounds = list(self.rounds())
        total = len(rounds) + len(COLOURS) * self.settings.noise_frames
        if done:
            console.print(f"{journal.path}: resumes after {done} of {total} steps", soft_wrap=True)
        with progress_bars(console) as bars:
            bar = bars.add_task("", total=total, completed=done)

            def show(text: str) -> None:
                bars.update(bar, description=text)

            for number in range(done, total):
                if number < len(rounds):
                    journal.append(self._inject(number, *rounds[number], show))
                else:
                    journal.append(self._noise(number - len(rounds), show))
                bars.advance(bar)

    def rounds(self) -> Iterator[tuple[int, list[Placed]]]:
        """Yield the number of a window and the sources that are injected there, round by round.

        Raises
        ------
        DataError
            If there is no place for a source.
        """
        sources = draw_sources(self.settings.snrs, self.settings.sources, self.settings.seed)
        occupied = [self._occupied(window) for window in self.windows]
        empty = True
        for step in place_sources(
            sources, occupied, self.renderer.reach, self.fwhm, self.settings.seed
        ):
            empty = False
            yield step
        if empty:
            raise DataError(
                f"{self.windows[0].name}: has no place for a source: {2 * self.renderer.reach + 1} "
                f"pixels a side are needed, whose centre lies {self.fwhm * 2.5:.0f} pixels from "
                "every detected source; expected a larger or emptier frame, or a narrower PSF"
            )

    def _occupied(self, window: Window) -> Bools:
        background = measure_background(window.pixels, self.fwhm, window.bad)
        bright = background.pixels > background.sky + OCCUPIED * background.noise
        return np.asarray(bright | window.bad)

    def view(self, number: int, method: Method) -> View:
        """Return the restoration of a window without injection, which is computed once."""
        key = number, method.name
        if key not in self._views:
            window, threshold = self.windows[number], self.settings.threshold
            self._views[key] = look_at(method, window, self.fwhm, threshold)
        return self._views[key]

    def render(self, number: int, placed: Sequence[Placed]) -> list[Injected]:
        """Return sources with the flux that gives each its S/N in a window."""
        gain, sources = self.windows[number].gain, []
        for each in placed:
            stamp = self.renderer.render(each.source, each.step)
            pair = each.source.kind == "pair"
            profile = self.point.pixels if pair else stamp.pixels
            flux = flux_of(each.source.snr, profile, self.noises[number]) * (2 if pair else 1)
            # Places in a window differ between rounds, and are the same in the same round.
            rng = np.random.default_rng((self.settings.seed, 3, number, *each.corner))
            light = with_photon_noise(flux * stamp.pixels, gain and gain.electrons, rng)
            sources.append(Injected(each, stamp, flux, light))
        return sources

    def first_round(
        self, show: Show = lambda text: None
    ) -> tuple[list[Injected], dict[str, Floats]]:
        """Return the sources of the first round, and its restorations, which are computed once."""
        if self._first is None:
            number, placed = next(self.rounds())
            self._first = self._restore(number, placed, show)
        return self._first

    def _restore(
        self, number: int, placed: Sequence[Placed], show: Show
    ) -> tuple[list[Injected], dict[str, Floats]]:
        window, sources, images = self.windows[number], self.render(number, placed), {}
        pixels = inject(window.pixels, sources)
        for method in self.methods:
            show(f"injecting {len(sources)} sources: {method.name}")
            images[method.name] = fluxes(method, window, pixels)[0]
        return sources, images

    def _inject(
        self, step: int, number: int, placed: Sequence[Placed], show: Show
    ) -> dict[str, Any]:
        """Measure the sources of a round in every restoration."""
        window = self.windows[number]
        sources, images = self._restore(number, placed, show) if step else self.first_round(show)
        ruler = Ruler(self.fwhm, self.settings.threshold, self.point.aperture)
        records: list[Record] = [
            {
                "window": number,
                "kind": each.placed.source.kind,
                "snr": each.placed.source.snr,
                "flux": each.flux,
                "x": float(each.centre[0]),
                "y": float(each.centre[1]),
                "separation": each.placed.source.separation,
                "aperture": each.stamp.aperture,
                "gain": each.stamp.gain,
                "methods": {},
            }
            for each in sources
        ]
        false: dict[str, list[float]] = {}
        for method in self.methods:
            view = self.view(number, method)
            found, false[method.name] = ruler.measure(images[method.name], view, sources)
            for record, measured in zip(records, found, strict=True):
                record["methods"][method.name] = measured
        return {
            "window": number,
            "area": int((~window.bad).sum()),
            "sources": records,
            "false": false,
        }

    def _noise(self, number: int, show: Show) -> dict[str, Any]:
        """Restore a frame of pure noise, and count the detections in it."""
        colour = COLOURS[number % len(COLOURS)]
        place = number // len(COLOURS) % len(self.windows)
        window = self.windows[place]
        rng = np.random.default_rng((self.settings.seed, 2, number))
        shape = window.pixels.shape
        noise = draw_noise(self.noises[place], colour, (shape[0], shape[1]), rng)
        sky = float(np.median(self.view(place, self.methods[0]).background.sky))
        records: list[Record] = []
        for method in self.methods:
            show(f"{colour} noise: {method.name}")
            records += measure_pure_noise(
                method, window, noise, sky=sky, fwhm=self.fwhm, aperture=self.point.aperture
            )
        return {"colour": colour, "window": place, "area": noise.size, "noise": records}


def flux_of(snr: float, profile: Floats, noise: Noise) -> float:
    """Return the flux that gives a source its signal-to-noise ratio.

    The ratio is that of its flux measured with its own profile as weight, in noise with the
    correlation of LR.

    Parameters
    ----------
    snr
        The signal-to-noise ratio.
    profile
        The source in LR, with a sum of 1.
    noise
        The noise of LR.
    """
    return float(snr * noise.rms_of(profile) / np.square(profile).sum())
