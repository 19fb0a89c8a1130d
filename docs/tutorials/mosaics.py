# %% [markdown]
# # From two mosaics to a transferred network
#
# A network learns from pairs: the same sky with a lower and with a higher resolution. There are few real pairs, and
# simulated ones are never quite right. So a network is first trained on simulations, then transferred to the real pairs.
#
# This tutorial goes all the way, in a minute: two mosaics, pairs cut out of them, a network trained on simulated
# galaxies, and its transfer. The mosaics are made here; with your own, skip the first cell.

# %%
import csv
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.modeling.models import Sersic2D
from astropy.wcs import WCS
from scipy import ndimage

rng = np.random.default_rng(0)
fine, ratio, side = 0.042, 4, 1600  # arcsec; 4 x 4 fine pixels are one of HSC
sky = np.zeros((side, side), np.float32)
rows = []


def header(pixel: float, size: int) -> fits.Header:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [150.1, 2.2], [size / 2 + 0.5] * 2
    wcs.wcs.cdelt = [-pixel / 3600, pixel / 3600]
    return wcs.to_header()


to_sky = WCS(header(fine, side))
for number, (row, column) in enumerate(np.ndindex(7, 7)):
    centre = np.array([column, row]) * 208 + 176 + rng.uniform(-20, 20, 2)
    left, bottom = (centre - 90).astype(int)
    y, x = np.mgrid[bottom : bottom + 180, left : left + 180]
    angle, ellip = rng.uniform(0, np.pi), rng.uniform(0, 0.6)
    galaxy = Sersic2D(1, rng.uniform(6, 14), rng.uniform(0.7, 3), *centre, ellip=ellip, theta=angle)
    stamp = galaxy(x, y)
    sky[bottom : bottom + 180, left : left + 180] += rng.uniform(300, 1500) * stamp / stamp.sum()
    position = to_sky.pixel_to_world(*centre)
    rows.append([f"galaxy_{number}", position.ra.deg, position.dec.deg])
with Path("galaxies.csv").open("w", newline="") as file:
    csv.writer(file).writerows([["name", "ra", "dec"], *rows])


def blurred(fwhm: float) -> np.ndarray:
    return ndimage.gaussian_filter(sky, fwhm / 2.3548 / fine)


# Hubble: pixels of 0.042 arcsec, a PSF of 0.1 arcsec
hst = rng.normal(blurred(0.1), 0.004).astype(np.float32)
hst_header = header(fine, side)
hst_header["PHOTFLAM"], hst_header["PHOTPLAM"], hst_header["BUNIT"] = 7.07e-20, 8045.0, "electron/s"
fits.PrimaryHDU(hst, hst_header).writeto("hst.fits", overwrite=True)
# HSC: pixels of 0.168 arcsec, a PSF of 0.6 arcsec
small = side // ratio
hsc = blurred(0.6).reshape(small, ratio, small, ratio).sum((1, 3))
hdus = [fits.PrimaryHDU()]
hdus[0].header["FLUXMAG0"] = 10 ** (
    0.4 * (-2.5 * np.log10(7.07e-20) - 5 * np.log10(8045.0) - 2.408)
)
layers = {"IMAGE": rng.normal(hsc, 0.05), "MASK": 0 * hsc, "VARIANCE": 0 * hsc + 0.05**2}
for name, values in layers.items():
    dtype = np.int32 if name == "MASK" else np.float32
    hdus.append(fits.ImageHDU(values.astype(dtype), header(0.168, small), name=name))
fits.HDUList(hdus).writeto("hsc.fits", overwrite=True)

# %% [markdown]
# ## Cut out pairs
#
# `srkit data pair` resamples Hubble to a grid that subdivides the pixels of HSC, corrects the offset between the images,
# compares their fluxes, and rejects what does not fit.

# %%
# !srkit data pair --hsc hsc.fits --hst hst.fits --catalogue galaxies.csv --size 32 --out pairs

# %%
from srkit.report import Report

pairs = Report("pairs", height=700)
pairs

# %% [markdown]
# ## Train on simulations
#
# The data set `galaxy_simulation` simulates galaxies as HSC and Hubble would see them. A run of some minutes would be
# longer than the 60 steps here, and a real one takes hours on a GPU.

# %%
Path("simulated.yaml").write_text("""
name: simulated
scale: 2
channels: 1
generator: {type: edsr, blocks: 2, features: 16, upsampler: bilinear}
stretch: {type: asinh, peak: 45, softening: 0.003}
losses: {mse: {}}
metrics: {psnr: {range: auto}, flux_error: {}}
data:
  train: {dataset: {type: galaxy_simulation, split: train, length: 64, size: 32}}
  test: {dataset: {type: galaxy_simulation, split: test, length: 8, size: 32}}
training:
  duration: 60
  batch_size: 8
  optimiser: {lr: 1e-3}
  schedule: {type: cosine, warmup: 5}
  log_every: 20
  workers: 0
  precision: fp32
""")
# !srkit train simulated.yaml

# %% [markdown]
# ## Transfer to the real pairs
#
# The same recipe, with other data and with the weights of the first run as its start. For comparison, a second network
# is trained on the pairs alone, for the same number of steps.

# %%
Path("transferred.yaml").write_text("""
extends: simulated.yaml
name: transferred
start: {weights: runs/simulated}
data:
  train: {dataset: {type: lens_pairs, lr: pairs/lr, hr: pairs/hr, split: train}, augment: [flip, rotate]}
  test: {dataset: {type: lens_pairs, lr: pairs/lr, hr: pairs/hr, split: test}}
training: {duration: 40, optimiser: {lr: 3e-4}}
""")
Path("alone.yaml").write_text("""
extends: transferred.yaml
name: alone
start: null
training: {optimiser: {lr: 1e-3}}
""")
# !srkit train alone.yaml
# !srkit finetune transferred.yaml evaluation.models='{simulations alone: runs/simulated, pairs alone: runs/alone}'

# %%
report = Report("runs/transferred", height=900)
report.tables["table"]

# %%
report

# %% [markdown]
# ## What to conclude
#
# Forty steps and a few dozen pairs prove nothing, which is why the table has standard errors. The
# [results on simulated lenses](../explanation/transfer.md#the-gain) have three seeds and more steps: there, the
# transfer gains 5 dB over the 300 pairs alone.
#
# With your own mosaics, also set the PSFs of both images, so that SR, observed again, has the flux of LR:
# see [Flux](../explanation/flux_and_wcs.md#the-flux-constraint).
