"""Reading and writing FITS files with astropy: pixels, header, mask and variance."""

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
from torch import Tensor

from srkit.errors import DataError
from srkit.functional import Values
from srkit.images import allowed_pixels, check_pixels
from srkit.interfaces import Image
from srkit.system import write_file
from srkit_astro.files.wcs import TABLES

#: Names of the extension with the image; otherwise it is the first image that is not in `PLANES`.
SCIENCE = ("SCI", "SCIENCE", "IMAGE")
#: Names of extensions with the flags of pixels.
MASKS = ("MASK", "DQ", "FLAGS")
#: Names of extensions with the noise of pixels, and its type, which `UTYPE` overrides.
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
#: Values of `UTYPE`, as written by NDData of astropy.
UTYPES = {
    "VarianceUncertainty": "variance",
    "StdDevUncertainty": "std",
    "InverseVariance": "inverse",
}
#: Names of images other than the science image.
PLANES = (*MASKS, *NOISE, "WHT", "WEIGHT", "CTX", "PSF", "NPIXELSINSAMPLE")

#: Types of flags, by their ``BITPIX``.
FLAGS: dict[int, type[np.generic]] = {8: np.uint8, 16: np.int16, 32: np.int32, 64: np.int64}

#: Warnings of astropy that mean that a file is damaged.
_DAMAGE = "Error validating header|File may have been truncated|Datasum verification failed"
#: Keywords that describe how values are stored, which do not apply once they are read.
_STORAGE = ("BSCALE", "BZERO", "BLANK", "DATAMIN", "DATAMAX", "CHECKSUM", "DATASUM", "INHERIT")


def read(path: Path) -> Image:
    """Read a file, see :class:`srkit_astro.files.fits.Fits`."""
    with _opened(path) as hdus:
        return image_from_hdus(path, hdus)


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
    with damage_as_error(path):
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = _decompressed(path, content)
        with fits.open(io.BytesIO(content), memmap=False, checksum=True) as hdus:
            yield hdus


@contextmanager
def damage_as_error(path: Path) -> Iterator[None]:
    """Raise errors of astropy, and warnings that mean damage, as a DataError.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message=rf"\s*({_DAMAGE})")
            yield
    except DataError:
        raise
    except Exception as error:  # astropy raises many types for damaged files
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: cannot be read as FITS ({type(error).__name__}: {reason}); it may be damaged "
            "or incomplete; copy it again or remove it"
        ) from error


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


def image_from_hdus(path: Path, hdus: fits.HDUList) -> Image:
    """Convert the contents of a file to an image."""
    found = find_planes(path, hdus)
    values = _read_planes(path, found.science, np.float32)
    metadata = dict(found.metadata)
    if found.mask is not None:
        check_plane(path, found.mask, values.shape)
        flags = _read_planes(path, found.mask, flag_type(found.mask))
        metadata["mask"] = torch.from_numpy(flags)
        metadata["mask_header"] = stripped(found.mask.header)
    if found.noise is not None:
        check_plane(path, found.noise, values.shape)
        plane = _read_planes(path, found.noise, np.float32)
        metadata["variance"] = torch.from_numpy(_variance(plane, found.noise))
    return Image(torch.from_numpy(values), finite_range(values), metadata)


class Planes(NamedTuple):
    """The extensions with the image, its mask and its noise, and the metadata of the image."""

    science: Any
    mask: Any
    noise: Any
    metadata: dict[str, Any]


def find_planes(path: Path, hdus: fits.HDUList) -> Planes:
    """Find the extension with the image, and those that describe it.

    Raises
    ------
    DataError
        If there is no image.
    """
    pictures = {hdu: hdu.name.upper() for hdu in hdus if hdu.is_image and len(hdu.shape) >= 2}
    science = _first(pictures, SCIENCE)
    if science is None:
        science = next((hdu for hdu, name in pictures.items() if name not in PLANES), None)
    if science is None:
        found = ", ".join(f"{hdu.name} {getattr(hdu, 'shape', '(a table)')}" for hdu in hdus)
        raise DataError(f"{path}: contains no image with at least two axes; found {found}")
    mask = _first(pictures, MASKS, science.ver)
    noise = _first(pictures, tuple(NOISE), science.ver)
    metadata = {"frame": True, "header": _header(science, hdus[0]), "bits": 32}
    rest = [hdu for hdu in hdus if hdu not in (science, mask, noise) and hdu.size]
    if rest:
        names = ", ".join(hdu.name or "(unnamed)" for hdu in rest)
        metadata["notes"] = [f"ignored extensions: {names}"]
    return Planes(science, mask, noise, metadata)


def _first(pictures: Mapping[Any, str], names: tuple[str, ...], version: int = 1) -> Any:
    """Return the extension with the first name that exists in this version (``EXTVER``)."""
    for wanted in names:
        for hdu, name in pictures.items():
            if name == wanted and hdu.ver == version:
                return hdu
    return None


def _read_planes(path: Path, hdu: Any, dtype: type[np.generic]) -> Values:
    """Return the values of an extension as ``(C, H, W)``."""
    if isinstance(hdu, fits.CompImageHDU):
        check_pixels(path, math.prod(hdu.shape[:-1]), hdu.shape[-1])
    return convert(path, hdu.data.reshape(plane_shape(path, hdu.shape)), dtype)


def plane_shape(path: Path, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Convert the shape of an extension to ``(C, H, W)``.

    Raises
    ------
    DataError
        If it has more axes, or no pixels.
    """
    stored = shape
    while len(stored) > 3 and stored[0] == 1:
        stored = stored[1:]  # such as the polarisation axis of radio images
    if len(stored) > 3:
        raise DataError(
            f"{path}: the image has the shape {stored}; expected (H, W) or (channels, H, W)"
        )
    if 0 in stored:
        raise DataError(f"{path}: the image has the shape {stored}, and so no pixels")
    return (1, *stored)[-3:]


def convert(path: Path, stored: Values, dtype: type[np.generic]) -> Values:
    """Convert values to another type.

    Raises
    ------
    DataError
        If a finite value would become infinite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        values: Values = np.ascontiguousarray(stored, dtype)
    if dtype is np.float32 and np.isinf(values).sum() > np.isinf(stored).sum():
        raise DataError(
            f"{path}: values up to {np.nanmax(np.abs(stored)):.3g} do not fit in float32; convert "
            "the file to another unit"
        )
    return values


def flag_type(hdu: Any) -> type[np.generic]:
    """Return the type that the flags of a mask are read as: as stored, unless they are scaled."""
    header = hdu.header
    scaled = header.get("BZERO", 0) != 0 or header.get("BSCALE", 1) != 1
    return np.int64 if scaled else FLAGS.get(header["BITPIX"], np.int64)


def check_plane(path: Path, hdu: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape ``(C, H, W)`` of a mask or noise plane of an image of some shape.

    Raises
    ------
    DataError
        If the plane does not have the size of the image.
    """
    found = plane_shape(path, hdu.shape)
    if found not in (shape, (1, *shape[1:])):
        raise DataError(
            f"{path}: {hdu.name} has the shape {found}, the image {shape}; expected the same size"
        )
    return found


def _variance(plane: Values, hdu: Any) -> Values:
    kind = UTYPES.get(hdu.header.get("UTYPE", ""), NOISE[hdu.name.upper()])
    if kind == "std":
        return plane**2
    if kind == "inverse":
        with np.errstate(divide="ignore"):
            return 1 / plane  # a weight of 0 is an infinite variance
    return plane


def finite_range(values: Values) -> tuple[float, float]:
    """Return the data range of the finite values."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    return widened(float(finite.min()), float(finite.max()))


def widened(low: float, high: float) -> tuple[float, float]:
    """Return a data range, with the upper end raised if it would be empty."""
    return low, high if high > low else low + (abs(low) or 1.0)


def _header(science: Any, primary: Any) -> fits.Header:
    header = stripped(science.header)
    if science is not primary and not primary.shape:
        # Keywords for the whole file are in an empty primary header (EXPTIME, FLUXMAG0).
        header.extend(stripped(primary.header), unique=True)
    return header


def stripped(header: fits.Header) -> fits.Header:
    """Copy a header without the keywords that describe how values are stored."""
    kept = header.copy(strip=True)
    for key in (*_STORAGE, "EXTNAME", "EXTVER", "EXTEND", "NEXTEND"):
        kept.remove(key, ignore_missing=True)
    return kept


def to_hdus(path: Path, image: Image) -> fits.HDUList:
    """Convert an image to the contents of a file; an outline takes no memory.

    Raises
    ------
    DataError
        If a plane has a different size, or the header refers to distortion tables.
    """
    header = stripped(image.metadata.get("header", fits.Header()))
    if "header" not in image.metadata and image.metadata.get("unit"):
        header["BUNIT"] = image.metadata["unit"]
    table = next((key for key in header if TABLES.fullmatch(key)), None)
    if table is not None:
        raise DataError(
            f"{path}: {table} in the header refers to distortion tables, which cannot be written; "
            "drizzle or reproject the image first"
        )
    hdus = fits.HDUList([fits.PrimaryHDU(_flat(image.pixels, np.float32), header)])
    mask, variance = (image.metadata.get(name) for name in ("mask", "variance"))
    for name, plane in (("mask", mask), ("variance", variance)):
        if plane is not None and plane.shape[-2:] != image.pixels.shape[-2:]:
            raise DataError(
                f"{path}: the {name} has the shape {tuple(plane.shape[-2:])}, the image "
                f"{tuple(image.pixels.shape[-2:])}; resize or remove metadata['{name}']"
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
    # Other settings compress floats lossily.
    settings: dict[str, Any] = {"compression_type": "GZIP_2", "quantize_level": 0}
    return fits.CompImageHDU(hdu.data, hdu.header, name=hdu.name or "SCI", **settings)
