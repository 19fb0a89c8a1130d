"""Discriminators, adversarial games, and a loss on the discriminator's features."""

from srkit import hookimpl

SRKIT_API = 1


@hookimpl
def srkit_discriminators() -> dict[str, str]:
    """Return the discriminators."""
    return {
        "esrgan": "srkit_adversaries.vgg:ESRGAN",
        "multiscale_patchgan": "srkit_adversaries.patch:MultiScalePatchGAN",
        "patchgan": "srkit_adversaries.patch:PatchGAN",
        "srgan": "srkit_adversaries.vgg:SRGAN",
        "unet_sn": "srkit_adversaries.unet:UNetSN",
    }


@hookimpl
def srkit_games() -> dict[str, str]:
    """Return the adversarial games."""
    return {
        "hinge": "srkit_adversaries.games:Hinge",
        "least_squares": "srkit_adversaries.games:LeastSquares",
        "relativistic": "srkit_adversaries.games:Relativistic",
        "vanilla": "srkit_adversaries.games:Vanilla",
        "wasserstein": "srkit_adversaries.games:Wasserstein",
    }


@hookimpl
def srkit_losses() -> dict[str, str]:
    """Return the loss on the discriminator's features."""
    return {"feature_matching": "srkit_adversaries.features:FeatureMatching"}
