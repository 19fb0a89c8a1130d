"""The report of `srkit data pair`: astrometry, flux ratios, and the rejected positions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from srkit.interfaces import Sample
from srkit.report import BETTER, GREY, MAD, WORSE, ReportWriter, pair_sheet, style
from srkit_astro.footprints import note_on_groups
from srkit_astro.instruments.cameras import UNIT, ZERO_POINT
from srkit_astro.instruments.measured_psf import psf_figure
from srkit_astro.pairing.psfs import FramePsf
from srkit_astro.pairing.registration import Registration
from srkit_astro.pairing.results import Pair, Pairing
from srkit_astro.pairing.sky_images import SkyImage

#: Largest number of pairs on the picture sheet.
SHOWN = 12
#: Largest number of PSFs that are drawn.
SHOWN_PSFS = 4
COLUMNS = (
    "name",
    "ra",
    "dec",
    "offset_x_mas",
    "offset_y_mas",
    "offset_error_mas",
    "residual_x_mas",
    "residual_y_mas",
    "flux_ratio",
    "flux_ratio_error",
    "seeing_arcsec",
    "hsc",
    "hst",
    "group",
)
#: The quantities of the summary: column, and digits after the point.
SUMMARY = {
    "offset in x, corrected [mas]": ("offset_x_mas", 1),
    "offset in y, corrected [mas]": ("offset_y_mas", 1),
    "residual in x [mas]": ("residual_x_mas", 1),
    "residual in y [mas]": ("residual_y_mas", 1),
    "flux in LR / flux in HR": ("flux_ratio", 4),
    "seeing of LR relative to HR (FWHM) [arcsec]": ("seeing_arcsec", 3),
}


def write_pairing_report(pairing: Pairing, psfs: Sequence[FramePsf], folder: Path) -> Path:
    """Write ``pairs.csv``, ``rejected.csv``, the figures, and a page that contains them all.

    Parameters
    ----------
    pairing
        The pairs and the rejected positions.
    psfs
        The PSFs of the images.
    folder
        Folder for ``report.html`` and the files that it shows.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    report = ReportWriter(folder)
    rejected = [(p.name, p.ra, p.dec, reason) for p, reason in pairing.rejected]
    groups = pairing.groups()
    rows = [_row(pair, group) for pair, group in zip(pairing.pairs, groups, strict=True)]
    report.csv("pairs.csv", COLUMNS, rows)
    report.csv("rejected.csv", ("name", "ra", "dec", "reason"), rejected)
    if pairing.pairs:
        _write_figures(pairing, report)
    for psf in [psf for psf in psfs if psf.measured is not None][:SHOWN_PSFS]:
        assert psf.measured is not None
        report.figure(
            f"psf_{psf.side}_{psf.name}.png",
            psf_figure(psf.measured),
            f"Stars of {psf.image.path.name}",
            "Their mean, and brightness against distance from the centre.",
        )
    return report.page(
        "report.html",
        "pairing.html",
        package="srkit_astro",
        title="Pairs of HSC and HST images",
        pairs=pairing.pairs,
        rejected=pairing.rejected,
        scale=pairing.scale,
        unit=UNIT,
        zero_point=ZERO_POINT,
        groups=note_on_groups(groups),
        summary=list(_summary(rows)),
        tables=list(_tables(pairing, psfs, rows)),
    )


def _row(pair: Pair, group: str) -> tuple[Any, ...]:
    assert pair.after is not None
    mas = 1000 * pair.lr.pixel_scale
    before, after = pair.before, pair.after
    return (
        pair.position.name,
        pair.position.ra,
        pair.position.dec,
        *(round(mas * v, 1) for v in (before.dx, before.dy, before.error, after.dx, after.dy)),
        round(after.ratio, 4),
        round(after.ratio_error, 4),
        round(before.fwhm * pair.lr.pixel_scale, 3),
        pair.lr.path.name,
        pair.source.path.name,
        group,
    )


def _psf_row(psf: FramePsf) -> tuple[str, ...]:
    name, found = psf.image.path.name, psf.measured
    if found is None:
        return (name, "", "", "", psf.problem)
    return (name, f"{psf.fwhm:.3f}", f"{found.ellipticity:.3f}", f"{len(found.stars)}", psf.path)


def _gain_row(image: SkyImage) -> tuple[str, str, str]:
    if image.gain is None:
        return (image.path.name, "", "unknown: errors of bright sources are too small")
    return (image.path.name, f"{image.gain.electrons:.4g}", image.gain.origin)


def _write_figures(pairing: Pairing, report: ReportWriter) -> None:
    report.figure(
        "sheet.png",
        pair_sheet([to_sample(pair, pairing.scale) for pair in pairing.pairs[:SHOWN]]),
        "Pairs",
        f"Up to {SHOWN} pairs, LR beside HR. Both show surface brightness in flux per area of an "
        "LR pixel, on the same scale with an asinh stretch.",
    )
    report.figure(
        "astrometry.png",
        _astrometry(pairing.pairs),
        "Astrometry",
        "Offsets of LR relative to HR according to the WCS of the images, and residual offsets of "
        "the pairs. Bars: standard errors; dotted: a tenth of an LR pixel.",
    )
    report.figure(
        "flux.png",
        _flux(pairing.pairs),
        "Flux ratio",
        "Flux in LR over flux in HR against the magnitude of the HR cutout. Bars: standard errors.",
    )


def to_sample(pair: Pair, scale: int) -> Sample:
    """Convert a pair to a sample, in flux per area of an LR pixel."""
    planes = (scale**2 * np.where(pair.hr.bad, np.nan, pair.hr.values), pair.lr.values)
    hr, lr = (torch.from_numpy(plane.astype(np.float32))[None] for plane in planes)
    return Sample(pair.position.name, hr, lr, unit=f"{UNIT} / LR pixel")


def _astrometry(pairs: Sequence[Pair]) -> Figure:
    with style():
        figure = Figure(figsize=(8, 4), layout="constrained")
        axes = figure.subplots(1, 2)
        mas = 1000 * pairs[0].lr.pixel_scale
        found = ([p.before for p in pairs], [p.after for p in pairs if p.after is not None])
        titles = ("According to the WCS", "In the pairs")
        for axis, fits, colour, title in zip(axes, found, (WORSE, BETTER), titles, strict=True):
            x, y, error = (mas * _values(fits, name) for name in ("dx", "dy", "error"))
            axis.errorbar(x, y, error, error, fmt="o", markersize=3, color=colour, elinewidth=0.7)
            turn = np.linspace(0, 2 * np.pi, 90)
            axis.plot(0.1 * mas * np.cos(turn), 0.1 * mas * np.sin(turn), ":", color=GREY)
            axis.axhline(0, color=GREY, linewidth=0.6)
            axis.axvline(0, color=GREY, linewidth=0.6)
            axis.set(title=title, xlabel="offset in x [mas]", ylabel="offset in y [mas]")
            axis.set_aspect("equal", adjustable="datalim")
    return figure


def _flux(pairs: Sequence[Pair]) -> Figure:
    fits = [pair.after for pair in pairs if pair.after is not None]
    flux = np.array([pair.hr.values.sum() for pair in pairs])
    # A negative flux has no magnitude, and no point on the figure.
    magnitude = ZERO_POINT - 2.5 * np.log10(np.where(flux > 0, flux, np.nan))
    with style():
        figure = Figure(figsize=(6, 3.2), layout="constrained")
        axis = figure.subplots()
        ratio, error = _values(fits, "ratio"), _values(fits, "ratio_error")
        axis.errorbar(magnitude, ratio, error, fmt="o", markersize=3, color=BETTER, elinewidth=0.7)
        axis.axhline(1, color=GREY, linewidth=0.8)
        axis.ticklabel_format(useOffset=False)
        axis.set(xlabel="magnitude of the HR cutout [AB]", ylabel="flux in LR / flux in HR")
    return figure


def _values(fits: Sequence[Registration], name: str) -> NDArray[np.float64]:
    return np.array([getattr(fit, name) for fit in fits], float)


def _summary(rows: list[tuple[Any, ...]]) -> Iterator[dict[str, str]]:
    for name, (column, digits) in SUMMARY.items() if rows else ():
        values = np.array([row[COLUMNS.index(column)] for row in rows])
        median = float(np.median(values))
        scatter = MAD * float(np.median(np.abs(values - median)))
        yield {
            "name": name,
            "median": f"{median:.{digits}f}",
            "scatter": f"{scatter:.{digits}f}" if len(rows) > 1 else "",
        }


def _tables(
    pairing: Pairing, psfs: Sequence[FramePsf], rows: list[tuple[Any, ...]]
) -> Iterator[dict[str, Any]]:
    if psfs:
        yield {
            "id": "psfs",
            "title": "PSFs",
            "caption": "Measured from the stars of each image. A recipe takes the file as "
            "{type: image, file: ...}: lr as the PSF of LR, hr as that of HR.",
            "columns": ("image", "FWHM [arcsec]", "ellipticity", "stars", "file"),
            "rows": [_psf_row(psf) for psf in psfs],
            "words": True,
        }
    if pairing.pairs:
        sources = {pair.source.path: pair.source for pair in pairing.pairs}
        yield {
            "id": "photons",
            "title": "Photon noise of HR",
            "caption": "Included in the errors of the flux ratio if the gain is known: from the "
            "header, or from the variance if it grows with the flux of bright pixels.",
            "columns": ("image", "electrons per unit", "from"),
            "rows": [_gain_row(image) for image in sources.values()],
            "words": True,
        }
    if pairing.rejected:
        yield {
            "id": "rejected",
            "title": "Rejected positions",
            "caption": "Also in rejected.csv.",
            "columns": ("name", "RA [deg]", "Dec [deg]", "reason"),
            "rows": [(p.name, f"{p.ra:.5f}", f"{p.dec:.5f}", why) for p, why in pairing.rejected],
            "words": True,
        }
    if rows:
        yield {
            "id": "pairs",
            "title": "Pairs",
            "caption": "Also in pairs.csv.",
            "columns": [name.replace("_", " ") for name in COLUMNS],
            "rows": [(row[0], f"{row[1]:.5f}", f"{row[2]:.5f}", *row[3:]) for row in rows],
            "words": False,
        }
