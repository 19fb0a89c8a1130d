"""Which images the panels show."""

from __future__ import annotations

from dataclasses import replace

from evaluation_setup import evaluation

from srkit.evaluation.panels import changed_images


def test_changed_images_are_right_for_only_one_model() -> None:
    found = evaluation()
    by_name = {model.name: model.predictions == found.labels for model in found.models}
    for gains, right, wrong in ((True, "DarioNet", "bilinear"), (False, "bilinear", "DarioNet")):
        chosen = changed_images(found, "DarioNet", "bilinear", gains)
        assert chosen
        assert by_name[right][chosen].all()
        assert not by_name[wrong][chosen].any()
    assert found.labels is not None
    assert len(set(found.labels[chosen])) == len(chosen)
    assert changed_images(replace(found, labels=None), "DarioNet", "bilinear", True) == []
