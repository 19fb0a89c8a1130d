"""Augmentations of images, and losses and metrics that compare them pixel by pixel."""

from srkit import hookimpl

SRKIT_API = 1


@hookimpl
def srkit_augmentations() -> dict[str, str]:
    """Return the augmentations."""
    return {
        "colour_jitter": "srkit_pixels.augmentations:ColourJitter",
        "cutblur": "srkit_pixels.augmentations:CutBlur",
        "cutmix": "srkit_pixels.augmentations:CutMix",
        "flip": "srkit_pixels.augmentations:Flip",
        "mixup": "srkit_pixels.augmentations:Mixup",
        "resizemix": "srkit_pixels.augmentations:ResizeMix",
        "rotate": "srkit_pixels.augmentations:Rotate",
    }


@hookimpl
def srkit_losses() -> dict[str, str]:
    """Return the losses."""
    return {
        "charbonnier": "srkit_pixels.losses:Charbonnier",
        "consistency": "srkit_pixels.details:Consistency",
        "distillation": "srkit_pixels.details:Distillation",
        "edge": "srkit_pixels.details:Edge",
        "fft": "srkit_pixels.frequencies:FFT",
        "focal_frequency": "srkit_pixels.frequencies:FocalFrequency",
        "gaussian_nll": "srkit_pixels.losses:GaussianNLL",
        "l1": "srkit_pixels.losses:L1",
        "ldl": "srkit_pixels.details:LDL",
        "ms_ssim": "srkit_pixels.losses:MSSSIM",
        "mse": "srkit_pixels.losses:MSE",
        "ssim": "srkit_pixels.losses:SSIM",
        "total_variation": "srkit_pixels.losses:TotalVariation",
    }


@hookimpl
def srkit_metrics() -> dict[str, str]:
    """Return the metrics."""
    return {
        "mae": "srkit_pixels.metrics:MAE",
        "mse": "srkit_pixels.metrics:MSE",
        "niqe": "srkit_pixels.niqe:NIQE",
        "psnr": "srkit_pixels.metrics:PSNR",
        "psnr_rgb": "srkit_pixels.metrics:psnr_rgb",
        "psnr_y": "srkit_pixels.metrics:psnr_y",
        "pyiqa": "srkit_pixels.iqa:pyiqa",
        "ssim": "srkit_pixels.metrics:SSIM",
        "ssim_rgb": "srkit_pixels.metrics:ssim_rgb",
        "ssim_y": "srkit_pixels.metrics:ssim_y",
    }


@hookimpl
def srkit_commands() -> dict[str, str]:
    """Return the command that fits NIQE."""
    return {"data fit-niqe": "srkit_pixels.niqe:fit_niqe"}
