"""The command `srkit data pair`: LR and HR cutouts of the same sky, from HSC and HST images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from astropy.io.fits import Header
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from srkit import __version__
from srkit.errors import DataError
from srkit.images import split_selection
from srkit.interfaces import Image
from srkit.system import new_console
from srkit_astro.files.fits import Fits
from srkit_astro.footprints import note_on_groups
from srkit_astro.pairing.catalogue import read_catalogue
from srkit_astro.pairing.cutouts import PairCutter
from srkit_astro.pairing.psfs import measure_psfs, write_psfs
from srkit_astro.pairing.report import write_pairing_report
from srkit_astro.pairing.results import Pair, Position
from srkit_astro.pairing.sky_images import Plane, SkyImage, read_sky_image


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
    hsc_hdu: str | None = None,
    hst_hdu: str | None = None,
) -> None:
    """Cut pairs of LR and HR images out of HSC and HST images of the same sky.

    HST is resampled to a grid that subdivides the HSC pixels exactly: values are averaged over the
    area that input and output pixels share on the sphere, so that flux is conserved. The remaining
    offset between the two images is fitted and corrected in the same resampling. Both are converted
    to AB zero point 27. Positions whose cutouts extend beyond an image, contain masked or missing
    pixels, or cannot be registered are rejected, each with the reason.

    Pairs that share a part of the sky have the same `group` in ``pairs.csv``; `lens_pairs` keeps
    them in one split.

    Writes ``lr/NAME.fits`` and ``hr/NAME.fits`` (flux per pixel, with WCS, mask and variance),
    the PSF of each image as measured from its stars, if it has enough, in ``psf``; ``pairs.csv``,
    ``rejected.csv``, ``sheet.png`` and ``report.html``.

    Parameters
    ----------
    hsc
        Cutouts or coadds of the HSC pipeline (image, mask, variance); or a quoted pattern.
    hst
        Drizzled mosaics of HST (electrons per second, PHOTFLAM, PHOTPLAM); or a quoted pattern.
    catalogue
        CSV file with the columns ra and dec (ICRS, degrees) and, optionally, name.
    out
        Folder for the pairs; must be new or empty.
    scale
        HR pixels per HSC pixel along a side.
    size
        Side of the LR cutouts in pixels.
    search
        Largest offset between the images to search for, in arcsec.
    max_bad
        Largest fraction of masked or missing pixels in a cutout.
    flux_tolerance
        Largest deviation from 1 of the ratio of HSC flux to HST flux.
    hsc_zero_point
        AB magnitude of one count; overrides FLUXMAG0 of the header (27.0 for the HSC pipeline).
    hst_zero_point
        AB magnitude of one electron per second; overrides PHOTFLAM and PHOTPLAM of the header.
    hsc_hdu, hst_hdu
        Name (SCI), name and version (SCI,2) or number of the extension with the image.
    """
    positions = read_catalogue(catalogue)
    if out.is_dir() and any(out.iterdir()):
        raise DataError(f"{out}: is not empty; choose a new folder")
    lr_images = [
        read_sky_image(path, hsc_zero_point, "--hsc-zero-point", hsc_hdu) for path in _files(hsc)
    ]
    hr_images = [
        read_sky_image(path, hst_zero_point, "--hst-zero-point", hst_hdu) for path in _files(hst)
    ]
    _check_overlap(lr_images, hr_images)
    console = new_console()
    cutter = PairCutter(lr_images, hr_images, scale, size, search, max_bad, flux_tolerance)
    pairing = cutter.run(positions, console)
    used = {path for each in pairing.pairs for path in (each.lr.path, each.source.path)}
    psfs = [
        *measure_psfs([image for image in lr_images if image.path in used], "lr"),
        *measure_psfs([image for image in hr_images if image.path in used], "hr"),
    ]
    write_psfs(psfs, out)
    notes = {psf.image.path: psf.note for psf in psfs}
    for each in pairing.pairs:
        write_pair(each, scale, out, notes)
    page = write_pairing_report(pairing, psfs, out)
    if not pairing.pairs:
        raise DataError(f"{catalogue}: every position was rejected; see the reasons in {page}")
    text = f"made pairs from {len(pairing.pairs)} of {len(positions)} positions; see {page}"
    for line in (note_on_groups(pairing.groups()), text):
        if line:
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def _files(given: Sequence[Path]) -> list[Path]:
    """Expand patterns, which the shell does not expand if they are quoted."""
    files: list[Path] = []
    for path in given:
        base, extension = split_selection(path)
        if path.is_file() or not any(sign in str(base) for sign in "*?["):
            files.append(path)
            continue
        if extension is not None:
            files += [Path(f"{file}[{extension}]") for file in _files([base])]
            continue
        root = Path(path.anchor)
        found = sorted((root if path.is_absolute() else Path()).glob(str(path.relative_to(root))))
        if not found:
            raise DataError(f"{path}: no file matches this pattern")
        files += found
    return files


def _check_overlap(lr_images: Sequence[SkyImage], hr_images: Sequence[SkyImage]) -> None:
    if not any(lr.overlaps(hr) for lr in lr_images for hr in hr_images):
        raise DataError(
            f"{_names(lr_images)} and {_names(hr_images)}: do not overlap on the sky; give images "
            "of the same field, and check their WCS"
        )


def _names(images: Sequence[SkyImage]) -> str:
    rest = "" if len(images) == 1 else f" and {len(images) - 1} more"
    return f"{images[0].path}{rest}"


def write_pair(pair: Pair, scale: int, out: Path, psfs: Mapping[Path, str]) -> None:
    """Write ``lr/NAME.fits`` and ``hr/NAME.fits``: flux per pixel, WCS, mask and variance.

    The headers say what the PSF of each image is, by its path.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    assert pair.after is not None
    offset = [1000 * pair.lr.pixel_scale * v for v in (pair.before.dx, pair.before.dy)]
    history = (
        f"srkit {__version__} data pair: {pair.source.path.name}, resampled by reproject_exact",
        f"to the pixels of {pair.lr.path.name}, each divided into {scale} x {scale}",
        f"corrected an offset of {offset[0]:+.0f} mas in x and {offset[1]:+.0f} mas in y",
        psfs[pair.source.path],
    )
    lr_history = (psfs[pair.lr.path],)
    _write(pair.lr, out / "lr" / f"{pair.position.name}.fits", pair.position, lr_history)
    _write(pair.hr, out / "hr" / f"{pair.position.name}.fits", pair.position, history)


def _write(image: SkyImage, path: Path, position: Position, history: Sequence[str]) -> None:
    header = image.header.copy()
    header["OBJECT"] = position.name
    for line in history:
        header.add_history(line)
    bits, names = image.mask or (image.bad.astype(np.int64), Header())
    metadata: dict[str, object] = {
        "header": header,
        "mask": torch.from_numpy(np.ascontiguousarray(bits))[None],
        "mask_header": names,
    }
    if image.variance is not None:
        metadata["variance"] = _tensor(image.variance)
    values = np.where(image.bad, np.nan, image.values)
    Fits().write(path, Image(_tensor(values), metadata=metadata))


def _tensor(plane: Plane) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(plane, np.float32))[None]
