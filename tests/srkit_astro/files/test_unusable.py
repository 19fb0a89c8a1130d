"""Flagged and saturated pixels of FITS files: interpolated, marked and reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from frames_setup import by_windows
from srkit_astro.files.fits import Fits, bad_pixels
from srkit_astro.files.unusable import PLANES
from upscale_setup import nearest_upscaler, upscale_file

import srkit
from srkit.components.registry import Registry
from srkit.images.formats import Formats
from srkit.models.open import open_model
from srkit.upscaling.upscaler import ImageUpscaler

DONE = "interpolated for the network, and marked in MASK (SRINTRP; SRNEAR around them)"


def _sky(side: int = 60) -> np.ndarray:
    """Return noise and a star whose peak is 5000."""
    y, x = np.mgrid[:side, :side]
    noise = np.random.default_rng(0).normal(0, 1, (side, side))
    star = 5000 * np.exp(-((x - 30.2) ** 2 + (y - 20.7) ** 2) / (2 * 3.0**2))
    return (noise + star).astype(np.float32)


def _store(path: Path, values: Any, flags: Any = None, names: Any = None, **cards: Any) -> Path:
    hdus = [fits.PrimaryHDU(values, fits.Header({"BUNIT": "adu", **cards}))]
    if flags is not None:
        hdus.append(fits.ImageHDU(flags, fits.Header(names or {}), name="DQ"))
    fits.HDUList(hdus).writeto(path)
    return path


def _unusable(path: Path) -> tuple[np.ndarray, list[str]]:
    """Return the pixels that are not used, and the messages on them, read in both ways."""
    image = Fits().read(path)
    source = Fits().open_source(path)
    assert source is not None
    rows = source.rows(0, image.pixels.shape[-2])
    notes = image.metadata["unusable_notes"]
    assert source.outline.metadata["unusable_notes"] == notes
    source.close()
    none = np.zeros(image.pixels.shape, bool)
    found, again = (np.asarray(each.metadata.get("unusable", none)) for each in (image, rows))
    np.testing.assert_array_equal(found, again)
    return found[0], notes


def test_a_stated_saturation(tmp_path: Path) -> None:
    values = _sky()
    found, notes = _unusable(_store(tmp_path / "a.fits", values, SATURATE=2500.0))
    np.testing.assert_array_equal(found, values >= 2500)
    assert notes == [f"{(values >= 2500).sum()} pixels are saturated, 2500 or more; {DONE}"]


def test_a_clipped_star_with_a_bleed(tmp_path: Path) -> None:
    values = _sky(200).clip(max=3000)
    values[10:90, 29:32] = 3000
    found, notes = _unusable(_store(tmp_path / "a.fits", values))
    np.testing.assert_array_equal(found, values == 3000)
    count = (values == 3000).sum()
    assert notes == [
        f"{count} pixels are saturated: all have the largest value, 3000; {DONE}",
    ]


def test_values_that_are_not_saturated(tmp_path: Path) -> None:
    """Noise, a star, few counts, a flat field, a picture of blocks."""
    rng = np.random.default_rng(1)
    blocks = np.zeros((80, 80))
    blocks[20:24, 30:34] = 7
    for index, values in enumerate(
        (
            rng.normal(0, 1, (80, 80)),
            _sky(),
            rng.poisson(0.01, (200, 200)),
            rng.poisson(3, (80, 80)),
            np.ones((80, 80)),
            blocks,
        )
    ):
        found, notes = _unusable(_store(tmp_path / f"{index}.fits", values.astype(np.float32)))
        assert (found.sum(), notes) == (0, [])


def test_a_saturation_in_another_unit_is_ignored(tmp_path: Path) -> None:
    for pedestal, share in ((100, 100), (0, 7)):
        path = _store(tmp_path / f"{share}.fits", _sky() + pedestal, SATURATE=50.0)
        found, notes = _unusable(path)
        assert not found.any()
        assert notes == [
            f"{share}% of the pixels are beyond the saturation of the header, 50, which is not in "
            "the unit of the values and is ignored"
        ]


#: Flags with what they mean where, and whether the pixel is not to be used.
FLAGS: list[tuple[dict[str, Any], dict[str, Any], int, bool]] = [
    ({}, {}, 4, True),
    ({"TELESCOP": "JWST"}, {}, 1, True),  # DO_NOT_USE
    ({"TELESCOP": "JWST"}, {}, 2, True),  # SATURATED
    ({"TELESCOP": "JWST"}, {}, 4, False),  # JUMP_DET
    ({"TELESCOP": "HST"}, {}, 256, True),  # saturated
    ({"TELESCOP": "HST"}, {}, 64, False),  # warm
    ({"INSTRUME": "DECam"}, {}, 2, True),  # SATURATE
    ({"INSTRUME": "DECam"}, {}, 64, True),  # TRAIL
    ({"INSTRUME": "DECam"}, {}, 32, False),  # near a star
    ({}, {"MP_SAT": 1, "MP_EDGE": 4}, 2, True),
    ({}, {"MP_SAT": 1, "MP_EDGE": 4}, 16, False),
]


@pytest.mark.parametrize(("cards", "names", "flag", "bad"), FLAGS)
def test_flags(
    tmp_path: Path, cards: dict[str, Any], names: dict[str, Any], flag: int, bad: bool
) -> None:
    flags = np.zeros((60, 60), np.int16)
    flags[40, 41], flags[7, 8] = flag, flag
    found, notes = _unusable(_store(tmp_path / "a.fits", _sky(), flags, names, **cards))
    np.testing.assert_array_equal(found, (flags != 0) & bad)
    assert notes == ([f"2 pixels are flagged; {DONE}"] if bad else [])
    assert "EDGE" not in PLANES
    # In pairs, pixels at the edge of an exposure do not count either.
    pairs = bad_pixels(Fits().read(tmp_path / "a.fits"))[0].numpy()
    np.testing.assert_array_equal(pairs, (flags != 0) & (bad or "MP_EDGE" in names))


def test_too_many_flags_are_not_interpolated(tmp_path: Path) -> None:
    flags = np.ones((60, 60), np.int16)
    found, notes = _unusable(_store(tmp_path / "a.fits", _sky(), flags))
    assert not found.any()
    assert notes == [
        "100% of the pixels are flagged, which are used all the same: so many cannot be "
        "interpolated"
    ]


@pytest.mark.parametrize(
    ("dtype", "names", "keys", "bit"),
    [
        (np.uint8, {}, ("SRINTRP", "SRNEAR"), 8),
        (np.int16, {}, ("SRINTRP", "SRNEAR"), 16),
        (np.int32, {"MP_BAD": 2}, ("MP_SRINTRP", "MP_SRNEAR"), 32),
        (None, {}, ("SRINTRP", "SRNEAR"), 0),
    ],
)
def test_marks_of_sr(
    tmp_path: Path, formats: Formats, dtype: Any, names: Any, keys: tuple[str, str], bit: int
) -> None:
    """The flags of LR are enlarged, and two bits show where SR depends on interpolated pixels."""
    values = _sky()
    values[50, 50] = np.nan
    flags = np.zeros((60, 60), dtype)
    flags[40, 41] = 4
    if dtype == np.int16:
        flags[3, 4] = -(2**15)
    path = _store(tmp_path / "a.fits", values, None if dtype is None else flags, names)
    model = open_model("sky_x2", Registry.discover())
    upscaler = ImageUpscaler(model)
    notes = upscale_file(path, tmp_path / "b.fits", upscaler, formats)
    with by_windows():
        assert upscale_file(path, tmp_path / "c.fits", upscaler, formats) == notes
    radius = upscaler.network.core_radius
    for name in ("b.fits", "c.fits"):
        with fits.open(tmp_path / name) as hdus:
            mask = hdus["MASK"].data.astype(np.int64)
            header = hdus["MASK"].header
            assert np.isnan(hdus[0].data).sum() == 4
        assert [header[key] for key in keys] == [bit, bit + 1]
        bad, near = (mask >> bit) & 1, (mask >> (bit + 1)) & 1
        expected = np.zeros((60, 60), int)
        places = [(50, 50)] + ([(40, 41)] if dtype else [])
        places += [(3, 4)] if dtype == np.int16 else []
        for y, x in places:
            expected[y, x] = 1
            assert bad[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].all()
            inside = slice(2 * (y - radius), 2 * (y + radius + 1))
            assert (bad | near)[inside, 2 * (x - radius) : 2 * (x + radius + 1)].all()
        np.testing.assert_array_equal(bad, expected.repeat(2, 0).repeat(2, 1))
        side = 2 * (2 * radius + 1)
        assert (bad | near).sum() <= len(places) * side**2
        if dtype:
            own = mask & (2**bit - 1)
            assert own[80:82, 82:84].tolist() == [[4, 4], [4, 4]]
            assert own[6, 8] == (2**15 if dtype == np.int16 else 0)
    # What srkit marks is bad where the file is read again.
    again = Fits().read(tmp_path / "b.fits").metadata["unusable"][0].numpy()
    assert again[100, 100]
    if keys[0] == "MP_SRINTRP":
        assert not again[100, 100 + 2 * radius]


def test_an_interpolation_receives_all_values(tmp_path: Path, formats: Formats) -> None:
    """Nothing is replaced, marked or reported: there is no network that it could mislead."""
    values, flags = _sky(), np.zeros((60, 60), np.uint8)
    flags[40, 41], values[50, 50] = 4, np.nan
    path = _store(tmp_path / "a.fits", values, flags, SATURATE=2500.0)
    notes = ["1 pixel has no value, and none in SR either"]
    assert upscale_file(path, tmp_path / "b.fits", nearest_upscaler(None), formats) == notes
    with by_windows():
        assert upscale_file(path, tmp_path / "c.fits", nearest_upscaler(None), formats) == notes
    for name in ("b.fits", "c.fits"):
        with fits.open(tmp_path / name) as hdus:
            expected = values.repeat(2, 0).repeat(2, 1)
            np.testing.assert_allclose(4 * hdus[0].data, expected, rtol=0, atol=1e-3)
            flagged = (hdus["MASK"].data & 4).astype(bool)
            np.testing.assert_array_equal(flagged, (flags == 4).repeat(2, 0).repeat(2, 1))
            marked = (hdus["MASK"].data >> hdus["MASK"].header["SRINTRP"]) & 1
            np.testing.assert_array_equal(marked == 1, np.isnan(hdus[0].data))


@pytest.mark.parametrize("scale", [2, 3.5])
def test_windows_equal_the_whole(tmp_path: Path, formats: Formats, scale: float) -> None:
    """Interpolation, marks and flux of a frame that is restored by windows."""
    values = _sky(120).clip(max=3000)
    values[10:90, 29:32] = 3000
    values[70:110, 60:90] = np.nan
    flags = (np.random.default_rng(4).random((120, 120)) > 0.98).astype(np.uint8)
    path = _store(tmp_path / "a.fits", values, flags)
    upscaler = ImageUpscaler(open_model("sky_x2", Registry.discover()), scale=scale, tile=40)
    messages = upscale_file(path, tmp_path / "b.fits", upscaler, formats)
    with by_windows():
        assert upscale_file(path, tmp_path / "c.fits", upscaler, formats) == messages
    with fits.open(tmp_path / "b.fits") as whole, fits.open(tmp_path / "c.fits") as parts:
        for one, other in zip(whole, parts, strict=True):
            np.testing.assert_allclose(one.data, other.data, rtol=1e-4, atol=2e-3)
        assert list(whole[0].header["HISTORY"]) == list(parts[0].header["HISTORY"])
        assert not any("flux changed" in line for line in whole[0].header["HISTORY"])


def test_a_saturated_star_does_not_ring(tmp_path: Path, formats: Formats) -> None:
    """No value of SR is far below the smallest of LR, and the bleed is gone."""
    values = _sky(200).clip(max=3000)
    values[10:90, 29:32] = 3000
    path = _store(tmp_path / "a.fits", values)
    upscaler = ImageUpscaler(open_model("sky_x2", Registry.discover()))
    upscale_file(path, tmp_path / "b.fits", upscaler, formats)
    sr = 4 * fits.getdata(tmp_path / "b.fits")
    assert sr.min() > values.min() - 3
    assert abs(sr[100:170, 58:64].mean()) < 5
    upscale_file(path, tmp_path / "n.fits", nearest_upscaler(), formats)
    near = 4 * fits.getdata(tmp_path / "n.fits")
    good = (values < 3000).repeat(2, 0).repeat(2, 1)
    np.testing.assert_allclose(near[good], values.repeat(2, 0).repeat(2, 1)[good], atol=1e-3)


def test_python_warns_of_pixels_that_a_network_does_not_receive(tmp_path: Path) -> None:
    path = _store(tmp_path / "a.fits", _sky(), SATURATE=2500.0)
    hdu = fits.PrimaryHDU(_sky(), fits.Header({"BUNIT": "adu", "SATURATE": 2500.0}))
    for given, name in ((path, f"{path}: "), (hdu, "")):
        with pytest.warns(UserWarning, match=rf"^{name}[0-9]+ pixels are saturated, 2500 or more"):
            srkit.upscale(given, model="sky_x2")
        srkit.upscale(given, model="bicubic", scale=2)  # receives all values
