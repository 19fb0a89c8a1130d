"""Conversion between images and CCDData of astropy, by way of its FITS extensions."""

from __future__ import annotations

import io
import re
from typing import Any

import astropy.units as u
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.wcs import WCS

from srkit_astro.files.units import parse
from srkit_astro.files.wcs import tables_of

#: The extension with the noise of SR.
NOISE = "UNCERTAINTY"


def to_hdus(ccd: CCDData) -> fits.HDUList:
    """Convert an image to FITS, with mask, uncertainty, unit and WCS."""
    hdus = ccd.to_hdu(hdu_mask="MASK", hdu_uncertainty="UNCERT", wcs_relax=True)
    if ccd.unit == u.dimensionless_unscaled:
        hdus[0].header["BUNIT"] = "1"  # stated, unlike an empty unit
    if isinstance(ccd.wcs, WCS) and any((ccd.wcs.cpdis1, ccd.wcs.det2im1)):  # to_hdu drops them
        whole = ccd.wcs.to_fits(relax=True)
        hdus[0].header.update(whole[0].header)
        for table in whole[1:]:
            hdus.append(table)
    return fits.open(_stored(hdus), do_not_scale_image_data=True)


def from_hdus(hdus: fits.HDUList) -> Any:
    """Convert the extensions that the FITS format writes to CCDData."""
    header = hdus[0].header
    text = header.get("BUNIT")
    tables = tables_of(header, hdus)
    plain = fits.HDUList([hdu for hdu in hdus if hdu not in tables])
    plain[0].header = header.copy()
    for key in [key for key in header if re.match(r"BUNIT$|CPDIS|D2IMDIS|(DP|D2IM)\d", key)]:
        # CCDData finds no tables, and only knows units in the spelling of astropy.
        plain[0].header.remove(key, ignore_missing=True, remove_all=True)
    ccd = CCDData.read(
        _stored(plain), format="fits", unit=_unit(text), hdu_mask="MASK", hdu_uncertainty=NOISE
    )
    if tables:
        ccd.wcs = WCS(header, hdus)
    # FITS is big-endian, which other libraries do not support.
    ccd.data = ccd.data.astype(ccd.data.dtype.newbyteorder("="))
    if ccd.uncertainty is not None:
        stored_in = ccd.uncertainty.array
        ccd.uncertainty.array = stored_in.astype(stored_in.dtype.newbyteorder("="))
    ccd.header.strip()  # remove the keywords that describe the file
    if text is not None:
        ccd.header["BUNIT"] = text
    return ccd


def _unit(text: object) -> u.UnitBase:
    """Return the unit of a header; if it is not understood, one that only has its name."""
    if not text:
        return u.dimensionless_unscaled
    meaning = parse(str(text))
    return u.Unit(str(text), parse_strict="silent") if meaning is None else meaning.unit


def _stored(hdus: fits.HDUList) -> io.BytesIO:
    stored = io.BytesIO()
    hdus.writeto(stored, output_verify="silentfix+exception")
    stored.seek(0)
    return stored
