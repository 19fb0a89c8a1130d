"""Restore arrays, tensors, files and other images from Python."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from srkit.components.registry import Registry
from srkit.errors import DataError, OutputError, SrkitError
from srkit.functional.types import Values
from srkit.images.arrays import check_magnitude, image_of_array, image_of_values
from srkit.images.formats import Formats
from srkit.interfaces import Image, ObjectFormat, Style
from srkit.models.open import Model, open_model
from srkit.system.precision import warn_of_precision
from srkit.upscaling.groups import map_groups
from srkit.upscaling.images import upscale_images
from srkit.upscaling.network import WantedEngine, WantedPrecision
from srkit.upscaling.notebook import progress, show_itself
from srkit.upscaling.objects import Arrays, Kind, MaskedArrays, Tensors
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
    style
        What the default model does to pictures: ``faithful`` keeps what LR shows; ``enhanced``
        removes noise and artefacts of compression, sharpens, and invents detail.
    scale, width, height, megapixels
        The size of SR, by one of these; by default the model's own scale, or 2 without a model.
    zero_point
        AB magnitude of one unit of the values, for images that do not state it.
    values
        ``flux``: values are flux per pixel, which the pixels of SR share, so that their sum is
        kept. ``surface_brightness``: values are a level, which is kept. By default, the unit of a
        file or object decides; arrays and tensors, which have none, are a level.
    axes
        The axes of arrays and tensors: ``HW``, ``HWC`` or ``CHW``, with ``N`` anywhere for a stack
        of images, such as ``NHW``. By default as :meth:`__call__` says.
    self_ensemble
        Average over the eight flips and rotations of LR, at eight times the cost.
    uncertainty
        Estimate the standard deviation, too: as predicted by the model or, if it predicts none, the
        spread over them, which shows where the model disagrees with itself and is not an error.
    precision
        ``fp32``, ``bf16``, or ``auto``: for 8-bit pictures what the device computes fastest,
        else fp32.
    tile
        Side of the tiles in LR pixels; by default what fits into half of the free memory.
    device
        Where to compute; by default a GPU if there is one.
    engine
        What runs the network: ``torch``, ``openvino`` on the CPU, or ``auto``: OpenVINO if it is
        installed and a measurement shows that it is faster, else torch.
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
        style: Style = "faithful",
        scale: float | None = None,
        width: int | None = None,
        height: int | None = None,
        megapixels: float | None = None,
        zero_point: float | None = None,
        values: Literal["flux", "surface_brightness"] | None = None,
        axes: str | None = None,
        self_ensemble: bool = False,
        uncertainty: bool = False,
        precision: WantedPrecision = "auto",
        tile: int | None = None,
        device: torch.device | str | None = None,
        engine: WantedEngine = "torch",
        registry: Registry | None = None,
    ) -> None:
        registry = registry or Registry.discover()
        if style not in get_args(Style):
            raise ValueError(f"the style must be faithful or enhanced; got {style!r}")
        if model is not None and style != "faithful":
            raise ValueError("a style chooses the default model; give a style or a model")
        self._upscalers = Upscalers(
            str(model) if isinstance(model, Path) else model,
            registry,
            Size(scale, width, height, megapixels),
            style,
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
        if axes is not None and axes.replace("N", "", 1) not in _AXES:
            listed = ", ".join(_AXES)
            raise ValueError(f"the axes must be one of {listed}, with N for a stack; got {axes!r}")
        if values not in (None, "flux", "surface_brightness"):
            raise ValueError(f"values must be flux or surface_brightness; got {values!r}")
        self._axes = axes
        stated = {"zero_point": zero_point, "values": values}
        self._metadata = {name: value for name, value in stated.items() if value is not None}

    def __call__(self, images: Any) -> Any:
        """Restore an image, or several, which pass through the network together.

        Parameters
        ----------
        images
            A NumPy array, ``(H, W)``, ``(H, W, C)``, ``(C, H, W)`` or a stack of these with a
            fourth axis before them; a masked array of the same; a tensor, ``(H, W)``, ``(C, H,
            W)`` or ``(N, C, H, W)``; an object that a format knows, such as ``CCDData``,
            ``NDData``, ``Quantity``, ``Cutout2D`` or an HDU of astropy; the path of a file, or
            ``FILE[EXTENSION]``; or a list of these. Bytes and unsigned 16-bit integers are levels
            from black to white; all other numbers are values of any range. Black is 0 and white is
            1 if the values are between these, else their extremes.

        Returns
        -------
        object
            SR of the same type, layout, dtype and device; it is computed in float32. Unit, WCS and
            mask are updated. For a path, SR is an array or, for a FITS file, a CCDData. With
            ``uncertainty``, objects that can hold one have one; all others are returned as pairs
            of SR and its standard deviation. If the model predicts none, all but lists of HDUs are
            returned as pairs of SR and its spread over flips and rotations, which is not an error.

        Raises
        ------
        DataError
            If an image cannot be read or restored; the message names its file.

        Warns
        -----
        UserWarning
            If the meaning of a unit or of an extension is guessed, an uncertainty of LR is lost, or
            saturated pixels are interpolated for the network.
        """
        with progress() as report:
            result = self._restore(images, report)
        show_itself(result, self._images)
        return result

    def _restore(self, images: Any, report: Callable[[int, int], None]) -> Any:
        if type(images) in (list, tuple):  # not an HDUList of astropy, which is one image
            return self._many(images, report)
        axis = self._axis_of_stack(images)
        if axis is not None and images.shape[axis]:
            return _stacked(self._many(_parts(images, axis), report), axis)
        return self._many([images], report)[0]

    def _images(self, result: Any) -> list[Image]:
        """Return the image of a result, or the images of a stack."""
        axis = self._axis_of_stack(result)
        parts = [result] if axis is None else _parts(result, axis)
        return [self._read(part)[0] for part in parts]

    def write(
        self,
        source: str | Path,
        target: str | Path | None = None,
        *,
        overwrite: bool = False,
        report: Callable[[int, int | None], None] = lambda done, total: None,
    ) -> tuple[Path, list[str]]:
        """Restore an image file of any size to another one, as ``srkit upscale`` does.

        Parameters
        ----------
        source
            The file of LR, or ``FILE[EXTENSION]``.
        target
            The file of SR, or its folder; by default ``NAME_x4`` and the like beside the source.
        overwrite
            Replace the file of SR if it exists.
        report
            Receives the LR pixels that are done, and in total if that is known.

        Returns
        -------
        path, notes
            The file of SR, and messages such as what its format cannot store.

        Raises
        ------
        DataError
            If the source cannot be read or restored; the message names it.
        OutputError
            If the file of SR exists.
        """
        from srkit.upscaling.files import FileUpscaler
        from srkit.upscaling.jobs import plan

        place, label = None if target is None else Path(target), self._upscalers.label
        (job,) = plan([str(source)], place, self._formats, label, None).jobs
        files = FileUpscaler(self._upscalers, overwrite=overwrite, metadata=self._metadata)
        (result,) = files.results([job], lambda what, done, total: report(done, total))
        if result.failure:
            raise DataError(result.failure)
        if result.skipped:
            raise OutputError(f"{job.target.path}: already exists; set overwrite to replace it")
        return job.target.path, list(result.notes)

    def _axis_of_stack(self, images: Any) -> int | None:
        """Return the axis along which an array or tensor is a stack of images."""
        if not isinstance(images, np.ndarray | Tensor):
            return None
        if self._axes is None:
            return 0 if images.ndim == 4 else None
        if len(self._axes) != images.ndim:
            shape = tuple(images.shape)
            raise DataError(f"an array of shape {shape}: does not have the axes {self._axes}")
        return self._axes.index("N") if "N" in self._axes else None

    def _many(self, objects: Sequence[Any], report: Callable[[int, int], None]) -> list[Any]:
        def restore(group: list[_Given]) -> list[Any]:
            first = group[0]
            try:
                images = [each.image for each in group]
                restored = upscale_images(
                    images, first.kind, first.upscaler, self._metadata, report
                )
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
        return _Given(image, kind, self._upscalers.for_image(image), path, value)

    def _read(self, value: Any) -> tuple[Image, Kind]:
        """Convert an object to an image, and return what converts SR back."""
        if isinstance(value, str | Path):
            return self._read_file(Path(value))
        if isinstance(value, Tensor):
            tensors = Tensors(value.ndim, self._channels(value), value.dtype, value.device)
            return tensors.image(value), tensors
        for image_format in self._formats if type(value) not in _PLAIN else ():
            if isinstance(image_format, ObjectFormat):
                image = image_format.from_object(value)
                if image is not None:
                    return image, image_format
        if isinstance(value, np.ndarray | np.generic):
            array = np.asarray(value)
            image = self._image_of_array(array)
            if not isinstance(value, np.ma.MaskedArray):
                return image, Arrays(value.dtype)
            mask = self._image_of_array(np.ma.getmaskarray(value).astype(np.float32))
            pixels = image.pixels.masked_fill(mask.pixels[: len(image.pixels)] > 0, torch.nan)
            return replace(image, pixels=pixels), MaskedArrays(value.dtype)
        raise DataError(
            f"an object of the type {type(value).__name__}; expected a NumPy array, a tensor, a "
            "CCDData or another object of astropy, a path, or a list of these"
        )

    def _image_of_array(self, array: Values) -> Image:
        if self._axes is None:
            return image_of_array(array)
        check_magnitude(array)
        return image_of_values(array, self._channels(array))

    def _channels(self, value: Any) -> int | None:
        """Return the axis of the channels of an array or tensor."""
        if self._axes is None:
            return 0 if value.ndim == 3 else None
        return {"HW": None, "CHW": 0, "HWC": -1}[self._axes.replace("N", "")]

    def _read_file(self, path: Path) -> tuple[Image, Kind]:
        file = self._formats.source(path)
        image_format, image = file.format, file.format.read(file.path)
        return image, image_format if isinstance(image_format, ObjectFormat) else Arrays(None)


#: Axes of an array or tensor that is one image.
_AXES = ("HW", "HWC", "CHW")
#: Classes that no format has objects of.
_PLAIN = (np.ndarray, np.ma.MaskedArray)


@dataclass(frozen=True, slots=True)
class _Given:
    """An image with what restores it and converts SR; its path, if it was read from a file."""

    image: Image
    kind: Kind
    upscaler: ImageUpscaler
    path: Path | None
    value: Any

    def finish(self, sr: Image) -> Any:
        """Convert SR, and warn of what was guessed and of saturated pixels."""
        guesses = [*self.image.metadata.get("guesses", []), *sr.metadata.get("guesses", [])]
        if not self.upscaler.interpolates:
            guesses += self.image.metadata.get("saturation_notes", [])
        for guess in guesses:
            warnings.warn(_naming(guess, self.path), stacklevel=2)
        return self.kind.to_object(sr, None if self.path is not None else self.value)

    def key(self) -> tuple[Any, ...]:
        """Return what images have in common that are restored together."""
        return type(self.kind), id(self.upscaler.model), self.upscaler.scale


def _naming(message: str, path: Path | None) -> str:
    """Return an error that begins with the path of its file."""
    return message if path is None or message.startswith(str(path)) else f"{path}: {message}"


def _parts(images: Any, axis: int) -> list[Any]:
    return [images[(*[slice(None)] * axis, index)] for index in range(images.shape[axis])]


def _stacked(parts: list[Any], axis: int) -> Any:
    if isinstance(parts[0], tuple):
        return tuple(_stacked(list(each), axis) for each in zip(*parts, strict=True))
    if isinstance(parts[0], Tensor):
        return torch.stack(parts, axis)
    if isinstance(parts[0], np.ma.MaskedArray):
        stack = np.ma.stack(parts, axis)
        stack.fill_value = parts[0].fill_value
        return stack
    return np.stack(parts, axis)
