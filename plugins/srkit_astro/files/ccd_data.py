"""Conversion between images and CCDData of astropy, by way of its FITS extensions."""

from __future__ import annotations

import io
from typing import Any

import astropy.units as u
from astropy.io import fits
from astropy.nddata import CCDData


def to_hdus(ccd: CCDData) -> fits.HDUList:
    """Convert an image to FITS, with mask, uncertainty, unit and WCS."""
    return ccd.to_hdu(hdu_mask="MASK", hdu_uncertainty="UNCERT", wcs_relax=True)


def from_hdus(hdus: fits.HDUList) -> Any:
    """Convert the extensions that the FITS format writes to CCDData."""
    stored = io.BytesIO()
    hdus.writeto(stored)
    stored.seek(0)
    unit = None if hdus[0].header.get("BUNIT") else u.dimensionless_unscaled
    ccd = CCDData.read(
        stored, format="fits", unit=unit, hdu_mask="MASK", hdu_uncertainty="UNCERTAINTY"
    )
    # FITS is big-endian, which other libraries do not support.
    ccd.data = ccd.data.astype(ccd.data.dtype.newbyteorder("="))
    if ccd.uncertainty is not None:
        stored_in = ccd.uncertainty.array
        ccd.uncertainty.array = stored_in.astype(stored_in.dtype.newbyteorder("="))
    ccd.header.strip()  # remove the keywords that describe the file
    return ccd
