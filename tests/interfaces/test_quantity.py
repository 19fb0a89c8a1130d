"""The meaning of pixel values is stored with the weights."""

from __future__ import annotations

import json

import torch

from srkit.interfaces import Batch
from srkit.interfaces.quantity import Quantity


def test_round_trip_through_json() -> None:
    images = torch.zeros(1, 1, 4, 4)
    batch = Batch(
        ["a"], images, [0], data_range=(-1.0, 9.0), unit="count / s", pixel_scale=0.1, zero_point=27
    )
    quantity = Quantity.of(batch)
    assert quantity == Quantity("count / s", 27, 0.1, (-1.0, 9.0))
    assert Quantity.parse(json.loads(json.dumps(quantity.dump()))) == quantity
