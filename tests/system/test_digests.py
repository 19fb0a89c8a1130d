from __future__ import annotations

import torch

from srkit.system.digests import digest_of_image


def test_equal_values_have_equal_digests() -> None:
    image = torch.rand(3, 8, 16, generator=torch.Generator().manual_seed(0))
    assert digest_of_image(image) == digest_of_image(
        image.clone(memory_format=torch.contiguous_format)
    )
    other = image.clone()
    other[0, 0, 0] += 1e-6
    assert digest_of_image(image) != digest_of_image(other)
    assert digest_of_image(image) != digest_of_image(image.reshape(3, 16, 8))
