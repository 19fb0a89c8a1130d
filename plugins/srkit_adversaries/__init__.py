"""Discriminators for adversarial training."""

from srkit import hookimpl

SRKIT_API = 1


@hookimpl
def srkit_discriminators() -> dict[str, str]:
    """Return the discriminators."""
    return {
        "esrgan": "srkit_adversaries.vgg:ESRGAN",
        "patchgan": "srkit_adversaries.patch:PatchGAN",
        "srgan": "srkit_adversaries.vgg:SRGAN",
        "unet_sn": "srkit_adversaries.unet:UNetSN",
    }
