"""Losses and metrics that compare images pixel by pixel."""

from srkit import hookimpl


@hookimpl
def srkit_losses() -> dict[str, str]:
    """Offer the losses."""
    return {
        "charbonnier": "srkit_pixels.losses:Charbonnier",
        "l1": "srkit_pixels.losses:L1",
        "mse": "srkit_pixels.losses:MSE",
    }


@hookimpl
def srkit_metrics() -> dict[str, str]:
    """Offer the metrics."""
    return {
        "mae": "srkit_pixels.metrics:MAE",
        "mse": "srkit_pixels.metrics:MSE",
        "psnr": "srkit_pixels.metrics:PSNR",
        "ssim": "srkit_pixels.metrics:SSIM",
    }
