"""TIFF, through tifffile, which is imported with the first such file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from srkit.errors import DataError
from srkit.interfaces import FormatLimits, Image, ImageSink, ImageSource
from srkit_photos.formats.arrays import damaged
from srkit_photos.formats.metadata import Describing

if TYPE_CHECKING:
    from srkit.interfaces import Upscaled


class Tiff(Describing):
    """TIFF: integers of 8 or 16 bits, or 32-bit floats, which keep their values.

    Other integers are read as measured values and written as floats. Samples beside the colours are
    bands, unless they are tagged as opacity; colours that are multiplied by it are divided by it.
    Values that GDAL's tag NODATA states become NaN. Some compressions require the extra
    ``srkit[tiff]``.
    """

    suffixes = (".tif", ".tiff")
    signature = rb"(?:II[*+]\0|MM\0[*+])(?!....CR)"  # which is a raw file of Canon
    windowed = (".tif", ".tiff")
    limits = FormatLimits(
        (8, 16, 32), frozenset({"alpha", "icc", "exif", "xmp", "geotiff", "ome", "imagej"})
    )

    def read(self, path: Path) -> Image:
        """Read the first page, rotated upright; palettes and CMYK become RGB.

        Raises
        ------
        DataError
            If the file is damaged or does not contain a picture.
        """
        return self._read(path, first=True)[0]

    def read_pages(self, path: Path) -> list[Image]:
        """Read every page except thumbnails and masks.

        Raises
        ------
        DataError
            As in :meth:`read`, for any page.
        """
        return self._read(path, first=False)

    def enlarge(self, lr: Image, upscaled: Upscaled, scale: float, history: Sequence[str]) -> Image:
        """Copy the metadata as for other pictures, and those of GeoTIFF and OME."""
        image = super().enlarge(lr, upscaled, scale, history)
        metadata = dict(image.metadata)
        if "geotiff" in metadata:
            from srkit_photos.formats import tiff_geography

            metadata["geotiff"] = tiff_geography.enlarged(metadata["geotiff"], scale)
        if "ome" in metadata:
            from srkit_photos.formats import tiff_ome

            metadata["ome"] = tiff_ome.enlarged(metadata["ome"], scale, metadata.get("bits") or 32)
        return replace(image, metadata=metadata)

    def open_source(self, path: Path) -> ImageSource | None:
        """Open a file for reading by rows; None if it has several pages or must be rotated."""
        from srkit_photos.formats.tiff_frames import open_source

        return open_source(path)

    def open_sink(self, path: Path, outline: Image, *, fresh: bool) -> ImageSink:
        """Begin or resume a file that is written by windows."""
        from srkit_photos.formats.tiff_frames import TiffSink

        return TiffSink(path, outline, fresh=fresh)

    def _read(self, path: Path, *, first: bool) -> list[Image]:
        from tifffile import TiffFile

        from srkit_photos.formats.tiff_log import logged_notes
        from srkit_photos.formats.tiff_pages import images_of_file, with_exif, with_notes

        try:
            with logged_notes() as notes, TiffFile(path) as file:
                images = images_of_file(path, file, first=first)
                images[0] = with_exif(path, images[0])
        except DataError:
            raise
        except Exception as error:  # tifffile raises many kinds for a damaged file
            raise damaged(path, error) from error
        return [with_notes(images[0], notes), *images[1:]]

    def write(self, path: Path, image: Image) -> None:
        """Write floats unchanged, or integers if the metadata have ``bits: 8`` or 16."""
        self.write_pages(path, [image])

    def write_pages(self, path: Path, images: Sequence[Image]) -> None:
        """Write images as the pages of one file, each like :meth:`write`."""
        from tifffile import TiffWriter

        from srkit_photos.formats.tiff_exif import add_directories
        from srkit_photos.formats.tiff_pages import CLASSIC, page_settings, stored

        pages = [stored(path, image) for image in images]
        large = sum(page.nbytes for page in pages) > CLASSIC
        ome = False if "ome" in images[0].metadata else None  # None: by the name of the file
        with TiffWriter(path, bigtiff=large, byteorder="<", ome=ome) as file:
            for image, values in zip(images, pages, strict=True):
                file.write(values, compression="zlib", **page_settings(image))
        add_directories(path, images[0])
