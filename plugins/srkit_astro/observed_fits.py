"""The format FITS for frames of telescopes, with the PSFs that :mod:`.files` does not know."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from srkit_astro.files.fits import Fits

if TYPE_CHECKING:
    from srkit.interfaces import Image, Observation


class ObservedFits(Fits):
    """FITS: reads any numeric type and writes float32; nothing is scaled or clipped.

    Files are read and written as by :class:`srkit_astro.files.fits.Fits`. SR of its frames can be
    observed with a PSF.
    """

    def observation(self, lr: Image, path: Path, psf: str, stated: object) -> Observation:
        """Return how SR is observed with a PSF; see :func:`.given_psf.observation`."""
        from srkit_astro.instruments.given_psf import observation

        return observation(lr, path, psf, stated, self.extension)
