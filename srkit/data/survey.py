"""Find the samples on which training would fail by their sizes, before it reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from srkit.data.crops import check_crop, check_pair
from srkit.errors import DataError
from srkit.interfaces import Dataset, Extent, SizedDataset, Sizes, WindowedDataset
from srkit.interfaces._contract import require

#: Samples that are named for each kind of problem.
NAMED = 3


def sizes_of(dataset: Dataset) -> Sizes | None:
    """Return the sizes of all samples; None if the data set has to read the samples for that."""
    if isinstance(dataset, SizedDataset):
        sizes = dataset.sizes()
        for name, sides in {"hr": sizes.hr, "lr": sizes.lr}.items():
            known = sides is None or sides.shape == (len(dataset), 2)
            require(known, f"sizes().{name} must have the shape ({len(dataset)}, 2)")
        return sizes
    if not isinstance(dataset, WindowedDataset):
        return None
    extents = [dataset.extent(index) for index in range(len(dataset))]
    pairs = [extent.lr for extent in extents if extent.lr is not None]
    lr = np.array(pairs) if len(pairs) == len(extents) else None
    return Sizes(np.array([extent.hr for extent in extents]), lr)


def survey(
    dataset: Dataset, sizes: Sizes, *, crop: int | None, scale: int | None, equal: bool
) -> Iterator[str]:
    """Find samples that cannot be used.

    Parameters
    ----------
    dataset
        The data set.
    sizes
        Its sizes, see :func:`sizes_of`.
    crop
        Side of the crop in HR pixels; None for whole images.
    scale
        Ratio of the sides of HR and LR; None if LR is not used.
    equal
        Whether all HR images must have the same size.

    Yields
    ------
    str
        A problem: of each kind the first ones, and the number of the others.
    """
    total, hr, lr = len(dataset), sizes.hr, sizes.lr
    usable = np.ones(total, bool)
    usable[list(sizes.unreadable)] = False
    yield from _first(~usable, lambda index: sizes.unreadable[index])

    def extent(index: int) -> Extent:
        pair = None if lr is None else (int(lr[index, 0]), int(lr[index, 1]))
        return Extent(_name(dataset, index), (int(hr[index, 0]), int(hr[index, 1])), pair)

    if crop is not None:
        small = usable & (hr.min(1) < crop)
        yield from _first(small, lambda i: _text(partial(check_crop, extent(i), crop)))
    if scale is not None and lr is not None:
        wrong = usable & (abs(hr - scale * lr) >= scale).any(1)
        yield from _first(wrong, lambda i: _text(partial(check_pair, extent(i), scale)))
    if equal and usable.any():
        first = int(usable.argmax())
        others = usable & (hr != hr[first]).any(1)

        def differing(index: int) -> str:
            one, other = extent(first), extent(index)
            return (
                f"{one.name} and {other.name} do not fit in one batch: HR of {one.hr[1]}x"
                f"{one.hr[0]} and {other.hr[1]}x{other.hr[0]} pixels; set data.train.crop, or the "
                "size of the data set"
            )

        yield from _first(others, differing)


def _first(found: NDArray[np.bool_], text: Callable[[int], str]) -> Iterator[str]:
    """Describe the first samples of a kind, and count the others."""
    indices = np.flatnonzero(found).tolist()
    yield from map(text, indices[:NAMED])
    more = len(indices) - NAMED
    if more > 0:
        yield f"{more} more of {len(found)} images have the same problem"


def _text(check: Callable[[], None]) -> str:
    """Return the error of a check."""
    try:
        check()
    except DataError as error:
        return str(error)
    raise AssertionError("the check must fail for this sample")


def _name(dataset: Dataset, index: int) -> str:
    if isinstance(dataset, SizedDataset):
        return dataset.name(index)
    assert isinstance(dataset, WindowedDataset)
    return dataset.extent(index).name
