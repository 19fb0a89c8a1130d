"""FITS images, compared with astropy."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty, VarianceUncertainty
from astropy.wcs import WCS
from srkit_astro.files.fits import SUFFIXES, Fits, bad_pixels

from srkit.errors import DataError, OutputError
from srkit.images.formats import Formats
from srkit.images.limits import allow
from srkit.interfaces import Image, Upscaled
from srkit.testing import check_image_format

RNG = np.random.default_rng(5)
DTYPES = ["u1", "<i2", ">i2", ">u2", ">i4", ">u4", ">i8", ">f4", "<f4", ">f8", "<f8"]


def _store(path: Path, *hdus: Any) -> Path:
    fits.HDUList(list(hdus)).writeto(path, overwrite=True)
    return path


def _header(**cards: Any) -> fits.Header:
    return fits.Header(cards)


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [*((dtype, (7, 5)) for dtype in DTYPES), (">f4", (4, 7, 5)), (">f4", (1, 1, 7, 5))],
)
@pytest.mark.parametrize("suffix", [".fits", ".FIT.gz", ".fts.fz"])
def test_any_numeric_type_and_shape_is_read_and_written_back(
    tmp_path: Path, formats: Formats, dtype: str, shape: tuple[int, ...], suffix: str
) -> None:
    values = (RNG.normal(50, 20, shape)).clip(0, 250).astype(dtype)
    path = tmp_path / f"a{suffix}"
    packed = suffix.endswith("fz")
    kind = fits.CompImageHDU if packed else fits.ImageHDU
    settings = {"compression_type": "GZIP_1", "quantize_level": 0} if packed else {}
    content = tmp_path / "stored"
    _store(content, fits.PrimaryHDU(), kind(values, **settings))
    stored = content.read_bytes()
    path.write_bytes(gzip.compress(stored) if suffix.endswith("gz") else stored)
    image = formats.read(path)
    assert image.pixels.dtype == torch.float32
    expected = values.astype(np.float32).reshape(-1, 7, 5)
    np.testing.assert_array_equal(image.pixels.numpy(), expected)
    assert image.data_range == (expected.min(), expected.max())
    formats.write(path, image)
    assert torch.equal(formats.read(path).pixels, image.pixels)


def test_scaled_integers_and_blank_are_converted(tmp_path: Path) -> None:
    hdu = fits.PrimaryHDU(np.array([[10.5, -39.5], [11.5, 12.0]]))
    hdu.scale("int16", bscale=0.5, bzero=10)
    hdu.header["BLANK"] = -99
    path = _store(tmp_path / "a.fits", hdu)
    assert b"BSCALE" in path.read_bytes()
    image = Fits().read(path)
    np.testing.assert_array_equal(image.pixels[0].numpy(), [[10.5, np.nan], [11.5, 12.0]])
    assert image.data_range == (10.5, 12.0)
    Fits().write(tmp_path / "b.fits", image)
    again = Fits().read(tmp_path / "b.fits").pixels
    torch.testing.assert_close(again, image.pixels, equal_nan=True, rtol=0, atol=0)


def test_nan_is_preserved_and_bad(tmp_path: Path) -> None:
    values = np.full((3, 4), np.nan, np.float32)
    path = _store(tmp_path / "a.fits", fits.PrimaryHDU(values))
    image = Fits().read(path)
    assert image.pixels.isnan().all()
    assert image.data_range == (0, 1)
    assert bad_pixels(image).all()


def test_the_data_range_of_a_constant_image_is_not_empty(tmp_path: Path) -> None:
    path = _store(tmp_path / "a.fits", fits.PrimaryHDU(np.full((3, 4), -2.0, np.float32)))
    assert Fits().read(path).data_range == (-2.0, 0.0)


@pytest.mark.parametrize("name", ["SCI", "science", "IMAGE"])
def test_the_named_extension_is_the_image(tmp_path: Path, name: str) -> None:
    path = _store(
        tmp_path / "a.fits",
        fits.PrimaryHDU(np.zeros((2, 2))),
        fits.ImageHDU(np.ones((2, 2)), name="WHT"),
        fits.ImageHDU(np.full((2, 2), 7.0), name=name),
    )
    assert Fits().read(path).pixels.unique().item() == 7


def test_without_a_name_the_first_image_is_read(tmp_path: Path) -> None:
    path = _store(
        tmp_path / "a.fits",
        fits.PrimaryHDU(np.zeros(9)),
        fits.ImageHDU(np.ones((2, 2)), name="ERR"),
        fits.ImageHDU(np.full((2, 2), 7.0), name="FLUX"),
        fits.ImageHDU(np.full((2, 2), 8.0), name="MODEL"),
    )
    image = Fits().read(path)
    assert image.pixels.unique().item() == 7
    assert image.metadata["variance"].unique().item() == 1


def test_the_header_inherits_from_an_empty_primary(tmp_path: Path) -> None:
    primary = fits.PrimaryHDU(header=_header(EXPTIME=90.0, BUNIT="DN", CRVAL1=1.0))
    science = fits.ImageHDU(np.zeros((2, 2)), _header(BUNIT="ELECTRONS/S"), name="SCI")
    science.header["HISTORY"] = "drizzled"
    header = Fits().read(_store(tmp_path / "a.fits", primary, science)).metadata["header"]
    assert (header["EXPTIME"], header["BUNIT"]) == (90.0, "ELECTRONS/S")
    assert list(header["HISTORY"]) == ["drizzled"]
    assert not {"NAXIS", "EXTNAME", "XTENSION", "BITPIX"} & set(header)


@pytest.mark.parametrize(
    ("name", "utype", "values", "variance"),
    [
        ("VARIANCE", None, [4.0, 0.0], [4.0, 0.0]),
        ("ERR", None, [3.0, 0.0], [9.0, 0.0]),
        ("IVAR", None, [4.0, 0.0], [0.25, np.inf]),
        ("UNCERTAINTY", None, [3.0, 0.0], [9.0, 0.0]),
        ("UNCERTAINTY", "VarianceUncertainty", [3.0, 0.0], [3.0, 0.0]),
        ("UNCERT", "InverseVariance", [4.0, 0.0], [0.25, np.inf]),
    ],
)
def test_noise_planes_become_variance(
    tmp_path: Path, name: str, utype: str | None, values: list[float], variance: list[float]
) -> None:
    noise = fits.ImageHDU(np.array([values]), name=name)
    if utype:
        noise.header["UTYPE"] = utype
    path = _store(tmp_path / "a.fits", fits.PrimaryHDU(np.zeros((1, 2))), noise)
    found = Fits().read(path).metadata["variance"]
    np.testing.assert_array_equal(found[0].numpy(), [variance])


@pytest.mark.parametrize("kind", [StdDevUncertainty, VarianceUncertainty])
def test_ccd_data_of_astropy_is_read(tmp_path: Path, kind: type) -> None:
    sigma = RNG.uniform(1, 2, (5, 6))
    uncertainty = kind(sigma if kind is StdDevUncertainty else sigma**2)
    mask = RNG.integers(0, 2, (5, 6)).astype(bool)
    CCDData(RNG.normal(size=(5, 6)), unit="adu", mask=mask, uncertainty=uncertainty).write(
        tmp_path / "a.fits"
    )
    image = Fits().read(tmp_path / "a.fits")
    np.testing.assert_allclose(image.metadata["variance"][0].numpy(), sigma**2, rtol=1e-6)
    np.testing.assert_array_equal(bad_pixels(image)[0].numpy(), mask)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_header_mask_and_variance_are_written_back(tmp_path: Path, suffix: str) -> None:
    header = _header(BUNIT="count / s", CTYPE1="RA---TAN", CRPIX1=3.25, BZERO=7, CHECKSUM="x")
    header["HISTORY"] = "first"
    header["HISTORY"] = "second"
    metadata = {
        "header": header,
        "mask": torch.randint(0, 300, (1, 5, 6)),
        "mask_header": _header(MP_SAT=1),
        "variance": torch.rand(3, 5, 6),
    }
    path = tmp_path / f"a{suffix}"
    Fits().write(path, Image(torch.randn(3, 5, 6), metadata=metadata))
    image = Fits().read(path)
    for key in ("mask", "variance"):
        assert torch.equal(image.metadata[key], metadata[key])
    assert image.metadata["mask_header"]["MP_SAT"] == 1
    kept = image.metadata["header"]
    assert [kept[key] for key in ("BUNIT", "CTYPE1", "CRPIX1")] == ["count / s", "RA---TAN", 3.25]
    assert list(kept["HISTORY"]) == ["first", "second"]
    assert "BZERO" not in kept


@pytest.mark.parametrize(
    ("stored", "kept"),
    [("u1", "u1"), ("i2", "i2"), ("i4", "i4"), ("i8", "i8"), ("u2", "i8"), ("f4", "i8")],
)
@pytest.mark.parametrize("suffix", [".fits", ".fits.fz"])
def test_flags_keep_their_type(tmp_path: Path, stored: str, kept: str, suffix: str) -> None:
    science = fits.ImageHDU(np.ones((2, 3), np.float32), name="SCI")
    flags = np.array([[0, 1, 2], [64, 127, 3]], stored)
    source = _store(
        tmp_path / "a.fits", fits.PrimaryHDU(), science, fits.ImageHDU(flags, name="DQ")
    )
    image = Fits().read(source)
    assert str(image.metadata["mask"].dtype) == f"torch.{np.dtype(kept).name}"
    Fits().write(tmp_path / f"b{suffix}", image)
    with fits.open(tmp_path / f"b{suffix}") as hdus:
        found = hdus["MASK"].data
        assert found.dtype.newbyteorder("=") == np.dtype(kept)
        np.testing.assert_array_equal(found, flags)


def test_written_files_are_read_by_astropy(tmp_path: Path) -> None:
    pixels, variance = torch.randn(1, 5, 6), torch.rand(1, 5, 6)
    metadata = {"header": _header(BUNIT="adu"), "variance": variance}
    Fits().write(tmp_path / "a.fits", Image(pixels, metadata=metadata))
    found = CCDData.read(tmp_path / "a.fits")
    np.testing.assert_array_equal(found.data, pixels[0].numpy())
    np.testing.assert_array_equal(found.uncertainty.array, variance[0].numpy())
    assert isinstance(found.uncertainty, VarianceUncertainty)


def test_only_bad_planes_count_if_bits_are_named(tmp_path: Path) -> None:
    mask = fits.ImageHDU(np.array([[0, 2, 32, 34, 256]], np.int32), name="MASK")
    mask.header["MP_SAT"] = 1
    with pytest.warns(fits.verify.VerifyWarning, match="HIERARCH"):
        mask.header["MP_DETECTED"] = 5
    with pytest.warns(fits.verify.VerifyWarning, match="HIERARCH"):
        mask.header["MP_NO_DATA"] = 8
    image = Fits().read(
        _store(tmp_path / "a.fits", fits.PrimaryHDU(), fits.ImageHDU(np.zeros((1, 5))), mask)
    )
    assert bad_pixels(image)[0, 0].tolist() == [False, True, False, True, True]


def test_any_flag_counts_if_bits_are_not_named(tmp_path: Path) -> None:
    flags = fits.ImageHDU(np.array([[0, 2, 32]], np.int16), name="DQ")
    path = _store(tmp_path / "a.fits", fits.PrimaryHDU(np.zeros((1, 3))), flags)
    assert bad_pixels(Fits().read(path))[0, 0].tolist() == [False, True, True]


@pytest.mark.parametrize("channels", [1, 3])
def test_contract_to_the_last_bit(tmp_path: Path, channels: int) -> None:
    check_image_format(Fits(), tmp_path, channels=channels, tolerance=0)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_truncated_files_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Fits().write(path, Image(torch.rand(1, 60, 60)))
    whole = path.read_bytes()
    end = len(whole)
    if not suffix.endswith(".gz"):
        with fits.open(path, disable_image_compression=True) as hdus:
            end = hdus[-1].fileinfo()["datLoc"] + hdus[-1].size  # the rest is padding
    for length in (*range(80, end, end // 12), end - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError) as caught:
            Fits().read(path)
        assert str(caught.value).startswith(f"{path}: cannot be read as FITS (")


def test_damaged_values_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    Fits().write(path, Image(torch.rand(1, 60, 60)))
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        Fits().read(path)
    assert str(caught.value) == (
        f"{path}: cannot be read as FITS (AstropyUserWarning: Datasum verification failed for HDU "
        "('PRIMARY', 1).); it may be damaged or incomplete; copy it again or remove it"
    )


def test_files_that_are_not_fits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_text("no")
    with pytest.raises(DataError) as caught:
        Fits().read(path)
    assert str(caught.value) == (
        f"{path}: is not a FITS file: it begins with the bytes 'no', not with SIMPLE"
    )


def test_files_without_an_image_are_refused(tmp_path: Path) -> None:
    path = _store(tmp_path / "a.fits", fits.PrimaryHDU(), fits.ImageHDU(np.zeros(4), name="X"))
    with pytest.raises(DataError) as caught:
        Fits().read(path)
    assert str(caught.value) == (
        f"{path}: contains no image with at least two axes; found PRIMARY (), X (4,)"
    )


def test_tables_are_not_images(tmp_path: Path) -> None:
    table = fits.BinTableHDU.from_columns([fits.Column("X", "E", array=np.zeros(3))], name="CAT")
    path = _store(tmp_path / "a.fits", fits.PrimaryHDU(), table)
    with pytest.raises(DataError) as caught:
        Fits().read(path)
    assert str(caught.value) == (
        f"{path}: contains no image with at least two axes; found PRIMARY (), CAT (a table)"
    )


def test_ignored_extensions_are_noted(tmp_path: Path) -> None:
    table = fits.BinTableHDU.from_columns([fits.Column("X", "E", array=np.zeros(3))], name="CAT")
    hdus = [
        fits.ImageHDU(np.ones((4, 5)), name=name) for name in ("SCI", "ERR", "DQ", "CTX", "PSF")
    ]
    path = _store(tmp_path / "a.fits", fits.PrimaryHDU(), *hdus[:2], hdus[3], table)
    assert Fits().read(path).metadata["notes"] == ["ignored extensions: CTX, CAT"]
    path = _store(tmp_path / "b.fits", fits.PrimaryHDU(), *hdus[:2])
    assert Fits().read(path).metadata["notes"] == []


def test_images_with_four_axes_are_refused(tmp_path: Path) -> None:
    path = _store(tmp_path / "a.fits", fits.PrimaryHDU(np.zeros((2, 3, 4, 5))))
    with pytest.raises(DataError) as caught:
        Fits().read(path)
    assert str(caught.value) == (
        f"{path}: the image has the shape (2, 3, 4, 5); expected (H, W) or (channels, H, W)"
    )


def test_values_beyond_float32_are_refused(tmp_path: Path) -> None:
    path = _store(tmp_path / "a.fits", fits.PrimaryHDU(np.array([[1e300, np.nan]])))
    with pytest.raises(DataError) as caught:
        Fits().read(path)
    assert str(caught.value) == (
        f"{path}: values up to 1e+300 do not fit in float32; convert the file to another unit"
    )


def test_planes_of_another_size_are_refused(tmp_path: Path) -> None:
    mask = fits.ImageHDU(np.zeros((3, 2), np.uint8), name="MASK")
    path = _store(tmp_path / "a.fits", fits.PrimaryHDU(np.zeros((2, 3))), mask)
    with pytest.raises(DataError) as caught:
        Fits().read(path)
    assert str(caught.value) == (
        f"{path}: MASK has the shape (1, 3, 2), the image (1, 2, 3); expected the same size"
    )


def test_planes_of_another_size_are_not_written(tmp_path: Path) -> None:
    image = Image(torch.zeros(1, 4, 4), metadata={"variance": torch.zeros(1, 2, 2)})
    with pytest.raises(DataError) as caught:
        Fits().write(tmp_path / "a.fits", image)
    assert str(caught.value) == (
        f"{tmp_path / 'a.fits'}: the variance has the shape (2, 2), the image (4, 4); "
        "resize or remove metadata['variance']"
    )


def test_headers_with_distortion_tables_are_not_written(tmp_path: Path) -> None:
    image = Image(torch.zeros(1, 4, 4), metadata={"header": _header(CPDIS1="LOOKUP")})
    with pytest.raises(DataError) as caught:
        Fits().write(tmp_path / "a.fits", image)
    assert str(caught.value) == (
        f"{tmp_path / 'a.fits'}: CPDIS1 in the header refers to distortion tables, which are "
        "missing; drizzle or reproject the image first"
    )


def test_a_failed_write_leaves_the_previous_file(tmp_path: Path) -> None:
    (tmp_path / "a.fits").mkdir()
    with pytest.raises(OutputError, match=r"a\.fits: cannot be written"):
        Fits().write(tmp_path / "a.fits", Image(torch.zeros(1, 2, 2)))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.fits"]


def test_compressed_files_of_excessive_size_are_refused(tmp_path: Path, formats: Formats) -> None:
    path = tmp_path / "a.fits.gz"
    formats.write(path, Image(torch.zeros(1, 400, 500)))
    with allow(0.01), pytest.raises(DataError) as caught:
        formats.read(path)
    assert str(caught.value) == (
        f"{path}: would decompress to more than 0.01 megapixels of 8 bytes, which could exhaust "
        "the memory; if you trust the file, decompress it first, or set a higher limit: "
        "--max-input MEGAPIXELS"
    )


@pytest.mark.parametrize(("unit", "factor"), [("nJy", 4), ("MJy / sr", 1), (None, 1)])
def test_brightness_reverts_enlarge(unit: str | None, factor: float) -> None:
    header = _header(BUNIT=unit) if unit else _header()
    lr = Image(torch.ones(1, 3, 4), metadata={"header": header})
    sr = torch.rand(1, 6, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Fits().brightness(lr, sr, 2), factor * sr)
    enlarged = Fits().enlarge(lr, Upscaled(sr), 2, [])
    torch.testing.assert_close(Fits().brightness(lr, enlarged.pixels, 2), sr)


def test_residuals_have_the_metadata_of_lr() -> None:
    header = _header(OBJECT="lens", BUNIT="nJy")
    known = {"header": header, "variance": torch.ones(1, 2, 2)}
    found = Fits().residual(Image(torch.ones(1, 2, 2), metadata=known), torch.zeros(1, 2, 2), ["a"])
    assert (found.pixels.sum(), found.metadata["header"]["OBJECT"]) == (0, "lens")
    assert list(found.metadata["header"]["HISTORY"]) == ["a"]
    assert "HISTORY" not in header
    assert torch.equal(found.metadata["variance"], known["variance"])


WCS_CARDS = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": -200.0, "CRPIX2": 30.5}
WCS_CARDS |= {"CRVAL1": 150.0, "CRVAL2": 2.0, "CD1_1": -1e-4, "CD1_2": 2e-5, "CD2_2": 1e-4}


def test_every_extension_has_the_wcs_of_the_image(tmp_path: Path) -> None:
    header = _header(**WCS_CARDS, LTV1=-300.0)
    stale = _header(**WCS_CARDS | {"CRPIX1": 1100.0}, PC1_1=1.0, LTV1=0.0, MP_SAT=1)
    image = Image(
        torch.zeros(1, 8, 9),
        metadata={
            "header": header,
            "mask": torch.zeros(1, 8, 9, dtype=torch.int16),
            "mask_header": stale,
            "variance": torch.ones(1, 8, 9),
        },
    )
    Fits().write(tmp_path / "a.fits", image)
    sr = Fits().enlarge(image, Upscaled(torch.zeros(1, 16, 18), torch.ones(1, 16, 18)), 2, [])
    Fits().write(tmp_path / "b.fits", sr)
    for name, scale in (("a.fits", 1), ("b.fits", 2)):
        with fits.open(tmp_path / name) as hdus:
            for hdu in hdus:
                found = WCS(hdu.header).all_pix2world(3.2 * scale, 4.7 * scale, 0)
                # The centre of pixel 0 lies half a pixel from the edge.
                x, y = ((place + 0.5) / scale - 0.5 for place in (3.2 * scale, 4.7 * scale))
                np.testing.assert_allclose(found, WCS(header).all_pix2world(x, y, 0), atol=1e-10)
                assert "PC1_1" not in hdu.header
                assert hdu.header["LTV1"] == (-300.0 - 0.5) * scale + 0.5
            assert hdus["MASK"].header["MP_SAT"] == 1
