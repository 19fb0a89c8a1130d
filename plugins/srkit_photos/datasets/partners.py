"""The LR file of each HR file, by its name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from srkit.errors import DataError
from srkit.images import Formats, find_pictures

#: How to obtain the pictures.
REMEDY = "copy the LR pictures there, or set lr to their folder"


@dataclass(frozen=True, slots=True)
class Partners:
    """A folder of LR pictures with the relative paths of HR, and possibly a suffix in each name.

    Parameters
    ----------
    folder
        The folder.
    suffix
        What follows the name of HR, such as ``x2``; empty if the names are the same.
    by_stem
        The pictures by their paths without extension.
    """

    folder: Path
    suffix: str
    by_stem: dict[str, list[str]]

    def of(self, formats: Formats, hr: Path, name: str) -> Path:
        """Return the LR file of an HR file; the extension of HR is preferred to others.

        Raises
        ------
        DataError
            If there is no such file, or there are several.
        """
        stem, ending = formats.split(name)
        found = self.by_stem.get(stem + self.suffix, [])
        same = [each for each in found if formats.split(each)[1].lower() == ending.lower()]
        chosen = same or found
        if len(chosen) != 1:
            wanted = self.folder / f"{stem}{self.suffix}{ending}"
            problem = f"is missing: the LR of {hr}" if not chosen else f"{chosen} are LR of {hr}"
            raise DataError(f"{wanted} {problem}; add it, or set lr and lr_suffix")
        return self.folder / chosen[0]

    def note(self, formats: Formats, root: Path, names: Sequence[str]) -> list[str]:
        """Return a note on LR files without an HR file of the given names."""
        expected = {formats.split(name)[0] + self.suffix for name in names}
        unused = [stem for stem in self.by_stem if stem not in expected]
        if not unused:
            return []
        return [f"{self.folder}: {len(unused)} pictures, such as {unused[0]}, have no HR in {root}"]


def find_partners(
    formats: Formats, folder: Path, suffix: str | None, scale: int, names: Sequence[str]
) -> Partners:
    """Find a folder's LR pictures.

    Parameters
    ----------
    formats
        The image formats.
    folder
        The folder; ``{scale}`` in its path is replaced by the scale.
    suffix
        What follows the names of HR; None is ``x`` and the scale if any picture has it.
    scale
        Ratio of the sides of HR and LR.
    names
        Paths of HR pictures, relative to their folder.

    Raises
    ------
    DataError
        If the folder is missing or empty.
    """
    folder = Path(str(folder).replace("{scale}", str(scale)))
    by_stem: dict[str, list[str]] = defaultdict(list)
    for name in find_pictures(folder, formats.suffixes, REMEDY):
        by_stem[formats.split(name)[0]].append(name)
    if suffix is None:
        usual = f"x{scale}"
        suffixed = any(formats.split(name)[0] + usual in by_stem for name in names)
        suffix = usual if suffixed else ""
    return Partners(folder, suffix.replace("{scale}", str(scale)), dict(by_stem))
