"""`srkit data pair`: LR and HR cutouts of the same sky, from HSC and HST images."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from astropy.io.fits import Header
from astropy.wcs.utils import proj_plane_pixel_area
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from rich.console import Console
from rich.progress import track

from srkit import __version__
from srkit.errors import DataError
from srkit.interfaces import Image
from srkit_astro.extra import needs
from srkit_astro.files.fits import BAD_PLANES, Fits
from srkit_astro.files.wcs import celestial, subdivided
from srkit_astro.pairing.frames import Flags, Frame, Plane, read_frame
from srkit_astro.pairing.registration import Registration, register

with needs("reproject"):
    from reproject import reproject_exact

#: Offsets worse known than this are not corrected for, in LR pixels.
WORST_ERROR = 0.1
#: Offsets of one image that differ from their mean by this many standard errors, and by more than
#: `WORST_ERROR`, are no offsets of the image.
OUTLIER = 5.0


@dataclass(frozen=True, slots=True)
class Position:
    """A row of the catalogue: a name that is a file's, and ICRS degrees."""

    name: str
    ra: float
    dec: float


@dataclass(frozen=True, slots=True)
class Pair:
    """A position with its cutouts on aligned grids.

    Parameters
    ----------
    position
        What it was cut around.
    lr, hr
        Flux per pixel at one zero point; HR pixels subdivide those of LR exactly.
    source
        The HR image, from which `hr` is cut again once its offset is known.
    before
        How LR lay against HR as their WCS say.
    after
        The same with the offset corrected; None until it is.
    """

    position: Position
    lr: Frame
    hr: Frame
    source: Frame
    before: Registration
    after: Registration | None = None


@dataclass(slots=True)
class Pairing:
    """What became of a catalogue.

    Parameters
    ----------
    scale
        HR pixels for each LR pixel along a side.
    pairs
        Those that are good.
    rejected
        Positions with the reason.
    """

    scale: int
    pairs: list[Pair] = field(default_factory=list)
    rejected: list[tuple[Position, str]] = field(default_factory=list)


def pair(
    *,
    hsc: list[Path],
    hst: list[Path],
    catalogue: Path,
    out: Path,
    scale: PositiveInt = 2,
    size: PositiveInt = 64,
    search: PositiveFloat = 1.0,
    max_bad: NonNegativeFloat = 0.0,
    flux_tolerance: PositiveFloat = 0.3,
    hsc_zero_point: float | None = None,
    hst_zero_point: float | None = None,
) -> None:
    """Cut pairs of LR and HR images out of HSC and HST images of the same sky.

    HST is brought onto a grid that subdivides the HSC pixels exactly: values are averaged over
    the area that input and output pixels share on the sphere, so flux is conserved. The offset
    that is left between the two is fitted and corrected, in the same resampling. Both are brought
    to AB zero point 27. Positions whose cutouts leave an image, hold masked or missing pixels, or
    cannot be registered are left out, with the reason.

    Writes ``lr/NAME.fits`` and ``hr/NAME.fits`` (flux per pixel, with WCS, mask and variance),
    ``pairs.csv``, ``rejected.csv``, ``sheet.png`` and ``report.html``.

    Parameters
    ----------
    hsc
        Cutouts or coadds of the HSC pipeline (image, mask, variance); or a quoted pattern.
    hst
        Drizzled mosaics of HST (electrons per second, PHOTFLAM, PHOTPLAM); or a quoted pattern.
    catalogue
        CSV file with the columns ra and dec (ICRS, degrees) and, if you like, name.
    out
        Folder for the pairs; it has to be new or empty.
    scale
        HR pixels for each HSC pixel along a side.
    size
        Side of the LR cutouts in pixels.
    search
        Largest offset between the images that is looked for, in arcsec.
    max_bad
        Largest share of masked or missing pixels in a cutout.
    flux_tolerance
        Largest departure from 1 of the flux in HSC over that in HST.
    hsc_zero_point
        AB magnitude of one count, instead of the header's FLUXMAG0 (27.0 for the HSC pipeline).
    hst_zero_point
        AB magnitude of one electron per second, instead of what PHOTFLAM and PHOTPLAM give.
    """
    from srkit_astro.pairing.report import write_pairing_report

    positions = read_catalogue(catalogue)
    if out.is_dir() and any(out.iterdir()):
        raise DataError(f"{out}: is not empty; choose a new folder")
    lr_frames = [read_frame(path, hsc_zero_point, "--hsc-zero-point") for path in _files(hsc)]
    hr_frames = [read_frame(path, hst_zero_point, "--hst-zero-point") for path in _files(hst)]
    _check_overlap(lr_frames, hr_frames)
    console = Console()
    cutter = Cutter(lr_frames, hr_frames, scale, size, search, max_bad, flux_tolerance)
    pairing = cutter.run(positions, console)
    for each in pairing.pairs:
        write_pair(each, scale, out)
    page = write_pairing_report(pairing, out)
    count = f"{len(pairing.pairs)} of {len(positions)} positions became pairs"
    if not pairing.pairs:
        raise DataError(f"{catalogue}: no position became a pair; the reasons are in {page}")
    console.print(f"{count}; see {page}", markup=False, highlight=False, soft_wrap=True)


def read_catalogue(path: Path) -> list[Position]:
    """Read positions from a CSV file with the columns ra, dec and, if it likes, name.

    Raises
    ------
    DataError
        If columns are missing, there are no rows, or a value is no position or no file name.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such catalogue")
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        columns = [name.strip().lower() for name in rows.fieldnames or []]
        if not {"ra", "dec"} <= set(columns):
            raise DataError(
                f"{path}: its columns are {', '.join(columns) or 'none'}; expected ra and dec in "
                "degrees, and name if you like"
            )
        rows.fieldnames = columns
        positions = [
            _position(f"{path}, line {rows.line_num}", row, i) for i, row in enumerate(rows)
        ]
    if not positions:
        raise DataError(f"{path}: has no rows; expected a position on each")
    seen: set[str] = set()
    for position in positions:
        if position.name in seen:
            raise DataError(f"{path}: two rows have the name '{position.name}'; a name is a file")
        seen.add(position.name)
    return positions


def _position(where: str, row: dict[str, str | None], index: int) -> Position:
    try:
        ra, dec = (float(row[key] or "") for key in ("ra", "dec"))
    except ValueError:
        ra = dec = math.nan
    if not (-360 <= ra <= 360 and -90 <= dec <= 90):
        given = [row[key] or "" for key in ("ra", "dec")]
        raise DataError(
            f"{where}: ra is '{given[0]}' and dec '{given[1]}'; expected degrees, dec from -90 to "
            "90"
        )
    name = (row.get("name") or "").strip() or f"{index:05d}"
    if Path(name).name != name or name.startswith("."):
        raise DataError(f"{where}: the name '{name}' is no file name")
    return Position(name, ra, dec)


def _files(given: Sequence[Path]) -> list[Path]:
    """Expand patterns, which a shell leaves alone inside quotes."""
    files: list[Path] = []
    for path in given:
        if path.is_file() or not any(sign in str(path) for sign in "*?["):
            files.append(path)
            continue
        root = Path(path.anchor)
        found = sorted((root if path.is_absolute() else Path()).glob(str(path.relative_to(root))))
        if not found:
            raise DataError(f"{path}: no file has such a name")
        files += found
    return files


def _check_overlap(lr_frames: Sequence[Frame], hr_frames: Sequence[Frame]) -> None:
    if not any(lr.overlaps(hr) for lr in lr_frames for hr in hr_frames):
        raise DataError(
            f"{_names(lr_frames)} and {_names(hr_frames)}: do not overlap on the sky; give images "
            "of the same field, and check their WCS"
        )


def _names(frames: Sequence[Frame]) -> str:
    rest = "" if len(frames) == 1 else f" and {len(frames) - 1} more"
    return f"{frames[0].path}{rest}"


@dataclass(frozen=True, slots=True)
class Cutter:
    """Cuts pairs around positions; parameters as in :func:`pair`."""

    lr_frames: Sequence[Frame]
    hr_frames: Sequence[Frame]
    scale: int
    size: int
    search: float
    max_bad: float
    flux_tolerance: float

    def run(self, positions: Sequence[Position], console: Console) -> Pairing:
        """Cut, register, correct by the mean offset of each pair of images, and cut again."""
        pairing = Pairing(self.scale)
        candidates: list[Pair] = []
        progress = {"console": console, "transient": True}
        for position in track(positions, "cutting", **progress):  # type: ignore[arg-type]
            found = self._candidate(position)
            if isinstance(found, str):
                pairing.rejected.append((position, found))
            else:
                candidates.append(found)
        offsets = {key: _mean_offset(group) for key, group in _by_images(candidates).items()}
        for each in track(candidates, "aligning", **progress):  # type: ignore[arg-type]
            aligned = self._align(each, offsets[_images(each)])
            if isinstance(aligned, str):
                pairing.rejected.append((each.position, aligned))
            else:
                pairing.pairs.append(aligned)
        return pairing

    def _candidate(self, position: Position) -> Pair | str:
        """Cut a pair as the WCS say and register it, or say why that cannot be done."""
        lr = self._cut_lr(position)
        if isinstance(lr, str):
            return lr
        source = next((f for f in self.hr_frames if f.find(position.ra, position.dec)), None)
        if source is None:
            return "outside every HST image"
        hr = project(source, lr, self.scale)
        reason = self._too_bad(hr.bad, "HST pixels are missing or masked")
        if reason:
            return reason
        found = self._register(lr, hr)
        if found is None:
            return f"no offset within {self.search:g} arcsec fits: too faint, or another source"
        if found.error > WORST_ERROR:
            return f"too faint to align: the offset is known to {found.error:.2f} LR pixels"
        return Pair(position, lr, hr, source, found)

    def _cut_lr(self, position: Position) -> Frame | str:
        places = [(f, f.find(position.ra, position.dec)) for f in self.lr_frames]
        inside = [(frame, place) for frame, place in places if place is not None]
        if not inside:
            return "outside every HSC image"
        for frame, (y, x) in inside:
            top, left = (round(v - (self.size - 1) / 2) for v in (y, x))
            height, width = frame.values.shape
            if 0 <= top <= height - self.size and 0 <= left <= width - self.size:
                lr = cut(frame, top, left, self.size)
                words = f"HSC pixels are missing or masked{_planes_hit(lr)}"
                return self._too_bad(lr.bad, words) or lr
        return f"too near the edge of the HSC image for {self.size} pixels"

    def _too_bad(self, bad: Flags, what: str) -> str | None:
        count = int(bad.sum())
        return f"{count} of {bad.size} {what}" if count > self.max_bad * bad.size else None

    def _register(self, lr: Frame, hr: Frame) -> Registration | None:
        blocks = hr.bad.reshape(self.size, self.scale, self.size, self.scale).any((1, 3))
        weight = np.where(lr.bad | blocks, 0.0, 1 / np.sqrt(_noise_variance(lr)))
        search = self.search / lr.pixel_scale
        return register(lr.values, hr.values, self.scale, weight=weight, search=search)

    def _align(self, each: Pair, offset: tuple[float, float]) -> Pair | str:
        """Cut HR again with the offset corrected, and register what is left."""
        dy, dx = each.before.dy - offset[0], each.before.dx - offset[1]
        far = max(abs(dy), abs(dx))
        if far > max(WORST_ERROR, OUTLIER * each.before.error):
            return f"its offset is {far:.2f} LR pixels from that of the images"
        hr = project(each.source, each.lr, self.scale, offset)
        reason = self._too_bad(hr.bad, "HST pixels are missing or masked")
        after = self._register(each.lr, hr)
        if reason or after is None:
            return reason or "no offset fits any more once it is corrected"
        if abs(after.ratio - 1) > self.flux_tolerance:
            return f"the flux in HSC is {after.ratio:.2f} times that in HST"
        return replace(each, hr=hr, after=after)


def _images(pair: Pair) -> tuple[Path, Path]:
    return pair.lr.path, pair.source.path


def _by_images(pairs: Sequence[Pair]) -> dict[tuple[Path, Path], list[Pair]]:
    groups: dict[tuple[Path, Path], list[Pair]] = {}
    for each in pairs:
        groups.setdefault(_images(each), []).append(each)
    return groups


def _mean_offset(pairs: Sequence[Pair]) -> tuple[float, float]:
    """Average the offsets of one pair of images by their errors, less those far from the median."""
    offsets = np.array([(p.before.dy, p.before.dx) for p in pairs])
    errors = np.array([p.before.error for p in pairs])
    far = np.abs(offsets - np.median(offsets, axis=0)).max(axis=1)
    near = far <= np.maximum(WORST_ERROR, OUTLIER * errors)
    if not near.any():
        near[:] = True  # they have nothing in common, and are each told so
    dy, dx = np.average(offsets[near], axis=0, weights=errors[near] ** -2.0)
    return float(dy), float(dx)


def _noise_variance(frame: Frame) -> Plane | float:
    """Give the variance of a frame, or an estimate from its sky where it has none."""
    if frame.variance is not None:
        return np.where(frame.variance > 0, frame.variance, np.inf)
    good = frame.values[~frame.bad]
    spread = 1.4826 * float(np.median(np.abs(good - np.median(good))))
    return max(spread, 1e-12) ** 2


def _planes_hit(frame: Frame) -> str:
    """Name the planes of the mask that tell of bad pixels in a cutout."""
    if frame.mask is None:
        return ""
    bits, names = frame.mask
    planes = [n for n in BAD_PLANES if f"MP_{n}" in names]
    hit = [n for n in planes if ((bits >> int(names[f"MP_{n}"])) & 1).any()]
    return f" ({', '.join(hit)})" if hit else ""


def cut(frame: Frame, top: int, left: int, size: int) -> Frame:
    """Cut a square out of a frame; its WCS follows."""
    inside = (slice(top, top + size), slice(left, left + size))
    header = frame.header.copy()
    for key, shift in (("1", left), ("2", top)):
        header[f"CRPIX{key}"] = header.get(f"CRPIX{key}", 0.0) - shift
        if f"LTV{key}" in header:
            header[f"LTV{key}"] -= shift
    wcs = celestial(header)
    assert wcs is not None
    return replace(
        frame,
        values=frame.values[inside],
        bad=frame.bad[inside],
        variance=None if frame.variance is None else frame.variance[inside],
        mask=None if frame.mask is None else (frame.mask[0][inside], frame.mask[1]),
        header=header,
        wcs=wcs,
    )


def project(
    source: Frame, lr: Frame, scale: int, offset: tuple[float, float] = (0.0, 0.0)
) -> Frame:
    """Bring an HR image onto the grid that subdivides an LR image.

    Values are averaged over the area that pixels share on the sphere (``reproject_exact``), and
    multiplied by the ratio of the pixels' areas: flux per pixel, conserved.

    Parameters
    ----------
    source, lr
        The images.
    scale
        HR pixels for each LR pixel along a side.
    offset
        Where sources of `source` are found in `lr` less where its WCS puts them: rows and columns,
        LR pixels. They are moved there.

    Returns
    -------
    Frame
        ``(scale h, scale w)``; bad where any part of a pixel is bad or outside `source`.
    """
    height, width = (scale * side for side in lr.values.shape)
    header = subdivided(lr.header, scale)
    wcs = celestial(header)
    assert wcs is not None
    shifted = wcs.deepcopy()
    # Where the sky of HR is to be found by its own coordinates, which are off by the offset.
    shifted.wcs.crpix += scale * np.array([offset[1], offset[0]])
    part = _around(source, shifted, (height, width))
    if part is None:
        nothing = np.ones((height, width), bool)
        return Frame(source.path, np.zeros((height, width)), nothing, None, None, header, wcs)
    planes = [
        reproject_exact((plane, part.wcs), shifted, shape_out=(height, width))
        for plane in (part.values, part.bad.astype(float))
    ]
    (values, footprint), (bad, _) = planes
    missing = ~(footprint > 1 - 1e-6) | ~(bad < 1e-6)
    area = float(proj_plane_pixel_area(wcs) / proj_plane_pixel_area(part.wcs))
    values = np.where(missing, 0.0, area * values)
    return Frame(source.path, values, missing, None, None, header, wcs)


def _around(source: Frame, wcs: object, shape: tuple[int, int]) -> Frame | None:
    """Cut the part of an image that a grid needs, so that the rest costs no time."""
    edge = [np.linspace(-1, side, 9) for side in shape]
    y, x = (axis.ravel() for axis in np.meshgrid(*edge, indexing="ij"))
    ra, dec = wcs.all_pix2world(x, y, 0)  # type: ignore[attr-defined]
    columns, rows = source.wcs.all_world2pix(ra, dec, 0, quiet=True)
    limits = []
    for places, side in ((rows, source.values.shape[0]), (columns, source.values.shape[1])):
        start = max(math.floor(places.min()) - 2, 0)
        stop = min(math.ceil(places.max()) + 3, side)
        if start >= stop:
            return None
        limits.append(slice(start, stop))
    part = tuple(limits)
    return replace(
        source,
        values=source.values[part],
        bad=source.bad[part],
        variance=None,
        mask=None,
        wcs=source.wcs.slice(part),
    )


def write_pair(pair: Pair, scale: int, out: Path) -> None:
    """Write ``lr/NAME.fits`` and ``hr/NAME.fits``: flux per pixel, WCS, mask and variance.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    assert pair.after is not None
    offset = [1000 * pair.lr.pixel_scale * v for v in (pair.before.dx, pair.before.dy)]
    history = (
        f"srkit {__version__}: data pair, from {pair.source.path.name}, by reproject_exact",
        f"moved to the pixels of {pair.lr.path.name}, subdivided by {scale}",
        f"offset there {offset[0]:+.0f} mas in x, {offset[1]:+.0f} mas in y, corrected",
    )
    _write(pair.lr, out / "lr" / f"{pair.position.name}.fits", pair.position, ())
    _write(pair.hr, out / "hr" / f"{pair.position.name}.fits", pair.position, history)


def _write(frame: Frame, path: Path, position: Position, history: Sequence[str]) -> None:
    header = frame.header.copy()
    header["OBJECT"] = position.name
    for line in history:
        header.add_history(line)
    bits, names = frame.mask or (frame.bad.astype(np.int64), Header())
    metadata: dict[str, object] = {
        "header": header,
        "mask": torch.from_numpy(np.ascontiguousarray(bits))[None],
        "mask_header": names,
    }
    if frame.variance is not None:
        metadata["variance"] = _tensor(frame.variance)
    values = np.where(frame.bad, np.nan, frame.values)
    Fits().write(path, Image(_tensor(values), metadata=metadata))


def _tensor(plane: NDArray[np.float64]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(plane, np.float32))[None]
