"""Read and write image files through the registered image formats."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor

from srkit.components.crashes import blaming
from srkit.components.registry import OWN, Registry
from srkit.errors import DataError, SrkitError
from srkit.images._contents import START, kind_of_content
from srkit.interfaces import (
    Image,
    ImageFormat,
    LevelsFormat,
    PagedFormat,
    SelectiveFormat,
    SignatureFormat,
    SizedFormat,
    WindowedFormat,
)
from srkit.interfaces._contract import require_attributes
from srkit.system.files import atomic


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file with the format that reads and writes it.

    Parameters
    ----------
    path
        The file.
    format
        Its format.
    suffix
        The extension of its name by which the format was found, such as ``.fits.gz``.
    """

    path: Path
    format: ImageFormat
    suffix: str

    @property
    def stem(self) -> str:
        """The file name without its extension."""
        return self.path.name.removesuffix(self.suffix)

    def read_pages(self) -> list[Image]:
        """Read every page.

        Raises
        ------
        DataError
            If the file is missing or damaged.
        """
        check_is_file(self.path)
        if isinstance(self.format, PagedFormat):
            return self.format.read_pages(self.path)
        return [self.format.read(self.path)]

    def write_pages(self, images: Sequence[Image]) -> None:
        """Write the file atomically, with one page, or with several if its format has pages.

        Raises
        ------
        DataError
            If the format cannot hold an image.
        OutputError
            If the file cannot be written.
        """
        with atomic(self.path) as partial:
            try:
                if isinstance(self.format, PagedFormat):
                    self.format.write_pages(partial, images)
                else:
                    (image,) = images
                    self.format.write(partial, image)
            except SrkitError as error:
                text = str(error).replace(str(partial), str(self.path))
                raise type(error)(text) from error


def begins(image_format: ImageFormat, start: bytes) -> bool | None:
    """Return whether bytes are the start of a file of a format; None if it states no signature."""
    if not isinstance(image_format, SignatureFormat):
        return None
    return re.match(image_format.signature, start, re.DOTALL) is not None


def check_is_file(path: Path) -> None:
    """Check that a file exists.

    Raises
    ------
    DataError
        If it is missing or a folder.
    """
    if path.is_dir():
        raise DataError(f"{path}: is a folder; expected a file")
    if not path.is_file():
        raise DataError(f"{path}: no such file")


def split_selection(given: str | Path) -> tuple[Path, str | None]:
    """Split ``FILE[EXTENSION]``, such as ``frame.fits[SCI,2]``; an existing file is itself."""
    found = re.fullmatch(r"(.*[^/\\])\[([^\[\]]+)\]", str(given), re.DOTALL)
    if found is None or Path(given).exists():
        return Path(given), None
    return Path(found[1]), found[2]


class Formats:
    """Finds image formats by contents, or by file name extensions, of which the longest decides.

    Parameters
    ----------
    formats
        The formats; if several have the same extension, the first is used.
    failures
        Why other formats cannot be used, for the error about an unknown extension.
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
        """Build every registered image format; those that fail are left out."""
        formats: list[ImageFormat] = []
        failures: list[str] = []
        # srkit's own first: a plugin cannot replace the reader of files that srkit reads.
        listed = registry.components("image_formats")
        for component in sorted(listed, key=lambda each: each.distribution != OWN):
            try:
                with blaming(component):
                    built = component.factory()
                    require_attributes(built, ImageFormat)
                formats.append(built)
            except Exception as error:  # raised by a plugin
                failures.append(f"image format '{component.name}' could not be used ({error})")
        return cls(formats, failures)

    def __iter__(self) -> Iterator[ImageFormat]:
        """Iterate over the formats."""
        return iter(self._formats)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The known file name extensions, sorted."""
        return tuple(sorted(self._by_suffix))

    def read(self, path: Path) -> Image:
        """Read an image file, whose format is found by its content.

        Raises
        ------
        DataError
            If the file is missing, damaged, or of an unknown format.
        """
        file = self.source(path)
        return file.format.read(file.path)

    def decode(self, path: Path, content: bytes) -> Image:
        """Read an image file from memory; `path` has its extension and is named in errors.

        Raises
        ------
        DataError
            As :meth:`read` does.
        """
        file = self._of_content(path, content[:START])
        with TemporaryDirectory() as folder:
            place = Path(folder) / f"image{file.suffix}"
            place.write_bytes(content)
            try:
                return file.format.read(place)
            except DataError as error:
                raise DataError(str(error).replace(str(place), str(path))) from error

    def levels(
        self, path: Path, content: bytes | None = None, short_side: int | None = None
    ) -> Tensor | None:
        """Decode an 8-bit picture fast, if its format can do that.

        Parameters
        ----------
        path
            Has the file's extension, and is named in errors.
        content
            The content of the file, if it is in memory.
        short_side
            Pixels to which the short side of the picture will be resized next. A picture that is
            many times as large may be decoded at a reduced size.

        Returns
        -------
        Tensor or None
            ``(C, H, W)`` uint8, upright, grey or RGB; None if the file has to be read by `read`.

        Raises
        ------
        DataError
            If the file is damaged, or of an unknown format.
        """
        image_format = self.of_path(path)
        if not isinstance(image_format, LevelsFormat):
            return None
        if content is None:
            try:
                content = path.read_bytes()
            except OSError:  # `read` reports it
                return None
        return image_format.levels(path, content, short_side)

    def size(self, path: Path) -> tuple[int, int]:
        """Return height and width of an image file; it is read whole only if its format must.

        Raises
        ------
        DataError
            As :meth:`read` does, if the problem shows without decoding the image.
        """
        file = self.source(path)
        if isinstance(file.format, SizedFormat):
            return file.format.size(file.path)
        source = None
        if isinstance(file.format, WindowedFormat):
            source = file.format.open_source(file.path)
        if source is None:
            pixels = file.format.read(file.path).pixels
        else:
            with closing(source):
                pixels = source.outline.pixels
        return pixels.shape[-2], pixels.shape[-1]

    def write(self, path: Path, image: Image) -> None:
        """Write an image file.

        Raises
        ------
        DataError
            If the format is unknown or the file cannot be written.
        """
        try:
            self.of_path(path).write(path, image)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error})") from error

    def split(self, name: str) -> tuple[str, str]:
        """Split a file name before its extension, such as ``.fits.gz`` if that is known."""
        lowered = name.lower()
        longest = max(filter(lowered.endswith, self._by_suffix), key=len, default=Path(name).suffix)
        stem = name[: len(name) - len(longest)]
        return stem, name[len(stem) :]

    def recognise(self, content: bytes) -> str | None:
        """Return the extension for files that begin with some bytes; None if it is unknown."""
        return next((s for s, each in self._by_suffix.items() if begins(each, content)), None)

    def knows(self, path: Path) -> bool:
        """Return whether files of this name can be read and written."""
        return self.split(path.name)[1].lower() in self._by_suffix

    def source(self, path: Path, extension: str | None = None) -> ImageFile:
        """Find the format of an existing file by its content, whatever its name.

        Parameters
        ----------
        path
            The file; ``FILE[EXTENSION]`` is one of its images.
        extension
            Name or number of the image that is read, if `path` names none.

        Raises
        ------
        DataError
            If the file is missing, unreadable or empty, its format is unknown, or its format has no
            extensions.
        """
        path, own = split_selection(path)
        found = self._source(path)
        extension = own or extension
        if extension is None:
            return found
        if not isinstance(found.format, SelectiveFormat):
            raise DataError(
                f"{path}: a {found.suffix} file has no extension '{extension}'; only FITS files "
                "have extensions to choose from"
            )
        return replace(found, format=found.format.select(extension))

    def _source(self, path: Path) -> ImageFile:
        check_is_file(path)
        try:
            with path.open("rb") as file:
                start = file.read(START)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
        return self._of_content(path, start)

    def _of_content(self, path: Path, start: bytes) -> ImageFile:
        """Find the format of a file that begins with some bytes."""
        suffix = self.split(path.name)[1]
        named = self._by_suffix.get(suffix.lower())
        if named is not None and begins(named, start) is not False:
            return ImageFile(path, named, suffix)
        if named is not None and not start:
            raise DataError(f"{path}: is empty; copy it again, or remove it")
        recognised = self.recognise(start)
        if recognised is not None:
            return ImageFile(path, self._by_suffix[recognised], suffix)
        kind = kind_of_content(start)
        if kind is not None:
            raise DataError(f"{path}: is {kind}; convert it to .png, .tif, .fits or .npy")
        if named is not None:
            raise DataError(
                f"{path}: begins with the bytes {start[:8]!r}, unlike {suffix} files and all other "
                "known images; it may be damaged: copy it again, or remove it"
            )
        return self.file(path)

    def file(self, path: Path) -> ImageFile:
        """Find the format of a file by its name, as for writing.

        Raises
        ------
        DataError
            If its extension is unknown.
        """
        suffix = self.split(path.name)[1]
        image_format = self._by_suffix.get(suffix.lower())
        if image_format is None:
            reasons = "; ".join([f"known: {', '.join(self.suffixes)}", *self._failures])
            raise DataError(f"{path}: unknown image format '{suffix}'; {reasons}")
        return ImageFile(path, image_format, suffix)

    def of_path(self, path: Path) -> ImageFormat:
        """Find the format of a file, as :meth:`file` does."""
        return self.file(path).format
