"""Read and write picture files through the registered image formats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from srkit.errors import DataError
from srkit.interfaces import Image, ImageFormat
from srkit.registry import Registry


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
        self._by_suffix: dict[str, ImageFormat] = {}
        for image_format in formats:
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
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        return self.of_path(path).read(path)

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

    def suffix_of(self, name: str) -> str | None:
        """Find the ending of a file name by which its format is known, as it is written there."""
        fitting = [suffix for suffix in self._by_suffix if name.lower().endswith(suffix)]
        return name[-max(map(len, fitting)) :] if fitting else None

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
