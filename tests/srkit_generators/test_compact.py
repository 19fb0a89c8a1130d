from __future__ import annotations

import pytest
import torch
from published_networks import check_against, count
from spandrel.architectures.Compact import Compact as Theirs
from srkit_generators.compact import Compact

from srkit.errors import WeightsError


def test_published_parameter_counts() -> None:
    """0.62 and 1.21 million are those of Real-ESRGAN's list of models."""
    with torch.device("meta"):
        video, general = Compact(scale=4, channels=3), Compact(scale=4, channels=3, blocks=32)
        assert count(video) == count(Theirs(upscale=4)) == 621_424
        assert count(general) == count(Theirs(upscale=4, num_conv=32)) == 1_213_296
        assert count(Compact(scale=2, channels=3)) == 600_652


@pytest.mark.parametrize(("scale", "channels"), [(1, 3), (2, 1), (4, 3)])
def test_equals_spandrel(scale: int, channels: int) -> None:
    theirs = Theirs(num_in_ch=channels, num_out_ch=channels, num_feat=8, num_conv=3, upscale=scale)
    check_against(theirs, Compact(scale=scale, channels=channels, blocks=3, features=8))


def test_stages_and_errors() -> None:
    net = Compact(scale=2, channels=3, blocks=2, features=4)
    assert list(net.stages()) == ["head", "body.0", "body.1", "tail"]
    with pytest.raises(WeightsError, match=r"^these are not weights of compact: their first keys"):
        net.adapt({"fc.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"^compact supports the scales 1, 2, 3, 4 and 8; got 5$"):
        Compact(scale=5, channels=3)


def test_published_weights_fit_the_settings() -> None:
    for published in Compact.published.values():
        with torch.device("meta"):
            assert Compact(**published.settings).scale == 4
        assert published.licence == "BSD-3-Clause"
