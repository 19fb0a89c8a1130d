"""Conversion between images and objects of astropy, by way of the extensions of a FITS file."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import torch
from astropy.io import fits
from astropy.nddata import CCDData, Cutout2D, NDData, VarianceUncertainty
from astropy.wcs import WCS
from numpy.typing import NDArray

from srkit.errors import DataError
from srkit.functional import Values
from srkit.images import channel_axis, lay_out
from srkit.interfaces import Image
from srkit_astro.files.fits_io import image_from_hdus, to_hdus
from srkit_astro.files.units import parse
from srkit_astro.files.wcs import tables_of, with_wcs_of

_NAME = Path("the object")
_HDUS = fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU


def image_of(value: Any) -> Image:
    """Convert an object to the image that its file would contain; leading axes become channels.

    Raises
    ------
    DataError
        If it contains no image, or its WCS cannot be written as a header.
    """
    if isinstance(value, fits.HDUList):
        return image_from_hdus(_NAME, _stored(value))
    if isinstance(value, _HDUS):
        return image_from_hdus(_NAME, _stored(_hdus_of(value.data, value.header.copy())))
    if isinstance(value, NDData):
        return _image_of_nddata(value)
    if isinstance(value, Cutout2D):
        return _image_of_nddata(NDData(value.data, wcs=value.wcs))
    # A Quantity or another array, perhaps with a mask; its layout is that of arrays.
    known = value.unmasked if hasattr(value, "unmasked") else value
    header = fits.Header()
    if isinstance(known, u.Quantity):
        header["BUNIT"] = _text(known.unit)
    hdus = _hdus_of(_planes(known), header, _planes(getattr(value, "mask", None)))
    image = image_from_hdus(_NAME, _stored(hdus))
    if not header:
        image.metadata["values"] = "surface_brightness"  # as of arrays
    return image


def _image_of_nddata(value: NDData) -> Image:
    data = np.asarray(value.data)
    header, tables = _header(value)
    mask = value.mask if value.mask is None else np.broadcast_to(value.mask, data.shape)
    variance, lost = None, list[str]()
    if getattr(value, "psf", None) is not None:
        lost.append("the PSF of LR does not apply to SR and is left out")
    if value.uncertainty is not None:
        try:
            variance = _variance(value)
        except Exception as error:  # of an unknown kind, which cannot be converted
            reason = f" ({error})" if str(error) else ""
            lost.append(f"the {type(value.uncertainty).__name__} is left out{reason}")
    image = image_from_hdus(_NAME, _stored(_hdus_of(data, header, mask, variance, tables)))
    image.metadata.setdefault("guesses", []).extend(lost)
    return image


def _hdus_of(
    data: Any, header: fits.Header, mask: Any = None, variance: Any = None, tables: Any = ()
) -> fits.HDUList:
    """Lay out planes ``(..., H, W)`` as a file does."""
    if data is None or np.ndim(data) < 2:
        raise DataError(f"{_NAME}: contains no image with at least two axes")
    hdus = fits.HDUList([fits.PrimaryHDU(_flat(np.asarray(data)), header)])
    if mask is not None:
        hdus.append(fits.ImageHDU(_flat(np.asarray(mask)), name="MASK"))
    if variance is not None:
        hdus.append(fits.ImageHDU(_flat(variance), name="UNCERT"))
        hdus[-1].header["UTYPE"] = "VarianceUncertainty"
    hdus.extend(tables)
    return hdus


def _flat(values: Values) -> Values:
    """Merge leading axes, as ``(N, C, H, W)`` has them, and convert what FITS does not store."""
    if values.dtype.kind == "b":
        values = values.astype(np.uint8)
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    return values.reshape(-1, *values.shape[-2:]) if values.ndim > 3 else values


def _planes(values: Any) -> Any:
    """Arrange an array in any layout as ``(C, H, W)``."""
    if values is None:
        return None
    array = np.asarray(getattr(values, "value", values))
    return array if channel_axis(array.shape) != -1 else np.moveaxis(array, -1, 0)


def _header(value: NDData) -> tuple[fits.Header, list[Any]]:
    """Return the header of an object with its WCS and unit, and the tables of its WCS."""
    header = fits.Header()
    for key, entry in value.meta.items():
        try:
            header[str(key)] = entry
        except (ValueError, TypeError, fits.VerifyError):
            continue  # not something that a header can hold
    if isinstance(value.meta, fits.Header):
        header = value.meta.copy()
    tables: list[Any] = []
    if isinstance(value.wcs, WCS):
        primary, *tables = value.wcs.to_fits(relax=True)
        header = with_wcs_of(primary.header, header)
    elif value.wcs is not None:
        raise DataError(
            f"{_NAME}: its WCS is a {type(value.wcs).__name__}, which a FITS header cannot hold; "
            "use an astropy.wcs.WCS, or none"
        )
    if value.unit is not None:
        header["BUNIT"] = _text(value.unit)
    return header, tables


def _text(unit: u.UnitBase) -> str:
    return "1" if unit == u.dimensionless_unscaled else unit.to_string()


def _variance(value: NDData) -> Values:
    """Return the variance in the square of the unit of an object."""
    found = value.uncertainty.represent_as(VarianceUncertainty)
    array = np.asarray(found.array)
    if found.unit is not None and value.unit is not None:
        array = (array * found.unit).to_value(value.unit**2)
    return np.asarray(np.broadcast_to(array, value.data.shape))


def object_of(image: Image, like: object) -> Any:
    """Convert an image to an object of the class of another, by default CCDData.

    Quantities and HDUs, which have no uncertainty, become pairs with one if the image has it. If
    the image has a spread, which is not an uncertainty, all but lists of HDUs become pairs with it.
    """
    if "spread" in image.metadata and not isinstance(like, fits.HDUList):
        bare = {key: value for key, value in image.metadata.items() if key != "spread"}
        spread = replace(image, pixels=image.metadata["spread"], metadata=bare)
        pair = object_of(replace(image, metadata=bare), like), object_of(spread, like)
        if isinstance(like, _HDUS):
            pair[1].name = "SPREAD"
        return pair
    if isinstance(like, fits.HDUList):
        return fits.HDUList([hdu.copy() for hdu in to_hdus(_NAME, image)])
    if isinstance(like, _HDUS):
        found = to_hdus(_NAME, image)
        header, data = found[0].header, _like(found[0].data, like.data)
        lossless = {"compression_type": "GZIP_2", "quantize_level": 0}
        settings = lossless if isinstance(like, fits.CompImageHDU) else {}
        sr = type(like)(data, header, **settings)
        if like.name and like.name != "PRIMARY":
            sr.name = like.name
        return (sr, found["UNCERT"].copy()) if "UNCERT" in found else sr
    if isinstance(like, NDData):
        return _nddata_of(image, like)
    if isinstance(like, Cutout2D):
        ccd = _ccd_of(image)
        data = _like(ccd.data, like.data)
        if isinstance(like.data, u.Quantity):
            data = data << like.data.unit
        height, width = data.shape
        centre = ((width - 1) / 2, (height - 1) / 2)
        return Cutout2D(data, centre, data.shape, wcs=ccd.wcs, copy=True)
    return _ccd_of(image) if like is None else _array_of(image, like)


def _array_of(image: Image, like: Any) -> Any:
    """Convert an image to a Quantity or masked array in the layout of another."""
    layout = {"channel_axis": channel_axis(like.shape)}

    def laid_out(planes: torch.Tensor) -> Any:
        return lay_out(planes, Image(planes, metadata=layout))

    unit = getattr(like, "unit", None)
    sr = laid_out(image.pixels)
    sr = sr.astype(like.dtype) if like.dtype.kind == "f" else sr
    sr = sr if unit is None else u.Quantity(sr, unit, copy=False)
    if hasattr(like, "unmasked"):
        mask = laid_out(image.metadata["mask"].expand_as(image.pixels) != 0) != 0
        sr = type(like).from_unmasked(sr, mask)
    if "variance" not in image.metadata:
        return sr
    sigma = laid_out(image.metadata["variance"].sqrt())
    return sr, sigma if unit is None else u.Quantity(sigma, unit, copy=False)


def _like(values: Values, given: Any) -> Values:
    """Give values the leading axes of a given array, and its dtype if it holds floats."""
    shaped = values.reshape(*given.shape[:-2], *values.shape[-2:])
    kind = given.dtype if given.dtype.kind == "f" else values.dtype
    return shaped.astype(kind.newbyteorder("="))


def _nddata_of(image: Image, like: NDData) -> NDData:
    ccd = _ccd_of(image)
    flags = image.metadata.get("mask")
    mask, variance = None, ccd.uncertainty
    if flags is not None:
        mask = flags.cpu().numpy()
        whole = np.dtype(getattr(like.mask, "dtype", bool)).kind in "iu"
        mask = mask if whole else mask != 0
        shape = (*like.data.shape[:-2], *mask.shape[-2:])
        mask = mask[0] if len(mask) == 1 else mask.reshape(shape)
    if variance is not None:
        variance = VarianceUncertainty(_like(variance.array, like.data))
    wcs = ccd.wcs
    if isinstance(like.wcs, WCS) and like.wcs.naxis < wcs.naxis:  # planes are not an axis of it
        wcs = wcs.celestial
    parts = {"uncertainty": variance, "mask": mask, "wcs": wcs}
    unit = ccd.unit if like.unit is None and "BUNIT" in ccd.header else like.unit
    return type(like)(_like(ccd.data, like.data), **parts, meta=ccd.header, unit=unit)


def _ccd_of(image: Image) -> CCDData:
    """Convert the extensions that the FITS format writes to CCDData."""
    hdus = to_hdus(_NAME, image)
    header = hdus[0].header
    text = header.get("BUNIT")
    tables = tables_of(header, hdus)
    plain = fits.HDUList([hdu for hdu in hdus if hdu not in tables])
    plain[0].header = header.copy()
    for key in [key for key in header if re.match(r"BUNIT$|CPDIS|D2IMDIS|(DP|D2IM)\d", key)]:
        # CCDData finds no tables, and only knows units in the spelling of astropy.
        plain[0].header.remove(key, ignore_missing=True, remove_all=True)
    ccd = CCDData.read(_bytes(plain), format="fits", unit=_unit(text))
    if tables:
        ccd.wcs = WCS(header, hdus)
    ccd.data = _native(ccd.data)
    if ccd.uncertainty is not None:
        ccd.uncertainty.array = _native(ccd.uncertainty.array)
    ccd.header.strip()  # remove the keywords that describe the file
    if text is not None:
        ccd.header["BUNIT"] = text
    return ccd


def _native(values: NDArray[Any]) -> NDArray[Any]:
    """Convert from the byte order of FITS, which other libraries do not support."""
    return values.astype(values.dtype.newbyteorder("="))


def _unit(text: object) -> u.UnitBase:
    """Return the unit of a header; if it is not understood, one that only has its name."""
    if not text:
        return u.dimensionless_unscaled
    meaning = parse(str(text))
    return u.Unit(str(text), parse_strict="silent") if meaning is None else meaning.unit


def _bytes(hdus: fits.HDUList) -> io.BytesIO:
    stored = io.BytesIO()
    hdus.writeto(stored, output_verify="silentfix+exception")
    stored.seek(0)
    return stored


def _stored(hdus: fits.HDUList) -> fits.HDUList:
    """Return the contents of a file as they are stored."""
    return fits.open(_bytes(hdus), do_not_scale_image_data=True)
