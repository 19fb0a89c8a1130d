"""Pure functions on tensors and arrays."""

from srkit.functional.devices import capable_device
from srkit.functional.medians import row_medians
from srkit.functional.noise import Noise, measure_noise
from srkit.functional.resizing import (
    Kernel,
    mirror_indices,
    resize,
    resize_mask,
    resize_short_side,
    resized_side,
    to_hr_grid,
)
from srkit.functional.similarity import (
    LUMA,
    SSIM_WINDOW,
    check_equal_shapes,
    difference,
    luma,
    mae,
    metric_input,
    mse,
    psnr,
    ssim,
    ssim_blur,
)
from srkit.functional.types import Values

__all__ = [
    "LUMA",
    "SSIM_WINDOW",
    "Kernel",
    "Noise",
    "Values",
    "capable_device",
    "check_equal_shapes",
    "difference",
    "luma",
    "mae",
    "measure_noise",
    "metric_input",
    "mirror_indices",
    "mse",
    "psnr",
    "resize",
    "resize_mask",
    "resize_short_side",
    "resized_side",
    "row_medians",
    "ssim",
    "ssim_blur",
    "to_hr_grid",
]
