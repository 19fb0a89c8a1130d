"""FITS files, through astropy: pixels as they are, with header, mask and variance."""

from __future__ import annotations

import gzip
import io
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from astropy.io import fits
from numpy.typing import NDArray
from torch import Tensor

from srkit.errors import DataError
from srkit.images import allowed_pixels, check_pixels
from srkit.interfaces import Image
from srkit.system import write_file
from srkit_astro.files.wcs import TABLES

Values = NDArray[Any]

#: Extensions that hold the image; elsewhere it is the first image that is none of `PLANES`.
SCIENCE = ("SCI", "SCIENCE", "IMAGE")
#: Extensions with flags by pixel.
MASKS = ("MASK", "DQ", "FLAGS")
#: Extensions with the noise by pixel, and what they hold; `UTYPE` decides, where it is given.
NOISE = {
    "VARIANCE": "variance",
    "VAR": "variance",
    "UNCERTAINTY": "std",
    "UNCERT": "std",
    "ERR": "std",
    "ERROR": "std",
    "SIGMA": "std",
    "IVAR": "inverse",
    "INVVAR": "inverse",
}
#: What astropy's NDData writes as `UTYPE`.
UTYPES = {
    "VarianceUncertainty": "variance",
    "StdDevUncertainty": "std",
    "InverseVariance": "inverse",
}
#: Images that are not the picture.
PLANES = (*MASKS, *NOISE, "WHT", "WEIGHT", "CTX", "PSF", "NPIXELSINSAMPLE")

#: What flags are kept as, by their ``BITPIX``.
FLAGS: dict[int, type[np.generic]] = {8: np.uint8, 16: np.int16, 32: np.int32, 64: np.int64}

#: What astropy only warns of, and what means a file with less than it says.
_DAMAGE = "Error validating header|File may have been truncated|Datasum verification failed"
#: Keywords that describe how the values were stored, which is over once they are read.
_STORAGE = ("BSCALE", "BZERO", "BLANK", "DATAMIN", "DATAMAX", "CHECKSUM", "DATASUM", "INHERIT")


def read(path: Path) -> Image:
    """Read a file, see :class:`srkit_astro.files.fits.Fits`."""
    with _opened(path) as hdus:
        return image_of(path, hdus)


def write(path: Path, image: Image) -> None:
    """Write a file, see :class:`srkit_astro.files.fits.Fits`."""
    hdus = to_hdus(path, image)
    if path.suffix.lower() == ".fz":
        packed = [_compressed(hdu) for hdu in hdus]
        hdus = fits.HDUList([fits.PrimaryHDU(), *packed])
    stored = io.BytesIO()
    hdus.writeto(stored, checksum=True)
    content = stored.getvalue()
    packed_whole = path.suffix.lower() == ".gz"
    write_file(path, gzip.compress(content) if packed_whole else content)


@contextmanager
def _opened(path: Path) -> Iterator[fits.HDUList]:
    with reading(path):
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = _decompressed(path, content)
        with fits.open(io.BytesIO(content), memmap=False, checksum=True) as hdus:
            yield hdus


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Let nothing that means damage pass, and word astropy's complaints.

    Raises
    ------
    DataError
        If astropy complains.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message=rf"\s*({_DAMAGE})")
            yield
    except DataError:
        raise
    except Exception as error:  # astropy raises many kinds for a damaged file
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: cannot be read as FITS ({type(error).__name__}: {reason}); it may be damaged "
            "or incomplete: copy it again, or remove it"
        ) from error


def _decompressed(path: Path, content: bytes) -> bytes:
    """Decompress a file, up to doubles of as many pixels as are allowed."""
    most = int(8 * allowed_pixels())
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        found = file.read(most + 1)
    if len(found) > most:
        raise DataError(
            f"{path}: would be decompressed to more than {most / 8e6:g} megapixels of 8 bytes, "
            "which may be meant to fill the memory; if you trust it, decompress it first, or "
            "allow more: --max-input MEGAPIXELS"
        )
    return found


def image_of(path: Path, hdus: fits.HDUList) -> Image:
    """Make an image of a file's contents."""
    found = planes_of(path, hdus)
    values = _planes(path, found.science, np.float32)
    metadata = dict(found.metadata)
    if found.mask is not None:
        flags = _beside(path, found.mask, values.shape, flag_type(found.mask))
        metadata["mask"] = torch.from_numpy(flags)
        metadata["mask_header"] = stripped(found.mask.header)
    if found.noise is not None:
        plane = _beside(path, found.noise, values.shape, np.float32)
        metadata["variance"] = torch.from_numpy(_variance(plane, found.noise))
    return Image(torch.from_numpy(values), finite_range(values), metadata)


class Planes(NamedTuple):
    """Where a file has the image, its mask and its noise, and what it says of the image."""

    science: Any
    mask: Any
    noise: Any
    metadata: dict[str, Any]


def planes_of(path: Path, hdus: fits.HDUList) -> Planes:
    """Find the extensions that belong together.

    Raises
    ------
    DataError
        If none is an image.
    """
    pictures = {hdu: hdu.name.upper() for hdu in hdus if hdu.is_image and len(hdu.shape) >= 2}
    science = _first(pictures, SCIENCE)
    if science is None:
        science = next((hdu for hdu, name in pictures.items() if name not in PLANES), None)
    if science is None:
        found = ", ".join(f"{hdu.name} {getattr(hdu, 'shape', '(a table)')}" for hdu in hdus)
        raise DataError(f"{path}: holds no image of two axes or more; it has {found}")
    mask = _first(pictures, MASKS, science.ver)
    noise = _first(pictures, tuple(NOISE), science.ver)
    metadata = {"frame": True, "header": _header(science, hdus[0]), "bits": 32}
    rest = [hdu for hdu in hdus if hdu not in (science, mask, noise) and hdu.size]
    if rest:
        names = ", ".join(hdu.name or "one without a name" for hdu in rest)
        metadata["notes"] = [f"extensions left out: {names}"]
    return Planes(science, mask, noise, metadata)


def _first(pictures: Mapping[Any, str], names: tuple[str, ...], version: int = 1) -> Any:
    """Find the extension of the earliest of some names, and of a version (``EXTVER``)."""
    for wanted in names:
        for hdu, name in pictures.items():
            if name == wanted and hdu.ver == version:
                return hdu
    return None


def _planes(path: Path, hdu: Any, dtype: type[np.generic]) -> Values:
    """Give the values of an extension as ``(C, H, W)``."""
    if isinstance(hdu, fits.CompImageHDU):
        check_pixels(path, math.prod(hdu.shape[:-1]), hdu.shape[-1])
    return as_planes(path, hdu.data.reshape(plane_shape(path, hdu.shape)), dtype)


def plane_shape(path: Path, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Give ``(C, H, W)`` of an extension of some shape.

    Raises
    ------
    DataError
        If it has other axes, or no pixels.
    """
    stored = shape
    while len(stored) > 3 and stored[0] == 1:
        stored = stored[1:]  # such as the axis of polarisation of radio images
    if len(stored) > 3:
        raise DataError(
            f"{path}: the image has the shape {stored}; expected (H, W) or (channels, H, W)"
        )
    if 0 in stored:
        raise DataError(f"{path}: the image has the shape {stored}, so no pixels")
    return (1, *stored)[-3:]


def as_planes(path: Path, stored: Values, dtype: type[np.generic]) -> Values:
    """Convert values; none may become infinite.

    Raises
    ------
    DataError
        If one does.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        values: Values = np.ascontiguousarray(stored, dtype)
    if dtype is np.float32 and np.isinf(values).sum() > np.isinf(stored).sum():
        raise DataError(
            f"{path}: values up to {np.nanmax(np.abs(stored)):.3g} do not fit in float32; "
            "scale the file to another unit"
        )
    return values


def flag_type(hdu: Any) -> type[np.generic]:
    """Tell as what the flags of a mask are read: as they are stored, unless they are scaled."""
    header = hdu.header
    scaled = header.get("BZERO", 0) != 0 or header.get("BSCALE", 1) != 1
    return np.int64 if scaled else FLAGS.get(header["BITPIX"], np.int64)


def _beside(path: Path, hdu: Any, shape: tuple[int, ...], dtype: type[np.generic]) -> Values:
    """Give the values of a plane that describes the image."""
    check_beside(path, hdu, shape)
    return _planes(path, hdu, dtype)


def check_beside(path: Path, hdu: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Give ``(C, H, W)`` of a plane that describes an image of some shape.

    Raises
    ------
    DataError
        If it does not fit.
    """
    found = plane_shape(path, hdu.shape)
    if found not in (shape, (1, *shape[1:])):
        raise DataError(
            f"{path}: {hdu.name} has the shape {found} and the image {shape}; expected one size"
        )
    return found


def _variance(plane: Values, hdu: Any) -> Values:
    kind = UTYPES.get(hdu.header.get("UTYPE", ""), NOISE[hdu.name.upper()])
    if kind == "std":
        return plane**2
    if kind == "inverse":
        with np.errstate(divide="ignore"):
            return 1 / plane  # a weight of 0 knows nothing: infinite variance
    return plane


def finite_range(values: Values) -> tuple[float, float]:
    """Give the data range of values, NaN and infinity left out."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    return range_between(float(finite.min()), float(finite.max()))


def range_between(low: float, high: float) -> tuple[float, float]:
    """Give the data range of values between these: never empty."""
    return low, high if high > low else low + (abs(low) or 1.0)


def _header(science: Any, primary: Any) -> fits.Header:
    header = stripped(science.header)
    if science is not primary and not primary.shape:
        # What holds for the whole file stands in an empty primary header (EXPTIME, FLUXMAG0).
        header.extend(stripped(primary.header), unique=True)
    return header


def stripped(header: fits.Header) -> fits.Header:
    """Copy a header without what describes the storage of the values."""
    kept = header.copy(strip=True)
    for key in (*_STORAGE, "EXTNAME", "EXTVER", "EXTEND", "NEXTEND"):
        kept.remove(key, ignore_missing=True)
    return kept


def to_hdus(path: Path, image: Image) -> fits.HDUList:
    """Lay an image out as a file; an outline takes no memory.

    Raises
    ------
    DataError
        If a plane has another size, or the header needs tables that are not here.
    """
    header = stripped(image.metadata.get("header", fits.Header()))
    if "header" not in image.metadata and image.metadata.get("unit"):
        header["BUNIT"] = image.metadata["unit"]
    table = next((key for key in header if TABLES.fullmatch(key)), None)
    if table is not None:
        raise DataError(
            f"{path}: the header's {table} points to tables of distortion that are not carried; "
            "drizzle or reproject the image first"
        )
    hdus = fits.HDUList([fits.PrimaryHDU(_flat(image.pixels, np.float32), header)])
    mask, variance = (image.metadata.get(name) for name in ("mask", "variance"))
    for name, plane in (("mask", mask), ("variance", variance)):
        if plane is not None and plane.shape[-2:] != image.pixels.shape[-2:]:
            raise DataError(
                f"{path}: the {name} is {tuple(plane.shape[-2:])} and the image "
                f"{tuple(image.pixels.shape[-2:])}; resize metadata['{name}'] or leave it out"
            )
    if mask is not None:
        flags = image.metadata.get("mask_header", fits.Header())
        kind = FLAGS[8 * mask.element_size()]
        hdus.append(fits.ImageHDU(_flat(mask, kind), stripped(flags), name="MASK"))
    if variance is not None:
        hdu = fits.ImageHDU(_flat(variance, np.float32), name="UNCERTAINTY")
        hdu.header["UTYPE"] = ("VarianceUncertainty", "the values are variances")
        if header.get("BUNIT"):
            hdu.header["BUNIT"] = f"({header['BUNIT']})**2"
        hdus.append(hdu)
    return hdus


def _flat(planes: Tensor, dtype: type[np.generic]) -> Values:
    if planes.is_meta:
        nothing: Values = np.broadcast_to(np.zeros((), dtype), planes.shape)
        return nothing[0] if len(nothing) == 1 else nothing
    values = planes.detach().cpu().numpy().astype(dtype)
    return values[0] if len(values) == 1 else values


def _compressed(hdu: Any) -> fits.CompImageHDU:
    # Other settings round floats.
    settings: dict[str, Any] = {"compression_type": "GZIP_2", "quantize_level": 0}
    return fits.CompImageHDU(hdu.data, hdu.header, name=hdu.name or "SCI", **settings)
