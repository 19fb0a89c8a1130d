"""`srkit upscale --check`: write residuals and unsupported regions beside each output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from os.path import commonpath
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from srkit import __version__
from srkit.components.registry import Registry
from srkit.images._fidelity import limits_of
from srkit.interfaces import CalibratedFormat, Image, LimitedFormat, SkyFormat
from srkit.report._tables import strict
from srkit.report.plotting import png
from srkit.report.writer import ReportWriter
from srkit.studies.consistency.figures import residual_figure
from srkit.studies.consistency.forward_model import (
    GivenPsf,
    agrees_by_construction,
    forward_model,
)
from srkit.studies.consistency.measure import SIGMAS, Check, check
from srkit.studies.consistency.pairs import Restored, read_restored
from srkit.system.files import write_file
from srkit.system.progress import progress_bars
from srkit.upscaling.files import describe_failure
from srkit.upscaling.jobs import Job
from srkit.upscaling.upscalers import AnyUpscaler

#: Number of images that the summary of a folder prints, the worst first.
NAMED = 10
#: Relative change of the flux that is not due to rounding.
FLUX = 0.01

Sky = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Page:
    """The check of a page.

    Parameters
    ----------
    restored
        LR and SR.
    check
        The result.
    places
        RA and Dec of the regions or, without regions, of the largest residual, if they are known.
    by_construction
        Whether SR of the model agrees with any LR, so that the check cannot fail.
    """

    restored: Restored
    check: Check
    places: Sequence[Sky]
    by_construction: bool


def check_files(
    jobs: Sequence[Job],
    upscalers: AnyUpscaler,
    registry: Registry,
    console: Console,
    metadata: Mapping[str, Any],
    psf: str | None = None,
) -> list[str]:
    """Degrade outputs again, compare them with their inputs, and write the results.

    Beside each output, ``NAME_check.json`` and the residual ``NAME_residual`` are written: for
    measured values in their file format, for pictures as a coloured PNG. For several outputs, a
    summary ``check.json`` is written to their common folder, the worst first.

    Parameters
    ----------
    jobs
        The jobs; those without an output are ignored.
    upscalers
        Restored them.
    registry
        The available components.
    console
        Shows a line per file.
    metadata
        Metadata that the user states for all images.
    psf
        The PSF of the inputs, if the user states it; see :class:`srkit.interfaces.ObservedFormat`.

    Returns
    -------
    list of str
        One error for each file that failed.

    Raises
    ------
    OutputError
        If the summary cannot be written.
    """
    restored = [job for job in jobs if job.target.path.is_file()]
    bases, failed, trees = _bases(restored), [], []
    with progress_bars(console) as bars:
        for job in bars.track(restored, description="checking"):
            try:
                pages = _check(job, upscalers, registry, metadata, psf)
                trees.append(_write(job, bases[job.target.path], pages))
            except Exception as error:
                failed.append(describe_failure(job, error))
                console.print(f"[red]failed[/] {escape(failed[-1])}", soft_wrap=True)
                continue
            for number, page in enumerate(pages, 1):
                name = str(job) if len(pages) == 1 else f"{job}, page {number}"
                text = describe_check(page.check, page.places, page.by_construction)
                console.print(escape(f"{name}: {text}"), highlight=False, soft_wrap=True)
    if len(restored) > 1 and trees:
        _summarise(restored, trees, console)
    return failed


def _bases(jobs: Sequence[Job]) -> dict[Path, Path]:
    """Return the path of each output without its extension.

    If several outputs differ only by the extension, it becomes part of the name.
    """
    plain = {job.target.path: job.target.path.with_name(job.target.stem) for job in jobs}
    counts = Counter(plain.values())
    return {
        target: base if counts[base] == 1 else target.with_name(target.name.replace(".", "_"))
        for target, base in plain.items()
    }


def _check(
    job: Job,
    upscalers: AnyUpscaler,
    registry: Registry,
    metadata: Mapping[str, Any],
    psf: str | None,
) -> list[_Page]:
    pages, reader = [], job.source.format
    given = None if psf is None else GivenPsf(psf, job.source.path, reader)
    for each in read_restored(job, upscalers, metadata):
        forward = forward_model(each.model, each.lr, each.scale, registry, given)
        sure = agrees_by_construction(each.model, each.scale, forward)
        # What contradicts such a model is not its output.
        found = check(each.lr, each.sr, replace(forward, stated=forward.stated or sure))
        places = None
        if isinstance(reader, SkyFormat):
            shown = found.regions or filter(None, [found.peak])
            places = reader.sky(each.lr, [(region.x, region.y) for region in shown])
        pages.append(_Page(each, found, places or (), sure))
    return pages


def _write(job: Job, base: Path, pages: Sequence[_Page]) -> dict[str, Any]:
    """Write the files of an output; return what is in the JSON."""
    tree = {
        "srkit": __version__,
        "input": str(job),
        "output": str(job.target.path),
        "residual": _write_residuals(job, base, pages),
        "pages": [_tree(page) for page in pages],
    }
    ReportWriter(base.parent).json(f"{base.name}_check.json", tree)
    return tree


def _write_residuals(job: Job, base: Path, pages: Sequence[_Page]) -> list[str]:
    """Write measured residuals as values, others as pictures; return the names of the files."""
    if not pages[0].restored.measured:
        files = []
        for number, page in enumerate(pages, 1):
            suffix = "" if len(pages) == 1 else f"_{number}"
            path = base.with_name(f"{base.name}_residual{suffix}.png")
            write_file(path, png(*residual_figure(page.check, job.source.path.name)))
            files.append(path.name)
        return files
    floats = isinstance(job.target.format, LimitedFormat) and 32 in limits_of(job.target).depths
    file = job.target if floats else job.source
    path = base.with_name(f"{base.name}_residual{file.suffix}")
    replace(file, path=path).write_pages([_residual(job, page) for page in pages])
    return [path.name]


def _residual(job: Job, page: _Page) -> Image:
    """Return a residual as an image, with the metadata of LR if its format supports that."""
    lr, found = page.restored.lr, page.check
    if isinstance(job.source.format, CalibratedFormat):
        line = f"srkit {__version__} check: LR less SR degraded again ({found.forward.name})"
        return job.source.format.residual(lr, found.residual, [line])
    kept = {key: lr.metadata[key] for key in ("bits", "channel_axis") if key in lr.metadata}
    return Image(found.residual, lr.data_range, kept)


def describe_check(found: Check, places: Sequence[Sky] = (), by_construction: bool = False) -> str:
    """Describe the result of a check in a line.

    Parameters
    ----------
    found
        The check.
    places
        RA and Dec in degrees of its regions, or of its largest residual, if they are known.
    by_construction
        Whether SR of the model agrees with any LR.
    """
    measure = found.yardstick
    limit = f"{measure.threshold:g} {measure.unit}"
    text = (
        f"degraded again ({found.forward.name}), SR differs by {found.relative_rms:.2g} "
        f"{measure.unit} RMS"
    )
    if measure.unit == "sigma":
        text += f", flux {100 * found.flux_change:+.2g} %"
    if found.count:
        count = "1 region" if found.count == 1 else f"{found.count} regions"
        share = f"{100 * (found.share or 0):.3g} % of the pixels beyond {limit}"
        return f"{text}; {count} not supported ({share}), the worst {_peak(found, places)}"
    if by_construction:
        return (
            f"{text}; the model keeps each LR pixel by construction, so that this check cannot "
            "fail; injected sources can show what it gets wrong (srkit validate)"
        )
    if found.count is None:
        text += f", at most {_peak(found, places)}" if found.peak else ""
        why = found.forward.reason
        if found.forward.stated:
            why = "light from outside of the frame contributes to every pixel"
        return f"{text}; nothing is called unsupported, since {why}"
    if abs(found.flux_change) > max(FLUX, SIGMAS * found.flux_error) and measure.noise:
        return f"{text} of the sum of |flux|; no pixel is off by {limit}, but their sum is"
    return f"{text}; supported everywhere within {limit}"


def _peak(found: Check, places: Sequence[Sky]) -> str:
    """Describe the largest residual of a check."""
    region = found.regions[0] if found.regions else found.peak
    assert region is not None
    at = f"pixel ({region.x}, {region.y})"
    if places:
        at += f", RA {places[0][0]:.5f} Dec {places[0][1]:+.5f}"
    return f"{region.worst:+.3g} at {at}"


def _tree(page: _Page) -> dict[str, Any]:
    """Convert the check of a page to plain data."""
    restored, found, measure = page.restored, page.check, page.check.yardstick
    shown = [asdict(region) for region in found.regions or filter(None, [found.peak])]
    for region, (ra, dec) in zip(shown, page.places, strict=False):
        region |= {"ra": ra, "dec": dec}
    return {
        "degraded_by": found.forward.name,
        "because": found.forward.reason,
        "cannot_fail": page.by_construction,
        "scale": restored.scale,
        "unit": restored.unit,
        "yardstick": {
            "unit": measure.unit,
            "source": measure.source,
            "median": strict(float(measure.values.nanmedian())),
            "threshold": measure.threshold,
            "background_rms": [each.rms for each in measure.noise],
            "neighbour_correlation": [each.neighbours for each in measure.noise],
        },
        "rms": strict(found.rms),
        "relative_rms": strict(found.relative_rms),
        "largest": shown[0] if shown else None,
        "flux_change": strict(found.flux_change),
        "flux_error": strict(found.flux_error),
        "unsupported_share": found.share,
        "unsupported_regions": found.count,
        "regions": shown if found.regions else [],
    }


def _summarise(jobs: Sequence[Job], trees: list[dict[str, Any]], console: Console) -> None:
    """Write and print the results of several files, the worst first."""

    def unsupported(tree: dict[str, Any]) -> tuple[float, float]:
        pages = tree["pages"]
        return (
            max(page["unsupported_share"] or 0.0 for page in pages),
            max(page["relative_rms"] or 0.0 for page in pages),
        )

    trees = sorted(trees, key=unsupported, reverse=True)
    folder = Path(commonpath([job.target.path.parent.resolve() for job in jobs]))
    path = folder / "check.json"
    ReportWriter(folder).json(path.name, trees)
    doubtful = [tree for tree in trees if unsupported(tree)[0] > 0]
    text = f"checked {len(trees)}, of which {len(doubtful)} are not supported everywhere"
    open_ended = sum(any(map(_says_nothing, tree["pages"])) for tree in trees)
    if open_ended:
        text += f" and {open_ended} could not be judged"
    console.print(f"{text}: {path}", highlight=False, soft_wrap=True)
    for tree in doubtful[:NAMED]:
        text = f"{unsupported(tree)[0]:8.2%} {escape(tree['input'])}"
        console.print(text, highlight=False, soft_wrap=True)


def _says_nothing(page: Mapping[str, Any]) -> bool:
    """Return whether a page is called neither supported nor unsupported."""
    return not page["unsupported_regions"] and (
        page["unsupported_regions"] is None or bool(page["cannot_fail"])
    )
