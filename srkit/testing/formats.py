"""Check image formats."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import Tensor

from srkit import interfaces
from srkit.errors import DataError
from srkit.interfaces import Image, ImageFormat, LossyFormat, ReadOnlyFormat, WindowedFormat
from srkit.interfaces._contract import members_of, require, require_attributes, require_shape
from srkit.testing._requirements import smooth, stated

#: Optional protocols of a format.
OPTIONAL = (
    interfaces.CalibratedFormat,
    interfaces.EnlargingFormat,
    interfaces.LevelsFormat,
    interfaces.LimitedFormat,
    interfaces.LossyFormat,
    interfaces.ObjectFormat,
    interfaces.SelectiveFormat,
    interfaces.PagedFormat,
    interfaces.ReadOnlyFormat,
    interfaces.SignatureFormat,
    interfaces.SkyFormat,
    interfaces.WindowedFormat,
)


@stated
def check_image_format(
    image_format: ImageFormat, folder: Path, channels: int = 3, tolerance: float = 0.5 / 255
) -> None:
    """Check a format by writing, reading and damaging files of each of its endings.

    Of a read-only format, only the refusal to write is checked.

    Parameters
    ----------
    image_format
        The format.
    folder
        An empty folder for the files.
    channels
        Number of channels of the image.
    tolerance
        Largest allowed change of values in [0, 1] by writing and reading; by default that of
        rounding to 8 bits.

    Raises
    ------
    AssertionError
        If an image changes, a damaged file does not raise DataError that names it, or the format
        has only some members of an optional protocol.
    """
    require_attributes(image_format, interfaces.ImageFormat)
    for protocol in OPTIONAL:
        if any(hasattr(image_format, name) for name in members_of(protocol)):
            require_attributes(image_format, protocol)
    require(bool(image_format.suffixes), "a format must have a suffix")
    pickle.loads(pickle.dumps(image_format))  # worker processes need this
    for suffix in image_format.suffixes:
        require(
            suffix == suffix.lower() and suffix.startswith("."),
            f"the suffix '{suffix}' must start with a dot and be in lower case",
        )
        path = folder / f"a picture{suffix}"
        picture = smooth(channels, 37, 45)
        if isinstance(image_format, ReadOnlyFormat):
            _check_not_written(image_format, path, Image(picture))
            continue
        image_format.write(path, Image(picture))
        _check_picture(image_format.read(path), picture, tolerance, suffix)
        if isinstance(image_format, WindowedFormat) and suffix in image_format.windowed:
            _check_windows(image_format, path, picture)
        if isinstance(image_format, LossyFormat):
            _check_compression(image_format, picture)
        whole = path.read_bytes()
        for part in (0, len(whole) // 4, len(whole) // 2):
            path.write_bytes(whole[:part])
            _check_refused(image_format, path, f"cut to {part} of {len(whole)} bytes")


def _check_not_written(image_format: ImageFormat, path: Path, image: Image) -> None:
    try:
        image_format.write(path, image)
    except DataError as error:
        require(str(path) in str(error), f"the error must name the file: {error}")
        return
    raise AssertionError(f"writing a {path.suffix} file must raise DataError")


def _check_picture(found: Image, picture: Tensor, tolerance: float, suffix: str) -> None:
    require_shape(found.pixels, tuple(picture.shape), f"an image read from {suffix}")
    require(
        found.pixels.dtype == torch.float32,
        f"{suffix}: pixels are {found.pixels.dtype}, not float32",
    )
    error = float((found.pixels - picture).abs().max())
    # 1e-6 allows for rounding to float32.
    require(
        error <= tolerance + 1e-6,
        f"a round trip through {suffix} changes values by up to {error:.4f}; "
        f"allowed: {tolerance:.4f}",
    )


def _check_compression(image_format: LossyFormat, picture: Tensor) -> None:
    """Compress the image with two qualities."""
    sizes, errors = [], []
    for quality in (10, 90):
        content = image_format.compress(Image(picture), quality)
        found = image_format.decompress(content).pixels
        require_shape(found, tuple(picture.shape), f"an image compressed to quality {quality}")
        sizes.append(len(content))
        errors.append(float((found - picture).square().mean()))
    require(
        sizes[0] < sizes[1] and errors[0] > errors[1],
        "a higher quality must result in more bytes and a smaller change of the image",
    )


def _check_windows(image_format: WindowedFormat, path: Path, picture: Tensor) -> None:
    """Write the image by windows, reopening the file once, and read it by rows."""
    outline = Image(picture.to("meta"), metadata={"bits": 32})
    for fresh, (top, bottom) in ((True, (0, 20)), (False, (20, picture.shape[-2]))):
        sink = image_format.open_sink(path, outline, fresh=fresh)
        for left, right in ((0, 16), (16, picture.shape[-1])):
            sink.write(top, left, Image(picture[:, top:bottom, left:right], metadata={"bits": 32}))
        before = sink.digest(0, bottom)
        sink.write(0, 0, Image(picture[:, :1] + 1, metadata={"bits": 32}))
        require(sink.digest(0, bottom) != before, "a digest must depend on the pixels")
        sink.write(0, 0, Image(picture[:, :1], metadata={"bits": 32}))
        require(sink.digest(0, bottom) == before, "a digest must depend on the pixels only")
        if not fresh:
            sink.finish(outline)
        sink.close()
    source = image_format.open_source(path)
    require(
        source is not None,
        f"{path.suffix}: a file that was written by windows must be readable by rows",
    )
    assert source is not None
    pixels = source.outline.pixels
    require(pixels.is_meta, "the pixels of an outline must be on the device 'meta'")
    require_shape(pixels, tuple(picture.shape), "an outline")
    parts = [source.rows(*rows).pixels for rows in ((0, 1), (1, 30), (30, pixels.shape[-2]))]
    source.close()
    require(
        torch.equal(torch.cat(parts, 1), picture),
        "pixels that are read by rows must equal those written",
    )


def _check_refused(image_format: ImageFormat, path: Path, what: str) -> None:
    try:
        image_format.read(path)
    except DataError as error:
        require(str(path) in str(error), f"the error for a damaged file must name it: {error}")
        return
    raise AssertionError(f"reading a {path.suffix} file {what} must raise DataError")
