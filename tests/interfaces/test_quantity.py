"""The meaning of pixel values is stored with the weights."""

from __future__ import annotations

import json

import torch

from srkit.interfaces import Batch
from srkit.interfaces.quantity import LRStatistics, Quantity


def test_round_trip_through_json() -> None:
    images = torch.zeros(1, 1, 4, 4)
    batch = Batch(
        ["a"], images, [0], data_range=(-1.0, 9.0), unit="count / s", pixel_scale=0.1, zero_point=27
    )
    quantity = Quantity.of(batch)
    assert quantity == Quantity("count / s", 27, 0.1, (-1.0, 9.0))
    assert Quantity.parse(json.loads(json.dumps(quantity.dump()))) == quantity


def test_what_lr_images_were_like_is_part_of_it() -> None:
    one = LRStatistics(3, (0.0, 1.0), (0.1, 0.2), (-1.0, 9.0))
    both = one.merged(LRStatistics(2, (-1.0, 0.5), (0.3, 0.4), (0.0, 12.0)))
    assert both == LRStatistics(5, (-1.0, 1.0), (0.1, 0.4), (-1.0, 12.0))
    stored = json.loads(json.dumps(Quantity("adu", lr=both).dump()))
    assert Quantity.parse(stored).lr == both
    del stored["lr"]  # of an older checkpoint
    assert Quantity.parse(stored) == Quantity("adu")
