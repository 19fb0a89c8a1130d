"""Read and write picture files through the registered image formats."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor

from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.interfaces import Image, ImageFormat, LevelsFormat, PagedFormat, SignatureFormat


class Formats:
    """Dispatch on the file name's ending; of several that fit, the longest decides.

    Parameters
    ----------
    formats
        The formats; the first that has a suffix keeps it.
    failures
        Why other formats cannot be used; told to who needs a suffix that none of `formats` has.
    """

    def __init__(self, formats: Iterable[ImageFormat], failures: Sequence[str] = ()) -> None:
        self._failures = tuple(failures)
        self._formats = tuple(formats)
        self._by_suffix: dict[str, ImageFormat] = {}
        for image_format in self._formats:
            for suffix in image_format.suffixes:
                self._by_suffix.setdefault(suffix, image_format)

    @classmethod
    def of(cls, registry: Registry) -> Formats:
        """Build every registered image format; one that fails stops no other."""
        formats: list[ImageFormat] = []
        failures: list[str] = []
        for component in registry.components("image_formats"):
            try:
                formats.append(component.factory())
            except Exception as error:  # a plugin's own code
                failures.append(f"image format '{component.name}' could not be used ({error})")
        return cls(formats, failures)

    def __iter__(self) -> Iterator[ImageFormat]:
        """Give the formats one by one."""
        return iter(self._formats)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The file name endings that can be read, sorted."""
        return tuple(sorted(self._by_suffix))

    def read(self, path: Path) -> Image:
        """Read an image file.

        Raises
        ------
        DataError
            If the file is missing, damaged, or of no known format.
        """
        if path.is_dir():
            raise DataError(f"{path}: is a folder; expected a file")
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        return self.of_path(path).read(path)

    def decode(self, path: Path, content: bytes) -> Image:
        """Read an image file that lies in memory; the path has its ending, and names it in errors.

        Raises
        ------
        DataError
            As :meth:`read` does.
        """
        image_format = self.of_path(path)
        with TemporaryDirectory() as folder:
            place = Path(folder) / f"image{self.suffix_of(path.name)}"
            place.write_bytes(content)
            try:
                return image_format.read(place)
            except DataError as error:
                raise DataError(str(error).replace(str(place), str(path))) from error

    def levels(
        self, path: Path, content: bytes | None = None, short_side: int | None = None
    ) -> Tensor | None:
        """Decode a picture of 8 bits fast, if its format can do that.

        Parameters
        ----------
        path
            Has the file's ending, and names it in errors.
        content
            The file, where it lies in memory.
        short_side
            Pixels to which the picture's short side will be brought next. One that is many times
            as large may come already so small.

        Returns
        -------
        Tensor or None
            ``(C, H, W)`` uint8, upright, grey or RGB; None where the file has to be read whole.

        Raises
        ------
        DataError
            If the file is damaged, or of no known format.
        """
        image_format = self.of_path(path)
        if not isinstance(image_format, LevelsFormat):
            return None
        if content is None:
            try:
                content = path.read_bytes()
            except OSError:  # which reading it whole will tell of
                return None
        return image_format.levels(path, content, short_side)

    def read_pages(self, path: Path) -> list[Image]:
        """Read every page of a file whose format has pages; of others, the image.

        Raises
        ------
        DataError
            As :meth:`read` does.
        """
        image_format = self.of_path(path)
        if isinstance(image_format, PagedFormat) and path.is_file():
            return image_format.read_pages(path)
        return [self.read(path)]

    def write(self, path: Path, image: Image) -> None:
        """Write an image file.

        Raises
        ------
        DataError
            If the format is unknown or the file cannot be written.
        """
        self.write_pages(path, [image])

    def write_pages(self, path: Path, images: Sequence[Image]) -> None:
        """Write an image file of one page, or of several where its format has them.

        Raises
        ------
        DataError
            As :meth:`write` does.
        """
        image_format = self.of_path(path)
        try:
            if isinstance(image_format, PagedFormat):
                image_format.write_pages(path, images)
            else:
                (image,) = images
                image_format.write(path, image)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error})") from error

    def has_pages(self, path: Path) -> bool:
        """Tell whether a file of this name can hold several pages."""
        return isinstance(self.of_path(path), PagedFormat)

    def suffix_of(self, name: str) -> str | None:
        """Find the ending of a file name by which its format is known, as it is written there."""
        lowered = name.lower()
        fitting = [suffix for suffix in self._by_suffix if lowered.endswith(suffix)]
        return name[-max(map(len, fitting)) :] if fitting else None

    def recognise(self, content: bytes) -> str | None:
        """Find the ending for files that begin with some bytes; None where no format tells."""
        for suffix, image_format in self._by_suffix.items():
            if isinstance(image_format, SignatureFormat) and re.match(
                image_format.signature, content, re.DOTALL
            ):
                return suffix
        return None

    def knows(self, path: Path) -> bool:
        """Tell whether files of this name can be read and written."""
        return self.suffix_of(path.name) is not None

    def of_path(self, path: Path) -> ImageFormat:
        """Find the format of a file.

        Raises
        ------
        DataError
            If its ending is unknown.
        """
        suffix = self.suffix_of(path.name)
        if suffix is None:
            known = f"known: {', '.join(self.suffixes)}"
            reasons = "; ".join([known, *self._failures])
            raise DataError(f"{path}: no image format reads '{path.suffix}'; {reasons}")
        return self._by_suffix[suffix.lower()]
