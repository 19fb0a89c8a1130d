"""A loss on the feature maps of the discriminator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from srkit.errors import TrainingError
from srkit.interfaces import FeatureDiscriminator, View


class FeatureMatching:
    """Mean absolute difference of the discriminator's feature maps of SR and HR.

    The mean over all its feature maps (pix2pixHD, Wang et al. 2018, equation 4; their code sums
    over the four maps of each scale, so that its weight of 10 is 40 here).

    References
    ----------
    Wang, Liu, Zhu, Tao, Kautz & Catanzaro, "High-resolution image synthesis and semantic
    manipulation with conditional GANs", CVPR 2018.
    """

    needs_view = True
    requires: Sequence[str] = ("discriminator",)

    def __call__(self, sr: Tensor, view: View) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``view.stretched.hr``: a scalar.

        Raises
        ------
        TrainingError
            If the discriminator does not return feature maps.
        """
        discriminator = view.discriminator
        if not isinstance(discriminator, FeatureDiscriminator):
            raise TrainingError(
                f"the loss 'feature_matching': {type(discriminator).__name__} has no method "
                "'features'; choose another discriminator, or remove the loss"
            )
        with torch.no_grad():
            wanted = discriminator.features(view.stretched.hr)
        pairs = zip(discriminator.features(sr), wanted, strict=True)
        terms = [F.l1_loss(given.float(), right.float()) for given, right in pairs]
        return torch.stack(terms).mean()
