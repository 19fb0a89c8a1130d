# %% [markdown]
# # An HSC cutout at twice the resolution, and can I trust it
#
# You have a cutout of Hyper Suprime-Cam, and want it at twice the resolution: 0.084 instead of 0.168 arcsec per pixel.
# This tutorial restores it, and then asks what in the result can be trusted.
#
# So that nothing has to be downloaded, the cutout is made here, with the layout of the HSC pipeline: an image, a mask
# and a variance, with a WCS and a zero point. To use your own, skip the first cell and replace `cutout.fits`.

# %%
import numpy as np
from astropy.convolution import Gaussian2DKernel, convolve_fft
from astropy.io import fits
from astropy.modeling.models import Sersic2D
from astropy.wcs import WCS

rng = np.random.default_rng(3)
side, pixel, seeing, noise = 128, 0.168, 0.65, 0.05
y, x = np.mgrid[:side, :side]
sky = np.zeros((side, side))
for _ in range(8):  # galaxies
    place, radius = rng.uniform(6, side - 6, 2), rng.uniform(1, 4)
    shape = {"ellip": rng.uniform(0, 0.6), "theta": rng.uniform(0, np.pi)}
    sky += Sersic2D(rng.uniform(0.3, 4), radius, rng.uniform(0.7, 2.5), *place, **shape)(x, y)
for _ in range(8):  # stars
    sky[tuple(rng.integers(6, side - 6, 2))] += 10 ** rng.uniform(1, 2.7)
observed = convolve_fft(sky, Gaussian2DKernel(seeing / 2.3548 / pixel), boundary="wrap")

wcs = WCS(naxis=2)
wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
wcs.wcs.crval, wcs.wcs.crpix = [150.1, 2.2], [side / 2 + 0.5] * 2
wcs.wcs.cdelt = [-pixel / 3600, pixel / 3600]
image = fits.ImageHDU(rng.normal(observed, noise).astype(np.float32), wcs.to_header(), name="IMAGE")
image.header["BUNIT"] = "count"
mask = fits.ImageHDU(np.zeros((side, side), np.int32), wcs.to_header(), name="MASK")
variance = fits.ImageHDU(
    np.full((side, side), noise**2, np.float32), wcs.to_header(), name="VARIANCE"
)
primary = fits.PrimaryHDU()
primary.header["FLUXMAG0"] = 10 ** (27 / 2.5)  # AB 27 is one count
fits.HDUList([primary, image, mask, variance]).writeto("cutout.fits", overwrite=True)

# %% [markdown]
# ## Restore it
#
# `srkit.upscale` takes the path of a file, an HDU or a `CCDData`, and returns a `CCDData`. Without a model it uses
# `sky_x2`, a small network for frames that is part of srkit. As the output of a cell, the result shows itself.

# %%
import srkit

lr = fits.getdata("cutout.fits", "IMAGE")
sr = srkit.upscale("cutout.fits")
sr

# %% [markdown]
# ## Is the flux kept? Does the WCS point to the same sky?
#
# The values are counts, which is flux per pixel: four pixels of SR share the flux of one pixel of LR. The sum is the
# same, and a point of the sky is where it was.

# %%
print(f"sum of LR {lr.sum():.2f}, of SR {sr.data.sum():.2f} {sr.unit}")
corner = wcs.pixel_to_world(0, 0)
print("the centre of the first LR pixel is at SR pixel", sr.wcs.world_to_pixel(corner))

# %% [markdown]
# ## Does SR agree with what was observed?
#
# `--check` observes SR again, that is, averages its pixels, and compares with the input, in units of the noise. Read the
# last part of its message: `sky_x2` keeps every pixel by construction, so that for this network the check cannot fail.

# %%
# !srkit upscale cutout.fits --check --overwrite

# %% [markdown]
# ## Look at it beside others
#
# The page has a divider between two of the images. `lanczos` is an interpolation, which cannot invent anything.
# `edsr_small_x2` was trained on photographs, and has never seen noise.

# %%
from srkit.report import Report

# !srkit compare cutout.fits -m sky_x2 -m edsr_small_x2 -m lanczos
Report("cutout_compare.html", height=640)

# %% [markdown]
# ## What does it find, lose and invent?
#
# Only sources of which the truth is known can answer that. `srkit validate` adds some to the frame, at several
# signal-to-noise ratios, restores it, and searches the result. Its defaults inject 560; this run injects fewer.

# %%
# !srkit validate cutout.fits -m sky_x2 --psf 0.65 --snr 5,10,20 --sources 3 --noise-frames 1 -o validated
validated = Report("validated")
validated.tables.keys()

# %% [markdown]
# The page lists, for LR, an interpolation, a deconvolution and the network, which fraction of the sources is found, how
# much their fluxes are biased, and how many false sources appear.

# %%
Report("validated", height=900)

# %% [markdown]
# ## What to conclude
#
# - `sky_x2` finds what LR has, keeps its flux, and adds few false sources. It neither removes the PSF nor makes anything
#   fainter visible. It is a safe way to a finer grid.
# - The deconvolution finds more, and pays with false sources.
# - For a network of your own, repeat the last steps with `-m runs/NAME` before you measure anything in its images. How to
#   train one is the subject of the [next tutorial](mosaics.md).
