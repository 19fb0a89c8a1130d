"""Image formats: how files are read and written.

Every format is an :class:`ImageFormat`. The other protocols are optional: a format that has their
members can do more, and srkit finds that out with ``isinstance``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from srkit.interfaces.degradations import Observation
from srkit.interfaces.samples import Image


@runtime_checkable
class ImageFormat(Protocol):
    """Reads and writes the files of one format.

    Attributes
    ----------
    suffixes
        File name extensions in lower case, with their dot.
    """

    suffixes: Sequence[str]

    def read(self, path: Path, /) -> Image:
        """Read a file.

        Raises
        ------
        DataError
            If the file is damaged; the message names it.
        """
        ...

    def write(self, path: Path, image: Image, /) -> None:
        """Write a file; values outside the data range are clipped only if the format must."""
        ...


@dataclass(frozen=True, slots=True)
class FormatLimits:
    """What the files of a format can hold.

    Parameters
    ----------
    depths
        Bits that a value may have; 32 are floats.
    metadata
        Which of these metadata are written: ``alpha``, ``icc``, ``gamma``, ``exif``, ``xmp``,
        ``header``, ``mask``, ``variance``, ``spread``.
    max_bytes
        Size limits of some of these metadata, in bytes.
    max_side
        Largest height and width in pixels; None if there is no limit.
    """

    depths: Sequence[int]
    metadata: frozenset[str] = frozenset()
    max_bytes: Mapping[str, int] = field(default_factory=dict)
    max_side: int | None = None

    def is_too_long(self, image: Image, name: str) -> bool:
        """Return whether one of the metadata of an image exceeds its size limit."""
        return name in self.max_bytes and len(image.metadata.get(name, b"")) > self.max_bytes[name]


@runtime_checkable
class LimitedFormat(Protocol):
    """A format that states what its files can hold, so that users are warned of losses.

    Attributes
    ----------
    limits
        What its files can hold.
    """

    limits: FormatLimits


@runtime_checkable
class SignatureFormat(Protocol):
    """A format that is recognised by content, as standard input requires.

    Attributes
    ----------
    signature
        Regular expression that matches the first bytes of its files.
    """

    signature: bytes


@runtime_checkable
class ReadOnlyFormat(Protocol):
    """A format whose files are only read; `write` raises DataError.

    Attributes
    ----------
    sr_suffix
        Extension of the files that its images are written to by default, such as ``.png``.
    """

    sr_suffix: str


@runtime_checkable
class LevelsFormat(Protocol):
    """A format that decodes 8-bit pictures fast, for training."""

    def levels(self, path: Path, content: bytes, short_side: int | None, /) -> Tensor | None:
        """Decode a picture; see :meth:`srkit.images.Formats.levels`."""
        ...


@runtime_checkable
class SizedFormat(Protocol):
    """A format that finds the size of an image without decoding it."""

    def size(self, path: Path, /) -> tuple[int, int]:
        """Return height and width of the image that `read` returns.

        Raises
        ------
        DataError
            If the file is damaged, as far as that shows without decoding it.
        """
        ...


@runtime_checkable
class PagedFormat(Protocol):
    """A format whose files can have several pages."""

    def read_pages(self, path: Path, /) -> list[Image]:
        """Read every page of a file; raise as :meth:`ImageFormat.read` does."""
        ...

    def write_pages(self, path: Path, images: Sequence[Image], /) -> None:
        """Write images as the pages of one file."""
        ...


@runtime_checkable
class SelectiveFormat(Protocol):
    """A format whose files can hold several images, of which one is read."""

    def select(self, extension: str, /) -> ImageFormat:
        """Return the format that reads the image of a name or number, such as ``SCI,2``.

        Its `read` raises DataError if the file has no such image.
        """
        ...


@runtime_checkable
class EnlargingFormat(Protocol):
    """A format whose metadata have to be updated when an image is super-resolved.

    If it is a :class:`WindowedFormat`, `enlarge` also receives outlines and windows: it treats
    pixels one by one, and takes statistics of the whole image from `upscaled`.
    """

    def enlarge(
        self, lr: Image, upscaled: Upscaled, scale: float, history: Sequence[str], /
    ) -> Image:
        """Return SR with the metadata of its LR file, updated.

        Parameters
        ----------
        lr
            The LR image.
        upscaled
            Its SR.
        scale
            SR pixels per LR pixel along a side.
        history
            Lines on how SR was made, such as the model and its checksum.
        """
        ...


@runtime_checkable
class CalibratedFormat(Protocol):
    """A format of measured values, whose files state units and zero points.

    If it is a :class:`WindowedFormat`, `calibrate` also receives outlines.
    """

    def calibrate(self, image: Image, /) -> Image:
        """Add metadata that the file states.

        Returns
        -------
        Image
            With ``zero_point`` (AB magnitude of one unit), ``pixel_scale`` (arcsec) and ``unit``
            among its metadata, as far as they are known; ``zero_point_error`` says why the zero
            point that the file states cannot be used.
        """
        ...

    def brightness(self, lr: Image, pixels: Tensor, scale: float, /) -> Tensor:
        """Convert the pixels of an SR file to flux per area of an LR pixel."""
        ...

    def residual(self, lr: Image, pixels: Tensor, history: Sequence[str], /) -> Image:
        """Return residuals on the grid of `lr` as an image with the metadata of `lr`."""
        ...


@runtime_checkable
class SkyFormat(Protocol):
    """A format whose files locate pixels on the sky."""

    def sky(
        self, image: Image, points: Sequence[tuple[float, float]], /
    ) -> list[tuple[float, float]] | None:
        """Return RA and Dec in degrees of pixels (x, y); None if the file has no WCS."""
        ...


@runtime_checkable
class ObservedFormat(Protocol):
    """A format of frames with a PSF, which `--psf` of `srkit upscale` and `srkit eval` states."""

    def observation(self, lr: Image, path: Path, psf: str, stated: object, /) -> Observation:
        """Return how SR is observed as LR.

        Parameters
        ----------
        lr
            The LR image, with its ``pixel_scale`` if it is known.
        path
            Its file.
        psf
            The PSF of LR, as the user states it.
        stated
            The observation or the degradation that the recipe of the model states, whose PSF of HR
            applies; or None.

        Raises
        ------
        DataError
            If there is no such PSF, or SR has that of LR by the recipe.
        """
        ...


@runtime_checkable
class ObjectFormat(Protocol):
    """A format with Python classes of its own, such as CCDData for FITS."""

    def from_object(self, value: object, /) -> Image | None:
        """Convert an object to an image; return None if it is not of these classes."""
        ...

    def to_object(self, image: Image, like: object, /) -> Any:
        """Convert SR to an object of the class of `like`, from which LR was converted.

        If LR was read from a file, `like` is None, and the format chooses the class.
        """
        ...


@runtime_checkable
class ImageSource(Protocol):
    """An image file that is read row by row.

    Attributes
    ----------
    outline
        The image without its values: `pixels` and the planes among its metadata (``alpha``,
        ``mask``) are tensors on the device ``meta``, with the right shape and dtype. Its data range
        is not used.
    """

    outline: Image

    def data_range(self, low: float, high: float) -> tuple[float, float]:
        """Return black and white of the image, given its smallest and largest finite values."""
        ...

    def rows(self, start: int, stop: int) -> Image:
        """Read rows, equal to those of the image that the format's `read` returns, with planes."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


@runtime_checkable
class ImageSink(Protocol):
    """An image file that is written window by window, every pixel once."""

    def write(self, top: int, left: int, part: Image) -> None:
        """Write a window, with its planes, at a row and a column of the image."""
        ...

    def digest(self, start: int, stop: int) -> str:
        """Return a checksum of some rows as stored; raise EOFError if the file ends before them."""
        ...

    def finish(self, outline: Image) -> None:
        """Write what was not known before: `outline` may have more metadata than at the start."""
        ...

    def close(self) -> None:
        """Close the file, whether complete or not."""
        ...


@runtime_checkable
class WindowedFormat(Protocol):
    """A format whose images need not fit into memory.

    Attributes
    ----------
    windowed
        The format's suffixes whose files can be written window by window.
    """

    windowed: Sequence[str]

    def open_source(self, path: Path, /) -> ImageSource | None:
        """Open a file for reading by rows; return None if it has to be read whole."""
        ...

    def open_sink(self, path: Path, outline: Image, /, *, fresh: bool) -> ImageSink:
        """Begin a file, or continue one that was begun by the same call.

        Raises
        ------
        OSError, ValueError, EOFError
            If there is no file to continue.
        """
        ...


@runtime_checkable
class LossyFormat(Protocol):
    """A format with lossy compression of selectable quality.

    ``srkit eval --task compression`` measures it.
    """

    def compress(self, image: Image, quality: int, /) -> bytes:
        """Return the content of a file with the pixels alone; quality is 1 (worst) to 100."""
        ...

    def decompress(self, content: bytes, /) -> Image:
        """Read what `compress` returned: the same size and channels, or RGB for grey."""
        ...


@dataclass(frozen=True, slots=True)
class Upscaled:
    """A super-resolved image.

    Parameters
    ----------
    pixels
        ``(C, H, W)`` float32, in the values of the given image: surface brightness, so that a flat
        image keeps its value. NaN where the given image has no value.
    sigma
        Standard deviation of each value, if it was requested.
    notes
        Messages for the user about how it was made.
    guesses
        Those of them of which users of :func:`srkit.upscale` are warned.
    change
        Mean of SR minus that of LR, over the mean of LR's absolute values; needed only if `pixels`
        are not the whole image.
    marks
        ``(C, H, W)`` uint8: 1 where LR has no usable value and was interpolated, 2 where SR depends
        on such pixels; None if there are none.
    """

    pixels: Tensor
    sigma: Tensor | None = None
    notes: list[str] = field(default_factory=list)
    guesses: list[str] = field(default_factory=list, kw_only=True)
    change: float | None = None
    marks: Tensor | None = None
