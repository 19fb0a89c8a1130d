"""What tables and figures need to know of a metric."""

from __future__ import annotations

from dataclasses import dataclass

from srkit.interfaces import Metric, TeacherMetric


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """What a metric is.

    Parameters
    ----------
    name
        The name that recipes use.
    unit
        ``dB``, for instance; may be empty.
    higher_is_better
        Direction.
    protocol
        How it is measured: channel, crop, rounding, data range.
    signed
        Whether it is an error with a sign: its mean over the images is the bias, best at 0, and
        its scatter counts too.
    """

    name: str
    unit: str
    higher_is_better: bool
    protocol: str
    signed: bool = False

    @classmethod
    def of(cls, name: str, metric: Metric | TeacherMetric) -> MetricInfo:
        """Describe a metric by its attributes."""
        signed: bool = getattr(metric, "signed", False)
        return cls(name, metric.unit, metric.higher_is_better, metric.protocol, signed)


ORIGINAL = "original"


LOWER = "bilinear"
