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
from numpy.typing import NDArray
from scipy.special import erf
from srkit_astro.pairing.frames import read_frame
from srkit_astro.pairing.pair import cut, pair, project, read_catalogue
from srkit_astro.pairing.registration import register
from srkit_astro.pairs.dataset import LensPairs

from srkit.errors import DataError

Pixels = NDArray[np.float64]

RA, DEC = 150.1, 2.2
#: HSC: arcsec a pixel, zero point, PSF as shares of Gaussians (sigma in arcsec): core and wings.
HSC_SCALE, HSC_ZERO, HSC_PSF = 0.168, 27.0, ((0.8, 0.24), (0.2, 0.5))
#: HST: ACS F814W.
HST_SCALE, HST_PSF = 0.05, ((1.0, 0.045),)
FLAM, PLAM, HST_ZERO = 7.0723e-20, 8045.53, 25.9400
#: How far the WCS of HST is off, arcsec, towards the east and the north.
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
    """A tangential projection about the field's centre, turned, and off by a few arcsec."""
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
    """Integrate the sources over pixels, exactly: sums of Gaussians are products of erf."""
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
    """Write image, mask and variance as the HSC pipeline does."""
    wcs = sky_wcs(160, HSC_SCALE, 0.0)
    values = render(wcs, HSC_SCALE, HSC_ZERO, HSC_PSF)
    values += noise * np.random.default_rng(1).standard_normal(values.shape)
    mask = np.zeros(values.shape, np.int32)
    mask[:20] = 1 << 8  # NO_DATA; the rest is only detected
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
    """Write a drizzled mosaic, turned, with the WCS off by a known offset and a hole."""
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
    """Set a keyword, or take it out."""
    if value is None:
        header.remove(key, ignore_missing=True)
    elif key in header:
        header[key] = value


def write_catalogue(path: Path, places: list[tuple[float, float]]) -> Path:
    rows = [("name", *position(x, y)) for x, y in places]
    lines = [f"at{i},{ra:.7f},{dec:.7f}" for i, (_, ra, dec) in enumerate(rows)]
    path.write_text("\n".join(["Name,RA,Dec", *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The field, paired: nine positions, two outside, one at the edge."""
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


def test_the_offset_is_recovered_and_corrected(made: Path) -> None:
    """To a tenth of an LR pixel at worst: what LR shows is where HST's WCS has it, less its error.

    The RA rises to the left, so x falls towards the east.
    """
    found = rows(made / "out/pairs.csv")
    assert [row["name"] for row in found] == [f"at{i}" for i in range(8)]
    for row in found:
        assert float(row["offset_x_mas"]) == pytest.approx(1000 * EAST, abs=16.8)
        assert float(row["offset_y_mas"]) == pytest.approx(-1000 * NORTH, abs=16.8)
        assert abs(float(row["residual_x_mas"])) < 16.8
        assert abs(float(row["residual_y_mas"])) < 16.8
    mean = np.mean([[float(r["offset_x_mas"]), float(r["offset_y_mas"])] for r in found], axis=0)
    np.testing.assert_allclose(mean, [1000 * EAST, -1000 * NORTH], atol=3)


def test_the_flux_ratio_is_that_of_the_sources(made: Path) -> None:
    ratios = [float(row["flux_ratio"]) for row in rows(made / "out/pairs.csv")]
    assert max(abs(ratio - 1) for ratio in ratios) < 0.01


def test_files_hold_the_same_sky_on_grids_that_fit(made: Path) -> None:
    for index in range(8):
        lr, hr = (fits.open(made / f"out/{part}/at{index}.fits") for part in ("lr", "hr"))
        with lr, hr:
            assert (lr[0].data.shape, hr[0].data.shape) == ((32, 32), (64, 64))
            for hdus in (lr, hr):
                assert hdus[0].header["BUNIT"] == "count / s"
                assert hdus[0].header["MAGZERO"] == 27
            assert "FLUXMAG0" not in lr[0].header
            assert lr["UNCERTAINTY"].header["UTYPE"] == "VarianceUncertainty"
            np.testing.assert_allclose(lr["UNCERTAINTY"].data, 0.02**2, rtol=1e-6)
            assert lr["MASK"].header["MP_NO_DATA"] == 8
            assert not hr["MASK"].data.any()
            # HR pixels 0 and 1 fill LR pixel 0: its centre is where they meet.
            corner = WCS(hr[0].header).pixel_to_world(0.5, 0.5)
            centre = WCS(lr[0].header).pixel_to_world(0, 0)
            assert corner.separation(centre).arcsec < 1e-5
            # The source that was asked for is there: HST's WCS was off, the pair's is not.
            truth = SkyCoord(*position(*PLACES[index]), unit="deg")
            y, x = np.unravel_index(hr[0].data.argmax(), (64, 64))
            assert WCS(hr[0].header).pixel_to_world(x, y).separation(truth).arcsec < 0.084
            assert float(hr[0].data.sum()) == pytest.approx(flux_near(index), rel=0.005)


def flux_near(index: int) -> float:
    """Flux of the sources of one position, at zero point 27."""
    return float(sum(10 ** (0.4 * (27 - row[2])) for row in SOURCES[3 * index : 3 * index + 3]))


def test_hr_is_what_a_camera_there_would_have_seen(made: Path) -> None:
    """Against the sources integrated over the pair's own pixels, blurred by HST's pixels too."""
    with fits.open(made / "out/hr/at4.fits") as hdus:
        header, values = hdus[0].header, hdus[0].data.astype(float)
    wcs = WCS(header)
    wcs.array_shape = values.shape
    sigma = np.hypot(HST_PSF[0][1], HST_SCALE / np.sqrt(12))
    truth = render(wcs, HSC_SCALE / 2, 27.0, ((1.0, sigma),))
    assert np.abs(values - truth).max() < 0.03 * truth.max()


def test_what_is_rejected_is_told_why(made: Path) -> None:
    reasons = {row["name"]: row["reason"] for row in rows(made / "out/rejected.csv")}
    assert reasons.pop("at8").endswith("of 4096 HST pixels are missing or masked")
    assert reasons == {
        "at9": "outside every HSC image",
        "at10": "too near the edge of the HSC image for 32 pixels",
        "at11": "608 of 1024 HSC pixels are missing or masked (NO_DATA)",
    }


def test_the_pairs_are_read_as_a_data_set(made: Path) -> None:
    pairs = LensPairs(scale=2, lr=made / "out/lr", hr=made / "out/hr")
    assert len(pairs) == 8
    sample = pairs[4]
    assert (sample.name, sample.unit) == ("at4", "count / s")
    assert sample.pixel_scale == pytest.approx(HSC_SCALE / 2)
    assert sample.lr is not None and sample.variance is not None
    # Surface brightness on one scale: the same flux, but for what is spread beyond the edge.
    assert float(sample.hr.sum()) / 4 == pytest.approx(flux_near(4), rel=0.005)
    assert float(sample.lr.sum()) == pytest.approx(flux_near(4), rel=0.02)


def test_the_report_holds_everything(made: Path) -> None:
    page = (made / "out/report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "8 pairs" in " ".join(page.split())
    assert "outside every HSC image" in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)  # self-contained
    names = {"sheet.png", "astrometry.png", "flux.png", "pairs.csv", "rejected.csv", "report.html"}
    assert {path.name for path in (made / "out").iterdir()} == {*names, "lr", "hr"}


def test_a_wrong_zero_point_shows_in_the_flux_ratio(tmp_path: Path, made: Path) -> None:
    pair(
        hsc=[made / "hs[c].fits"],
        hst=[made / "hst.fits"],
        catalogue=write_catalogue(tmp_path / "one.csv", PLACES[:2]),
        out=tmp_path / "out",
        size=32,
        hst_zero_point=HST_ZERO + 0.2,
    )
    for row in rows(tmp_path / "out/pairs.csv"):
        assert float(row["flux_ratio"]) == pytest.approx(10 ** (0.4 * 0.2), rel=0.01)


def test_flux_is_conserved_to_rounding_on_the_grid(made: Path) -> None:
    """The whole field, without noise or blur in between: sum in, sum out."""
    hst = read_frame(made / "hst.fits", None, "--hst-zero-point")
    lr = cut(read_frame(made / "hsc.fits", None, "--hsc-zero-point"), 48, 48, 64)
    hr = project(hst, lr, 2)
    # Both integrate the same sky: five sources at the centre and beside it, the hole left out.
    inside = [s for s in SOURCES if abs(s[0]) < 4.5 and abs(s[1]) < 4.5]
    truth = sum(10 ** (0.4 * (27 - row[2])) for row in inside)
    noise = 5 * 0.002 * 10 ** (0.4 * (27 - HST_ZERO)) * np.sqrt(hr.values.size)
    window = hr.values[12:116, 12:116]
    assert float(window.sum()) == pytest.approx(truth, rel=2e-3, abs=noise)


@pytest.mark.parametrize(("dy", "dx"), [(0.0, 0.0), (0.31, -0.42), (-3.3, 2.6)])
def test_register_recovers_an_offset_of_any_size(dy: float, dx: float) -> None:
    grid = sky_wcs(64, HSC_SCALE / 2, 0.0)
    hr = render(grid, HSC_SCALE / 2, 27.0, HST_PSF)
    lr_wcs = sky_wcs(32, HSC_SCALE, 0.0)
    lr_wcs.wcs.crpix = (grid.wcs.crpix - 0.5) / 2 + 0.5 + np.array([dx, dy])
    lr = 1.5 * render(lr_wcs, HSC_SCALE, 27.0, HSC_PSF) + 0.3
    found = register(lr, hr, 2, weight=np.full(lr.shape, 50.0), search=6)
    assert found is not None
    assert (found.dy, found.dx) == pytest.approx((dy, dx), abs=0.02)
    assert found.ratio == pytest.approx(1.5, rel=0.01)
    assert found.sky == pytest.approx(0.3, abs=0.05)


def test_nothing_is_made_up_on_empty_sky(tmp_path: Path, made: Path) -> None:
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
        f"{tmp_path}/one.csv: no position became a pair; the reasons are in {page}"
    )
    (row,) = rows(tmp_path / "out/rejected.csv")
    assert re.match(r"too faint to align: |no offset within 1 arcsec fits: ", row["reason"])
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
            "{folder}/hsc.fits: states no zero point (FLUXMAG0, MAGZERO, or PHOTFLAM with "
            "PHOTPLAM); give --hsc-zero-point, the AB magnitude of one unit of its values",
        ),
        (
            hst(PHOTFLAM=None),
            "{folder}/hst.fits: states no zero point (FLUXMAG0, MAGZERO, or PHOTFLAM with "
            "PHOTPLAM); give --hst-zero-point, the AB magnitude of one unit of its values",
        ),
        (hst(PHOTFLAM=0.0), "{folder}/hst.fits: PHOTFLAM is 0; expected a positive number"),
        (
            hst(CTYPE1=None, CTYPE2=None),
            "{folder}/hst.fits: has no WCS on the sky (such as CTYPE1 = RA---TAN, CTYPE2 = "
            "DEC--TAN); solve its astrometry first",
        ),
        (
            hst(BUNIT="MJy/sr"),
            "{folder}/hst.fits: BUNIT is 'MJy/sr', surface brightness; expected flux per pixel",
        ),
        (
            hst(CRVAL1=12.0),
            "{made}/hsc.fits and {folder}/hst.fits: do not overlap on the sky; give images of the "
            "same field, and check their WCS",
        ),
        (lambda folder: {"hst": [folder / "no.fits"]}, "{folder}/no.fits: no such file"),
        (lambda folder: {"hst": [folder / "*.fits"]}, "{folder}/*.fits: no file has such a name"),
        (full, "{folder}/out: is not empty; choose a new folder"),
    ],
)
def test_images_that_cannot_be_paired(
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ra,dec\n", "{path}: has no rows; expected a position on each"),
        (
            "",
            "{path}: its columns are none; expected ra and dec in degrees, and name if you like",
        ),
        (
            "RA,declination\n1,2\n",
            "{path}: its columns are ra, declination; expected ra and dec in degrees, and name if "
            "you like",
        ),
        (
            "ra,dec\n1,2\n10:00:00,2\n",
            "{path}, line 3: ra is '10:00:00' and dec '2'; expected degrees, dec from -90 to 90",
        ),
        (
            "ra,dec\n1,95\n",
            "{path}, line 2: ra is '1' and dec '95'; expected degrees, dec from -90 to 90",
        ),
        (
            "ra,dec\n1\n",
            "{path}, line 2: ra is '1' and dec ''; expected degrees, dec from -90 to 90",
        ),
        ("ra,dec,name\n1,2,../x\n", "{path}, line 2: the name '../x' is no file name"),
        ("ra,dec,name\n1,2,a\n3,4,a\n", "{path}: two rows have the name 'a'; a name is a file"),
    ],
)
def test_catalogues_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=f"^{re.escape(message.format(path=path))}$"):
        read_catalogue(path)


def test_positions_without_names_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("Dec, RA\n1.5,2.5\n-3,359\n")
    assert [(p.name, p.ra, p.dec) for p in read_catalogue(path)] == [
        ("00000", 2.5, 1.5),
        ("00001", 359, -3),
    ]
