"""Pairs cut out of mosaics whose offset, rotation, zero points and PSFs are known."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from mosaics_setup import (
    EAST,
    HSC_SCALE,
    HST_PSF,
    HST_SCALE,
    HST_ZERO,
    NORTH,
    PLACES,
    SOURCES,
    position,
    render,
    write_catalogue,
    write_hsc,
    write_hst,
)
from srkit_astro.pairing.pair import pair
from srkit_astro.pairs.dataset import LensPairs

from srkit.errors import DataError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A field with pairs: nine positions, two more outside and one at the edge."""
    folder = tmp_path_factory.mktemp("field")
    places = [*PLACES, (300.0, 0.0), (12.4, 0.0), (0.0, -10.5)]
    pair(
        hsc=[write_hsc(folder / "hsc.fits")],
        hst=[write_hst(folder / "hst.fits")],
        catalogue=write_catalogue(folder / "places.csv", places),
        out=folder / "out",
        size=32,
    )
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_the_offset_is_recovered_and_corrected(made: Path) -> None:
    """Every offset is recovered to a tenth of an LR pixel; RA increases to the left."""
    found = rows(made / "out/pairs.csv")
    assert [row["name"] for row in found] == [f"at{i}" for i in range(8)]
    assert [row["group"] for row in found] == [f"at{i}" for i in range(8)]
    for row in found:
        assert float(row["offset_x_mas"]) == pytest.approx(1000 * EAST, abs=16.8)
        assert float(row["offset_y_mas"]) == pytest.approx(-1000 * NORTH, abs=16.8)
        assert abs(float(row["residual_x_mas"])) < 16.8
        assert abs(float(row["residual_y_mas"])) < 16.8
    mean = np.mean([[float(r["offset_x_mas"]), float(r["offset_y_mas"])] for r in found], axis=0)
    np.testing.assert_allclose(mean, [1000 * EAST, -1000 * NORTH], atol=3)


def test_the_flux_ratio_of_calibrated_images_is_1(made: Path) -> None:
    ratios = [float(row["flux_ratio"]) for row in rows(made / "out/pairs.csv")]
    assert max(abs(ratio - 1) for ratio in ratios) < 0.006


def test_files_contain_the_same_sky_on_aligned_grids(made: Path) -> None:
    for index in range(8):
        lr, hr = (fits.open(made / f"out/{part}/at{index}.fits") for part in ("lr", "hr"))
        with lr, hr:
            assert (lr[0].data.shape, hr[0].data.shape) == ((32, 32), (64, 64))
            for hdus in (lr, hr):
                assert hdus[0].header["BUNIT"] == "count / s"
                assert hdus[0].header["MAGZERO"] == 27
            assert "FLUXMAG0" not in lr[0].header
            assert lr["UNCERT"].header["UTYPE"] == "VarianceUncertainty"
            np.testing.assert_allclose(lr["UNCERT"].data, 0.02**2, rtol=1e-6)
            assert lr["MASK"].header["MP_NO_DATA"] == 8
            assert not hr["MASK"].data.any()
            # HR pixels 0 and 1 cover LR pixel 0: its centre lies between them.
            corner = WCS(hr[0].header).pixel_to_world(0.5, 0.5)
            centre = WCS(lr[0].header).pixel_to_world(0, 0)
            assert corner.separation(centre).arcsec < 1e-5
            # The source is at its true position: the WCS error of HST has been corrected.
            truth = SkyCoord(*position(*PLACES[index]), unit="deg")
            y, x = np.unravel_index(hr[0].data.argmax(), (64, 64))
            assert WCS(hr[0].header).pixel_to_world(x, y).separation(truth).arcsec < 0.084
            assert float(hr[0].data.sum()) == pytest.approx(flux_near(index), rel=0.005)


def flux_near(index: int) -> float:
    """Return the flux of the sources at one position, at zero point 27."""
    return float(sum(10 ** (0.4 * (27 - row[2])) for row in SOURCES[3 * index : 3 * index + 3]))


def test_hr_is_the_sky_integrated_over_its_pixels(made: Path) -> None:
    """The reference includes the blur by the pixels of HST."""
    with fits.open(made / "out/hr/at4.fits") as hdus:
        header, values = hdus[0].header, hdus[0].data.astype(float)
    wcs = WCS(header)
    wcs.array_shape = values.shape
    sigma = np.hypot(HST_PSF[0][1], HST_SCALE / np.sqrt(12))
    truth = render(wcs, HSC_SCALE / 2, 27.0, ((1.0, sigma),))
    assert np.abs(values - truth).max() < 0.03 * truth.max()


def test_rejected_positions_have_a_reason(made: Path) -> None:
    reasons = {row["name"]: row["reason"] for row in rows(made / "out/rejected.csv")}
    assert reasons.pop("at8").endswith("of 4096 HST pixels are missing or masked")
    assert reasons == {
        "at9": "outside every HSC image",
        "at10": "too near the edge of the HSC image for a cutout of 32 x 32 pixels",
        "at11": "608 of 1024 HSC pixels are missing or masked (NO_DATA)",
    }


def test_the_pairs_can_be_read_as_a_data_set(made: Path) -> None:
    pairs = LensPairs(scale=2, lr=made / "out/lr", hr=made / "out/hr")
    assert len(pairs) == 8
    sample = pairs[4]
    assert (sample.name, sample.unit) == ("at4", "count / s")
    assert sample.pixel_scale == pytest.approx(HSC_SCALE / 2)
    assert sample.lr is not None and sample.variance is not None
    # Both are surface brightness in the same unit: the same flux, but for light beyond the edge.
    assert float(sample.hr.sum()) / 4 == pytest.approx(flux_near(4), rel=0.005)
    assert float(sample.lr.sum()) == pytest.approx(flux_near(4), rel=0.02)


def test_the_report_is_complete_and_self_contained(made: Path) -> None:
    page = (made / "out/report.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert "8 pairs" in " ".join(page.split())
    assert "outside every HSC image" in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    names = {"sheet.png", "astrometry.png", "flux.png", "pairs.csv", "rejected.csv", "report.html"}
    # The sources of HSC all have one size, as stars do.
    names |= {"psf", "psf_lr_hsc.png"}
    assert {path.name for path in (made / "out").iterdir()} == {*names, "lr", "hr"}


def test_a_wrong_zero_point_shows_in_the_flux_ratio(tmp_path: Path, made: Path) -> None:
    pair(
        hsc=[made / "hs[c].fits"],
        hst=[made / "hst.fits"],
        catalogue=write_catalogue(tmp_path / "one.csv", PLACES[:1]),
        out=tmp_path / "out",
        size=32,
        hst_zero_point=HST_ZERO + 0.2,
    )
    (row,) = rows(tmp_path / "out/pairs.csv")
    assert float(row["flux_ratio"]) == pytest.approx(10 ** (0.4 * 0.2), rel=0.01)


def test_empty_sky_is_rejected(tmp_path: Path, made: Path) -> None:
    with pytest.raises(DataError) as caught:
        pair(
            hsc=[made / "hsc.fits"],
            hst=[made / "hst.fits"],
            catalogue=write_catalogue(tmp_path / "one.csv", [(3.2, 3.4)]),
            out=tmp_path / "out",
            size=12,
        )
    page = tmp_path / "out/report.html"
    assert str(caught.value) == (
        f"{tmp_path}/one.csv: every position was rejected; see the reasons in {page}"
    )
    (row,) = rows(tmp_path / "out/rejected.csv")
    assert re.match(
        r"too faint to align: |no offset within 1 arcsec fits: |the flux in HSC is ", row["reason"]
    )
    assert "1 position rejected" in " ".join(page.read_text().split())


Wrong = Callable[[Path], dict[str, Any]]


def hsc(**header: Any) -> Wrong:
    return lambda folder: {"hsc": [write_hsc(folder / "hsc.fits", **header)]}


def hst(**header: Any) -> Wrong:
    return lambda folder: {"hst": [write_hst(folder / "hst.fits", **header)]}


def full(folder: Path) -> dict[str, Any]:
    (folder / "out").mkdir()
    (folder / "out/old.fits").touch()
    return {}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            hsc(FLUXMAG0=None),
            "{folder}/hsc.fits: the header has no zero point (FLUXMAG0, MAGZERO, or PHOTFLAM with "
            "PHOTPLAM); set --hsc-zero-point, the AB magnitude of one unit of its values",
        ),
        (
            hst(PHOTFLAM=None),
            "{folder}/hst.fits: the header has no zero point (FLUXMAG0, MAGZERO, or PHOTFLAM with "
            "PHOTPLAM); set --hst-zero-point, the AB magnitude of one unit of its values",
        ),
        (hst(PHOTFLAM=0.0), "{folder}/hst.fits: PHOTFLAM is 0; expected a positive number"),
        (
            hst(CTYPE1=None, CTYPE2=None),
            "{folder}/hst.fits: has no celestial WCS (such as CTYPE1 = RA---TAN, CTYPE2 = "
            "DEC--TAN); solve its astrometry first",
        ),
        (
            hst(BUNIT="Jy/beam"),
            "{folder}/hst.fits: BUNIT is 'Jy/beam', a level; expected flux per pixel, or flux "
            "density per solid angle such as MJy / sr",
        ),
        (
            hst(CRVAL1=12.0),
            "{made}/hsc.fits and {folder}/hst.fits: do not overlap on the sky; give images of the "
            "same field, and check their WCS",
        ),
        (lambda folder: {"hst": [folder / "no.fits"]}, "{folder}/no.fits: no such file"),
        (
            lambda folder: {"hst": [folder / "*.fits"]},
            "{folder}/*.fits: no file matches this pattern",
        ),
        (full, "{folder}/out: is not empty; choose a new folder"),
    ],
)
def test_images_that_cannot_be_paired_are_refused(
    made: Path, tmp_path: Path, wrong: Wrong, message: str
) -> None:
    given = {
        "hsc": [made / "hsc.fits"],
        "hst": [made / "hst.fits"],
        "catalogue": made / "places.csv",
        "out": tmp_path / "out",
        **wrong(tmp_path),
    }
    with pytest.raises(
        DataError, match=f"^{re.escape(message.format(folder=tmp_path, made=made))}$"
    ):
        pair(**given)
