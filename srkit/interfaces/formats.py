"""Image formats: how files are read and written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Tensor

from srkit.interfaces.samples import Image


@runtime_checkable
class ImageFormat(Protocol):
    """Reads and writes the files of one format.

    One whose files say more than pixels may have more methods for `srkit upscale`:
    ``calibrate(image)`` gives the image with ``zero_point`` (AB magnitude of one unit),
    ``pixel_scale`` (arcsec) and ``unit`` among its metadata, where its file tells them, and
    ``enlarge(lr, upscaled, scale, history)`` gives the restored image with everything that its LR
    file said, brought up to date (`upscaled` is a :class:`srkit.interfaces.Upscaled`). To
    check SR,
    ``brightness(lr, pixels, scale)`` brings what ``enlarge`` made to flux per area of an LR pixel,
    ``residual(lr, pixels, history)`` gives an image of LR's grid with what LR's file said, and
    ``sky(image, points)`` RA and Dec in degrees of pixels (x, y), or None. One whose files have
    pages has ``read_pages(path)`` and ``write_pages(path, images)``. What files cannot hold is told
    by ``depths``, the bits that a value may have (32 are floats), ``holds``, which of
    :data:`srkit.images.fidelity.PARTS` of the metadata are written, ``room``, the bytes of some of
    these,
    ``longest``, the pixels of a side;
    ``signature`` is a regular expression of bytes that its files begin with.
    ``levels(path, content, short_side)`` decodes 8-bit pictures fast, as
    :meth:`srkit.images.formats.Formats.levels` wants it. For Python,
    ``from_object(value)`` makes an image of an object, or gives None, and ``to_object(image)``
    makes such an object.

    Attributes
    ----------
    suffixes
        File name endings in lower case with their dot.
    """

    suffixes: Sequence[str]

    def read(self, path: Path, /) -> Image:
        """Read a file; raise :class:`srkit.errors.DataError` naming it when it is damaged."""
        ...

    def write(self, path: Path, image: Image, /) -> None:
        """Write a file; values outside the data range are clipped only if the format must."""
        ...


@runtime_checkable
class ImageSource(Protocol):
    """An image file that is read by rows.

    Attributes
    ----------
    outline
        The image without its values: `pixels` and the planes among its metadata (``alpha``,
        ``mask``) are tensors of the device ``meta``, of the right shape and dtype. Its data range
        does not count.
    """

    outline: Image

    def data_range(self, low: float, high: float) -> tuple[float, float]:
        """Give black and white of the image, whose finite values begin and end at these."""
        ...

    def rows(self, start: int, stop: int) -> Image:
        """Read rows: equal to these rows of what the format's `read` gives, planes included."""
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
        """Give a checksum of some rows as the file holds them; raise EOFError if it ends before."""
        ...

    def finish(self, outline: Image) -> None:
        """Write what was not known before: `outline` may say more than the one at the start."""
        ...

    def close(self) -> None:
        """Close the file, whole or not."""
        ...


@runtime_checkable
class WindowedFormat(Protocol):
    """What a format has besides whose images need not fit into memory.

    Its ``calibrate`` and ``enlarge`` are given outlines and windows, too: they treat pixels one by
    one, and take numbers about the whole image from `Upscaled`.

    Attributes
    ----------
    windowed
        Those of the format's suffixes whose files can be written so.
    """

    windowed: Sequence[str]

    def open_source(self, path: Path, /) -> ImageSource | None:
        """Open a file to be read by rows; None if this one has to be read whole."""
        ...

    def open_sink(self, path: Path, outline: Image, /, *, fresh: bool) -> ImageSink:
        """Begin a file, or go on with one that was begun by the same call.

        Raise `OSError`, `ValueError` or `EOFError` if there is none to go on with.
        """
        ...


@runtime_checkable
class LossyFormat(Protocol):
    """What a format has besides that compresses with loss, to a quality of choice.

    ``srkit eval --task compression`` measures it.
    """

    def compress(self, image: Image, quality: int, /) -> bytes:
        """Give the content of a file with the pixels alone; quality is 1 (worst) to 100."""
        ...

    def decompress(self, content: bytes, /) -> Image:
        """Read what `compress` gave: of the same size, with as many channels or RGB for grey."""
        ...


@dataclass(frozen=True, slots=True)
class Upscaled:
    """An image restored.

    Parameters
    ----------
    pixels
        ``(C, H, W)`` float32, in the values of the given image: surface brightness, so that a flat
        image keeps its value. NaN where the given image has no value.
    sigma
        Standard deviation of each value, where it was asked for.
    notes
        What the user should know of how it was made.
    change
        Mean of SR less that of LR, over the mean of LR's absolute values, where `pixels` are not
        all there is to measure it on.
    """

    pixels: Tensor
    sigma: Tensor | None = None
    notes: list[str] = field(default_factory=list)
    change: float | None = None
