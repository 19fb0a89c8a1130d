"""Between flux, which data and metrics are in, and what networks and losses see of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from srkit.interfaces.degradations import Stretch
from srkit.interfaces.samples import Batch


@dataclass(frozen=True, slots=True)
class View:
    """A batch in flux, and as networks and losses see it.

    Parameters
    ----------
    flux
        The batch in flux.
    seen
        The same, stretched; without a stretch the very same.
    stretch, fitted
        The map between them, and what it measured on the batch.
    """

    flux: Batch
    seen: Batch
    stretch: Stretch | None = None
    fitted: Tensor | None = None

    @classmethod
    def of(cls, batch: Batch, stretch: Stretch | None = None) -> View:
        """Stretch a batch by what is measured on LR; on HR, where that is all there is."""
        if stretch is None:
            return cls(batch, batch)
        fitted = stretch.fit(batch.hr if batch.lr is None else batch.lr)
        lr = None if batch.lr is None else stretch(batch.lr, fitted)
        hr = stretch(batch.hr, fitted)
        seen = replace(batch, hr=hr, lr=lr, data_range=(0.0, 1.0), unit="", variance=None)
        return cls(batch, seen, stretch, fitted)

    def to_seen(self, flux: Tensor) -> Tensor:
        """Stretch images that belong to the batch."""
        if self.stretch is None or self.fitted is None:
            return flux
        return self.stretch(flux, self.fitted)

    def to_flux(self, seen: Tensor) -> Tensor:
        """Bring images that belong to the batch back to flux."""
        if self.stretch is None or self.fitted is None:
            return seen
        return self.stretch.inverse(seen, self.fitted)

    def sigma_to_flux(self, seen: Tensor, sigma: Tensor) -> Tensor:
        """Bring standard deviations back to flux, to first order: times the inverse's slope.

        Parameters
        ----------
        seen
            The images that they are about, stretched.
        sigma
            Of the same shape.
        """
        if self.stretch is None or self.fitted is None:
            return sigma
        # Copies are made, since tensors of inference mode take no part in gradients.
        with torch.inference_mode(False), torch.enable_grad():
            start = seen.detach().clone().requires_grad_()
            flux = self.stretch.inverse(start, self.fitted.detach().clone())
            (slope,) = torch.autograd.grad(flux.sum(), start)
        return sigma * slope.abs()
