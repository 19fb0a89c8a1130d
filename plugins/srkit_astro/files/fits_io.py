"""Reading and writing FITS files with astropy: pixels, header, mask and variance."""

from __future__ import annotations

import gzip
import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from astropy.io import fits
from torch import Tensor

from srkit.errors import DataError
from srkit.functional import Values
from srkit.images import allowed_pixels, check_pixels
from srkit.interfaces import Image
from srkit.system import write_file
from srkit_astro.files.cards import sound
from srkit_astro.files.planes import (
    check_plane,
    find_planes,
    plane_shape,
    stripped,
    variance_of,
    without_data,
)
from srkit_astro.files.quiet import quiet
from srkit_astro.files.stored_values import FLAGS, converted, flags, scaled, survey
from srkit_astro.files.unusable import check_share, flagged, saturation
from srkit_astro.files.wcs import missing_table, with_wcs_of

#: Warnings of astropy that mean that a file is damaged.
_DAMAGE = "Error validating header|Datasum verification failed"
#: How astropy treats cards that break the standard when they are written.
FIX = "silentfix+exception"
#: Size of the blocks of a file in bytes.
BLOCK = 2880
#: Size of the cards of a header in bytes.
CARD = 80


def read(path: Path, extension: str | None = None) -> Image:
    """Read a file, see :class:`srkit_astro.files.fits.Fits`."""
    with _opened(path) as hdus:
        return image_from_hdus(path, hdus, extension)


def write(path: Path, image: Image) -> None:
    """Write a file, see :class:`srkit_astro.files.fits.Fits`."""
    hdus = to_hdus(path, image)
    if path.suffix.lower() == ".fz":
        packed = [_compressed(hdu) if hdu.is_image else hdu for hdu in hdus]
        hdus = fits.HDUList([fits.PrimaryHDU(), *packed])
    stored = io.BytesIO()
    hdus.writeto(stored, output_verify=FIX, checksum=True)
    content = stored.getvalue()
    packed_whole = path.suffix.lower() == ".gz"
    write_file(path, gzip.compress(content) if packed_whole else content)


@contextmanager
def _opened(path: Path) -> Iterator[fits.HDUList]:
    with damage_as_error(path):
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = _decompressed(path, content)
        check_kind(path, content)
        # Some programs leave out the padding at the end.
        padded = io.BytesIO(content + b"\0" * (-len(content) % BLOCK))
        padded.truncate(check_structure(path, padded, len(content)))
        with fits.open(padded, memmap=False, checksum=True, do_not_scale_image_data=True) as hdus:
            yield hdus


def check_kind(path: Path, start: bytes) -> None:
    """Check that a file begins as FITS does.

    Raises
    ------
    DataError
        If it is empty or of another kind.
    """
    if not start:
        raise DataError(f"{path}: is empty; expected a FITS file")
    if not start.startswith(b"SIMPLE"):
        found = bytes(start[:8])
        raise DataError(
            f"{path}: is not a FITS file: it begins with the bytes {found!r}, not with SIMPLE"
        )


def check_structure(path: Path, file: BinaryIO, length: int) -> int:
    """Check the sizes that the headers of a file state, before astropy acts on them.

    Parameters
    ----------
    path
        For errors.
    file
        The file, at its beginning.
    length
        Its length in bytes, without added padding.

    Returns
    -------
    int
        The end of the last extension; blank blocks may follow, as on tapes.

    Raises
    ------
    DataError
        If the file is truncated, or a number is absurd.
    """
    end = 0
    while end < length:
        file.seek(end)
        if end and not file.read(CARD).strip(b"\0 "):
            break
        file.seek(end)
        header = fits.Header.fromfile(file)
        counts = [_count(path, header, key) for key in ("NAXIS", "ZNAXIS", "TFIELDS")]
        sides = [_count(path, header, f"NAXIS{axis + 1}", 2**63) for axis in range(counts[0])]
        heap, groups = (_count(path, header, key, 2**63) for key in ("PCOUNT", "GCOUNT"))
        if sides[:1] == [0] and header.get("GROUPS") is True:
            sides = sides[1:]
        values = max(groups, 1) * (heap + math.prod(sides)) if sides else 0
        size = abs(header["BITPIX"]) // 8 * values
        if file.tell() + size > length:
            raise DataError(damaged(path, f"{header.get('EXTNAME', 'its image')} is truncated"))
        end = -(-(file.tell() + size) // BLOCK) * BLOCK
    file.seek(0)
    return end


def _count(path: Path, header: fits.Header, key: str, most: int = 999) -> int:
    value = header.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise DataError(damaged(path, f"{key} is {value!r}"))
    return value


def damaged(path: Path, reason: str) -> str:
    """Return the message that a file is damaged."""
    return (
        f"{path}: cannot be read as FITS ({reason}); it may be damaged or incomplete; copy it "
        "again or remove it"
    )


@contextmanager
def damage_as_error(path: Path) -> Iterator[None]:
    """Raise errors of astropy, and warnings that mean damage, as a DataError.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    try:
        with quiet():
            warnings.filterwarnings("error", message=rf"\s*({_DAMAGE})")
            yield
    except (DataError, MemoryError):
        raise
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # astropy raises many types for damaged files
        reason = " ".join(str(error).split())
        raise DataError(damaged(path, f"{type(error).__name__}: {reason}")) from error


def _decompressed(path: Path, content: bytes) -> bytes:
    """Decompress a file, up to the size of the largest allowed image of doubles."""
    most = int(8 * allowed_pixels())
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        found = file.read(most + 1)
    if len(found) > most:
        raise DataError(
            f"{path}: would decompress to more than {most / 8e6:g} megapixels of 8 bytes, which "
            "could exhaust the memory; if you trust the file, decompress it first, or set a higher "
            "limit: --max-input MEGAPIXELS"
        )
    return found


def image_from_hdus(path: Path, hdus: fits.HDUList, extension: str | None = None) -> Image:
    """Convert the contents of a file, opened without scaling its data, to an image."""
    found = find_planes(path, hdus, extension)
    header = found.science.header
    stored = scaled(header, _read_planes(path, found.science))
    notes = survey(path, header, [stored])
    values = converted(path, header, stored)
    if found.weight is not None:
        weights = scaled(found.weight.header, _read_planes(path, found.weight))
        values, more = without_data(values, weights, found.weight)
        notes += more
    metadata = dict(found.metadata)
    if found.mask is not None:
        check_plane(path, found.mask, values.shape)
        marked = flags(found.mask.header, _read_planes(path, found.mask))
        metadata["mask"] = torch.from_numpy(marked)
        metadata["mask_header"] = stripped(sound(found.mask.header)[0])
    if found.noise is not None:
        check_plane(path, found.noise, values.shape)
        plane = scaled(found.noise.header, _read_planes(path, found.noise))
        metadata["variance"] = torch.from_numpy(variance_of(path, plane, found.noise))
    level, unusable = saturation(header, lambda: [values])
    metadata["saturation_notes"] = list(unusable)
    bad = values >= (np.inf if level is None else level)
    if level is not None:
        metadata["saturation"] = level
    if found.mask is not None:
        marked = flagged(
            metadata["mask"].numpy(), found.metadata["header"], metadata["mask_header"]
        )
        counts, more = check_share(int(marked.sum()), marked.size)
        unusable += more
        bad = bad | marked if counts else bad
    if bad.any():
        metadata["unusable"] = torch.from_numpy(bad)
    metadata["unusable_notes"] = unusable
    metadata["notes"] = [*metadata["notes"], *notes]
    return Image(torch.from_numpy(values), finite_range(values), metadata)


def _read_planes(path: Path, hdu: Any) -> Values:
    """Return the stored numbers of an extension as ``(C, H, W)``."""
    if isinstance(hdu, fits.CompImageHDU):
        check_pixels(path, math.prod(hdu.shape[:-1]), hdu.shape[-1])
    stored: Values = hdu.data.reshape(plane_shape(path, hdu.shape))
    return stored


def finite_range(values: Values) -> tuple[float, float]:
    """Return the data range of the finite values."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    return widened(float(finite.min()), float(finite.max()))


def widened(low: float, high: float) -> tuple[float, float]:
    """Return a data range, with the upper end raised if it would be empty."""
    return low, high if high > low else low + (abs(low) or 1.0)


def to_hdus(path: Path, image: Image) -> fits.HDUList:
    """Convert an image to the contents of a file; an outline takes no memory.

    Raises
    ------
    DataError
        If a plane has a different size, or the header refers to distortion tables that are missing.
    """
    header = stripped(image.metadata.get("header", fits.Header()))
    if "header" not in image.metadata and image.metadata.get("unit"):
        header["BUNIT"] = image.metadata["unit"]
    tables = image.metadata.get("wcs_tables", ())
    missing = missing_table(header, tables)
    if missing is not None:
        raise DataError(
            f"{path}: {missing} in the header refers to distortion tables, which are missing; "
            "drizzle or reproject the image first"
        )
    hdus = fits.HDUList([fits.PrimaryHDU(_flat(image.pixels, np.float32), header)])
    planes = {name: image.metadata.get(name) for name in ("mask", "variance", "spread")}
    mask, variance, spread = planes.values()
    for name, values in planes.items():
        if values is not None and values.shape[-2:] != image.pixels.shape[-2:]:
            raise DataError(
                f"{path}: the {name} has the shape {tuple(values.shape[-2:])}, the image "
                f"{tuple(image.pixels.shape[-2:])}; resize or remove metadata['{name}']"
            )
    if mask is not None:
        flags = image.metadata.get("mask_header", fits.Header())
        kind = FLAGS[8 * mask.element_size()]
        plane = with_wcs_of(header, stripped(flags))
        hdus.append(fits.ImageHDU(_flat(mask, kind), plane, name="MASK"))
    if variance is not None:
        plane = with_wcs_of(header, fits.Header())
        hdu = fits.ImageHDU(_flat(variance, np.float32), plane, name="UNCERT")
        hdu.header["UTYPE"] = ("VarianceUncertainty", "the values are variances")
        if header.get("BUNIT"):
            hdu.header["BUNIT"] = f"({header['BUNIT']})**2"
        hdus.append(hdu)
    if spread is not None:
        plane = with_wcs_of(header, fits.Header())
        hdu = fits.ImageHDU(_flat(spread, np.float32), plane, name="SPREAD")
        hdu.header.add_comment("Standard deviation over flips and rotations of LR: not an error.")
        if header.get("BUNIT"):
            hdu.header["BUNIT"] = header["BUNIT"]
        hdus.append(hdu)
    for table in tables:
        hdus.append(table)
    return hdus


def _flat(planes: Tensor, dtype: type[np.generic]) -> Values:
    if planes.is_meta:
        nothing: Values = np.broadcast_to(np.zeros((), dtype), planes.shape)
        return nothing[0] if len(nothing) == 1 else nothing
    values = planes.detach().cpu().numpy().astype(dtype)
    return values[0] if len(values) == 1 else values


def _compressed(hdu: Any) -> fits.CompImageHDU:
    # Other settings compress floats lossily.
    settings: dict[str, Any] = {"compression_type": "GZIP_2", "quantize_level": 0}
    return fits.CompImageHDU(hdu.data, hdu.header, name=hdu.name or "SCI", **settings)
