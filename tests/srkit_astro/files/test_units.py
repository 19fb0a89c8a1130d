"""Units in the spellings of headers: whether values are divided, and what they are to astropy."""

from __future__ import annotations

import astropy.units as u
import pytest
from srkit_astro.files.units import kind_of, parse

FLUX = [
    *("ELECTRONS/S", "electron/s", "e-/s", "e-/sec", "COUNTS", "COUNTS/SEC", "cps", "DN", "DN/S"),
    *("ADU", "ADU/S", "adus", "count / s / pix", "Jy", "JY", "mJy/pixel", "MJY", "NJY", "UJY"),
    *("nanomaggy", "nanomaggies", "NMGY", "maggies", "erg/s/cm2/Angstrom", "erg/s", "Lsun"),
    *("10**-20 erg/s/cm**2/Angstrom", "10^-20 erg/s/cm^2/A", "1E-17 ERG/CM^2/S/ANG", "W m-2 um-1"),
    *("1e-20 erg s-1 cm-2 A-1", "photon/s/cm2", "e", "Jy km/s", "foo/pix"),
]
LEVELS = [
    *("MJy/sr", "MJY/SR", "Jy/beam", "JY/BEAM", "Jy/bm", "mJy beam-1", "Jy beam^-1", "foo/beam"),
    *("JY/BEAM.KM/S", "K", "KELVIN", "mK", "K (Tmb)", "K_CMB", "uK_CMB", "KCMB", "K (Ta*)"),
    *("K km/s", "K KM/S", "K.km/s", "km/s", "KM/S", "M/S", "Gauss", "GAUSS", "uG", "Mx/cm^2"),
    *("cm^-2", "cm-2", "1/cm2", "CM**-2", "atoms/cm^2", "rad", "RAD", "deg", "DEGREES", "rad/m2"),
    *("count/s/arcsec2", "nJy/arcsec**2", "ERG/S/CM2/SR", "erg s-1 cm-2 arcsec-2", "R", "HZ"),
    *("Msun/pc2", "percent", "%", "electron/cm3", "1"),
]


@pytest.mark.parametrize("text", FLUX)
def test_flux_per_pixel(text: str) -> None:
    assert kind_of(text) == "flux"


@pytest.mark.parametrize("text", LEVELS)
def test_levels(text: str) -> None:
    assert kind_of(text) == "surface_brightness"


@pytest.mark.parametrize("text", ["", "lumps", "gibberish", "Msun", "1/0", "log(cm-2)"])
def test_unknown(text: str) -> None:
    assert kind_of(text) is None


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("ADU/S", u.adu / u.s),  # not siemens
        ("10^-20 erg/s/cm^2/A", 1e-20 * u.erg / u.s / u.cm**2 / u.AA),  # not ampere
        ("COUNTS/SEC", u.ct / u.s),
        ("JY/BEAM", u.Jy / u.beam),
        ("K (Tmb)", u.K),
        ("uK_CMB", u.uK),
        ("K KM/S", u.K * u.km / u.s),
        ("1E-17 ERG/CM^2/S/ANG", 1e-17 * u.erg / u.s / u.cm**2 / u.AA),
        ("NJY", u.nJy),
        ("mJy/beam", u.mJy / u.beam),
    ],
)
def test_units_of_astropy(text: str, unit: u.UnitBase) -> None:
    found = parse(text)
    assert found is not None
    assert found.certain
    assert (1 * found.unit).to_value(unit) == pytest.approx(1)


def test_a_prefix_in_capitals_is_uncertain() -> None:
    assert [parse(text).certain for text in ("MJY", "MJY/SR", "mJy", "MJy")] == [
        *(False, False),
        *(True, True),
    ]
