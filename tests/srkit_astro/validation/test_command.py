from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from srkit_astro.validation.command import _folder_of, _opened
from srkit_astro.validation.journal import Journal
from srkit_astro.validation.report import RESULTS
from srkit_astro.validation.study import Study

from srkit.report._summaries import Summary, read_validation
from srkit.system import write_file

pytestmark = pytest.mark.usefixtures("undrawn_figures")

#: The FWHM is 3.6 pixels of 0.2 arcsec.
PIXEL, OPTIONS = 0.2, ("--psf", "0.72", "--snr", "1,100", "--sources", "2", "--noise-frames", "1")


def write_frame(path: Path, side: int = 120, noise: float = 2.0, **keys: Any) -> Path:
    header = fits.Header({"BUNIT": "count / s", "MAGZERO": 27.0, **keys})
    for axis, (kind, sign) in enumerate((("RA---TAN", -1), ("DEC--TAN", 1)), 1):
        header[f"CTYPE{axis}"], header[f"CRVAL{axis}"] = kind, 2.0
        header[f"CRPIX{axis}"], header[f"CDELT{axis}"] = side / 2, sign * PIXEL / 3600
    pixels = np.random.default_rng(5).normal(10, noise, (side, side))
    pixels[30, 40] += 400 * noise
    fits.writeto(path, pixels.astype(np.float32), header)
    return path


def results(folder: Path) -> Any:
    return json.loads((folder / "validation.json").read_text("utf-8"))


@pytest.mark.slow
def test_a_validation_of_an_interpolation(srkit: Any, tmp_path: Path) -> None:
    frame = write_frame(tmp_path / "frame.fits")
    done = srkit("validate", frame, "-m", "bicubic", "--scale", "2", "-o", "out", *OPTIONS)
    assert done.status == 0, done.err
    assert "report: out/validation.html" in done.out
    found = results(tmp_path / "out")
    assert found["facts"]["PSF of LR"] == "FWHM 0.72 arcsec, gaussian PSF (fwhm 0.72)"
    fractions = {(r["method"], r["kind"], r["snr"]): r for r in found["completeness"]}
    assert {key[0] for key in fractions} == {"LR", "lanczos", "richardson_lucy", "bicubic"}
    photons = found["facts"]["photon noise of the sources"]
    assert photons == "none, since the gain is unknown (--gain)"
    for (_, _, snr), row in fractions.items():
        assert (row["found"], row["sources"]) == (2 if snr == 100 else 0, 2)
    # S/N 100 of a point whose profile has FWHM 3.6: flux = 100 sigma / sqrt(sum of p**2).
    steps = (tmp_path / "out" / "steps.jsonl").read_text("utf-8").splitlines()
    sources = [each for line in steps[1:] for each in json.loads(line).get("sources", ())]
    (flux, *_) = (s["flux"] for s in sources if (s["kind"], s["snr"]) == ("point", 100))
    sigma = 3.6 / 2.3548
    assert flux == pytest.approx(100 * 2 * 2 * sigma * np.sqrt(np.pi), rel=0.06)
    linear = [r for r in found["biases"] if r["sources"] and r["method"] != "richardson_lucy"]
    flux = [row for row in linear if row["error"] == "flux"]
    # Interpolation is linear and conserves flux, in the frame as well as without its noise.
    assert len(flux) == 27 and all(abs(row["mean"]) < 0.005 for row in flux)
    bright = [row for row in linear if row["error"] == "frame_flux" and row["snr"] == 100]
    assert all(abs(row["mean"]) < 0.05 for row in bright)
    assert sum(row["count"] for row in found["false"] if row["origin"] == "injection") == 0
    white = [r for r in found["noise"] if r["noise"] == "white" and r["threshold"] == 5]
    correlation = {row["method"]: row["correlation"] for row in white}
    assert correlation["LR"] < 0.05 < 0.6 < correlation["bicubic"] < 0.8
    page = (tmp_path / "out" / "validation.html").read_text("utf-8")
    assert "bicubic on frame.fits: validation" in page
    assert len(found["summary"]["columns"]) == len(found["summary"]["rows"][0])


@pytest.mark.slow
def test_an_interrupted_validation_is_resumed(
    srkit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = write_frame(tmp_path / "frame.fits", side=80)
    command = ("validate", frame, "-m", "nearest", "--scale", "1.5", *OPTIONS, "--psf", "0.5")
    assert srkit(*command, "-o", "whole").status == 0

    def fail(self: Study, number: int, show: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Study, "_noise", fail)
        assert srkit(*command, "-o", "parts").status != 0
    rounds: list[int] = []
    inject: Callable[..., Any] = Study._inject
    monkeypatch.setattr(Study, "_inject", lambda *given: rounds.append(0) or inject(*given))
    done = srkit(*command, "-o", "parts")
    assert done.status == 0 and not rounds
    assert "resumes after" in done.out
    found = results(tmp_path / "parts")
    assert found == results(tmp_path / "whole")
    assert found["notes"] == ["no Richardson-Lucy deconvolution, which needs an integer scale"]


def test_the_journal_of_other_settings_is_not_resumed(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    first = Journal(path, "one")
    first.append({"x": 1})
    path.write_text(path.read_text() + '{"x": 2')  # cut off by a crash
    again = Journal(path, "one")
    assert (again.steps, again.replaced) == ([{"x": 1}], False)
    other = Journal(path, "two")
    assert (other.steps, other.replaced) == ([], True)
    assert Journal(path, "two").replaced is False


def test_reports_of_a_run_find_its_validation(tmp_path: Path) -> None:
    folder = _folder_of(str(tmp_path))
    summary = {"title": "t", "caption": "c", "columns": ["", "x"], "rows": [["LR", "1"]]}
    write_file(folder / RESULTS, json.dumps({"summary": summary}))
    assert read_validation(tmp_path) == Summary("c", ["", "x"], [["LR", "1"]], "t")
    assert _folder_of("sky_x2") == Path("runs/validate-sky_x2")


def test_a_model_is_known_by_its_weights() -> None:
    own, resized = _opened("sky_x2", None), _opened("sky_x2", 3)
    assert own.provenance.sha256 == resized.provenance.sha256 is not None
    assert _opened("bicubic", 2).provenance.sha256 is None  # the name says it all


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--snr", "3,x"), "--snr: got '3,x'; expected positive numbers, such as 3,5,10"),
        (("--psf", "none.fits"), "--psf none.fits: no such file; expected the FWHM of a Gaussian"),
        (("--psf", "0.001"), "--psf: the FWHM of the PSF is 0.001 arcsec, less than a tenth"),
        (("--psf", "2"), "frame.fits: has no place for a source: "),
        ((), "or an image; as --psf 0.7 (arcsec) or --psf 3px (pixels of LR)"),
    ],
)
def test_wrong_options(srkit: Any, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    frame = write_frame(tmp_path / "frame.fits", side=64)
    done = srkit("validate", frame, "-m", "bicubic", "--scale", "2", *options)
    assert done.status == 1
    assert message in " ".join(done.err.split())


def test_frames_that_cannot_be_used(srkit: Any, tmp_path: Path) -> None:
    cube, flat = tmp_path / "cube.fits", tmp_path / "flat.fits"
    fits.writeto(cube, np.ones((3, 50, 50), np.float32))
    fits.writeto(flat, np.ones((70, 70), np.float32))
    cases = {
        cube: f"{cube}: has 3 bands; expected one band per file",
        flat: f"{flat}: its background has no noise",
        tmp_path / "absent.fits": "absent.fits: cannot be read (No such file or directory)",
    }
    for path, message in cases.items():
        done = srkit("validate", path, "-m", "bicubic", "--scale", "2", "--psf", "4px")
        assert done.status == 1 and message in " ".join(done.err.split())


def test_frames_have_one_zero_point(srkit: Any, tmp_path: Path) -> None:
    first = write_frame(tmp_path / "a.fits", side=64)
    second = write_frame(tmp_path / "b.fits", side=64, MAGZERO=26.9)
    done = srkit("validate", first, second, "-m", "bicubic", "--scale", "2", *OPTIONS)
    assert done.status == 1
    assert f"{second}: the zero point is 26.9, but that of {first} 27; validate" in done.err


def test_the_files_of_others_are_kept(srkit: Any, tmp_path: Path) -> None:
    frame = write_frame(tmp_path / "frame.fits", side=64)
    done = srkit("validate", frame, "-m", "bicubic", "--scale", "2", *OPTIONS, "-o", tmp_path)
    assert done.status == 1 and "contains files that srkit did not write" in done.err


def test_the_images_and_the_psf_of_a_recipe(srkit: Any, tmp_path: Path) -> None:
    for side in ("lr", "hr"):
        (tmp_path / side).mkdir()
    rng = np.random.default_rng(0)
    for number in range(2):
        np.save(tmp_path / "lr" / f"{number}.npy", rng.normal(size=(64, 64)).astype(np.float32))
        np.save(tmp_path / "hr" / f"{number}.npy", rng.normal(size=(128, 128)).astype(np.float32))
    recipe = tmp_path / "small.yaml"
    recipe.write_text(
        "name: small\nscale: 2\nchannels: 1\n"
        "constraint: {type: flux, psf: {type: gaussian, fwhm: 0.6}}\n"
        f"data: {{test: {{dataset: {{type: lens_pairs, lr: {tmp_path / 'lr'}, "
        f"hr: {tmp_path / 'hr'}, pixel_scale: 0.1}}}}}}\n"
    )
    settings = ("--snr", "100", "--sources", "1", "--noise-frames", "1", "-o", "out", "--gain", "2")
    done = srkit("validate", recipe, "-m", "nearest", "--scale", "2", *settings)
    assert done.status == 0, done.err
    facts = results(tmp_path / "out")["facts"]
    assert facts["PSF of LR"] == "FWHM 0.599 arcsec, of small.yaml"
    assert facts["photon noise of the sources"] == "2 electrons per unit of the values (--gain)"
    assert facts["windows"] == "2 of up to 64 x 64 LR pixels"
    assert facts["noise of LR"].startswith("RMS 1.0") or facts["noise of LR"].startswith("RMS 0.9")
