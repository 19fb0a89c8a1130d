"""Results of `srkit data pair`: the pairs, and the positions that were rejected."""

from __future__ import annotations

from dataclasses import dataclass, field

from srkit_astro.footprints import footprint_of, representatives
from srkit_astro.pairing.registration import Registration
from srkit_astro.pairing.sky_images import SkyImage


@dataclass(frozen=True, slots=True)
class Position:
    """A row of the catalogue: a name that can be a file name, RA and Dec (ICRS, degrees)."""

    name: str
    ra: float
    dec: float


@dataclass(frozen=True, slots=True)
class Pair:
    """A position with its cutouts on aligned grids.

    Parameters
    ----------
    position
        The position that the cutouts are centred on.
    lr, hr
        Flux per pixel at one zero point; HR pixels subdivide the LR pixels exactly.
    source
        The HR image that `hr` is resampled from, once more when its offset is known.
    before
        Registration of LR on HR as resampled with the WCS of the files.
    after
        Registration with the offset corrected; None until then.
    """

    position: Position
    lr: SkyImage
    hr: SkyImage
    source: SkyImage
    before: Registration
    after: Registration | None = None


@dataclass(slots=True)
class Pairing:
    """The pairs made from a catalogue.

    Parameters
    ----------
    scale
        HR pixels per LR pixel along a side.
    pairs
        The accepted pairs.
    rejected
        Rejected positions, each with the reason.
    """

    scale: int
    pairs: list[Pair] = field(default_factory=list)
    rejected: list[tuple[Position, str]] = field(default_factory=list)

    def groups(self) -> list[str]:
        """Return for each pair the first name among those that share sky with it.

        `lens_pairs` assigns all pairs of a group to one split.
        """
        footprints = [footprint_of(pair.lr.wcs, pair.lr.values.shape) for pair in self.pairs]
        return representatives([pair.position.name for pair in self.pairs], footprints)
