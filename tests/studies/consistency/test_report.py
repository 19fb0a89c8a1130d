"""What `srkit upscale --check` prints and writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tifffile
import torch
from astropy.io import fits
from astropy.wcs import WCS
from command_line import Srkit
from network_setup import save_network
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from srkit_astro.instruments.degradations import PsfNoise

from srkit.components.options import build

SHAPE = (24, 30)


def _tree(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _picture(path: Path, seed: int = 0, smooth: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).uniform(0, 255, (*SHAPE, 3))
    values = gaussian_filter(values, (smooth, smooth, 0)).round().astype(np.uint8)
    PIL.Image.fromarray(values).save(path)
    return path


def _frame(path: Path, **cards: Any) -> NDArray[np.float32]:
    """A frame of noise and a star at x = 12, y = 7."""
    values = np.random.default_rng(1).normal(0, 0.1, SHAPE).astype(np.float32)
    values[7, 12] += 30
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [150.0, 2.0]
    wcs.wcs.crpix, wcs.wcs.cdelt = [5, 6], [-5e-5, 5e-5]
    header = wcs.to_header()
    header.update(cards)
    fits.writeto(path, values, header)
    return values


@pytest.mark.parametrize("unit", ["nJy", "MJy / sr"])
def test_a_frame(tmp_path: Path, srkit: Srkit, unit: str) -> None:
    values = _frame(tmp_path / "a.fits", BUNIT=unit)
    done = srkit("upscale", "a.fits", "-m", "bicubic", "--scale", "2", "--check")
    assert (done.status, done.err) == (0, "")
    with fits.open(tmp_path / "a_x2.fits") as hdus:
        blocks = hdus[0].data.reshape(24, 2, 30, 2)
    again = blocks.sum((1, 3)) if unit == "nJy" else blocks.mean((1, 3))
    with fits.open(tmp_path / "a_x2_residual.fits") as hdus:
        np.testing.assert_allclose(hdus[0].data, values - again, atol=1e-4)
        header = hdus[0].header
    assert (header["BUNIT"], header["CRPIX1"]) == (unit, 5)
    assert "LR less SR degraded again" in str(header["HISTORY"])
    page = _tree(tmp_path / "a_x2_check.json")["pages"][0]
    worst = page["largest"]
    assert (worst["x"], worst["y"], page["unit"]) == (12, 7, unit)
    expected = WCS(header).pixel_to_world_values(12, 7)
    assert (worst["ra"], worst["dec"]) == pytest.approx(tuple(map(float, expected)), abs=1e-8)
    assert (page["unsupported_share"], page["unsupported_regions"], page["regions"]) == (
        None,
        None,
        [],
    )
    assert page["rms"] == pytest.approx(float((values - again).std()), rel=0.01)
    assert page["yardstick"]["median"] == pytest.approx(0.1, rel=0.15)
    line = done.out.replace("\n", " ")
    assert line.startswith("a.fits: degraded again (averaged over LR pixels), SR differs by ")
    assert f"at pixel (12, 7), RA {worst['ra']:.5f} Dec {worst['dec']:+.5f}; nothing" in line
    assert "nothing is called unsupported, since an interpolation makes no statement on how" in line


def test_a_picture(tmp_path: Path, srkit: Srkit) -> None:
    _picture(tmp_path / "a.png", smooth=1)
    done = srkit("upscale", "a.png", "-m", "bicubic", "--check")
    assert done.out.startswith("a.png: degraded again (bicubic), SR differs by ")
    tree = _tree(tmp_path / "a_x2_check.json")
    assert (tree["residual"], tree["pages"][0]["yardstick"]["unit"]) == (
        ["a_x2_residual.png"],
        "levels",
    )
    with PIL.Image.open(tmp_path / "a_x2_residual.png") as picture:
        assert min(picture.size) > 300


def test_a_smooth_picture_is_supported(tmp_path: Path, srkit: Srkit) -> None:
    _picture(tmp_path / "a.png", smooth=3)
    done = srkit("upscale", "a.png", "-m", "bicubic", "--check")
    assert done.out.splitlines()[0].endswith("; supported everywhere within 8 levels")


def test_a_folder_is_summarised_the_worst_first(tmp_path: Path, srkit: Srkit) -> None:
    for name, smooth in (("a", 3), ("b", 0), ("deep/c", 0.7)):
        _picture(tmp_path / "in" / f"{name}.png", smooth=smooth)
    done = srkit("upscale", "in", "-m", "bicubic", "-o", "out", "--check")
    trees = _tree(tmp_path / "out" / "check.json")
    shares = [tree["pages"][0]["unsupported_share"] for tree in trees]
    assert [Path(tree["input"]).name for tree in trees] == ["b.png", "c.png", "a.png"]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == 0
    assert f"checked 3, of which 2 are not supported everywhere: {tmp_path}" in done.out
    assert (tmp_path / "out" / "deep" / "c_check.json").is_file()


def test_outputs_of_the_same_stem_have_separate_files(tmp_path: Path, srkit: Srkit) -> None:
    for name in ("a.png", "a.webp", "b.png"):
        _picture(tmp_path / "in" / name)
    srkit("upscale", "in", "-m", "bicubic", "-o", "out", "--check")
    found = sorted(path.name for path in (tmp_path / "out").glob("*_*"))
    bases = ("a_png", "a_webp", "b")
    assert found == [f"{b}_{what}" for b in bases for what in ("check.json", "residual.png")]
    assert _tree(tmp_path / "out" / "a_webp_check.json")["output"] == "out/a.webp"


def test_the_degradation_of_a_checkpoint_is_used(tmp_path: Path, srkit: Srkit) -> None:
    values = _frame(tmp_path / "a.fits", BUNIT="nJy")
    telescope = {
        "type": "psf_noise",
        "psf": {"type": "gaussian", "fwhm": 0.2},
        "pixel_scale": 0.09,
        "noise": {"exposure": 100, "gain": 2, "read_noise": 3},
    }
    model = save_network(tmp_path / "best.safetensors", degradation=telescope)
    done = srkit("upscale", "a.fits", "-m", model, "-o", "sr.fits", "--check")
    assert "degraded again (psf_noise of l2 without its noise)" in done.out
    options = {key: telescope[key] for key in ("psf", "pixel_scale")}
    with fits.open(tmp_path / "sr.fits") as hdus:
        sr = torch.from_numpy(hdus[0].data.astype(np.float32))[None, None] * 4
    again = build(PsfNoise, options, scale=2)(sr, [0])[0, 0].numpy()
    with fits.open(tmp_path / "sr_residual.fits") as hdus:
        np.testing.assert_allclose(hdus[0].data, values - again, atol=1e-4)


def test_existing_outputs_are_checked(tmp_path: Path, srkit: Srkit) -> None:
    _picture(tmp_path / "a.png", smooth=3)
    srkit("upscale", "a.png", "-m", "bicubic")
    with PIL.Image.open(tmp_path / "a_x2.png") as picture:
        values = np.array(picture)
    values[20:24, 40:44] = 0
    PIL.Image.fromarray(values).save(tmp_path / "a_x2.png")
    done = srkit("upscale", "a.png", "-m", "bicubic", "--check")
    assert done.out.endswith("0 restored, 1 skipped (output exists; --overwrite replaces it)\n")
    box = _tree(tmp_path / "a_x2_check.json")["pages"][0]["regions"][0]["box"]
    left, top, right, bottom = box
    assert left <= 20 < 22 <= right
    assert top <= 10 < 12 <= bottom


def test_pages_and_floats(tmp_path: Path, srkit: Srkit) -> None:
    pages = np.random.default_rng(0).normal(50, 20, (2, *SHAPE)).astype(np.float32)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in pages:
            file.write(page, photometric="minisblack")
    done = srkit("upscale", "a.tif", "-m", "nearest", "--check")
    assert done.out.count(" differs by ") == 2
    assert "a.tif, page 2: degraded again (averaged over LR pixels)" in done.out
    with tifffile.TiffFile(tmp_path / "a_x2_residual.tif") as file:
        assert [page.shape for page in file.pages] == [SHAPE, SHAPE]
        np.testing.assert_allclose(file.asarray(), 0, atol=1e-4)


def test_a_frame_restored_to_a_png(tmp_path: Path, srkit: Srkit) -> None:
    values = _frame(tmp_path / "a.fits")
    srkit("upscale", "a.fits", "-m", "nearest", "-o", "a.png", "--check")
    with fits.open(tmp_path / "a_residual.fits") as hdus:
        assert abs(hdus[0].data).max() < np.ptp(values) / 2**16


def test_an_output_of_another_size(tmp_path: Path, srkit: Srkit) -> None:
    source = _picture(tmp_path / "a.png")
    _picture(tmp_path / "a_x2.png")
    done = srkit("upscale", "a.png", "-m", "bicubic", "--check")
    assert done.status == 1
    assert done.out.splitlines()[0] == (
        f"failed {source.name}: a_x2.png: has 30 x 24 pixels; expected 60 x 48, 2 times its "
        "input; restore it again with --overwrite"
    )


def test_standard_output_cannot_be_checked(srkit: Srkit) -> None:
    done = srkit("upscale", "a.png", "-m", "bicubic", "-o", "-", "--check")
    assert (done.status, done.err) == (
        1,
        "error: --check writes files beside the output; name an output file with -o FILE\n",
    )


PSF = {"type": "moffat", "fwhm": 0.6, "beta": 3}


def test_a_model_that_keeps_each_pixel_cannot_fail(tmp_path: Path, srkit: Srkit) -> None:
    _frame(tmp_path / "a.fits", BUNIT="nJy")
    model = save_network(tmp_path / "best.safetensors", constraint={"type": "flux"})
    done = srkit("upscale", "a.fits", "-m", model, "-o", "sr.fits", "--check")
    assert done.out.splitlines()[0].endswith(
        "; the model keeps each LR pixel by construction, so that this check cannot fail; injected "
        "sources can show what it gets wrong (srkit validate)"
    )
    page = _tree(tmp_path / "sr_check.json")["pages"][0]
    assert page["cannot_fail"]
    assert page["relative_rms"] < 1e-3
    with fits.open(tmp_path / "sr.fits", mode="update") as hdus:  # the file was changed since
        hdus[0].data[20:22, 40:42] += 9
    again = srkit("upscale", "a.fits", "-m", model, "-o", "sr.fits", "--check")
    assert "; 1 region not supported (" in again.out


@pytest.mark.parametrize("option", [[], ["--psf", "{type: moffat, fwhm: 0.6, beta: 3}"]])
def test_sr_is_observed_with_the_psfs(tmp_path: Path, srkit: Srkit, option: list[str]) -> None:
    """A star of the sky, and LR of it: supported with its PSF, not with another."""
    sky = torch.zeros(1, 1, 64, 64, dtype=torch.float64)
    sky[..., 30, 33] = 5e4
    observed = build(PsfNoise, {"psf": PSF, "pixel_scale": 0.09}, scale=2)(sky, [0])[0, 0].numpy()
    values = observed + np.random.default_rng(0).normal(0, 1, observed.shape)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [-5e-5, 5e-5]
    unit = fits.Card("BUNIT", "MJy / sr")
    header = fits.Header([*wcs.to_header().cards, unit])
    fits.writeto(tmp_path / "a.fits", values.astype(np.float32), header)
    sr = wcs.deepcopy()
    sr.wcs.cdelt = [-2.5e-5, 2.5e-5]
    sr_header = fits.Header([*sr.to_header().cards, unit])
    fits.writeto(tmp_path / "sr.fits", sky[0, 0].numpy().astype(np.float32), sr_header)
    stated = PSF if not option else {"type": "gaussian", "fwhm": 0.4}
    changes = {"metrics": {"reduced_chi_square": {"type": "reduced_chi_square", "psf": stated}}}
    model = save_network(tmp_path / "best.safetensors", **changes)
    line = srkit("upscale", "a.fits", "-m", model, "-o", "sr.fits", "--check", *option).out
    assert "degraded again (moffat PSF (fwhm 0.6, beta 3)), SR differs by 1.1 sigma RMS" in line
    assert "; supported everywhere within 5 sigma" in line
    wrong = srkit("upscale", "a.fits", "-m", model, "-o", "sr.fits", "--check", "--psf", "3px")
    assert "degraded again (gaussian PSF (fwhm 0.54)), SR differs by " in wrong.out
    assert "not supported" in wrong.out


def test_frames_that_cannot_be_judged_are_counted(tmp_path: Path, srkit: Srkit) -> None:
    for name in ("a", "b"):
        (tmp_path / "in").mkdir(exist_ok=True)
        _frame(tmp_path / "in" / f"{name}.fits", BUNIT="nJy")
    done = srkit("upscale", "in", "-m", "bicubic", "--scale", "2", "-o", "out", "--check")
    assert (
        "checked 2, of which 0 are not supported everywhere and 2 could not be judged" in done.out
    )


def test_a_psf_is_for_the_check(srkit: Srkit) -> None:
    done = srkit("upscale", "a.fits", "--psf", "0.6")
    assert (done.status, done.err) == (1, "error: --psf is for --check; add it, or drop --psf\n")
