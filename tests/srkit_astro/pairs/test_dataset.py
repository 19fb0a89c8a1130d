"""Real pairs, read from files that the tests write."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from astropy.io import fits
from srkit_astro.files.wcs import subdivided
from srkit_astro.pairs import dataset as pairs
from srkit_astro.pairs.dataset import LensPairs

from srkit.components.options import build, options
from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.testing import check_dataset

SIDE = 0.168 / 3600


def _arrays(root: Path, count: int = 12, dtype: str = "<f4", size: int = 10) -> None:
    """Write pairs whose LR is the block mean of HR."""
    rng = np.random.default_rng(1)
    for side in ("lr", "hr"):
        (root / side).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        hr = rng.normal(1, 0.2, (1, 2 * size, 2 * size))
        lr = hr.reshape(1, size, 2, size, 2).mean((2, 4))
        np.save(root / "hr" / f"HR_{number}.npy", hr.astype(dtype))
        np.save(root / "lr" / f"LR_{number}.npy", lr[0].astype(dtype))


def _pairs(root: Path, **given: Any) -> LensPairs:
    return LensPairs(**{"scale": 2, "lr": root / "lr", "hr": root / "hr", **given})


def _header(**cards: Any) -> fits.Header:
    plain = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.1, "CRVAL2": 2.2}
    plain |= {"CRPIX1": 5.5, "CRPIX2": 5.5, "CDELT1": -SIDE, "CDELT2": SIDE}
    return fits.Header({**plain, "BUNIT": "count / s", "MAGZERO": 27.0, **cards})


def _fits(
    root: Path,
    name: str = "a",
    lr: fits.Header | None = None,
    hr: fits.Header | None = None,
    mask: tuple[int, int] | None = None,
    variance: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Write a pair in flux per pixel: LR is the sum of HR over its pixels."""
    rng = np.random.default_rng(len(name))
    fine = rng.normal(1, 0.2, (20, 20)).astype(np.float32)
    coarse = fine.reshape(10, 2, 10, 2).sum((1, 3))
    header = _header() if lr is None else lr
    sides = {"lr": (coarse, header), "hr": (fine, subdivided(header, 2) if hr is None else hr)}
    for side, (values, cards) in sides.items():
        (root / side).mkdir(parents=True, exist_ok=True)
        hdus = fits.HDUList([fits.PrimaryHDU(values, cards)])
        if mask is not None and side == "lr":
            flags = np.zeros(values.shape, np.int32)
            flags[mask] = 1
            hdus.append(fits.ImageHDU(flags, name="MASK"))
        if variance is not None and side == "lr":
            hdus.append(fits.ImageHDU(np.full(values.shape, variance), name="VARIANCE"))
        hdus.writeto(root / side / f"{name}.fits", overwrite=True)
    return coarse, fine


def _problem(root: Path, **given: Any) -> str:
    """Return the problem of the only pair, without the heading."""
    with pytest.raises(DataError) as caught:
        _pairs(root, **given)
    heading, problem = str(caught.value).split("\n")
    assert heading == f"{root / 'lr'}: 1 of 1 pairs cannot be used:"
    return problem.strip()


def test_options_are_documented_and_built(registry: Registry, tmp_path: Path) -> None:
    _arrays(tmp_path)
    component = registry.get("datasets", "lens_pairs")
    assert all(option.meaning for option in options(component.factory))
    given = {"lr": str(tmp_path / "lr"), "hr": str(tmp_path / "hr"), "fractions": [0.5, 0.5, 0]}
    dataset = build(component.factory, given, scale=2)
    check_dataset(dataset)
    assert (dataset.channels, dataset.classes, len(dataset)) == (1, None, 12)


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", ">f8"])
def test_arrays_of_any_float_type_are_read(tmp_path: Path, dtype: str) -> None:
    _arrays(tmp_path, 1, dtype)
    sample = _pairs(tmp_path, unit="mJy", pixel_scale=0.05)[0]
    hr = np.load(tmp_path / "hr/HR_0.npy").astype(np.float32)
    lr = np.load(tmp_path / "lr/LR_0.npy").astype(np.float32)
    np.testing.assert_array_equal(sample.hr.numpy(), hr)
    np.testing.assert_array_equal(sample.lr.numpy(), lr[None])
    assert (sample.name, sample.unit, sample.pixel_scale) == ("0", "mJy", 0.05)
    assert sample.data_range == (min(hr.min(), lr.min()), max(hr.max(), lr.max()))


def test_names_include_subfolders_but_not_lr_and_hr(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((4, 4)).astype(np.float32)
    for lr, hr in (("b/lr-1", "b/hr-1"), ("2_LR", "2_HR"), ("Sample_lrx", "Sample_lrx")):
        for side, name in (("lr", lr), ("hr", hr)):
            path = tmp_path / side / f"{name}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, values if side == "lr" else np.kron(values, np.ones((2, 2))))
    (tmp_path / "lr/.hidden.npy").write_text("")
    (tmp_path / "lr/notes.txt").write_text("")
    assert [sample.name for sample in _pairs(tmp_path)] == ["2", "Sample_lrx", "b/1"]


def test_notes_report_flux_ratio_and_data_range(tmp_path: Path) -> None:
    _arrays(tmp_path)
    dataset = _pairs(tmp_path)
    low, high = dataset[0].data_range
    assert dataset.notes == [
        "12 pairs without a unit; the flux of HR is 1 times that of LR (median)",
        f"data range {low:.6g} to {high:.6g}, measured over all pairs",
    ]
    given = _pairs(tmp_path, data_range=(-1.0, 3.0))
    assert given[0].data_range == (-1, 3)
    assert len(given.notes) == 1


def test_splits_are_disjoint_and_share_the_data_range(tmp_path: Path) -> None:
    _arrays(tmp_path, 40)
    each = (0.6, 0.2, 0.2)
    splits = [_pairs(tmp_path, split=s, fractions=each) for s in ("train", "validation", "test")]
    names = [[sample.name for sample in split] for split in splits]
    assert sorted(name for split in names for name in split) == sorted(
        str(number) for number in range(40)
    )
    assert len({split[0].data_range for split in splits}) == 1
    some = _pairs(tmp_path, split="train", fractions=each, limit=5)
    fewer = _pairs(tmp_path, split="train", fractions=each, limit=3)
    few = [[sample.name for sample in split] for split in (fewer, some)]
    assert set(few[0]) < set(few[1]) < set(names[0])
    assert (len(fewer), len(some)) == (3, 5)


def test_every_pair_validates_in_one_fold(tmp_path: Path) -> None:
    _arrays(tmp_path, 30)
    each = (0.8, 0.0, 0.2)
    folds = [
        _pairs(tmp_path, split="validation", fractions=each, folds=3, fold=i) for i in (0, 1, 2)
    ]
    names = [sample.name for fold in folds for sample in fold]
    tested = [sample.name for sample in _pairs(tmp_path, split="test", fractions=each)]
    assert sorted(names + tested) == sorted(str(number) for number in range(30))


SPLITS = ("train", "validation", "test")


def _row(root: Path, step: float, count: int = 36, first: int = 0) -> None:
    """Write pairs along a parallel at RA = 0, each `step` LR pixels east of the one before."""
    for number in range(first, first + count):
        east = (number * step * SIDE / np.cos(np.radians(60))) % 360
        _fits(root, f"p{number:02}", lr=_header(CRVAL1=(east - 1e-3) % 360, CRVAL2=60.0))


@pytest.mark.parametrize("cross_validation", [{}, {"folds": 3, "fold": 1}])
def test_pairs_that_share_sky_are_in_one_split(tmp_path: Path, cross_validation: Any) -> None:
    """Chains of three overlapping pairs of 10 LR pixels: 0, 6 and 12, then 36, 42 and 48, ..."""
    for triple in range(12):
        _row(tmp_path / "x", 6.0, 3, 6 * triple)
    given = {"fractions": (0.5, 0.2, 0.3), **cross_validation}
    splits = {s: _pairs(tmp_path / "x", split=s, **given) for s in SPLITS}
    names = {s: {sample.name for sample in pairs} for s, pairs in splits.items()}
    for triple in range(12):
        members = [f"p{6 * triple + i:02}" for i in range(3)]
        by_first = pairs.split_of(members[0], *given.values())
        assert {s for s in SPLITS for name in members if name in names[s]} == {by_first}
    assert sum(map(len, names.values())) == 36
    assert all(names.values())
    assert not splits["train"].overlaps(splits["test"])
    assert splits["train"].notes[-1] == (
        "36 of 36 pairs share sky with others; they form 12 groups of up to 3 pairs, each in one "
        "split"
    )


def test_pairs_that_share_no_sky_keep_the_split_of_their_names(tmp_path: Path) -> None:
    _row(tmp_path, 10.0)
    for split in SPLITS:
        found = [sample.name for sample in _pairs(tmp_path, split=split)]
        expected = [f"p{i:02}" for i in range(36)]
        assert found == [n for n in expected if pairs.split_of(n, (0.8, 0.1, 0.1)) == split]


def test_overlaps_of_explicit_splits_are_found(tmp_path: Path) -> None:
    _row(tmp_path / "train", 20.0, 3)
    _row(tmp_path / "test", 20.0, 2, 1)
    _fits(tmp_path / "test", "q", lr=_header(CRVAL2=60.0, CRVAL1=359.999, CRPIX2=8.0))
    train, test = _pairs(tmp_path / "train"), _pairs(tmp_path / "test")
    found = train.overlaps(test)
    assert [(i, j) for i, j, _ in found] == [(0, 2), (1, 0), (2, 1)]
    assert [share for *_, share in found] == pytest.approx([0.75, 1, 1], abs=1e-3)
    assert train.overlaps(object()) == []


def test_a_catalogue_places_arrays_on_the_sky(tmp_path: Path) -> None:
    _arrays(tmp_path, 12)
    step = 0.4 * 10 * 0.168 / 3600  # pairs 0 to 5 form a chain, the others are far apart
    rows = [f"{i},{i * step if i < 6 else i},0.5" for i in range(12)]
    (tmp_path / "places.csv").write_text("\n".join(["name,ra,dec", *rows]))
    given = {"positions": tmp_path / "places.csv", "pixel_scale": 0.084}
    found = [{pair.name for pair in _pairs(tmp_path, split=s, **given)} for s in SPLITS[:2]]
    assert pairs.split_of("0", (0.8, 0.1, 0.1)) == "validation"
    assert set("012345") <= found[1]
    assert "6 of 12 pairs share sky" in _pairs(tmp_path, **given).notes[-1]

    with pytest.raises(ValueError, match="positions need pixel_scale"):
        _pairs(tmp_path, positions=tmp_path / "places.csv")
    (tmp_path / "places.csv").write_text("\n".join(["name,ra,dec", *rows[:11]]))
    with pytest.raises(DataError, match="'11' has no row in the catalogue of positions; add its"):
        _pairs(tmp_path, **given)


def test_pairs_that_exceed_the_memory_limit_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _arrays(tmp_path)
    kept = _pairs(tmp_path)
    monkeypatch.setattr(pairs, "KEPT", 5000)
    read = pickle.loads(pickle.dumps(_pairs(tmp_path)))
    for one, other in zip(kept, read, strict=True):
        assert torch.equal(one.hr, other.hr)
        assert torch.equal(one.lr, other.lr)
        assert one.data_range == other.data_range


def test_flux_per_pixel_becomes_surface_brightness(tmp_path: Path) -> None:
    coarse, fine = _fits(tmp_path, variance=0.25)
    dataset = _pairs(tmp_path)
    sample = dataset[0]
    np.testing.assert_allclose(sample.hr[0].numpy(), 4 * fine)
    np.testing.assert_array_equal(sample.lr[0].numpy(), coarse)
    assert float(sample.hr.sum()) / 4 == pytest.approx(float(sample.lr.sum()), rel=1e-5)
    assert sample.variance.unique().item() == 0.25
    assert sample.unit == "count / s"
    assert sample.pixel_scale == pytest.approx(0.084, rel=1e-6)
    assert dataset.notes[0] == (
        "1 pairs in count / s at AB 27; the flux of HR is 1 times that of LR (median)"
    )
    check_dataset(dataset)
    given = _pairs(tmp_path, values="surface_brightness")[0]
    np.testing.assert_array_equal(given.hr[0].numpy(), fine)


def test_surface_brightness_is_recognised_by_its_unit(tmp_path: Path) -> None:
    header = _header(BUNIT="MJy/sr")
    del header["MAGZERO"]
    _, fine = _fits(tmp_path, lr=header)
    sample = _pairs(tmp_path)[0]
    np.testing.assert_array_equal(sample.hr[0].numpy(), fine)
    assert sample.unit == "MJy/sr"


@pytest.mark.parametrize(
    "areas", [("PIXAR_SR", 6.63389049124921e-13), ("PIXAR_A2", 0.028224), None]
)
def test_surface_brightness_is_calibrated_by_the_area_of_lr_pixels(
    tmp_path: Path, areas: tuple[str, float] | None
) -> None:
    """1 MJy / sr is AB 24.3456 in an LR pixel: -2.5 log10(1e6 * 6.63389e-13 / 3631)."""
    sides = []
    for scale in (1, 2):
        header = subdivided(_header(BUNIT="MJy/sr"), scale)
        del header["MAGZERO"]
        sides.append(header)
        if areas is not None:
            header[areas[0]] = areas[1] / scale**2
    coarse, fine = _fits(tmp_path, lr=sides[0], hr=sides[1])
    found = _pairs(tmp_path)[0]
    assert (found.unit, found.zero_point) == ("MJy/sr", pytest.approx(24.3456, abs=1e-4))
    assert torch.equal(found.hr[0], torch.from_numpy(fine))
    converted = _pairs(tmp_path, zero_point=27.0)[0]
    factor = 10 ** (0.4 * (27 - 24.3456))
    assert converted.lr is not None
    np.testing.assert_allclose(converted.lr[0], coarse * factor, rtol=1e-4)
    np.testing.assert_allclose(converted.hr[0], fine * factor, rtol=1e-4)


def test_all_images_are_converted_to_one_zero_point(tmp_path: Path) -> None:
    hst = subdivided(_header(BUNIT="ELECTRONS/S"), 2)
    del hst["MAGZERO"]
    hst.update(PHOTFLAM=7.0332e-20, PHOTPLAM=8045.5)  # AB 25.947
    coarse, fine = _fits(tmp_path, "a", hr=hst, variance=2.0)
    _fits(tmp_path, "bb", lr=_header(MAGZERO=28.0), variance=2.0)
    first, second = _pairs(tmp_path)
    np.testing.assert_allclose(first.hr[0].numpy(), 4 * fine * 10 ** (0.4 * 1.053), rtol=2e-3)
    np.testing.assert_array_equal(first.lr[0].numpy(), coarse)
    assert float(second.variance[0, 0, 0]) == pytest.approx(2.0 * 10**-0.8)
    assert first.unit == second.unit == "count / s"
    moved = _pairs(tmp_path, zero_point=24.5, hr_zero_point=26.0)[0]
    np.testing.assert_allclose(moved.lr[0].numpy(), coarse / 10, rtol=1e-6)
    np.testing.assert_allclose(moved.hr[0].numpy(), 4 * fine * 10 ** (-0.6), rtol=1e-6)


def test_zero_points_of_arrays_are_options(tmp_path: Path) -> None:
    _arrays(tmp_path, 1)
    plain = _pairs(tmp_path)[0]
    sample = _pairs(tmp_path, zero_point=27, lr_zero_point=27, hr_zero_point=24.5)[0]
    torch.testing.assert_close(sample.hr, 10 * plain.hr)
    assert sample.unit == "count / s"


def test_masked_pixels_are_filled_on_request(tmp_path: Path) -> None:
    coarse, _ = _fits(tmp_path, mask=(4, 5), variance=0.25)
    hint = "1 of 100 pixels have no value (NaN, masked or saturated); set masked: fill"
    assert _problem(tmp_path) == f"{tmp_path / 'lr/a.fits'}: {hint}"
    sample = _pairs(tmp_path, masked="fill")[0]
    around = np.delete(coarse[3:6, 4:7].ravel(), 4)
    assert float(sample.lr[0, 4, 5]) == pytest.approx(np.median(around))
    assert sample.variance[0, 4, 5] == float("inf")
    assert sample.variance.isfinite().sum() == 99
    check_dataset(_pairs(tmp_path, masked="fill"))


def test_variance_is_read_from_a_folder(tmp_path: Path) -> None:
    _arrays(tmp_path, 2)
    (tmp_path / "variance").mkdir()
    for number in range(2):
        np.save(tmp_path / f"variance/{number}.npy", np.full((1, 10, 10), 0.5))
    dataset = _pairs(tmp_path, variance=tmp_path / "variance")
    assert dataset[1].variance.unique().item() == 0.5
    (tmp_path / "variance/1.npy").unlink()
    with pytest.raises(DataError) as caught:
        _pairs(tmp_path, variance=tmp_path / "variance")
    problem = f"{tmp_path / 'lr/LR_1.npy'}: there is no variance named '1'"
    assert str(caught.value).endswith(f"1 of 2 pairs cannot be used:\n  {problem}")


def test_a_variance_of_some_pairs_is_not_used(tmp_path: Path) -> None:
    _fits(tmp_path, "a", variance=1.0)
    _fits(tmp_path, "b")
    dataset = _pairs(tmp_path)
    assert [sample.variance for sample in dataset] == [None, None]
    assert dataset.notes[0] == "only 1 of 2 pairs have a variance; it is not used"


def test_all_unusable_files_are_reported_together(tmp_path: Path) -> None:
    _arrays(tmp_path, 20)
    lr, hr = tmp_path / "lr", tmp_path / "hr"
    np.save(hr / "HR_0.npy", np.ones((1, 20, 21)))
    np.save(hr / "HR_1.npy", np.full((1, 20, 20), np.nan))
    np.save(lr / "LR_2.npy", np.full((10, 10), 3.5))
    (hr / "HR_3.npy").unlink()
    (lr / "LR_4.npy").unlink()
    np.save(lr / "5.npy", np.ones((10, 10)))
    np.save(lr / "LR_6.npy", np.ones((10, 10), np.int16))
    np.save(lr / "LR_7.npy", np.ones(10))
    (lr / "LR_8.npy").write_bytes((lr / "LR_8.npy").read_bytes()[:-7])
    np.save(lr / "LR_9.npy", np.full((10, 10), 1e300))
    np.save(hr / "HR_10.npy", np.where(np.eye(20) > 0, np.nan, np.arange(20.0)))
    for number in (11, 12):
        np.save(lr / f"LR_{number}.npy", np.zeros((10, 10)))
    with pytest.raises(DataError) as caught:
        _pairs(tmp_path)
    assert str(caught.value).split("\n  ") == [
        f"{lr}: 13 of 20 pairs cannot be used:",
        f"{lr / 'LR_3.npy'}: there is no HR named '3'",
        f"{hr / 'HR_4.npy'}: there is no LR named '4'",
        f"{lr / '5.npy'}: LR_5.npy has the same name '5'",
        f"{hr / 'HR_0.npy'}: the shape is (1, 20, 21); expected (1, 20, 20), 2 times that of LR",
        f"{hr / 'HR_1.npy'}: no pixel has a value (NaN, masked or saturated)",
        f"{hr / 'HR_10.npy'}: 20 of 400 pixels have no value (NaN, masked or saturated); set "
        "masked: fill",
        f"{lr / 'LR_11.npy'}: every pixel has the value 0",
        f"{lr / 'LR_12.npy'}: every pixel has the value 0",
        f"{lr / 'LR_2.npy'}: every pixel has the value 3.5",
        f"{lr / 'LR_6.npy'}: the values are int16; expected floats",
        "and 3 more",
    ]
    dataset = _pairs(tmp_path, unreadable="skip", masked="fill")
    assert len(dataset) == 8
    assert dataset.notes[0].startswith("skipped 12 of 20 pairs:\n  ")
    assert dataset.notes[1] == (
        "filled 20 pixels without a value in 1 pairs with the median of their neighbours"
    )


@pytest.mark.parametrize(
    ("side", "values", "message"),
    [
        ("lr", np.ones(10), "the shape is (10,); expected (H, W) or (1, H, W)"),
        (
            "hr",
            np.full((20, 20), 1e300),
            "values do not fit in float32; convert them to another unit",
        ),
        ("hr", np.ones((20, 20), np.uint8), "the values are uint8; expected floats"),
        ("lr", np.ones((0, 10)), "the shape is (0, 10); expected (H, W) or (1, H, W)"),
    ],
)
def test_arrays_that_are_not_images_are_refused(
    tmp_path: Path, side: str, values: np.ndarray, message: str
) -> None:
    _arrays(tmp_path, 1)
    path = tmp_path / side / f"{side.upper()}_0.npy"
    np.save(path, values)
    assert _problem(tmp_path) == f"{path}: {message}"


def test_damaged_arrays_are_refused(tmp_path: Path) -> None:
    _arrays(tmp_path, 1)
    path = tmp_path / "lr/LR_0.npy"
    path.write_bytes(path.read_bytes()[:-8])
    problem = _problem(tmp_path)
    assert problem.startswith(f"{path}: cannot be read as .npy (")
    assert problem.endswith("); copy it again or remove it")


@pytest.mark.parametrize("cards", [{"SATURATE": 60.0}, {}])
def test_saturated_pixels_are_not_flux(tmp_path: Path, cards: dict[str, Any]) -> None:
    """By SATURATE, or as the largest value of several neighbours of a clipped star."""
    y, x = np.mgrid[:40, :40]
    star = 100 * np.exp(-((x - 20.3) ** 2 + (y - 18.8) ** 2) / 8)
    noise = np.random.default_rng(0).normal(1, 0.2, (40, 40))
    values = np.minimum(noise + star, 60).astype(np.float32)
    header = _header(**cards)
    images = {"lr": (values, header), "hr": (np.kron(noise, np.ones((2, 2))) / 4, None)}
    for side, (pixels, own) in images.items():
        (tmp_path / side).mkdir()
        own = subdivided(header, 2) if own is None else own
        planes = [fits.PrimaryHDU(pixels.astype(np.float32), own)]
        planes.append(fits.ImageHDU(np.ones_like(pixels, np.float32), name="VARIANCE"))
        fits.HDUList(planes).writeto(tmp_path / side / "a.fits")
    clipped = values == 60
    count = int(clipped.sum())
    assert 3 < count < 16
    assert _problem(tmp_path).endswith(
        f"{count} of 1600 pixels have no value (NaN, masked or saturated); set masked: fill"
    )
    dataset = _pairs(tmp_path, masked="fill")
    assert (
        f"filled {count} pixels without a value, {count} of them saturated, in 1 pairs with the "
        "median of their neighbours"
    ) in dataset.notes
    assert dataset[0].lr.max() < 60
    np.testing.assert_array_equal(dataset[0].variance[0].isinf(), clipped)


def test_at_most_a_tenth_of_an_image_is_filled(tmp_path: Path) -> None:
    _arrays(tmp_path, 1)
    path = tmp_path / "lr/LR_0.npy"
    values = np.load(path)
    values[:2] = np.nan
    np.save(path, values)
    assert _problem(tmp_path, masked="fill") == (
        f"{path}: 20 of 100 pixels have no value (NaN, masked or saturated); at most a tenth can "
        "be filled"
    )


def _without(*keys: str, **cards: Any) -> fits.Header:
    header = _header(**cards)
    for key in keys:
        del header[key]
    return header


HR = subdivided(_header(), 2)


def _hr(*keys: str, **cards: Any) -> fits.Header:
    header = HR.copy()
    header.update(cards)
    for key in keys:
        del header[key]
    return header


@pytest.mark.parametrize(
    ("lr", "hr", "message"),
    [
        (
            _header(),
            _hr(CDELT1=-SIDE / 3, CDELT2=SIDE / 3),
            "{hr}: its pixels are 0.056 arcsec and those of LR 0.168 arcsec, 3 times as large; "
            "expected 2 times",
        ),
        (
            _header(),
            _hr(CRPIX1=HR["CRPIX1"] + 3),
            "{hr}: according to the WCS, its corners are up to 1.5 LR pixels from those of LR; "
            "expected the same sky",
        ),
        (
            _without("BUNIT"),
            None,
            "{lr}: BUNIT is '', which could be flux per pixel or surface brightness; set values",
        ),
        (
            _header(),
            _hr(BUNIT="count / s / arcsec2"),
            "{hr}: contains surface brightness, but {lr} flux per pixel; convert one, or set "
            "values if a header is wrong",
        ),
        (
            _header(),
            _hr(BUNIT="mag"),
            "{hr}: BUNIT is 'mag'; expected a linear unit, not magnitudes",
        ),
        (
            _header(),
            _hr("MAGZERO"),
            "{hr}: has no zero point, unlike the others; set hr_zero_point",
        ),
        (
            _without("MAGZERO"),
            _hr(),
            "{lr}: has no zero point, unlike the others; set lr_zero_point",
        ),
        (
            _without("MAGZERO"),
            _hr("MAGZERO", BUNIT="electron"),
            "{hr}: BUNIT is 'electron', that of {lr} is 'count / s', and neither has a zero point; "
            "set lr_zero_point and hr_zero_point",
        ),
    ],
)
def test_fits_pairs_that_do_not_match_are_refused(
    tmp_path: Path, lr: fits.Header, hr: fits.Header | None, message: str
) -> None:
    _fits(tmp_path, lr=lr, hr=hr)
    files = {side: tmp_path / side / "a.fits" for side in ("lr", "hr")}
    assert _problem(tmp_path) == message.format(**files)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_variances_must_be_positive(tmp_path: Path, value: float) -> None:
    _fits(tmp_path, variance=value)
    assert _problem(tmp_path) == (
        f"{tmp_path / 'lr/a.fits'}: the variance of 100 pixels is not a positive number"
    )


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (_without("MAGZERO"), "has no zero point, unlike the others; set lr_zero_point"),
        (
            _header(CDELT1=-2 * SIDE, CDELT2=2 * SIDE),
            "its pixels are 0.168 arcsec; those of the others 0.084",
        ),
        (_without("CTYPE1", "CTYPE2"), "has no WCS, unlike the others"),
    ],
)
def test_pairs_must_have_common_properties(
    tmp_path: Path, second: fits.Header, message: str
) -> None:
    _fits(tmp_path, "a")
    _fits(tmp_path, "b", lr=second)
    with pytest.raises(DataError) as caught:
        _pairs(tmp_path)
    heading, problem = str(caught.value).split("\n  ")
    assert heading == f"{tmp_path / 'lr'}: 1 of 2 pairs cannot be used:"
    assert problem.startswith(f"{tmp_path / 'hr/b.fits'}: {message}")


def test_pairs_must_have_the_same_number_of_channels(tmp_path: Path) -> None:
    _arrays(tmp_path, 1)
    rng = np.random.default_rng(0)
    np.save(tmp_path / "lr/1.npy", rng.random((3, 10, 10)))
    np.save(tmp_path / "hr/1.npy", rng.random((3, 20, 20)))
    with pytest.raises(DataError, match=r"1\.npy: has 3 channels; the others have 1$"):
        _pairs(tmp_path)


def test_missing_or_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        _pairs(tmp_path)
    remedy = (
        "srkit data pair makes pairs of your mosaics, see docs/how_to/make_pairs.md, and srkit "
        "data make simulates some; or set lr and hr to folders of yours"
    )
    assert str(caught.value) == f"{tmp_path / 'lr'}: no such folder; {remedy}"
    (tmp_path / "lr").mkdir()
    with pytest.raises(DataError) as caught:
        _pairs(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'lr'}: contains no images; expected .npy, .fits, .fit, .fts, .fits.gz, "
        f".fit.gz, .fts.gz, .fits.fz, .fit.fz, .fts.fz; {remedy}"
    )


def test_invalid_options_are_refused(tmp_path: Path) -> None:
    _arrays(tmp_path, 2)
    with pytest.raises(ValueError, match=r"^fractions are 0\.5, 0\.1, 0\.1; expected fractions"):
        _pairs(tmp_path, fractions=(0.5, 0.1, 0.1))
    with pytest.raises(ValueError, match=r"^folds and fold must be set together$"):
        _pairs(tmp_path, folds=3)
    with pytest.raises(ValueError) as caught:
        _pairs(tmp_path, data_range=(1.0, 1.0))
    assert str(caught.value) == "data_range is [1.0, 1.0]; expected black below white"
    with pytest.raises(DataError) as refused:
        _pairs(tmp_path, split="test", fractions=(1.0, 0.0, 0.0))
    assert str(refused.value) == (
        f"{tmp_path / 'lr'}: none of 2 pairs is in the split 'test'; increase its fraction, or use "
        "all"
    )


def test_an_extension_of_fits_files_is_chosen(tmp_path: Path) -> None:
    _, fine = _fits(tmp_path)
    with fits.open(tmp_path / "lr/a.fits", mode="update") as hdus:
        for version in (1, 2):
            plane = hdus[0].data * version
            hdus.append(fits.ImageHDU(plane, hdus[0].header, name="SCI", ver=version))
    lr = _pairs(tmp_path, lr_hdu="SCI,2")[0].lr
    assert lr is not None
    np.testing.assert_allclose(lr[0], 2 * fine.reshape(10, 2, 10, 2).sum((1, 3)), rtol=1e-6)
    assert _problem(tmp_path) == (
        f"{tmp_path}/lr/a.fits: SCI,1 is read, one of 2 images (SCI,1, SCI,2); choose with lr_hdu"
    )
