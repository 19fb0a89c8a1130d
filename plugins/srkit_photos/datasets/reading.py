"""From a photograph's file to the pixels of a sample."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from srkit.errors import DataError
from srkit.functional import resize_short_side
from srkit.images import Formats
from srkit.interfaces import Window

Mode = Literal["rgb", "grey"]
Range = tuple[float, float]


def check_short_side(path: Path, height: int, width: int, size: int) -> None:
    """Check that a picture is as large as the square that is cut from it.

    Raises
    ------
    DataError
        If it is smaller.
    """
    if min(height, width) < size:
        raise DataError(
            f"{path}: has {width} x {height} pixels; size {size} requires a short side of at least "
            f"{size}: lower the size, or enlarge or remove the picture"
        )


class PhotoReader:
    """Decodes pictures, and converts their size and colours.

    Pictures of 8 bits remain bytes until they are cropped: resizing rounds to bytes, as in
    torchvision and Pillow.

    Parameters
    ----------
    formats
        Image formats that read the files.
    size
        Side of the squares in pixels, see :func:`centre_square`; None keeps pictures unchanged.
    enlarge
        Whether smaller pictures are enlarged; otherwise they are errors.
    mode
        Colours of the pixels, see :func:`to_mode`.
    """

    def __init__(self, formats: Formats, size: int | None, *, enlarge: bool, mode: Mode) -> None:
        self._formats, self._size, self._enlarge, self._mode = formats, size, enlarge, mode

    def size(self, path: Path) -> tuple[int, int]:
        """Return height and width of the pixels that `read` returns, by the file's header.

        Raises
        ------
        DataError
            As :meth:`read` does, if the problem shows without decoding the picture.
        """
        height, width = self._formats.size(path)
        if self._size is None:
            return height, width
        if not self._enlarge:
            check_short_side(path, height, width, self._size)
        return self._size, self._size

    def decoded_size(self, path: Path) -> tuple[int, int]:
        """Return height and width of the pixels that `read` returns, after reading them."""
        height, width = self.read(path)[0].shape[-2:]
        return height, width

    @property
    def settings(self) -> str:
        """The settings that decide whether a picture can be used."""
        return f"{self._size} {self._enlarge}"

    def read(
        self, path: Path, content: bytes | None = None, window: Window | None = None
    ) -> tuple[Tensor, Range]:
        """Return the ``(C, H, W)`` float32 pixels of a file and their data range.

        Parameters
        ----------
        path
            Path with the file's extension, for error messages.
        content
            Content of the file, if it is in memory.
        window
            The part of the picture to read.

        Raises
        ------
        DataError
            If the file cannot be decoded, does not have 1 or 3 channels, has values that are not
            finite, or is too small.
        """
        pixels, data_range = self._formats.levels(path, content, self._size), (0.0, 1.0)
        if pixels is None:
            formats = self._formats
            image = formats.read(path) if content is None else formats.decode(path, content)
            pixels, data_range = image.pixels, image.data_range
            if not pixels.isfinite().all():
                raise DataError(
                    f"{path}: has values that are not finite; replace them or remove the picture"
                )
        if self._size is not None:
            pixels = centre_square(path, pixels, self._size, enlarge=self._enlarge)
        if window is not None:
            pixels = pixels[:, *window.hr]
        if pixels.dtype == torch.uint8:
            pixels = pixels.contiguous().float().div_(255)
        elif self._size is not None:
            pixels = pixels.clamp(*data_range)  # resized bytes are already within it
        return to_mode(path, pixels, self._mode), data_range


def to_mode(path: Path, pixels: Tensor, mode: Mode) -> Tensor:
    """Convert ``(C, H, W)`` grey or RGB pixels; grey is luma by Rec. ITU-R BT.601."""
    if len(pixels) not in (1, 3):
        raise DataError(f"{path}: has {len(pixels)} channels; expected 1 or 3")
    if mode == "rgb":
        return pixels.expand(3, -1, -1).contiguous()
    if len(pixels) == 1:
        return pixels
    return torch.einsum("c,chw->hw", pixels.new_tensor([0.299, 0.587, 0.114]), pixels)[None]


def centre_square(path: Path, pixels: Tensor, size: int, *, enlarge: bool = False) -> Tensor:
    """Resize the short side to `size` and crop the central square, like torchvision.

    Parameters
    ----------
    path
        Path for error messages.
    pixels
        ``(C, H, W)``; the bicubic, antialiased result can exceed the data range.
    size
        Side in pixels.
    enlarge
        Whether smaller pictures are enlarged.

    Raises
    ------
    DataError
        If the picture is too small and `enlarge` is False.
    """
    if not enlarge:
        check_short_side(path, pixels.shape[-2], pixels.shape[-1], size)
    pixels = resize_short_side(pixels, size)
    top, left = (round((side - size) / 2) for side in pixels.shape[-2:])
    return pixels[:, top : top + size, left : left + size].contiguous()
