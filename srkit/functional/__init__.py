"""Pure functions on tensors and arrays."""

from srkit.functional.adversarial import GAMES
from srkit.functional.medians import medians
from srkit.functional.resizing import Kernel, bring_short_side, mirrored, resize, resized_side
from srkit.functional.self_ensemble import self_ensemble
from srkit.functional.similarity import (
    LUMA,
    WINDOW,
    blur,
    check_shapes,
    difference,
    luma,
    mae,
    mse,
    psnr,
    ssim,
)
from srkit.functional.types import Values

__all__ = [
    "GAMES",
    "LUMA",
    "WINDOW",
    "Kernel",
    "Values",
    "blur",
    "bring_short_side",
    "check_shapes",
    "difference",
    "luma",
    "mae",
    "medians",
    "mirrored",
    "mse",
    "psnr",
    "resize",
    "resized_side",
    "self_ensemble",
    "ssim",
]
