"""The command `srkit validate`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from srkit import load_model, load_recipe
from srkit.errors import DataError, WeightsError
from srkit.system import check_replaceable, new_console, resumable
from srkit_astro.instruments.psf import Psf
from srkit_astro.validation.example import example_of
from srkit_astro.validation.frames import Window, is_recipe, read_windows
from srkit_astro.validation.journal import JOURNAL, Journal
from srkit_astro.validation.methods import Restorer, methods_of
from srkit_astro.validation.psf import given_psf, psf_of_recipe, renderer_of
from srkit_astro.validation.report import print_validation, write_validation
from srkit_astro.validation.results import Results
from srkit_astro.validation.study import Settings, Study


def validate(
    *,
    inputs: Annotated[list[Path], typer.Argument(metavar="FRAME...|RECIPE")],
    model: Annotated[str, typer.Option("--model", "-m")] = "sky_x2",
    scale: Annotated[float | None, Field(gt=0)] = None,
    psf: str | None = None,
    hdu: str | None = None,
    zero_point: float | None = None,
    gain: Annotated[float | None, Field(gt=0)] = None,
    snr: str = "2,3,5,7,10,20,50",
    sources: PositiveInt = 20,
    noise_frames: PositiveInt = 4,
    threshold: PositiveFloat = 5.0,
    seed: NonNegativeInt = 0,
    sample: bool = False,
    out: Annotated[Path | None, typer.Option("--out", "-o")] = None,
    overwrite: bool = False,
) -> None:
    """Inject sources into real frames, restore them, and report what is found and what is not.

    Points, galaxies, arcs and close pairs of known flux, position, size and shape are added to the
    frames at stated signal-to-noise ratios. LR, bicubic and Lanczos interpolation, Richardson-Lucy
    deconvolution and the model are searched for them: completeness, false sources, biases of flux,
    centroid and ellipticity, and pairs against their separation. Pure noise, white and with the
    correlation of the frame, is restored as well, and its detections are counted. Writes a page,
    tables and figures; the same command resumes an interrupted validation.

    Parameters
    ----------
    inputs
        FITS frames of one band, or a recipe, whose test images are used.
    model
        A model, as for `srkit upscale`.
    scale
        SR pixels per LR pixel; that of the model by default.
    psf
        PSF of LR, as for `srkit upscale`: FWHM in arcsec (0.7) or LR pixels (4px), an image of it,
        or `stars` to measure it from the stars of the first frame. By default that of the recipe
        with the images, of the stars, or of the recipe of the model.
    hdu
        Extension of the FITS files, such as SCI,2.
    zero_point
        AB magnitude of one unit of the values, if the file does not say.
    gain
        Electrons per unit of the values, for the photon noise of the injected sources. By default
        that of the header: EGAIN or GAIN for counts, times EXPTIME for values per second; or else
        that of the variance, if it grows with the flux, as in coadds of HSC. If it is unknown, the
        sources have no photon noise.
    snr
        Signal-to-noise ratios of the injected sources.
    sources
        Sources of each kind at each ratio, and pairs at each separation.
    noise_frames
        Frames of pure noise of each kind.
    threshold
        Detection threshold, in units of the noise of each image with its correlation.
    seed
        Determines shapes, places and noise.
    sample
        Use the sample of the recipe.
    out
        Output folder; by default `validation` in the run folder of the model, or
        runs/validate-MODEL.
    overwrite
        Replace files that srkit did not write.

    Raises
    ------
    DataError
        If a frame cannot be used, or the PSF is unknown.
    """
    settings = Settings(_ratios(snr), sources, noise_frames, threshold, seed)
    folder = out or _folder_of(model)
    check_replaceable(folder, JOURNAL, overwrite=overwrite)
    windows = read_windows(inputs, hdu, zero_point, sample, gain)
    _check_alike(windows)
    pixel = windows[0].pixel_scale
    restorer, opened = Restorer(model, scale, zero_point), _opened(model, scale)
    chosen, origin = _psf(psf, windows[0], inputs[0], hdu, opened, sample)
    methods = methods_of(restorer, windows[0], chosen)
    study = Study(windows, methods, renderer_of(chosen, pixel or 1.0), settings)
    weights = None if opened is None else opened.provenance.sha256
    identity, console = study.identity([model, weights, scale, zero_point]), new_console()
    with resumable(folder):
        journal = Journal(folder / JOURNAL, identity)
        if journal.replaced:
            text = f"{folder}: overwriting results of other frames or settings; --out keeps both"
            console.print(text, highlight=False, soft_wrap=True)
        study.run(journal, console)
    results = Results(
        title=f"{Path(model).name} on {_names(inputs)}",
        steps=journal.steps,
        methods=[method.name for method in methods],
        settings=settings,
        zero_point=windows[0].zero_point,
        pixel_scale=pixel,
        facts={"data": _names(inputs), "model": model, **_facts(study, pixel, origin)},
        notes=list(restorer.notes),
    )
    page = write_validation(results, *example_of(study), folder)
    print_validation(results, console)
    console.print(f"report: {page}", highlight=False, soft_wrap=True)


def _facts(study: Study, pixel: float | None, origin: str) -> dict[str, str]:
    """Return facts on data and settings in words."""
    settings, noise = study.settings, study.noises[0]
    shape = max(window.pixels.shape for window in study.windows)
    side = len(noise.correlation) // 2
    neighbour = noise.correlation[side, side + 1] if side else 0.0
    unit = "pixels" if pixel is None else "arcsec"
    return {
        "windows": f"{len(study.windows)} of up to {shape[0]} x {shape[1]} LR pixels",
        "PSF of LR": f"FWHM {study.fwhm * (pixel or 1):.3g} {unit}, {origin}",
        "noise of LR": f"RMS {noise.rms:.4g}, correlation of neighbouring pixels {neighbour:.3f}",
        "photon noise of the sources": _photon_noise(study.windows),
        "sources": f"{settings.sources} of each kind at each S/N of "
        + ", ".join(f"{snr:g}" for snr in settings.snrs),
        "seed": str(settings.seed),
    }


def _photon_noise(windows: Sequence[Window]) -> str:
    gains = [window.gain for window in windows if window.gain is not None]
    if not gains:
        return "none, since the gain is unknown (--gain)"
    values = sorted(gain.electrons for gain in gains)
    ends = dict.fromkeys(f"{value:.4g}" for value in (values[0], values[-1]))
    origins = ", ".join(dict.fromkeys(gain.origin for gain in gains))
    unknown = "; none in frames whose gain is unknown" if len(gains) < len(windows) else ""
    return f"{' to '.join(ends)} electrons per unit of the values ({origins}){unknown}"


def _ratios(text: str) -> tuple[float, ...]:
    try:
        ratios = sorted({float(part) for part in text.split(",")})
    except ValueError:
        ratios = []
    if not ratios or not all(0 < ratio < math.inf for ratio in ratios):
        raise DataError(f"--snr: got '{text}'; expected positive numbers, such as 3,5,10")
    return tuple(ratios)


def _folder_of(model: str) -> Path:
    if Path(model).is_dir():
        return Path(model) / "validation"
    return Path("runs") / f"validate-{Path(model).stem}"


def _check_alike(windows: list[Window]) -> None:
    """Check that magnitudes and angles mean the same in all frames.

    Raises
    ------
    DataError
        If a frame has another pixel scale or zero point than the first.
    """
    first = windows[0]
    for window in windows[1:]:
        for name, own, other, tolerance in (
            ("pixel scale", window.pixel_scale, first.pixel_scale, 0.01 * (first.pixel_scale or 0)),
            ("zero point", window.zero_point, first.zero_point, 0.001),
        ):
            if own != other and (own is None or other is None or abs(own - other) > tolerance):
                found, expected = ("none" if v is None else f"{v:g}" for v in (own, other))
                raise DataError(
                    f"{window.name}: the {name} is {found}, but that of {first.name} {expected}; "
                    "validate such frames one by one"
                )


def _psf(
    text: str | None, window: Window, first: Path, hdu: str | None, model: Any, sample: bool
) -> tuple[Psf, str]:
    """Return the PSF of LR and where it comes from.

    Without `text`, it is that of the recipe with the images, of the stars of the first frame, or of
    the recipe of the model.

    Raises
    ------
    DataError
        If nothing states it.
    """
    if text is None and is_recipe(first):
        found = psf_of_recipe(load_recipe(first, sample=sample))
        if found is None:
            raise DataError(f"{first}: states no PSF of LR; give its FWHM in arcsec with --psf")
        return found, f"of {first.name}"
    if text in (None, "stars") and hdu is not None:
        raise DataError(f"{first}: with --hdu, the PSF is not measured from stars; give --psf")
    try:
        return given_psf(text or "stars", window, first)
    except DataError as error:
        recipe = None if text or model is None else model.recipe
        found = None if recipe is None else psf_of_recipe(recipe)
        if text or found is None:
            advice = "as --psf 0.7 (arcsec) or --psf 3px (pixels of LR)"
            raise error if text else DataError(f"{error}; {advice}") from error
        return found, f"of the recipe of {model.name}"


def _opened(model: str, scale: float | None) -> Any:
    """Return the description of a model; None for an interpolation."""
    for wanted in dict.fromkeys((None, None if scale is None else math.ceil(scale))):
        try:
            return load_model(model, scale=wanted)[1]
        except WeightsError:  # it needs a scale, or has another one and SR is resized
            continue
    return None


def _names(inputs: list[Path]) -> str:
    rest = "" if len(inputs) == 1 else f" and {len(inputs) - 1} more"
    return f"{inputs[0].name}{rest}"
