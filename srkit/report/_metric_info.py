"""The properties of a metric that tables and figures show."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from srkit.interfaces import Metric, TeacherMetric

#: Names of the original images and of the baseline between which models close a gap.
ORIGINAL, LOWER = "original", "bilinear"


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """The properties of a metric.

    Parameters
    ----------
    name
        The name that recipes use.
    unit
        ``dB``, for instance; may be empty.
    higher_is_better
        Whether higher values are better.
    protocol
        How it is measured: channel, crop, rounding, data range.
    signed
        Whether it is an error with a sign: the mean over the images is the bias, best at 0, and
        the scatter counts, too.
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

    def properties(self) -> dict[str, Any]:
        """Return everything but the name, for JSON."""
        return {key: value for key, value in asdict(self).items() if key != "name"}
