"""SR images of FITS files keep the WCS and the flux."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits
from astropy.wcs import WCS
from photutils.centroids import centroid_com
from srkit_astro.files.fits import Fits
from srkit_astro.files.sr_image import enlarge, flux_change

SIDE = 0.168 / 3600


def _source(path: Path, unit: str) -> np.ndarray:
    """Write an off-centre Gaussian source with a mask and a variance."""
    y, x = np.mgrid[:32, :40]
    values = 90 * np.exp(-((x - 17.3) ** 2 + (y - 14.8) ** 2) / 8)
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0})
    header.update(CRVAL2=2.0, CRPIX1=20.0, CRPIX2=16.0, CDELT1=-SIDE, CDELT2=SIDE, BUNIT=unit)
    mask = fits.ImageHDU((values > 80).astype(np.int16), name="MASK")
    noise = fits.ImageHDU(np.ones(values.shape), name="VARIANCE")
    fits.HDUList([fits.PrimaryHDU(values, header), mask, noise]).writeto(path)
    return values


@pytest.mark.parametrize("unit", ["count / s", "MJy/sr"])
@pytest.mark.parametrize("scale", [2, 3])
def test_wcs_and_flux_are_kept(tmp_path: Path, unit: str, scale: int) -> None:
    values = _source(tmp_path / "lr.fits", unit)
    lr = Fits().read(tmp_path / "lr.fits")
    sr = lr.pixels.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    Fits().write(tmp_path / "sr.fits", enlarge(lr, sr, scale, history=["recipe lens_hst"]))
    with fits.open(tmp_path / "sr.fits") as hdus:
        found, header, mask = hdus[0].data, hdus[0].header, hdus["MASK"].data
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "MASK"]
    area = scale**2 if unit == "MJy/sr" else 1
    assert found.sum() / area == pytest.approx(values.sum(), rel=1e-5)
    before = fits.getheader(tmp_path / "lr.fits")
    sky = WCS(before).pixel_to_world(*centroid_com(values))
    again = WCS(header).pixel_to_world(*centroid_com(found.astype(float)))
    assert sky.separation(again).deg < 1e-4 * SIDE
    assert mask.sum() == scale**2 * (values > 80).sum()
    assert header["BUNIT"] == unit
    assert header["HISTORY"][-1] == "recipe lens_hst"


def test_values_of_an_unknown_unit_keep_their_level(tmp_path: Path) -> None:
    _source(tmp_path / "lr.fits", "lumps")
    lr = Fits().read(tmp_path / "lr.fits")
    image = enlarge(lr, torch.ones(1, 64, 80), 2)
    assert image.pixels.unique().item() == 1
    assert image.data_range == lr.data_range
    line = (
        "the unit 'lumps' is unknown; values are taken as a level that does not depend on the size "
        "of pixels; if they are flux per pixel, set BUNIT, such as 'adu'"
    )
    assert line in image.metadata["notes"]
    assert line[1:] in "".join(image.metadata["header"]["HISTORY"])


def test_sigma_becomes_the_variance(tmp_path: Path) -> None:
    _source(tmp_path / "lr.fits", "count / s")
    lr = Fits().read(tmp_path / "lr.fits")
    image = enlarge(lr, torch.ones(1, 64, 80), 2, sigma=torch.full((1, 64, 80), 8.0))
    Fits().write(tmp_path / "sr.fits", image)
    with fits.open(tmp_path / "sr.fits") as hdus:
        assert (hdus["UNCERT"].data == 4.0).all()
        assert hdus["UNCERT"].header["BUNIT"] == "(count / s)**2"


def test_a_change_of_the_flux_is_reported(tmp_path: Path) -> None:
    _source(tmp_path / "lr.fits", "count / s")
    lr = Fits().read(tmp_path / "lr.fits")
    sr = lr.pixels.repeat_interleave(2, -1).repeat_interleave(2, -2)
    lost = "the variance of LR does not apply to SR and is left out (see --uncertainty)"
    assert enlarge(lr, 1.005 * sr, 2).metadata["notes"] == [lost]
    del lr.metadata["variance"]
    assert enlarge(lr, 1.005 * sr, 2).metadata["notes"] == []
    changed = enlarge(lr, 1.071 * sr, 2).metadata
    text = "the model changes the total flux by +7.1% of the sum of |flux|"
    assert changed["notes"] == [f"{text}; a model with the constraint 'flux' conserves it"]
    assert "Total flux changed by +7.1% of the sum of |flux|." in list(changed["header"]["HISTORY"])


def test_the_flux_change_ignores_nan_and_zero_images() -> None:
    lr = torch.tensor([[[1.0, -1.0], [2.0, float("nan")]]])
    assert flux_change(lr, torch.full((1, 4, 4), 1.0)) == pytest.approx((1 - 2 / 3) / (4 / 3))
    assert flux_change(torch.zeros(1, 2, 2), torch.ones(1, 4, 4)) == 0
