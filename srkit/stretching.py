"""Between flux, which data and metrics are in, and what networks and losses see of it."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from srkit.interfaces import Batch, Stretch


def to_seen(flux: Tensor, batch: Batch, stretch: Stretch | None) -> Tensor:
    """Stretch images that belong to a batch; without a stretch networks see the flux."""
    return flux if stretch is None else stretch(flux, _fitted(batch, stretch))


def to_flux(seen: Tensor, batch: Batch, stretch: Stretch | None) -> Tensor:
    """Bring what a network made of a batch back to flux."""
    return seen if stretch is None else stretch.inverse(seen, _fitted(batch, stretch))


def stretched(batch: Batch, stretch: Stretch | None) -> Batch:
    """Give the batch as networks and losses see it."""
    if stretch is None:
        return batch
    lr = None if batch.lr is None else to_seen(batch.lr, batch, stretch)
    hr = to_seen(batch.hr, batch, stretch)
    return replace(batch, hr=hr, lr=lr, data_range=(0.0, 1.0), unit="", variance=None)


def _fitted(batch: Batch, stretch: Stretch) -> Tensor:
    return stretch.fit(batch.hr if batch.lr is None else batch.lr)
