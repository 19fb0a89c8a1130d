"""FITS images processed by windows, compared with processing the whole image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from frames_setup import by_windows
from srkit_astro.files.fits import Fits
from upscale_setup import upscale_file

from srkit.assembly.variance_head import VarianceHead
from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.models.open import fresh_model, open_model
from srkit.upscaling.upscaler import ImageUpscaler

SIDES = (61, 83)
WCS = {
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CRPIX1": 30.0,
    "CRPIX2": 20.0,
    "CRVAL1": 150.0,
    "CRVAL2": 2.0,
    "CDELT1": -1e-4,
    "CDELT2": 1e-4,
}


def _upscaler(scale: float = 2, **options: Any) -> ImageUpscaler:
    model = open_model("bicubic", Registry.discover(), at_least=scale)
    return ImageUpscaler(model, scale=scale, tile=24, **options)


def _values(dtype: str = "f4") -> Any:
    return np.random.default_rng(3).normal(90, 20, SIDES).clip(0, 250).astype(dtype)


def _store(path: Path, *hdus: Any) -> Path:
    fits.HDUList(list(hdus)).writeto(path, checksum=True)
    return path


def _compare(source: Path, upscaler: ImageUpscaler, formats: Formats) -> None:
    """Restore a file both ways; compare values, headers and messages."""
    whole, parts = source.with_name("whole.fits"), source.with_name("parts.fits")
    messages = upscale_file(source, whole, upscaler, formats)
    with by_windows():
        assert upscale_file(source, parts, upscaler, formats) == messages
    # A wrong checksum causes a warning of astropy, which is an error in tests.
    with fits.open(whole) as first, fits.open(parts, checksum=True) as second:
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert one.data.dtype == other.data.dtype
            np.testing.assert_allclose(one.data, other.data, rtol=1e-5, atol=1e-5)
            ignored = ("CHECKSUM", "DATASUM")
            difference = fits.HeaderDiff(one.header, other.header, ignore_keywords=ignored)
            assert difference.identical, difference.report()
            # Where cards are added at the end, there may be a block of blank ones.
            names = [" ".join(header).split() for header in (one.header, other.header)]
            assert names[0] == names[1]
    assert (parts.stat().st_size - whole.stat().st_size) % 2880 == 0


def test_the_noise_is_stated(tmp_path: Path, formats: Formats) -> None:
    values = np.random.default_rng(0).normal(7, 2, (60, 64)).astype(np.float32)
    source = _store(tmp_path / "a.fits", fits.PrimaryHDU(values))
    _compare(source, _upscaler(2), formats)
    header = fits.getheader(tmp_path / "parts.fits")
    assert 1 < header["NOISERMS"] < 2.2
    assert 0 < header["NOISECOR"] < 1 < header["NOISEFAC"]


@pytest.mark.parametrize("scale", [2, 3.5, 0.7])
@pytest.mark.parametrize("stored", ["i4", "u2"])
def test_header_mask_and_holes_are_kept(
    tmp_path: Path, formats: Formats, scale: float, stored: str
) -> None:
    values = _values()
    values[10:12, 30], values[60, 70] = np.nan, np.inf
    flags = (np.random.default_rng(1).random(SIDES) > 0.9).astype(stored) * 4
    mask = fits.ImageHDU(flags, fits.Header({"MP_BAD": 2}), name="MASK")
    noise = fits.ImageHDU(values**2, name="VARIANCE")
    primary = fits.PrimaryHDU(header=fits.Header({"EXPTIME": 100.0}))
    science = fits.ImageHDU(values, fits.Header({**WCS, "BUNIT": "nJy"}), name="SCI")
    source = _store(tmp_path / "a.fits", primary, science, mask, noise)
    _compare(source, _upscaler(scale), formats)


@pytest.mark.parametrize("dtype", ["u1", ">i2", ">u2", ">i4", ">i8", ">f8"])
def test_any_numeric_type_is_read(tmp_path: Path, formats: Formats, dtype: str) -> None:
    source = _store(tmp_path / "a.fits", fits.PrimaryHDU(_values(dtype)))
    _compare(source, _upscaler(), formats)


def test_scaled_integers_and_blank_are_converted(tmp_path: Path, formats: Formats) -> None:
    hdu = fits.PrimaryHDU(_values())
    hdu.scale("int16", bscale=0.01, bzero=100)
    stored = hdu.data.copy()
    stored[5, 5] = -32768
    hdu = fits.PrimaryHDU(stored, do_not_scale_image_data=True)
    hdu.header.update({"BSCALE": 0.01, "BZERO": 100.0, "BLANK": -32768})
    source = tmp_path / "a.fits"
    hdu.writeto(source)
    _compare(source, _upscaler(), formats)
    opened = Fits().open_source(source)
    assert opened is not None
    assert bool(opened.rows(5, 6).pixels[0, 0, 5].isnan())
    opened.close()


def test_a_cube_with_an_axis_of_length_1_is_read(tmp_path: Path, formats: Formats) -> None:
    cube = np.stack([_values(), -_values(), _values() ** 2])[None]
    _compare(_store(tmp_path / "a.fits", fits.PrimaryHDU(cube)), _upscaler(), formats)


@pytest.mark.parametrize("predicted", [True, False])
def test_uncertainty_is_written(tmp_path: Path, formats: Formats, predicted: bool) -> None:
    source = _store(tmp_path / "a.fits", fits.PrimaryHDU(_values(), fits.Header({"BUNIT": "adu"})))
    options = ["blocks=1", "features=4"]
    model = fresh_model("edsr", Registry.discover(), options, scale=2, channels=1)
    model = replace(model, head=VarianceHead(channels=1, features=4) if predicted else None)
    _compare(source, ImageUpscaler(model, tile=24, uncertainty=True), formats)


@pytest.mark.parametrize("cards", range(28, 36))
def test_a_change_of_flux_is_added_to_the_header_at_the_end(
    tmp_path: Path, formats: Formats, cards: int
) -> None:
    # Headers that just fill or exceed their block.
    values = np.zeros(SIDES, "f4")
    values[0] = 100.0  # at the border, where interpolation changes the mean
    header = fits.Header({f"KEY{n}": n for n in range(cards - 8)})
    source = _store(tmp_path / "a.fits", fits.PrimaryHDU(values, header))
    upscaler = ImageUpscaler(_brighter(), tile=24)
    whole, parts = tmp_path / "whole.fits", tmp_path / "parts.fits"
    messages = upscale_file(source, whole, upscaler, formats)
    assert any("the model changes the total flux by +10.0%" in line for line in messages)
    with by_windows():
        assert upscale_file(source, parts, upscaler, formats) == messages
    with fits.open(whole) as first, fits.open(parts, checksum=True) as second:
        np.testing.assert_allclose(first[0].data, second[0].data, rtol=1e-5)
        history = [list(each[0].header["HISTORY"]) for each in (first, second)]
    assert history[0] == history[1]


def _brighter() -> Any:
    import torch
    from torch import Tensor, nn

    from srkit.models.open import Model

    class Brighter(nn.Module):
        channels_last = False

        def forward(self, lr: Tensor) -> Tensor:
            return 1.1 * lr.repeat_interleave(2, -1).repeat_interleave(2, -2)

    with torch.no_grad():
        return Model("brighter", Brighter(), 2, 1)


def test_other_formats_can_be_written(tmp_path: Path, formats: Formats) -> None:
    source = _store(tmp_path / "a.fits", fits.PrimaryHDU(_values(), fits.Header(WCS)))
    for name in ("sr.tif", "sr.npy"):
        messages = upscale_file(source, tmp_path / f"whole_{name}", _upscaler(), formats)
        with by_windows():
            assert upscale_file(source, tmp_path / name, _upscaler(), formats) == messages
        assert "header with its WCS dropped" in messages[-1]
        found, whole = (formats.read(tmp_path / f"{kind}{name}") for kind in ("", "whole_"))
        np.testing.assert_allclose(found.pixels, whole.pixels, rtol=1e-5)


def test_compressed_files_are_read_whole(tmp_path: Path) -> None:
    packed = tmp_path / "a.fits.fz"
    image = fits.CompImageHDU(_values(), compression_type="GZIP_2", quantize_level=0)
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(packed)
    assert Fits().open_source(packed) is None
    fits.PrimaryHDU(_values()).writeto(tmp_path / "a.fits.gz")
    assert Fits().open_source(tmp_path / "a.fits.gz") is None


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    source = _store(tmp_path / "a.fits", fits.PrimaryHDU(_values()))
    content = bytearray(source.read_bytes())
    source.write_bytes(content[:-2880])
    with pytest.raises(DataError) as caught:
        Fits().open_source(source)
    assert str(caught.value).startswith(f"{source}: cannot be read as FITS (")
    assert str(caught.value).endswith(
        "; it may be damaged or incomplete; copy it again or remove it"
    )
    content[6000] ^= 1
    source.write_bytes(content)
    opened = Fits().open_source(source)
    assert opened is not None
    with pytest.raises(DataError) as caught:
        opened.rows(0, 1)
    opened.close()
    assert str(caught.value) == (
        f"{source}: cannot be read as FITS (Datasum verification failed for PRIMARY); it may be "
        "damaged or incomplete; copy it again or remove it"
    )


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    mask = fits.ImageHDU(np.zeros((3, 4), "i4"), name="MASK")
    source = _store(tmp_path / "a.fits", fits.PrimaryHDU(_values()), mask)
    with pytest.raises(DataError) as caught:
        Fits().open_source(source)
    assert str(caught.value) == (
        f"{source}: MASK has the shape (1, 3, 4), the image (1, 61, 83); expected the same size"
    )


def test_values_beyond_float32_are_refused(tmp_path: Path) -> None:
    values = _values("f8")
    values[40, 2] = 1e300
    opened = Fits().open_source(_store(tmp_path / "a.fits", fits.PrimaryHDU(values)))
    assert opened is not None
    with pytest.raises(DataError) as caught:
        opened.rows(0, 40)
    opened.close()
    assert str(caught.value) == (
        f"{tmp_path / 'a.fits'}: values up to 1e+300 do not fit in float32; convert the file to "
        "another unit"
    )


def test_blanks_weights_and_tables_are_read_as_in_the_whole(
    tmp_path: Path, formats: Formats
) -> None:
    header = fits.Header({**WCS, "CPDIS1": "LOOKUP", "CPDIS2": "LOOKUP"})
    for key in ("DP1", "DP2"):
        for field, value in (("EXTVER", 1), ("NAXES", 2), ("AXIS.1", 1), ("AXIS.2", 2)):
            header[key] = f"{field}: {value:.1f}"
    science = fits.ImageHDU(_values("u2"), header, name="SCI")
    science.header["BLANK"] = int(_values("u2")[3, 4]) - 2**15
    weights = fits.ImageHDU(np.ones(SIDES, np.float32), name="WHT")
    weights.data[7, 8] = 0
    table = fits.ImageHDU(np.full((3, 3), 0.5, np.float32), name="WCSDVARR")
    table.header.update(CRPIX1=1.0, CRPIX2=1.0, CRVAL1=1.0, CRVAL2=1.0, CDELT1=40.0, CDELT2=40.0)
    source = _store(tmp_path / "a.fits", fits.PrimaryHDU(), science, weights, table)
    _compare(source, _upscaler(), formats)
    with fits.open(tmp_path / "parts.fits") as hdus:
        assert hdus["WCSDVARR"].data[0, 0] == 1
        assert hdus[0].header["CPDIS1"] == "LOOKUP"
        assert np.isnan(hdus[0].data[14:16, 16:18]).all()


def test_missing_padding_does_not_matter(tmp_path: Path, formats: Formats) -> None:
    source = _store(tmp_path / "a.fits", fits.PrimaryHDU(_values()))
    with fits.open(source) as hdus:
        end = hdus[0].fileinfo()["datLoc"] + hdus[0].size
    source.write_bytes(source.read_bytes()[:end])
    _compare(source, _upscaler(), formats)
