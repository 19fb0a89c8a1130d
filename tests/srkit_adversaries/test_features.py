from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from srkit_adversaries.features import FeatureMatching
from torch import Tensor, nn

from srkit.errors import TrainingError
from srkit.interfaces import Batch, View


class Doubling(nn.Module):
    """Two feature maps: twice the images, and their squares."""

    def features(self, images: Tensor) -> list[Tensor]:
        return [2 * images, images.square()]

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((1, 2, 3))


def view(hr: Tensor, discriminator: nn.Module) -> View:
    return replace(View.of(Batch(["a"], hr, [0])), discriminator=discriminator)


def test_the_value_and_gradient_are_those_of_the_maps() -> None:
    hr = torch.full((1, 1, 2, 2), 0.5)
    sr = torch.tensor([[[[0.5, 1.0], [0.0, 0.5]]]], requires_grad=True)
    loss = FeatureMatching()(sr, view(hr, Doubling()))
    # |2 d|: 0, 1, 1, 0; |x^2 - 1/4|: 0, 3/4, 1/4, 0.
    assert loss.item() == pytest.approx((2 / 4 + 1 / 4) / 2)
    (slope,) = torch.autograd.grad(loss, sr)
    # (2 sign + 2 x sign) / 4 pixels / 2 maps
    expected = torch.tensor([[0.0, 4 / 8], [-2 / 8, 0.0]])
    torch.testing.assert_close(slope[0, 0], expected)


def test_a_discriminator_without_features_is_named() -> None:
    hr = torch.rand(1, 1, 2, 2)
    with pytest.raises(TrainingError) as caught:
        FeatureMatching()(hr, view(hr, nn.Identity()))
    assert str(caught.value) == (
        "the loss 'feature_matching': Identity has no method 'features'; choose another "
        "discriminator, or remove the loss"
    )
