"""Transfer to pairs that another simulator made, and numbers that other code measured.

    python benchmarks/galsim_pairs.py --out results

GalSim draws mosaics of one field in the layouts of HSC (image, mask, variance) and HST (drizzled,
electrons per second), with stars, galaxies and gravitational lenses that lenstronomy traces. The
noise of both is correlated between pixels, as after resampling. Then the commands of a user run:
`srkit data pair`, `data check`, `finetune`, `upscale`, `validate`. Metrics of the test pairs are
computed again from FITS files by NumPy, SciPy and GalSim, without srkit.

A second run in the same folder continues where the first one stopped.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import galsim
import numpy as np
import yaml
from astropy.io import fits
from astropy.wcs import WCS
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel
from numpy.typing import NDArray
from scipy import ndimage, signal

Array = NDArray[np.float64]

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
#: The field: its centre in degrees and its side in arcsec.
CENTRE, SIDE = (150.1, 2.2), 330.0
#: Populations besides the lenses.
GALAXIES, STARS = 2600, 160
#: The extension of variances.
UNCERTAINTY = "UNCERT"
#: Side of the LR cutouts in pixels.
CUTOUT = 48


@dataclass(frozen=True)
class Camera:
    """What an image of the field is drawn with.

    Parameters
    ----------
    pixel_scale
        Side of a pixel in arcsec.
    psf
        Without the pixel.
    zero_point
        AB magnitude of one unit.
    sky
        Standard deviation of the noise of the sky.
    gain
        Electrons of one unit.
    neighbour
        Weight of the neighbours on each axis in the kernel that correlates the noise.
    offset
        Of the pointing in arcsec, which registration has to find.
    """

    pixel_scale: float
    psf: galsim.GSObject
    zero_point: float
    sky: float
    gain: float
    neighbour: float
    offset: float

    @property
    def pixels(self) -> int:
        """Side of the image."""
        return round(SIDE / self.pixel_scale)

    def wcs(self) -> WCS:
        """Return the coordinates of the image, with north up."""
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.crval = CENTRE
        wcs.wcs.crpix = [(self.pixels + 1) / 2] * 2
        wcs.wcs.cdelt = [-self.pixel_scale / 3600, self.pixel_scale / 3600]
        return wcs


PHOTFLAM, PHOTPLAM = 7.0e-20, 8045.0
HSC = Camera(0.168, galsim.Moffat(beta=3.0, fwhm=0.62), 27.0, 0.05, 3000.0, 0.12, 0.0)
HST = Camera(
    0.05,
    galsim.Moffat(beta=2.5, fwhm=0.1),
    -2.5 * np.log10(PHOTFLAM) - 21.10 - 5 * np.log10(PHOTPLAM) + 18.6921,
    0.006,
    2200.0,
    0.3,
    0.1,
)


@dataclass(frozen=True)
class Source:
    """A source of the field: its place in arcsec east and north of the centre, and its light.

    The flux of `profile` is that of one unit at an AB magnitude of 0.
    """

    east: float
    north: float
    profile: galsim.GSObject


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of all files")
    parser.add_argument("--lenses", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=600, help="of each training")
    arguments = parser.parse_args()
    out: Path = arguments.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "lenses.csv").exists():
        simulate(out, arguments.lenses, arguments.seed)
    if not (out / "pairs" / "pairs.csv").exists():
        files = ("--hsc", out / "hsc.fits", "--hst", out / "hst.fits")
        catalogue = ("--catalogue", out / "lenses.csv")
        srkit("data", "pair", *files, *catalogue, "--out", out / "pairs", "--size", CUTOUT)
    recipe = write_recipes(out, arguments.steps)
    srkit("data", "check", recipe, "--out", out / "check", "--overwrite")
    srkit("finetune", recipe, "--out", out / "transferred", "--resume")
    restore(out)
    srkit("validate", out / "hsc.fits", "-m", out / "transferred", "--sources", 40)
    table = json.loads((out / "transferred" / "evaluation" / "table.json").read_text("utf-8"))
    measured = measure_again(out)
    (out / "galsim_pairs.json").write_text(json.dumps(measured, indent=2) + "\n", "utf-8")
    print(json.dumps({"by srkit": table, "again": measured}, indent=2))


def srkit(*arguments: object) -> None:
    """Run a command of srkit."""
    subprocess.run([sys.executable, "-m", "srkit", *map(str, arguments)], check=True)


# Simulation


def simulate(out: Path, lenses: int, seed: int) -> None:
    """Draw both mosaics, and write the positions of the lenses."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(-0.46, 0.46, (lenses, 2)) * SIDE
    sources = [each for east, north in places for each in draw_lens(rng, east, north)]
    sources += [draw_galaxy(rng) for _ in range(GALAXIES)]
    sources += [draw_star(rng) for _ in range(STARS)]
    for name, camera in (("hst", HST), ("hsc", HSC)):
        pixels, variance = observe(camera, sources, rng)
        write_mosaic(out / f"{name}.fits", camera, pixels, variance)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], CENTRE
    wcs.wcs.crpix, wcs.wcs.cdelt = [0, 0], [-1 / 3600, 1 / 3600]
    ra, dec = wcs.all_pix2world(-places[:, 0], places[:, 1], 1)
    with (out / "lenses.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "ra", "dec"])
        writer.writerows(
            (f"lens{i:04d}", *pair) for i, pair in enumerate(zip(ra, dec, strict=True))
        )


def shape(rng: np.random.Generator, largest: float) -> galsim.Shear:
    return galsim.Shear(g=rng.uniform(0, largest), beta=rng.uniform(0, 180) * galsim.degrees)


def draw_lens(rng: np.random.Generator, east: float, north: float) -> Iterator[Source]:
    """Yield an elliptical galaxy and the images of a galaxy behind it."""
    flux, radius = 10 ** (-0.4 * rng.uniform(18.5, 20.5)), rng.uniform(0.5, 1.4)
    galaxy = galsim.DeVaucouleurs(half_light_radius=radius, flux=flux).shear(shape(rng, 0.25))
    yield Source(east, north, galaxy)
    side, step = 6.4, 0.025
    axis = (np.arange(round(side / step)) + 0.5) * step - side / 2
    x, y = (plane.ravel() for plane in np.meshgrid(axis, axis))
    e1, e2, shear1, shear2 = rng.normal(0, [0.1, 0.1, 0.03, 0.03])
    sie = {"theta_E": rng.uniform(0.7, 1.8), "e1": e1, "e2": e2, "center_x": 0, "center_y": 0}
    beta = LensModel(["SIE", "SHEAR"]).ray_shooting(
        x, y, [sie, {"gamma1": shear1, "gamma2": shear2}]
    )
    place = rng.uniform(-0.25, 0.25, 2)
    light = {"R_sersic": rng.uniform(0.1, 0.3), "n_sersic": 1.0, "amp": 1.0}
    light |= {"center_x": place[0], "center_y": place[1]}
    image = LightModel(["SERSIC"]).surface_brightness(*beta, [light])
    source = 10 ** (-0.4 * rng.uniform(23.0, 25.0))
    total = 2 * np.pi * light["R_sersic"] ** 2 * np.exp(1.678) / 1.678**2  # of n = 1, amp at R
    image = (image * step**2 * source / total).reshape(len(axis), -1)
    yield Source(east, north, galsim.InterpolatedImage(galsim.Image(image), scale=step))


def draw_galaxy(rng: np.random.Generator) -> Source:
    """Draw a galaxy of the field; their number doubles with each magnitude."""
    magnitude = 25.5 + np.log2(1 - rng.uniform(0, 1) * (1 - 2.0**-5.5))
    radius = 0.6 * 10 ** (-0.12 * (magnitude - 21)) * rng.lognormal(0, 0.3)
    profile = galsim.Sersic(
        rng.choice([1.0, 1.5, 2.5]), half_light_radius=radius, flux=10 ** (-0.4 * magnitude)
    )
    east, north = rng.uniform(-0.5, 0.5, 2) * SIDE
    return Source(east, north, profile.shear(shape(rng, 0.4)))


def draw_star(rng: np.random.Generator) -> Source:
    east, north = rng.uniform(-0.49, 0.49, 2) * SIDE
    return Source(east, north, galsim.DeltaFunction(flux=10 ** (-0.4 * rng.uniform(18, 24))))


def observe(camera: Camera, sources: list[Source], rng: np.random.Generator) -> tuple[Array, Array]:
    """Return the image of a camera and the variance of its noise."""
    image = galsim.ImageD(camera.pixels, camera.pixels, scale=camera.pixel_scale)
    scale = 10 ** (0.4 * camera.zero_point)
    parameters = galsim.GSParams(maximum_fft_size=16384)
    for source in sources:
        light = galsim.Convolve(source.profile * scale, camera.psf, gsparams=parameters)
        stamp = light.drawImage(
            nx=(n := stamp_side(camera, source)),
            ny=n,
            scale=camera.pixel_scale,
            center=image.true_center
            + galsim.PositionD(
                (camera.offset - source.east) / camera.pixel_scale,
                source.north / camera.pixel_scale,
            ),
            dtype=float,
        )
        common = stamp.bounds & image.bounds
        if common.isDefined():
            image[common] += stamp[common]
    variance = camera.sky**2 + np.clip(image.array, 0, None) / camera.gain
    axis = np.array([camera.neighbour, 1, camera.neighbour])
    kernel = np.outer(axis, axis) / (axis @ axis)
    white = rng.normal(size=image.array.shape) * np.sqrt(variance)
    return image.array + ndimage.convolve(white, kernel), variance


def stamp_side(camera: Camera, source: Source) -> int:
    """Return the pixels of a stamp, beyond which the light is lost in the noise."""
    arcsec = 12.0 if source.profile.flux > 10 ** (-0.4 * 21) else 7.0
    return 2 * round(arcsec / camera.pixel_scale / 2)


def write_mosaic(path: Path, camera: Camera, pixels: Array, variance: Array) -> None:
    """Write a mosaic in the layout of its archive."""
    header = camera.wcs().to_header()
    image = fits.ImageHDU(pixels.astype(np.float32), header)
    if camera is HSC:
        primary = fits.PrimaryHDU()
        primary.header["FLUXMAG0"] = 10 ** (0.4 * camera.zero_point)
        mask = fits.ImageHDU(np.zeros(pixels.shape, np.int32), header)
        mask.header["MP_BAD"] = 0
        planes = fits.ImageHDU(variance.astype(np.float32), header)
        for hdu, name in ((image, "IMAGE"), (mask, "MASK"), (planes, "VARIANCE")):
            hdu.name = hdu.header["EXTTYPE"] = name
        hdus = [primary, image, mask, planes]
    else:
        image.name = "SCI"
        image.header.update({"BUNIT": "ELECTRONS/S", "PHOTFLAM": PHOTFLAM, "PHOTPLAM": PHOTPLAM})
        hdus = [fits.PrimaryHDU(), image]
    fits.HDUList(hdus).writeto(path, overwrite=True)


# Transfer


def write_recipes(out: Path, steps: int) -> Path:
    """Write the recipes of the pretraining and of the transfer, and return the latter."""
    psfs = {
        "psf": {"type": "moffat", "fwhm": 0.62, "beta": 3.0},
        "source": {"type": "moffat", "fwhm": 0.11, "beta": 2.5},
    }
    training = {
        "duration": steps,
        "batch_size": 16,
        "workers": 1,
        "validate_every": steps // 4,
        "checkpoint_every": steps // 4,
        "ema": 0.99,
        "log_every": 50,
        "patience": None,
    }
    simulated = {"type": "lens_simulation", "population": "slacs"}
    cameras = {"lr_camera": {"fwhm": 0.62, "beta": 3.0}, "hr_camera": {"fwhm": 0.11, "beta": 2.5}}
    pretrained = {
        "extends": str(RECIPES / "lens_l2.yaml"),
        "name": "galsim_pretrained",
        "generator": {"blocks": 8, "features": 32},
        "data": {
            "train": {"dataset": {**simulated, **cameras, "length": 2000, "size": CUTOUT}},
            "validation": {"dataset": {**simulated, **cameras, "length": 24, "size": CUTOUT}},
            "test": {"dataset": {**simulated, **cameras, "length": 24, "size": CUTOUT}},
        },
        "training": {**training, "optimiser": {"lr": 1e-3}},
        "sample": None,
    }
    pairs = {"type": "lens_pairs", "lr": str(out / "pairs" / "lr"), "hr": str(out / "pairs" / "hr")}
    transferred = {
        "extends": str(RECIPES / "lens_nll.yaml"),
        "name": "galsim_pairs",
        "description": "Transfer to pairs from mosaics of GalSim, with predicted variance",
        "generator": {"blocks": 8, "features": 32},
        "needs": {"l2": str(out / "pretrained.yaml")},
        "constraint": {"type": "flux", **psfs},
        "metrics": {
            "psnr": {"range": "auto"},
            "ssim": {"range": "auto"},
            "reduced_chi_square": psfs,
        },
        "data": {
            split: {"dataset": {**pairs, "split": split}}
            for split in ("train", "validation", "test")
        },
        "training": {**training, "optimiser": {"lr": 2e-4}},
        "evaluation": {
            "baselines": ["original", "bicubic", "lanczos", {"type": "richardson_lucy", **psfs}],
            "self_ensemble": False,
        },
        "sample": None,
    }
    for name, tree in (("pretrained", pretrained), ("transferred", transferred)):
        (out / f"{name}.yaml").write_text(yaml.safe_dump(tree, sort_keys=False), "utf-8")
    return out / "transferred.yaml"


def restore(out: Path) -> None:
    """Restore the LR files of the test pairs with the transferred network, and with bicubic."""
    files = [out / "pairs" / "lr" / f"{name}.fits" for name in test_names(out)]
    for model, options in ((out / "transferred", ["--uncertainty"]), ("bicubic", [])):
        folder = out / "restored" / Path(model).name
        if not folder.exists():
            srkit("upscale", *files, "-m", model, "--scale", 2, *options, "-o", folder)


def test_names(out: Path) -> list[str]:
    with (out / "transferred" / "evaluation" / "per_image.csv").open(encoding="utf-8") as file:
        return [row["image"] for row in csv.DictReader(file)]


# Numbers without srkit


def measure_again(out: Path) -> dict[str, Any]:
    """Return the metrics of the test pairs, computed from FITS files by NumPy, SciPy and GalSim."""
    found: dict[str, Any] = {}
    for model in ("bicubic", "transferred"):
        rows, pulls = [], []
        for name in test_names(out):
            hr = plane(out / "pairs" / "hr" / f"{name}.fits", 0)
            path = out / "pairs" / "lr" / f"{name}.fits"
            lr, variance = plane(path, 0), plane(path, UNCERTAINTY)
            path = out / "restored" / model / f"{name}.fits"
            sr = plane(path, 0)
            if model == "transferred":
                pulls.append((hr, (sr - hr) / np.sqrt(plane(path, UNCERTAINTY))))
            rows.append(measure_image(sr, hr, lr, variance))
        found[model] = {
            key: {
                "mean": float(np.mean(values)),
                "median": float(np.median(values)),
                "scatter": float(1.4826 * np.median(np.abs(values - np.median(values)))),
            }
            for key in rows[0]
            for values in [np.array([row[key] for row in rows])]
        }
        if pulls:
            found["coverage"] = coverage(pulls)
    return found


def plane(path: Path, name: str | int) -> Array:
    pixels: Array = fits.getdata(path, name).astype(float)
    return pixels


def measure_image(sr: Array, hr: Array, lr: Array, variance: Array) -> dict[str, float]:
    """Return the mean squared error, PSNR relative to the range of HR, and chi-square."""
    mse = float(np.mean((sr - hr) ** 2))
    border = 4
    residual = (lr - observe_again(sr)) ** 2 / variance
    inner = residual[border:-border, border:-border]
    return {
        "mse": mse,
        "psnr_minmax": 10 * np.log10(float(np.ptp(hr)) ** 2 / mse),
        "reduced_chi_square": float(inner.mean()),
    }


def observe_again(sr: Array) -> Array:
    """Convolve SR with the PSF of HSC, deconvolved from that of HST, and sum over LR pixels."""
    hst = galsim.Moffat(beta=2.5, fwhm=0.11)
    kernel = galsim.Convolve(HSC.psf, galsim.Deconvolve(hst))
    weights = kernel.drawImage(nx=63, ny=63, scale=HSC.pixel_scale / 2, method="no_pixel").array
    padded = np.pad(sr, 31, mode="reflect")
    blurred = signal.fftconvolve(padded, weights / weights.sum(), "valid")
    summed: Array = blurred.reshape(sr.shape[0] // 2, 2, sr.shape[1] // 2, 2).sum((1, 3))
    return summed


def coverage(pulls: list[tuple[Array, Array]]) -> list[dict[str, float]]:
    """Return how many pixels lie within 1 and 2 standard deviations, by signal-to-noise of HR."""
    hr, pull = (np.concatenate([each[i].ravel() for each in pulls]) for i in range(2))
    noise = 1.4826 * np.median(np.abs(hr - np.median(hr)))
    edges = [-np.inf, 3, 10, 30, 100, np.inf]
    rows = []
    for low, high in pairwise(edges):
        chosen = np.abs(pull[(hr >= low * noise) & (hr < high * noise)])
        if len(chosen):
            within = [float((chosen < limit).mean()) for limit in (1, 2)]
            rows.append({"from": low, "pixels": len(chosen), "1 sigma": within[0], "2": within[1]})
    return rows


if __name__ == "__main__":
    main()
