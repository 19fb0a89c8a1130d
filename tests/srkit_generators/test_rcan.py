from __future__ import annotations

import pytest
import torch
from published_networks import check_against, count
from spandrel.architectures.RCAN import RCAN as THEIRS
from srkit_generators.rcan import RCAN

from srkit.errors import WeightsError

#: Parameters of the authors' two layers that subtract and add the mean, which are fixed.
FIXED = 2 * (3 * 3 + 3)


@pytest.mark.parametrize(("scale", "expected"), [(2, 15_444_667), (3, 15_629_307), (4, 15_592_379)])
def test_published_parameter_counts(scale: int, expected: int) -> None:
    """Those of EDSR-PyTorch, which contains the authors' network."""
    with torch.device("meta"):
        assert count(RCAN(scale=scale, channels=3)) + FIXED == expected


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("centred", [True, False])
def test_equals_spandrel(scale: int, centred: bool) -> None:
    """On values up to 255 if images are centred; the attention is not homogeneous."""
    theirs = THEIRS(scale=scale, n_resgroups=2, n_resblocks=3, n_feats=8, reduction=4, norm=centred)
    ours = RCAN(
        scale=scale,
        channels=3,
        groups=2,
        blocks=3,
        features=8,
        reduction=4,
        subtract_mean=centred,
    )
    check_against(theirs, ours)


def test_weights_for_centred_images_are_refused_without_the_mean() -> None:
    theirs = THEIRS(scale=2, n_resgroups=1, n_resblocks=1, n_feats=8, reduction=4)
    net = RCAN(scale=2, channels=3, groups=1, blocks=1, features=8, reduction=4)
    with pytest.raises(WeightsError) as caught:
        net.adapt(theirs.state_dict())
    assert str(caught.value) == (
        "these weights were trained on centred images; set generator.subtract_mean=true"
    )


def test_blocks_stages_and_errors() -> None:
    net = RCAN(scale=3, channels=1, groups=2, blocks=[1, "dense"], features=8, upsampler="nearest")
    assert net(torch.rand(2, 1, 5, 4)).shape == (2, 1, 15, 12)
    assert list(net.stages()) == ["head", "body.0", "body.1", "body_end", "upsample", "tail"]
    with pytest.raises(ValueError, match=r"^rcan supports the scales 1, 2, 3, 4 and 8; got 5$"):
        RCAN(scale=5, channels=3)
    with pytest.raises(ValueError, match=r"^subtract_mean requires images of 3 channels; got 1$"):
        RCAN(scale=2, channels=1, subtract_mean=True)
