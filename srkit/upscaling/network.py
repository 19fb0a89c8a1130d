"""Run the network of a model on images of any size, in the values that it was trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from srkit.components.registry import owner_of
from srkit.errors import ContractError, DataError, WeightsError
from srkit.functional._self_ensemble import self_ensemble as average_over_turns
from srkit.interfaces import Batch, View
from srkit.interfaces._contract import require_sr
from srkit.models.engines import Engine, fastest_engine
from srkit.models.open import Model
from srkit.models.receptive_field import core_side
from srkit.system.cores import hold_cores
from srkit.system.devices import default_device
from srkit.system.memory import keep_freed_memory
from srkit.system.precision import DTYPES, Precision, fastest_precision, warn_of_precision
from srkit.upscaling.tiling import NEGLIGIBLE, OF_LEVELS, reach, restore_tiled, side_that_fits

#: What runs the network; ``auto`` is the faster one.
WantedEngine = Literal["auto", "torch", "openvino"]
#: In what it computes: ``auto`` is the fastest precision for 8-bit images, in which rounding is not
#: visible, and fp32 for all others.
WantedPrecision = Literal["auto", "bf16", "fp32"]
#: Share of the gradient of a pixel of SR on whose pixels it mainly depends.
MAINLY = 0.8
#: Images up to this side are never tiled, so that nothing has to be measured for them.
WHOLE = 64


class NetworkRunner:
    """Runs the network of a model, with its stretch, its constraint and its uncertainty.

    Its parameters are those of :class:`srkit.upscaling.upscaler.ImageUpscaler`; thread-safe.

    Attributes
    ----------
    engine
        What runs the network.
    notes
        Lines for the user on the engine that was chosen, and on a precision that is slow.
    """

    def __init__(
        self,
        model: Model,
        *,
        self_ensemble: bool,
        uncertainty: bool,
        tile: int | None,
        device: torch.device | str | None,
        engine: WantedEngine,
        precision: WantedPrecision,
    ) -> None:
        if engine not in get_args(WantedEngine):
            listed = ", ".join(get_args(WantedEngine))
            raise ValueError(f"the engine must be one of {listed}; got {engine!r}")
        if tile is not None and tile < 1:
            raise ValueError(f"the tile must be positive, got {tile}")
        if uncertainty and model.channels is None:
            raise WeightsError(
                f"'{model.name}' is an interpolation, whose uncertainty is unknown; drop the option"
            )
        if precision not in get_args(WantedPrecision):
            listed = ", ".join(get_args(WantedPrecision))
            raise ValueError(f"the precision must be one of {listed}; got {precision!r}")
        self.model, self._precision = model, precision
        self.self_ensemble, self.uncertainty, self.given_tile = self_ensemble, uncertainty, tile
        own = "cpu" if engine == "openvino" else default_device()
        self.device = torch.device(device or own)
        if engine == "openvino" and self.device.type != "cpu":
            raise ValueError(f"the engine openvino runs on the CPU, got the device {device}")
        if self.device.type == "cpu":
            keep_freed_memory()
        if model.head is not None:
            model.head.to(self.device)
        channels_last = getattr(model.generator, "channels_last", False)
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self.grid: int = getattr(model.generator, "grid", 1)
        self._torch_network = model.generator.to(self.device).to(memory_format=self._layout)
        self._network: nn.Module = self._torch_network
        self.notes = [*model.notes, *warn_of_precision(precision, self.device)]
        self.engine = self._choose_engine() if engine == "auto" else engine
        if self.engine == "openvino" and model.channels is not None:
            from srkit.models.openvino import OpenVINONetwork

            self._network = OpenVINONetwork(model)
        self._margins: dict[Precision, int] = {}

    def _choose_engine(self) -> Engine:
        """Return the engine that is faster for 8-bit images, and add a note on it."""
        if self.device.type != "cpu" or self.model.channels is None:
            return "torch"
        precision = self.precision_for(bits=8)
        engine, reason = fastest_engine(self.model, self._torch_network, precision)
        self.notes.append(f"{self.model.name}: run by {engine} ({reason})")
        return engine

    def precision_for(self, bits: int | None) -> Precision:
        """Return the precision in which images of levels of these bits are restored."""
        if self._precision != "auto":
            return self._precision
        return fastest_precision(self.device)[0] if bits == 8 else "fp32"

    def margin(self, precision: Precision = "fp32") -> int:
        """Return the LR pixels around a tile that affect it."""
        if precision not in self._margins:
            negligible = NEGLIGIBLE if precision == "fp32" else OF_LEVELS
            with torch.no_grad(), self._autocast(precision):
                channels = self.model.channels or 1
                self._margins[precision] = reach(
                    self._network, channels, self.device, negligible, self.grid
                )
        return self._margins[precision]

    @cached_property
    def core_radius(self) -> int:
        """The distance in LR pixels within which a pixel of SR depends on LR by `MAINLY`."""
        channels = self.model.channels or 1
        return core_side(self._torch_network, channels, self.device, MAINLY) // 2

    def tile(self, precision: Precision = "fp32") -> int:
        """Return the side of a tile in LR pixels, without its margin."""
        return self.given_tile or self._side_that_fits(self.margin(precision))

    @cached_property
    def _largest_whole(self) -> int:
        """The side of the largest image that is restored without tiles."""
        return self._side_that_fits(0)

    def _side_that_fits(self, margin: int) -> int:
        channels = self.model.channels or 1
        return side_that_fits(self._torch_network, channels, self.device, margin)

    def _autocast(self, precision: Precision) -> torch.autocast:
        return torch.autocast(self.device.type, DTYPES[precision], enabled=precision != "fp32")

    def restore(
        self,
        lr: Tensor,
        *,
        precision: Precision,
        pixel_scale: float | None,
        fitted: Tensor | None = None,
        piece: bool = False,
        report: Callable[[int, int], None] = lambda done, total: None,
    ) -> tuple[Tensor, Tensor | None]:
        """Restore images at the scale of the model.

        Parameters
        ----------
        lr
            ``(N, channels, h, w)``, in the values of the model.
        precision
            In which the network computes.
        pixel_scale
            Side of an LR pixel in arcsec, if it is known.
        fitted
            What the stretch measured on the whole images, ``(N, K)``; by default it is measured
            here.
        piece
            Whether these are pieces of an image, which are tiled only if memory runs out.
        report
            Receives the LR pixels done and in total.

        Returns
        -------
        sr, sigma
            SR and, if requested, its standard deviation, float32.

        Raises
        ------
        DataError
            If a value of the network exceeds the range of fp16.
        """
        with torch.no_grad(), self._autocast(precision):
            lr = lr.to(self.device, memory_format=self._layout)
            view = self.view(lr, pixel_scale, fitted)
            assert view.stretched.lr is not None
            longest = max(lr.shape[-2:])
            answer = restore_tiled(
                self._apply,
                view.stretched.lr,
                self.model.scale,
                longest if piece or self._fits(longest) else self.tile(precision),
                lambda: self.margin(precision),
                report,
                self.grid,
            )
            if precision == "fp16" and not answer.isfinite().all():
                raise DataError("the network exceeds the range of fp16; use --precision fp32")
            seen, variance = answer[:, : lr.shape[1]], answer[:, lr.shape[1] :]
            with torch.autocast(self.device.type, enabled=False):  # fluxes must not be rounded
                sr = view.to_flux(seen)
                if self.model.constraint is not None:
                    sr = self.model.constraint(sr, view.flux)
                if not self.uncertainty:
                    return sr, None
                return sr, view.sigma_to_flux(view.to_stretched(sr), variance.sqrt())

    def _fits(self, longest: int) -> bool:
        """Return whether an image is not tiled, so that its margin need not be measured."""
        if self.given_tile is not None:
            return longest <= self.given_tile
        return longest <= WHOLE or longest <= self._largest_whole

    def _apply(self, lr: Tensor) -> Tensor:
        """Return SR in stretched values and, if requested, its variance as further channels."""
        head = self.model.head
        with hold_cores(self.device):
            if self.self_ensemble or (self.uncertainty and head is None):
                sr, variance = average_over_turns(self._network, lr)
            else:
                sr = variance = self._network(lr).float()
        self._check_size(sr, lr)
        if not self.uncertainty:
            return sr
        return torch.cat([sr, variance if head is None else head(lr, sr).exp()], 1)

    def _check_size(self, sr: Tensor, lr: Tensor) -> None:
        """Refuse a network of another scale than it states."""
        try:
            require_sr(sr, lr, self.model.scale)
        except ContractError as error:
            kind = type(self.model.generator)
            owner = owner_of(kind.__module__) or kind.__module__
            raise WeightsError(f"{self.model.name}: {kind.__name__} of {owner}: {error}") from error

    def view(self, lr: Tensor, pixel_scale: float | None, fitted: Tensor | None = None) -> View:
        """Stretch LR, with what is measured on it by default; HR has only a shape."""
        scale, quantity = self.model.scale, self.model.quantity
        height, width = (scale * side for side in lr.shape[-2:])
        batch = Batch(
            names=["image"] * len(lr),
            hr=lr.new_zeros(()).expand(*lr.shape[:2], height, width),
            seeds=[0] * len(lr),
            lr=lr,
            data_range=quantity.data_range,
            unit=quantity.unit,
            pixel_scale=pixel_scale / scale if pixel_scale else quantity.pixel_scale,
        )
        stretch = self.model.stretch
        if stretch is None:
            return View(batch, batch)
        fitted = stretch.fit(lr) if fitted is None else fitted.to(lr)
        return View(batch, replace(batch, lr=stretch(lr, fitted)), stretch, fitted)
