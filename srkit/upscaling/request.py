"""What `srkit upscale` is asked to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from srkit.components.registry import Registry
from srkit.interfaces import Style
from srkit.upscaling.network import WantedEngine, WantedPrecision
from srkit.upscaling.size import Size
from srkit.upscaling.upscalers import Upscalers


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The arguments and options of `srkit upscale`; every process that helps receives a copy.

    Parameters
    ----------
    inputs, out, suffix
        As :func:`srkit.upscaling.jobs.plan` has them.
    model
        The model, as :func:`srkit.models.open.open_model` takes it; None for the default models.
    style
        The style of the default models.
    hdu
        Name or number of the image in FITS files, as :func:`srkit.upscaling.jobs.plan` takes it.
    size
        Size of SR.
    zero_point
        AB magnitude of one unit of the values, for files that do not state it.
    self_ensemble, uncertainty, precision, engine, tile
        As :class:`srkit.upscaling.upscaler.ImageUpscaler` has them.
    max_input
        Largest compressed image that is read, in megapixels.
    overwrite
        Whether to replace existing outputs.
    processes, ray
        Number of processes that share the work, and address of a Ray cluster.
    check, compare
        Whether to check the outputs, and to write a page that compares them with the inputs.
    psf
        The PSF of the inputs for the check.
    """

    inputs: Sequence[str] = ()
    out: Path | None = None
    suffix: str | None = None
    model: str | None = None
    style: Style = "faithful"
    hdu: str | None = None
    size: Size = field(default_factory=Size)
    zero_point: float | None = None
    self_ensemble: bool = False
    uncertainty: bool = False
    precision: WantedPrecision = "auto"
    engine: WantedEngine = "torch"
    tile: int | None = None
    max_input: float = 250.0
    overwrite: bool = False
    processes: int | None = None
    ray: str | None = None
    check: bool = False
    compare: bool = False
    psf: str | None = None

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Metadata that the user states for all images."""
        return {} if self.zero_point is None else {"zero_point": self.zero_point}

    def open(self, registry: Registry, device: str | None = None) -> Upscalers:
        """Open the upscalers on a device.

        Raises
        ------
        SrkitError
            If the model cannot be opened.
        ValueError
            If a setting is invalid.
        """
        return Upscalers(
            self.model,
            registry,
            self.size,
            self.style,
            self_ensemble=self.self_ensemble,
            uncertainty=self.uncertainty,
            precision=self.precision,
            engine=self.engine,
            tile=self.tile,
            device=device,
        )
