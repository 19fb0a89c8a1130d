"""`srkit upscale --check`: residuals and what is not supported, in files beside each output."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from os.path import commonpath
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from srkit import __version__
from srkit.components.registry import Registry
from srkit.interfaces import CalibratedFormat, Image, LimitedFormat, SkyFormat
from srkit.report._tables import strict
from srkit.report.plotting import png
from srkit.studies.consistency.check import Check, Region, check
from srkit.studies.consistency.degradation import redegradation
from srkit.studies.consistency.figures import residual_figure
from srkit.studies.consistency.pairs import Restored, read_restored
from srkit.system.files import write_file
from srkit.system.progress import progress_bars
from srkit.upscaling.files import describe_failure
from srkit.upscaling.jobs import Job
from srkit.upscaling.upscalers import AnyUpscaler

#: Images of a folder that are named again at the end, the worst first.
NAMED = 10
#: Change of the flux that is no rounding.
FLUX = 0.01
#: Bits of a value that a format of measured values holds.
FLOATS = 32

Sky = tuple[float, float]


@dataclass(slots=True)
class Checks:
    """What came of checking files.

    Parameters
    ----------
    found
        By output, a check for each page.
    failed
        What went wrong, a line for each file.
    """

    found: dict[str, list[Check]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


def check_files(
    jobs: Sequence[Job],
    upscalers: AnyUpscaler,
    registry: Registry,
    console: Console,
    *,
    metadata: Mapping[str, Any] | None = None,
) -> Checks:
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
        The components.
    console
        Shows a line per file.
    metadata
        Metadata that the user states for all images.

    Raises
    ------
    OutputError
        If the summary cannot be written.
    """
    there = [job for job in jobs if job.target.path.is_file()]
    bases = _bases(there)
    checks, summaries = Checks(), []
    with progress_bars(console) as bars:
        for job in bars.track(there, description="checking"):
            try:
                base = bases[job.target.path]
                told = _check_file(job, base, upscalers, registry, metadata or {})
            except Exception as error:
                checks.failed.append(describe_failure(job, error))
                console.print(f"[red]failed[/] {escape(checks.failed[-1])}", soft_wrap=True)
                continue
            checks.found[str(job.target.path)] = [page.check for page in told.pages]
            summaries.append(told.tree)
            for line in told.lines:
                console.print(escape(line), highlight=False, soft_wrap=True)
    if len(there) > 1 and summaries:
        _summarise(there, summaries, console)
    return checks


@dataclass(frozen=True, slots=True)
class _Page:
    """What came of checking a page."""

    restored: Restored
    check: Check
    places: list[Sky] | None


@dataclass(frozen=True, slots=True)
class _Told:
    """What there is to say of one file."""

    pages: list[_Page]
    tree: dict[str, Any]
    lines: list[str]


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


def _check_file(
    job: Job,
    base: Path,
    upscalers: AnyUpscaler,
    registry: Registry,
    metadata: Mapping[str, Any],
) -> _Told:
    pages = []
    for each in read_restored(job, upscalers, metadata):
        way = redegradation(each.model, each.scale, registry, measured=each.measured)
        found = check(each.lr, each.sr, way)
        pages.append(_Page(each, found, _places(job.source.format, each.lr, found.regions)))
    tree = {
        "srkit": __version__,
        "input": str(job),
        "output": str(job.target.path),
        "residual": _write_residuals(job, base, pages),
        "pages": [_tree(page) for page in pages],
    }
    text = json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False)
    write_file(base.with_name(f"{base.name}_check.json"), text + "\n")
    return _Told(pages, tree, [_line(job, pages, index) for index in range(len(pages))])


def _line(job: Job, pages: Sequence[_Page], index: int) -> str:
    page = pages[index]
    name = str(job) if len(pages) == 1 else f"{job}, page {index + 1}"
    return f"{name}: {describe_check(page.check, page.places[0] if page.places else None)}"


def _write_residuals(job: Job, base: Path, pages: Sequence[_Page]) -> list[str]:
    """Write measured residuals as values, others as pictures; return the names of the files."""
    if not pages[0].restored.measured:
        files = []
        for number, page in enumerate(pages, 1):
            behind = "" if len(pages) == 1 else f"_{number}"
            path = base.with_name(f"{base.name}_residual{behind}.png")
            write_file(path, png(*residual_figure(page.check, job.source.path.name)))
            files.append(path.name)
        return files
    writer = job.target.format
    holds = isinstance(writer, LimitedFormat) and FLOATS in writer.limits.depths
    file = job.target if holds else job.source
    path = base.with_name(f"{base.name}_residual{file.suffix}")
    residuals = [_residual(job.source.format, page) for page in pages]
    replace(file, path=path).write_pages(residuals)
    return [path.name]


def _residual(reader: object, page: _Page) -> Image:
    """Give a residual as an image, with what the file of LR says where its format knows how."""
    lr, found = page.restored.lr, page.check
    if isinstance(reader, CalibratedFormat):
        line = f"srkit {__version__} check: LR less SR degraded again ({found.degraded.name})"
        return reader.residual(lr, found.residual, [line])
    kept = {key: lr.metadata[key] for key in ("bits", "channel_axis") if key in lr.metadata}
    return Image(found.residual, lr.data_range, kept)


def _places(reader: object, lr: Image, regions: Sequence[Region]) -> list[Sky] | None:
    """Give RA and Dec of the worst pixel of each region, where the file tells."""
    if not isinstance(reader, SkyFormat):
        return None
    return reader.sky(lr, [(region.x, region.y) for region in regions])


def describe_check(found: Check, worst: Sky | None = None) -> str:
    """Say in a line what came of a check.

    Parameters
    ----------
    found
        The check.
    worst
        RA and Dec of its worst pixel in degrees, where known.
    """
    measure = found.yardstick
    parts = [
        f"degraded again ({found.degraded.name}), SR differs by {found.relative_rms:.2g} "
        f"{measure.unit} RMS"
    ]
    if measure.unit == "sigma":
        parts[0] += f", flux {100 * found.flux_change:+.2g} %"
    if found.worst is None and abs(found.flux_change) > FLUX and measure.unit == "sigma":
        limit = f"{measure.threshold:g} sigma"
        return f"{parts[0]} of the sum of |flux|; no pixel is off by {limit}, but their sum is"
    if found.worst is None:
        return f"{parts[0]}; supported everywhere within {measure.threshold:g} {measure.unit}"
    count = "1 region" if found.count == 1 else f"{found.count} regions"
    at = f"pixel ({found.worst.x}, {found.worst.y})"
    if worst is not None:
        at += f", RA {worst[0]:.5f} Dec {worst[1]:+.5f}"
    parts.append(
        f"{count} not supported ({100 * found.share:.3g} % of the pixels beyond "
        f"{measure.threshold:g} {measure.unit}), the worst {found.worst.worst:+.3g} at {at}"
    )
    return "; ".join(parts)


def _tree(page: _Page) -> dict[str, Any]:
    """Convert what came of a page to plain data."""
    restored, found = page.restored, page.check
    regions = [asdict(region) for region in found.regions]
    for region, (ra, dec) in zip(regions, page.places or (), strict=False):
        region |= {"ra": ra, "dec": dec}
    yardstick = {
        "unit": found.yardstick.unit,
        "source": found.yardstick.source,
        "median": strict(float(found.yardstick.values.nanmedian())),
        "threshold": found.yardstick.threshold,
    }
    return {
        "degraded_by": found.degraded.name,
        "because": found.degraded.reason,
        "scale": restored.scale,
        "unit": restored.unit,
        "yardstick": yardstick,
        "rms": strict(found.rms),
        "relative_rms": strict(found.relative_rms),
        "flux_change": strict(found.flux_change),
        "unsupported_share": found.share,
        "unsupported_regions": found.count,
        "regions": regions,
    }


def _summarise(jobs: Sequence[Job], trees: list[dict[str, Any]], console: Console) -> None:
    """Write and print what was found in several files, the worst first."""

    def key(tree: dict[str, Any]) -> tuple[float, float]:
        pages = tree["pages"]
        return (
            -max(page["unsupported_share"] for page in pages),
            -max(page["relative_rms"] or 0.0 for page in pages),
        )

    trees = sorted(trees, key=key)
    folder = Path(commonpath([job.target.path.parent.resolve() for job in jobs]))
    text = json.dumps(trees, indent=2, ensure_ascii=False, allow_nan=False)
    path = write_file(folder / "check.json", text + "\n")
    doubtful = [tree for tree in trees if key(tree)[0] < 0]
    console.print(
        f"checked {len(trees)}, of which {len(doubtful)} are not supported everywhere: {path}",
        highlight=False,
        soft_wrap=True,
    )
    for tree in doubtful[:NAMED]:
        share = f"{-key(tree)[0]:8.2%}"
        console.print(f"{share} {escape(tree['input'])}", highlight=False, soft_wrap=True)
