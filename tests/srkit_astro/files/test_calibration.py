"""Physical types and zero points, compared with the numbers of handbooks."""

from __future__ import annotations

import pytest
import torch
from astropy.io.fits import Header
from srkit_astro.files.calibration import (
    electrons_per_unit,
    per_lr_area,
    physical_type,
    pixel_area,
    to_file_values,
    type_of_values,
    zero_point,
    zero_point_of_pixels,
)

from srkit.errors import DataError
from srkit.interfaces import Image


def _header(**cards: object) -> Header:
    return Header(cards)


FLUX = [
    *("ELECTRONS/S", "electron/s", "e-/s", "COUNTS", "cps", "count / s / pix", "DN", "ADU"),
    *("Jy", "mJy/pixel", "nanomaggy", "erg/s/cm2/Angstrom", "10**-20 erg/s/cm**2/Angstrom"),
]
BRIGHTNESS = ["MJy/sr", "Jy/beam", "K", "count/s/arcsec2", "nJy/arcsec**2", "nmgy/deg2"]


@pytest.mark.parametrize("unit", FLUX)
def test_units_of_flux_per_pixel(unit: str) -> None:
    assert physical_type(_header(BUNIT=unit)) == "flux"


@pytest.mark.parametrize("unit", BRIGHTNESS)
def test_units_of_surface_brightness(unit: str) -> None:
    assert physical_type(_header(BUNIT=unit)) == "surface_brightness"


@pytest.mark.parametrize("cards", [{}, {"BUNIT": ""}, {"BUNIT": "gibberish"}])
def test_unknown_units(cards: dict[str, str]) -> None:
    assert physical_type(_header(**cards)) is None
    assert zero_point(_header(**cards)) is None


@pytest.mark.parametrize("unit", ["mag", "mag/arcsec2", "ABmag"])
def test_magnitudes_are_refused(unit: str) -> None:
    with pytest.raises(DataError) as caught:
        physical_type(_header(BUNIT=unit))
    assert str(caught.value) == f"BUNIT is '{unit}'; expected a linear unit, not magnitudes"


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({"MAGZERO": 27, "FLUXMAG0": 1.0}, 27.0),
        # The HSC pipeline's zero point, 10**(0.4 * 27).
        ({"FLUXMAG0": 63095734448.0194}, 27.0),
        # ACS/WFC F814W and F606W, 2006: ABMAG of the STScI zero point calculator.
        ({"PHOTFLAM": 7.0332e-20, "PHOTPLAM": 8045.5, "BUNIT": "ELECTRONS/S"}, 25.947),
        ({"PHOTFLAM": 7.8420e-20, "PHOTPLAM": 5921.1, "BUNIT": "ELECTRONS/S"}, 26.494),
        ({"BUNIT": "Jy"}, 8.90),
        ({"BUNIT": "nJy"}, 31.40),
        ({"BUNIT": "uJy/pixel"}, 23.90),
        ({"BUNIT": "nanomaggy"}, 22.50),
        ({"BUNIT": "electron / s"}, None),
        ({"BUNIT": "MJy/sr"}, None),
    ],
)
def test_zero_points(cards: dict[str, object], expected: float | None) -> None:
    assert zero_point(_header(**cards)) == pytest.approx(expected, abs=2e-3)


def test_values_per_exposure_need_the_exposure_time() -> None:
    cards = {"PHOTFLAM": 7.0332e-20, "PHOTPLAM": 8045.5, "BUNIT": "ELECTRONS"}
    with pytest.raises(DataError) as caught:
        zero_point(_header(**cards))
    assert str(caught.value) == (
        "BUNIT is 'ELECTRONS', but PHOTFLAM is for values per second; EXPTIME is needed to convert "
        "them"
    )
    found = zero_point(_header(**cards, EXPTIME=100.0))
    assert found == pytest.approx(25.947 + 5, abs=2e-3)


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ({"MAGZERO": "27"}, "MAGZERO is '27'; expected a number"),
        ({"MAGZPT": True}, "MAGZPT is True; expected a number"),
        ({"FLUXMAG0": 0.0}, "FLUXMAG0 is 0; expected a positive number"),
        ({"PHOTFLAM": -1.0, "PHOTPLAM": 1.0}, "PHOTFLAM is -1; expected a positive number"),
    ],
)
def test_invalid_zero_points_are_refused(cards: dict[str, object], message: str) -> None:
    with pytest.raises(DataError) as caught:
        zero_point(_header(**cards))
    assert str(caught.value) == message


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_total_flux_is_conserved(scale: int) -> None:
    lr = torch.randn(1, 6, 7)
    sr = lr.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    header = Header()
    per_pixel = to_file_values(sr, header, "flux", scale)
    torch.testing.assert_close(per_pixel.sum(), lr.sum())
    torch.testing.assert_close(per_pixel * per_lr_area("flux", scale), sr)
    brightness = to_file_values(sr, header, "surface_brightness", scale)
    torch.testing.assert_close(brightness.mean(), lr.mean())
    assert per_lr_area("surface_brightness", scale) == 1
    assert list(header["HISTORY"]) == [
        f"Flux per pixel: {scale}x{scale} pixels share the flux of one.",
        "Surface brightness: values do not depend on the pixel size.",
    ]


@pytest.mark.parametrize(
    ("cards", "side", "expected"),
    [
        # -2.5 log10(1e6 * 6.63389e-13 Jy / 3631 Jy)
        ({"BUNIT": "MJy/sr", "PIXAR_SR": 6.63389049124921e-13}, None, 24.3456),
        ({"BUNIT": "MJy/sr", "PIXAR_A2": 0.028224}, None, 24.3456),
        ({"BUNIT": "MJY/SR"}, 0.168, 24.3456),
        ({"BUNIT": "nJy / arcsec2"}, 2.0, 31.4 - 1.5051),
        ({"BUNIT": "MJy/sr"}, None, None),
        ({"BUNIT": "Jy/beam", "PIXAR_SR": 1e-12}, None, None),
        ({"BUNIT": "nJy", "PIXAR_SR": 1e-12}, None, None),
    ],
)
def test_zero_points_of_surface_brightness(
    cards: dict[str, object], side: float | None, expected: float | None
) -> None:
    header = _header(**cards)
    found = zero_point_of_pixels(header, pixel_area(header, side))
    assert found == pytest.approx(expected, abs=1e-3)


def test_only_known_flux_is_divided() -> None:
    for cards, metadata, expected in (
        ({"BUNIT": "adu"}, {}, "flux"),
        ({"BUNIT": "JY/BEAM"}, {}, "surface_brightness"),
        ({"FLUXMAG0": 6e10}, {}, "flux"),
        ({}, {"zero_point": 25.0}, "flux"),
    ):
        image = Image(torch.zeros(1, 1, 1), metadata={"header": _header(**cards), **metadata})
        assert type_of_values(image) == (expected, None)
    for cards, what in (({}, "no unit is stated"), ({"BUNIT": "lumps"}, "the unit 'lumps' is")):
        image = Image(torch.zeros(1, 1, 1), metadata={"header": _header(**cards)})
        values, message = type_of_values(image)
        assert values == "surface_brightness"
        assert message is not None
        assert message.startswith(what)


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({"BUNIT": "electron"}, 1.0),
        ({"BUNIT": "ELECTRONS/S", "EXPTIME": 2200.0}, 2200.0),
        ({"BUNIT": "e-/min/pixel", "EXPTIME": 120.0}, 2.0),
        ({"BUNIT": "ADU", "GAIN": 3.1}, 3.1),
        # The GAIN of amateur cameras is a setting; EGAIN is in electrons per ADU.
        ({"BUNIT": "adu", "GAIN": 120, "EGAIN": 0.77}, 0.77),
        ({"BUNIT": "count / s", "GAIN": 2, "EXPTIME": 30}, 60.0),
        ({"BUNIT": "ELECTRONS/S"}, None),
        ({"BUNIT": "ADU", "GAIN": 0}, None),
        ({"BUNIT": "ADU", "GAIN": "low"}, None),
        ({"BUNIT": "nJy", "GAIN": 2.0, "EXPTIME": 30.0}, None),
        ({"GAIN": 2.0, "EXPTIME": 30.0}, None),
        ({"BUNIT": "MJy/sr", "EXPTIME": 30.0}, None),
    ],
)
def test_electrons_per_unit(cards: dict[str, object], expected: float | None) -> None:
    found = electrons_per_unit(_header(**cards))
    assert found == (expected if expected is None else pytest.approx(expected))
