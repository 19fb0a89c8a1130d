from __future__ import annotations

from srkit.studies.compression.bjontegaard import delta_quality
from srkit.studies.compression.results import HR, Compression


def test_deltas_are_against_hr_of_the_same_format(found: Compression) -> None:
    curves = found.curves()
    for one in found.deltas():
        name = one.metric.name
        first, second = (
            ([p.size for p in curve], [p.values[name] for p in curve])
            for curve in (curves[one.format, HR], curves[one.format, one.model])
        )
        assert one.quality == delta_quality(first, second)
    assert {(one.format, one.model) for one in found.deltas()} == {
        (form, model) for form in ("jpeg", "webp") for model in ("bilinear", "small")
    }
