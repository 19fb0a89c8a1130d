"""Restore arrays, tensors, files and other images from Python."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from srkit.components.registry import Registry
from srkit.errors import DataError, SrkitError
from srkit.images.arrays import array_of_image, image_of_array, image_of_values
from srkit.images.formats import Formats
from srkit.interfaces import Image, ObjectFormat, Upscaled
from srkit.models.open import Model, open_model
from srkit.system.precision import warn_of_precision
from srkit.upscaling.groups import map_groups
from srkit.upscaling.images import upscale_images
from srkit.upscaling.network import WantedEngine, WantedPrecision
from srkit.upscaling.size import Size
from srkit.upscaling.upscaler import ImageUpscaler
from srkit.upscaling.upscalers import Upscalers


def load_model(
    reference: str | Path, *, scale: int | None = None, registry: Registry | None = None
) -> tuple[nn.Module, Model]:
    """Load a bare network and its description.

    Parameters
    ----------
    reference
        A run folder, a checkpoint, a third-party weight file, the name of published weights, or
        ``nearest``, ``bilinear``, ``bicubic`` or ``lanczos``.
    scale
        The required scale; by default the model's own, if it has only one.
    registry
        The components; by default those that are installed.

    Returns
    -------
    network
        From LR ``(N, C, h, w)`` to SR ``(N, C, scale h, scale w)``, in evaluation mode, on the CPU.
    model
        Name, scale and channels; range and unit of the network's values (``quantity``); stretch and
        constraint, which are not part of the network; and provenance.

    Raises
    ------
    SrkitError
        As :func:`srkit.models.open.open_model` does.
    """
    model = open_model(reference, registry or Registry.discover(), scale=scale)
    return model.generator, model


def upscale(images: Any, model: str | Path | Model | None = None, **settings: Any) -> Any:
    """Restore an image, or several; :class:`Upscaler` keeps its model for further calls.

    Parameters
    ----------
    images
        As for :meth:`Upscaler.__call__`.
    model
        As for :class:`Upscaler`.
    settings
        Other arguments of :class:`Upscaler`, such as ``scale=2.5``.
    """
    return Upscaler(model, **settings)(images)


class Upscaler:
    """Restores images of any kind with one model; thread-safe.

    Parameters
    ----------
    model
        As for :func:`load_model`, or the model that it returns. By default, small networks that are
        part of srkit: 8-bit and 16-bit images and arrays of three channels are restored by those
        for pictures, everything else by that for frames of the sky.
    scale, width, height, megapixels
        The size of SR, by one of these; by default the model's own scale, or 2 without a model.
    zero_point
        AB magnitude of one unit of the values, for images that do not state it.
    self_ensemble, uncertainty, precision, tile, device, engine
        As for :class:`srkit.upscaling.upscaler.ImageUpscaler`.
    registry
        The components; by default those that are installed.

    Raises
    ------
    ValueError
        If a setting is invalid, or several sizes are given.
    SrkitError
        If the model cannot be opened.
    """

    def __init__(
        self,
        model: str | Path | Model | None = None,
        *,
        scale: float | None = None,
        width: int | None = None,
        height: int | None = None,
        megapixels: float | None = None,
        zero_point: float | None = None,
        self_ensemble: bool = False,
        uncertainty: bool = False,
        precision: WantedPrecision = "auto",
        tile: int | None = None,
        device: torch.device | str | None = None,
        engine: WantedEngine = "torch",
        registry: Registry | None = None,
    ) -> None:
        registry = registry or Registry.discover()
        self._upscalers = Upscalers(
            str(model) if isinstance(model, Path) else model,
            registry,
            Size(scale, width, height, megapixels),
            self_ensemble=self_ensemble,
            uncertainty=uncertainty,
            precision=precision,
            tile=tile,
            device=device,
            engine=engine,
        )
        for warning in warn_of_precision(precision, self._upscalers.device):
            warnings.warn(warning, stacklevel=2)
        self._formats = Formats.of(registry)
        self._metadata = {} if zero_point is None else {"zero_point": zero_point}

    def __call__(self, images: Any) -> Any:
        """Restore an image, or several, which pass through the network together.

        Parameters
        ----------
        images
            A NumPy array, ``(H, W)``, ``(H, W, C)`` or ``(C, H, W)``; a tensor, ``(H, W)``,
            ``(C, H, W)`` or ``(N, C, H, W)``; an ``astropy.nddata.CCDData``; the path of a file;
            or a list of these. Bytes and unsigned 16-bit integers are levels from black to white;
            all other numbers are values of any range. Black is 0 and white is 1 if the values are
            between these, else their extremes.

        Returns
        -------
        object
            SR of the same type, layout, dtype and device; it is computed in float32. The WCS, mask
            and uncertainty of a CCDData are updated. For a path, SR is an array or, for a FITS
            file, a CCDData. With ``uncertainty``, arrays and tensors are returned as pairs of SR
            and its standard deviation.

        Raises
        ------
        DataError
            If an image cannot be read or restored; the message names its file.

        Warns
        -----
        UserWarning
            If the meaning of a unit or of an extension is guessed.
        """
        if isinstance(images, list | tuple):
            return self._many(images)
        if isinstance(images, Tensor) and images.ndim == 4 and len(images):
            return _stacked(self._many(list(images)))
        return self._many([images])[0]

    def _many(self, objects: Sequence[Any]) -> list[Any]:
        def restore(group: list[_Given]) -> list[Any]:
            first = group[0]
            try:
                images = [each.image for each in group]
                restored = upscale_images(images, first.kind, first.upscaler, self._metadata)
                return [each.finish(sr) for each, (sr, _) in zip(group, restored, strict=True)]
            except SrkitError as error:
                if len(group) > 1:  # find out which one it is
                    return [result for each in group for result in restore([each])]
                raise type(error)(_naming(str(error), first.path)) from error

        given = [self._given(each) for each in objects]
        return map_groups(restore, given, _Given.key)

    def _given(self, value: Any) -> _Given:
        image, kind = self._read(value)
        path = Path(value) if isinstance(value, str | Path) else None
        return _Given(image, kind, self._upscalers.for_image(image), path)

    def _read(self, value: Any) -> tuple[Image, Kind]:
        """Convert an object to an image, and return what converts SR back."""
        if isinstance(value, str | Path):
            return self._read_file(Path(value))
        if isinstance(value, np.ma.MaskedArray):
            raise DataError(
                "a masked array, whose mask would be lost; fill it, as by array.filled(np.nan)"
            )
        if isinstance(value, np.ndarray | np.generic):
            return image_of_array(np.asarray(value)), _Arrays(value.dtype)
        if isinstance(value, Tensor):
            return _image_of_tensor(value), _Tensors(value.ndim, value.dtype, value.device)
        for image_format in self._formats:
            if isinstance(image_format, ObjectFormat):
                image = image_format.from_object(value)
                if image is not None:
                    return image, image_format
        raise DataError(
            f"an object of the type {type(value).__name__}; expected a NumPy array, a tensor, a "
            "CCDData, a path, or a list of these"
        )

    def _read_file(self, path: Path) -> tuple[Image, Kind]:
        file = self._formats.source(path)
        image_format, image = file.format, file.format.read(file.path)
        return image, image_format if isinstance(image_format, ObjectFormat) else _Arrays(None)


#: Metadata of LR that do not apply to SR: its opacity, and messages.
_LEFT_OUT = ("alpha", "notes", "guesses")


class _Enlarging:
    """Keeps the metadata of arrays and tensors."""

    def enlarge(self, lr: Image, upscaled: Upscaled, scale: float, history: Sequence[str]) -> Image:
        kept = {key: value for key, value in lr.metadata.items() if key not in _LEFT_OUT}
        sigma = {} if upscaled.sigma is None else {"sigma": upscaled.sigma}
        return Image(upscaled.pixels, lr.data_range, {**kept, **sigma})


@dataclass(frozen=True, slots=True)
class _Arrays(_Enlarging):
    """NumPy arrays; floats are converted to a dtype unless it is None."""

    dtype: np.dtype[Any] | None

    def to_object(self, image: Image) -> Any:
        sr = array_of_image(image)
        if self.dtype is not None and self.dtype.kind == sr.dtype.kind == "f":
            sr = sr.astype(self.dtype)
        if "sigma" not in image.metadata:
            return sr
        layout = {key: image.metadata[key] for key in ("channel_axis",) if key in image.metadata}
        return sr, array_of_image(Image(image.metadata["sigma"], metadata=layout))


@dataclass(frozen=True, slots=True)
class _Tensors(_Enlarging):
    """Tensors of one layout."""

    ndim: int
    dtype: torch.dtype
    device: torch.device

    def to_object(self, image: Image) -> Any:
        sr = self._laid_out(torch.from_numpy(np.ascontiguousarray(array_of_image(image))))
        sr = sr.to(self.dtype) if self.dtype.is_floating_point else sr
        if "sigma" not in image.metadata:
            return sr
        return sr, self._laid_out(image.metadata["sigma"])

    def _laid_out(self, planes: Tensor) -> Tensor:
        return (planes[0] if self.ndim == 2 else planes).to(self.device)


#: Converts images to objects.
Kind: TypeAlias = ObjectFormat | _Arrays | _Tensors


@dataclass(frozen=True, slots=True)
class _Given:
    """An image with what restores it and converts SR; its path, if it was read from a file."""

    image: Image
    kind: Kind
    upscaler: ImageUpscaler
    path: Path | None

    def finish(self, sr: Image) -> Any:
        """Convert SR, and warn of what was guessed."""
        for guess in (*self.image.metadata.get("guesses", []), *sr.metadata.get("guesses", [])):
            warnings.warn(_naming(guess, self.path), stacklevel=2)
        return self.kind.to_object(sr)

    def key(self) -> tuple[Any, ...]:
        """Return what images have in common that are restored together."""
        return type(self.kind), id(self.upscaler.model), self.upscaler.scale


def _naming(message: str, path: Path | None) -> str:
    """Return an error that begins with the path of its file."""
    return message if path is None or message.startswith(str(path)) else f"{path}: {message}"


def _image_of_tensor(tensor: Tensor) -> Image:
    if tensor.ndim not in (2, 3) or not tensor.numel():
        raise DataError(
            f"a tensor of the shape {tuple(tensor.shape)}; expected an image, (H, W) or (C, H, W), "
            "or several, (N, C, H, W)"
        )
    planes = tensor.detach().cpu()
    planes = planes.float() if planes.is_floating_point() else planes
    return image_of_values(planes.reshape(-1, *planes.shape[-2:]).numpy(), 0)


def _stacked(parts: list[Any]) -> Any:
    if isinstance(parts[0], tuple):
        return tuple(torch.stack(each) for each in zip(*parts, strict=True))
    return torch.stack(parts)
