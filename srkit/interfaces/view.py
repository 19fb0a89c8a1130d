"""A batch before and after the stretch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from srkit.errors import ContractError
from srkit.interfaces.degradations import Stretch
from srkit.interfaces.networks import Discriminator
from srkit.interfaces.samples import Batch


def _no_average() -> Tensor:
    raise ContractError("reads the averaged generator; state requires = ('training.ema',)")


def _no_degradation(_: Tensor) -> Tensor:
    raise ContractError("degrades SR; state requires = ('degradation',)")


@dataclass(frozen=True, slots=True)
class View:
    """A batch in flux, and as the input of networks and losses.

    Parameters
    ----------
    flux
        The batch in flux, the unit of the data.
    stretched
        The stretched batch, which networks and losses see; the same object without a stretch.
    stretch, fitted
        The stretch, and the parameters that it measured on the batch.
    average
        In a training with `ema`: returns SR of the averaged generator, as losses see it, without
        gradients. It is computed once a step, if any loss asks for it.
    degrade
        In a training with a degradation: returns the stretched LR of stretched SR, differentiably;
        with the seeds of the batch, or without noise if the degradation has `expected`.
    discriminator
        In a training with a discriminator: the discriminator, which does not learn from the loss.
    """

    flux: Batch
    stretched: Batch
    stretch: Stretch | None = None
    fitted: Tensor | None = None
    average: Callable[[], Tensor] = _no_average
    degrade: Callable[[Tensor], Tensor] = _no_degradation
    discriminator: Discriminator | None = None

    @classmethod
    def of(cls, batch: Batch, stretch: Stretch | None = None) -> View:
        """Stretch a batch with parameters measured on LR, or on HR if there is no LR."""
        if stretch is None:
            return cls(batch, batch)
        fitted = stretch.fit(batch.hr if batch.lr is None else batch.lr)
        lr = None if batch.lr is None else stretch(batch.lr, fitted)
        hr = stretch(batch.hr, fitted)
        stretched = replace(batch, hr=hr, lr=lr, data_range=(0.0, 1.0), unit="", variance=None)
        return cls(batch, stretched, stretch, fitted)

    def to_stretched(self, flux: Tensor) -> Tensor:
        """Stretch images of the batch."""
        if self.stretch is None or self.fitted is None:
            return flux
        return self.stretch(flux, self.fitted)

    def to_flux(self, stretched: Tensor) -> Tensor:
        """Convert stretched images of the batch to flux."""
        if self.stretch is None or self.fitted is None:
            return stretched
        return self.stretch.inverse(stretched, self.fitted)

    def sigma_to_flux(self, stretched: Tensor, sigma: Tensor) -> Tensor:
        """Convert standard deviations to flux, to first order: multiply by the inverse's slope.

        Parameters
        ----------
        stretched
            The stretched images.
        sigma
            Standard deviations of the same shape.
        """
        if self.stretch is None or self.fitted is None:
            return sigma
        # Tensors of inference mode cannot require gradients, so they are copied.
        with torch.inference_mode(False), torch.enable_grad():
            start = stretched.detach().clone().requires_grad_()
            flux = self.stretch.inverse(start, self.fitted.detach().clone())
            (slope,) = torch.autograd.grad(flux.sum(), start)
        return sigma * slope.abs()
