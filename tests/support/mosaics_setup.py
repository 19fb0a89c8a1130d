"""Mosaics of HSC and HST whose offset, rotation, zero points and PSFs are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy.special import erf

Pixels = NDArray[np.float64]

RA, DEC = 150.1, 2.2
#: HSC: pixel scale in arcsec, zero point, PSF as weights of Gaussians (sigma in arcsec).
HSC_SCALE, HSC_ZERO, HSC_PSF = 0.168, 27.0, ((0.8, 0.24), (0.2, 0.5))
#: HST: ACS F814W.
HST_SCALE, HST_PSF = 0.05, ((1.0, 0.045),)
FLAM, PLAM, HST_ZERO = 7.0723e-20, 8045.53, 25.9400
#: Error of the WCS of HST in arcsec, towards the east and the north.
EAST, NORTH = 0.23, -0.11

#: Sources: arcsec east and north of the centre, magnitude, sigma in arcsec.
SOURCES = [
    (dx + jx, dy + jy, mag, sigma)
    for dx, dy in ((-6, -6), (0, -6), (6, -6), (-6, 0), (0, 0), (6, 0), (-6, 6), (0, 6), (6, 6))
    for jx, jy, mag, sigma in (
        (0.0, 0.0, 20.0, 0.25),
        (1.03, 0.61, 22.0, 0.1),
        (-0.7, 1.2, 23, 0.2),
    )
]
PLACES = [(x, y) for x, y, mag, _ in SOURCES if mag == 20.0]


def sky_wcs(side: int, scale: float, angle: float, east: float = 0, north: float = 0) -> WCS:
    """Return a rotated tangential projection about the centre of the field, with an offset."""
    wcs = WCS(naxis=2)
    turn = np.radians(angle)
    cd = np.array([[-np.cos(turn), np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * scale / 3600
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crpix = [side / 2 + 0.37, side / 2 - 0.21]
    wcs.wcs.cd = cd
    wcs.wcs.crval = position(east, north)
    wcs.array_shape = (side, side)
    return wcs


def position(east: float, north: float) -> list[float]:
    return [RA + east / 3600 / np.cos(np.radians(DEC)), DEC + north / 3600]


def render(wcs: WCS, scale: float, zero: float, psf: Any) -> Pixels:
    """Integrate the sources over pixels, exactly: for Gaussians, products of erf."""
    height, width = wcs.array_shape
    image = np.zeros((height, width))
    for east, north, magnitude, size in SOURCES:
        x, y = wcs.all_world2pix(*position(east, north), 0)
        for share, sigma in psf:
            spread = np.sqrt(2 * (size**2 + sigma**2)) / scale
            along = [
                np.diff(erf((np.arange(side + 1) - 0.5 - centre) / spread)) / 2
                for centre, side in ((y, height), (x, width))
            ]
            image += share * 10 ** (0.4 * (zero - magnitude)) * np.outer(*along)
    return image


def write_hsc(path: Path, noise: float = 0.02, **header: Any) -> Path:
    """Write image, mask and variance like the HSC pipeline."""
    wcs = sky_wcs(160, HSC_SCALE, 0.0)
    values = render(wcs, HSC_SCALE, HSC_ZERO, HSC_PSF)
    values += noise * np.random.default_rng(1).standard_normal(values.shape)
    mask = np.zeros(values.shape, np.int32)
    mask[:20] = 1 << 8  # NO_DATA; the others are only DETECTED
    mask[60:] = 1 << 5
    primary = fits.PrimaryHDU()
    primary.header["FLUXMAG0"] = 10 ** (0.4 * HSC_ZERO)
    image = fits.ImageHDU(values.astype(np.float32), wcs.to_header(), name="IMAGE")
    planes = fits.ImageHDU(mask, name="MASK")
    for number, name in enumerate(("BAD", "SAT", "INTRP", "CR", "EDGE", "DETECTED")):
        planes.header[f"HIERARCH MP_{name}"] = number
    planes.header["HIERARCH MP_NO_DATA"] = 8
    variance = fits.ImageHDU(np.full(values.shape, noise**2, np.float32), name="VARIANCE")
    for key, value in header.items():
        change(primary.header, key, value)
        change(image.header, key, value)
    fits.HDUList([primary, image, planes, variance]).writeto(path)
    return path


def write_hst(path: Path, **header: Any) -> Path:
    """Write a rotated drizzled mosaic with a hole, and with a known error of its WCS."""
    true = sky_wcs(640, HST_SCALE, 33.0)
    values = render(true, HST_SCALE, HST_ZERO, HST_PSF)
    values += 0.002 * np.random.default_rng(2).standard_normal(values.shape)
    hole = true.all_world2pix(*position(6, 6), 0)
    values[int(hole[1]) - 3 : int(hole[1]) + 3, int(hole[0]) - 3 : int(hole[0]) + 3] = np.nan
    hdu = fits.PrimaryHDU(values.astype(np.float32))
    hdu.header.update(sky_wcs(640, HST_SCALE, 33.0, EAST, NORTH).to_header())
    hdu.header.update(BUNIT="ELECTRONS/S", PHOTFLAM=FLAM, PHOTPLAM=PLAM, EXPTIME=2000.0)
    for key, value in header.items():
        change(hdu.header, key, value)
    hdu.writeto(path)
    return path


def change(header: fits.Header, key: str, value: Any) -> None:
    """Set a keyword, or remove it."""
    if value is None:
        header.remove(key, ignore_missing=True)
    elif key in header:
        header[key] = value


def write_catalogue(path: Path, places: list[tuple[float, float]]) -> Path:
    rows = [("name", *position(x, y)) for x, y in places]
    lines = [f"at{i},{ra:.7f},{dec:.7f}" for i, (_, ra, dec) in enumerate(rows)]
    path.write_text("\n".join(["Name,RA,Dec", *lines]) + "\n")
    return path
