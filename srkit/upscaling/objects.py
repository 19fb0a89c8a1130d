"""How arrays, tensors and objects become images, and SR the same again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from srkit.errors import DataError
from srkit.functional.types import Values
from srkit.images.arrays import array_of_image, image_of_values
from srkit.interfaces import Image, ObjectFormat, Upscaled

#: Metadata of LR that do not apply to SR: its opacity, and messages.
_LEFT_OUT = ("alpha", "notes", "guesses")


class Enlarging:
    """Keeps the metadata of arrays and tensors."""

    def enlarge(self, lr: Image, upscaled: Upscaled, scale: float, history: Sequence[str]) -> Image:
        """Return SR with what applies to it; flux is shared by the pixels of SR."""
        kept = {key: value for key, value in lr.metadata.items() if key not in _LEFT_OUT}
        area = scale**2 if lr.metadata.get("values") == "flux" else 1
        if area != 1 and lr.metadata.get("bits") != 32:
            raise DataError("levels of integers are not flux; convert the values to floats")
        sigma = {} if upscaled.sigma is None else {"sigma": upscaled.sigma / area}
        return Image(upscaled.pixels / area, lr.data_range, {**kept, **sigma})


@dataclass(frozen=True, slots=True)
class Arrays(Enlarging):
    """NumPy arrays; floats are converted to a dtype unless it is None."""

    dtype: np.dtype[Any] | None

    def to_object(self, image: Image, like: object) -> Any:
        """Convert an image to an array, or a pair with the standard deviation."""
        sr = array_of_image(image)
        if self.dtype is not None and self.dtype.kind == sr.dtype.kind == "f":
            sr = sr.astype(self.dtype)
        if "sigma" not in image.metadata:
            return sr
        layout = {key: image.metadata[key] for key in ("channel_axis",) if key in image.metadata}
        return sr, array_of_image(Image(image.metadata["sigma"], metadata=layout))


class MaskedArrays(Arrays):
    """Masked arrays; masked pixels are NaN in images."""

    def to_object(self, image: Image, like: Any) -> Any:
        """Convert an image to a masked array, or a pair with the standard deviation."""
        known = replace(image, pixels=image.pixels.nan_to_num(image.data_range[0]))
        found = super().to_object(known, like)
        layout = {"channel_axis": image.metadata["channel_axis"]}
        mask = image.pixels.isnan().float()
        if "alpha" in image.metadata:
            mask = torch.cat([mask, mask.amax(0, keepdim=True)])
        masked = array_of_image(Image(mask, metadata=layout)) > 0

        def with_mask(values: Values) -> Any:
            return np.ma.MaskedArray(values, masked, fill_value=like.fill_value)

        return tuple(map(with_mask, found)) if isinstance(found, tuple) else with_mask(found)


@dataclass(frozen=True, slots=True)
class Tensors(Enlarging):
    """Tensors of one layout."""

    ndim: int
    channels: int | None
    dtype: torch.dtype
    device: torch.device

    def image(self, tensor: Tensor) -> Image:
        """Convert a tensor to an image.

        Raises
        ------
        DataError
            If it is not one.
        """
        if tensor.ndim not in (2, 3) or not tensor.numel():
            raise DataError(
                f"a tensor of the shape {tuple(tensor.shape)}; expected an image, (H, W) or (C, H, "
                "W), or several, (N, C, H, W)"
            )
        planes = tensor.detach().cpu()
        planes = planes.float() if planes.is_floating_point() else planes
        planes = planes if self.channels is None else planes.movedim(self.channels, 0)
        return image_of_values(planes.reshape(-1, *planes.shape[-2:]).numpy(), 0)

    def to_object(self, image: Image, like: object) -> Any:
        """Convert an image to a tensor, or a pair with the standard deviation."""
        sr = self._laid_out(torch.from_numpy(np.ascontiguousarray(array_of_image(image))))
        sr = sr.to(self.dtype) if self.dtype.is_floating_point else sr
        if "sigma" not in image.metadata:
            return sr
        return sr, self._laid_out(image.metadata["sigma"])

    def _laid_out(self, planes: Tensor) -> Tensor:
        laid = planes[0] if self.channels is None else planes.movedim(0, self.channels)
        return laid.to(self.device)


#: Converts images to objects.
Kind: TypeAlias = ObjectFormat | Arrays | Tensors
