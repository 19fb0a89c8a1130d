"""The PSF of a frame as the option `--psf` states it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from srkit.errors import DataError
from srkit.interfaces import Image
from srkit_astro.instruments.degradations import HstToHsc, PsfNoise
from srkit_astro.instruments.forward_model import ForwardModel
from srkit_astro.instruments.psf import Psf
from srkit_astro.instruments.psf_images import read_psf_image

#: A width and its unit.
WIDTH = re.compile(r"([\d.]+(?:[eE][+-]?\d+)?)\s*(px|pix|pixels?|arcsec|\"|)")
#: What can be given.
EXPECTED = (
    "expected the FWHM of a Gaussian in arcsec (0.6) or LR pixels (3.5px), a FITS or NPY file, "
    "'stars', or a PSF as in recipes such as '{type: moffat, fwhm: 0.6, beta: 3}'"
)


def observation(
    lr: Image, path: Path, text: str, stated: object, hdu: str | None = None
) -> ForwardModel:
    """Return how SR is observed with a given PSF; see :class:`srkit.interfaces.ObservedFormat`.

    `hdu` is the extension of the file, if it is not the default.

    Raises
    ------
    DataError
        If the text is not a PSF, its file cannot be read, or the recipe does not state the PSF of
        HR although its LR has another.
    """
    side: float | None = lr.metadata.get("pixel_scale")
    spec = _spec(text, path, side, hdu)
    try:
        psf: Psf = TypeAdapter[Psf](Psf).validate_python(spec)
        return ForwardModel(psf, _source(stated), lr_pixel=1.0 if side is None else side)
    except ValidationError as error:
        problems = "; ".join(
            ": ".join([*map(str, each["loc"][1:]), each["msg"]]) for each in error.errors()
        )
        raise DataError(f"--psf {text}: {problems}; {EXPECTED}") from error
    except ValueError as error:
        raise DataError(f"--psf {text}: {error}") from error


def _source(stated: object) -> Psf | None:
    """Return the PSF of HR by the recipe; None if HR is the sky itself."""
    if isinstance(stated, ForwardModel | HstToHsc):
        return stated.source
    if stated is None or isinstance(stated, PsfNoise):
        return None
    raise DataError(
        "the degradation of the model's recipe has no PSF: its SR has the PSF of LR, and is not "
        "observed with a PSF; drop --psf"
    )


def _spec(text: str, path: Path, side: float | None, hdu: str | None) -> Mapping[str, Any]:
    """Return the PSF as in a recipe."""
    if text == "stars":
        if not path.is_file():
            raise DataError(
                f"--psf stars: {path} is not a file with stars; name a frame: --psf "
                "'{type: stars, file: frame.fits}'"
            )
        return {"type": "stars", "file": path, "hdu": hdu, "pixel_scale": side or 1.0}
    width = WIDTH.fullmatch(text.strip())
    if width is not None:
        pixels = width[2].startswith("p")
        if side is None and not pixels:
            raise DataError(
                f"{path}: its pixel scale is unknown; give --psf in LR pixels, such as {width[1]}px"
            )
        return {"type": "gaussian", "fwhm": float(width[1]) * ((side or 1.0) if pixels else 1.0)}
    if text.lstrip().startswith("{"):
        try:
            given = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise DataError(f"--psf {text}: not valid YAML; {EXPECTED}") from error
        if isinstance(given, Mapping):
            return {str(key): value for key, value in given.items()}
    if not Path(text).is_file():
        raise DataError(f"--psf {text}: no such file; {EXPECTED}")
    scale = {} if read_psf_image(Path(text), 0.0)[1] else {"pixel_scale": side or 1.0}
    return {"type": "image", "file": text, **scale}
